//! DNS cookies (RFC 7873): a client that returns the server cookie it was given has not forged its address.
//!
//! Server cookies are those of RFC 9018, so every server that has the secret can check them. Must not read a clock nor
//! make secrets: both are passed in.

use std::net::IpAddr;

use siphasher::sip::SipHasher24;

/// A client cookie (RFC 7873 §4).
const CLIENT_LEN: usize = 8;
/// A server cookie as RFC 9018 §4 has it: version, three reserved bytes, time, hash.
const SERVER_LEN: usize = 16;
/// How long a server cookie may be, whoever made it (RFC 7873 §4).
const ANY_SERVER_LEN: std::ops::RangeInclusive<usize> = 8..=32;
/// What is hashed: client cookie, version, reserved bytes and time, then an address of at most 16 bytes (RFC 9018 §4.4).
const MAX_HASHED: usize = CLIENT_LEN + SERVER_LEN / 2 + 16;
/// The version of RFC 9018 §4.1, followed by reserved bytes.
const VERSION: [u8; 4] = [1, 0, 0, 0];
/// How many seconds a cookie is good for (RFC 9018 §4.3).
const MAX_AGE_S: u32 = 3600;
/// By how many seconds the clock of the server that made a cookie may be ahead (RFC 9018 §4.3).
const MAX_AHEAD_S: u32 = 300;

/// A COOKIE option as a response has it: the client's cookie and the server's.
pub(super) type ResponseCookie = [u8; CLIENT_LEN + SERVER_LEN];

/// The secrets of one moment. All servers of an address have the same.
#[derive(Clone, PartialEq, Eq)]
pub struct CookieSecrets {
    /// Makes cookies, and is accepted too.
    pub sealing: [u8; 16],
    /// What is accepted besides: secrets that others still, or already, make cookies with. Few, for each costs a hash.
    pub accepted: Vec<[u8; 16]>,
}

/// What it takes to make and check server cookies.
#[derive(Clone, Copy, Debug)]
pub struct Cookies<'a> {
    /// The time in seconds since 1970. It wraps in 2106, which RFC 9018 §4.3 provides for.
    pub now_s: u32,
    /// The secrets of this time.
    pub secrets: &'a CookieSecrets,
}

/// A query's COOKIE option.
#[derive(Clone, Copy, Debug)]
pub(super) struct CookieOption {
    client: [u8; CLIENT_LEN],
    /// The server cookie, if there is one that could be of this kind.
    server: Option<[u8; SERVER_LEN]>,
}

impl std::fmt::Debug for CookieSecrets {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CookieSecrets").finish_non_exhaustive()
    }
}

impl CookieOption {
    /// Reads the option's data; `None` if its length is not one that there is (RFC 7873 §5.2.2).
    pub(super) fn parse(data: &[u8]) -> Option<CookieOption> {
        let (client, server) = data.split_first_chunk()?;
        let acceptable = server.is_empty() || ANY_SERVER_LEN.contains(&server.len());
        acceptable.then(|| CookieOption { client: *client, server: server.try_into().ok() })
    }

    /// Whether the server cookie was made here, or by another with the same secrets, for this client and not long ago.
    pub(super) fn proves(&self, client: IpAddr, cookies: Cookies<'_>) -> bool {
        let Some(server) = self.server else { return false };
        let (head, hash) = server.split_at(SERVER_LEN / 2);
        let made_s = u32::from_be_bytes([head[4], head[5], head[6], head[7]]);
        // Serial number arithmetic (RFC 1982): the window around now, moved to zero.
        let in_time = made_s.wrapping_sub(cookies.now_s.wrapping_sub(MAX_AGE_S)) <= MAX_AGE_S + MAX_AHEAD_S;
        let made_with = |secret: &[u8; 16]| self.hash(head, client, secret) == hash;
        let CookieSecrets { sealing, accepted } = cookies.secrets;
        head[0] == VERSION[0] && in_time && std::iter::once(sealing).chain(accepted).any(made_with)
    }

    /// The option of the response: always with a fresh server cookie, which costs no more than checking the old one.
    pub(super) fn response(&self, client: IpAddr, cookies: Cookies<'_>) -> ResponseCookie {
        let mut head = [0; SERVER_LEN / 2];
        head[..4].copy_from_slice(&VERSION);
        head[4..].copy_from_slice(&cookies.now_s.to_be_bytes());
        let mut response = [0; CLIENT_LEN + SERVER_LEN];
        response[..CLIENT_LEN].copy_from_slice(&self.client);
        response[CLIENT_LEN..][..head.len()].copy_from_slice(&head);
        response[CLIENT_LEN + head.len()..].copy_from_slice(&self.hash(&head, client, &cookies.secrets.sealing));
        response
    }

    /// The hash of RFC 9018 §4.4; `head` is what stands in front of it in the server cookie.
    fn hash(&self, head: &[u8], client: IpAddr, secret: &[u8; 16]) -> [u8; 8] {
        let mut input = [0; MAX_HASHED];
        let (fixed, address) = input.split_at_mut(CLIENT_LEN + SERVER_LEN / 2);
        fixed[..CLIENT_LEN].copy_from_slice(&self.client);
        fixed[CLIENT_LEN..].copy_from_slice(head);
        // A socket for both families shows IPv4 clients mapped; the cookie is the same on every socket.
        let address_len = match client.to_canonical() {
            IpAddr::V4(ip) => {
                address[..4].copy_from_slice(&ip.octets());
                4
            }
            IpAddr::V6(ip) => {
                address.copy_from_slice(&ip.octets());
                16
            }
        };
        let length = fixed.len() + address_len;
        SipHasher24::new_with_key(secret).hash(&input[..length]).to_le_bytes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hex<const N: usize>(text: &str) -> [u8; N] {
        let bytes = data_encoding::HEXLOWER.decode(text.as_bytes()).expect("hexadecimal");
        bytes.try_into().expect("as many bytes as are wanted")
    }

    fn option(text: &str) -> CookieOption {
        CookieOption::parse(&data_encoding::HEXLOWER.decode(text.as_bytes()).expect("hexadecimal")).expect("an option")
    }

    fn secrets(sealing: &str, accepted: &[&str]) -> CookieSecrets {
        CookieSecrets { sealing: hex(sealing), accepted: accepted.iter().map(|text| hex(text)).collect() }
    }

    const OLD: &str = "dd3bdf9344b678b185a6f5cb60fca715";
    const NEW: &str = "445536bcd2513298075a5d379663c962";

    #[test]
    fn cookies_are_those_of_the_examples_in_rfc_9018() {
        let secret = secrets("e5e973e5a6b2a43f48e7dc849e37bfcf", &[]);
        let at = |now_s| Cookies { now_s, secrets: &secret };
        let (first, other) = ("198.51.100.100".parse().expect("an address"), "203.0.113.203".parse().expect("one"));
        let learnt = option("2464c4abcf10c957").response(first, at(1_559_731_985));
        assert_eq!(learnt, hex("2464c4abcf10c957010000005cf79f111f8130c3eee29480"));
        let back = option("2464c4abcf10c957010000005cf79f111f8130c3eee29480");
        assert!(back.proves(first, at(1_559_734_385)));
        assert_eq!(back.response(first, at(1_559_734_385)), hex("2464c4abcf10c957010000005cf7a871d4a564a1442aca77"));
        // Reserved bytes that are not zero are hashed as they are.
        let reserved = option("fc93fc62807ddb8601abcdef5cf78f71a314227b6679ebf5");
        assert!(reserved.proves(other, at(1_559_727_985)));
        assert_eq!(
            reserved.response(other, at(1_559_734_700)),
            hex("fc93fc62807ddb86010000005cf7a9acf73a7810aca2381e")
        );
    }

    #[test]
    fn a_cookie_made_with_an_accepted_secret_is_good_and_comes_back_under_the_sealing_one() {
        let client = "2001:db8:220:1:59de:d0f4:8769:82b8".parse().expect("an address");
        let now_s = 1_559_741_961;
        let (before, after) = (secrets(OLD, &[]), secrets(NEW, &[OLD]));
        let made = option("22681ab97d52c298").response(client, Cookies { now_s: now_s - 144, secrets: &before });
        let back = CookieOption::parse(&made).expect("an option");
        assert!(back.proves(client, Cookies { now_s, secrets: &after }));
        assert!(!back.proves(client, Cookies { now_s, secrets: &secrets(NEW, &[]) }));
        let renewed = back.response(client, Cookies { now_s, secrets: &after });
        assert_eq!(renewed, hex("22681ab97d52c298010000005cf7c609a6bb79d16625507a"));
    }

    #[test]
    fn a_cookie_of_another_client_or_time_or_version_proves_nothing() {
        let secret = secrets(NEW, &[]);
        let at = |now_s| Cookies { now_s, secrets: &secret };
        let (client, mapped) = ("192.0.2.1".parse().expect("one"), "::ffff:192.0.2.1".parse().expect("another"));
        for made_s in [5_000, 100, u32::MAX - 100] {
            let made = option("0011223344556677").response(client, at(made_s));
            let back = CookieOption::parse(&made).expect("an option");
            let after = |seconds: i32| at(made_s.wrapping_add_signed(seconds));
            for good in [0, MAX_AGE_S as i32, -(MAX_AHEAD_S as i32)] {
                assert!(back.proves(client, after(good)) && back.proves(mapped, after(good)), "{made_s} {good}");
            }
            for bad in [MAX_AGE_S as i32 + 1, -(MAX_AHEAD_S as i32) - 1] {
                assert!(!back.proves(client, after(bad)), "{made_s} {bad}");
            }
            assert!(!back.proves("192.0.2.2".parse().expect("an address"), after(0)));
            for byte in 0..made.len() {
                let mut changed = made;
                changed[byte] ^= 1;
                assert!(!CookieOption::parse(&changed).expect("an option").proves(client, after(0)), "{byte}");
            }
        }
    }

    #[test]
    fn lengths_that_no_cookie_has_are_malformed() {
        for length in (0..8).chain(9..16).chain(41..60) {
            assert!(CookieOption::parse(&vec![0; length]).is_none(), "{length}");
        }
        for length in [8, 16, 17, 24, 40] {
            assert!(CookieOption::parse(&vec![0; length]).is_some(), "{length}");
        }
    }
}
