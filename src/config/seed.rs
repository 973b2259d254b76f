//! A member to find the cluster by, as a person writes it: a name or an address, with or without a port.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::str::FromStr;

/// The port of gossip, unless another is given; the one that Consul and Serf use.
pub const GOSSIP_PORT: u16 = 7946;

/// Where a member may be found. A name is resolved each time it is tried: its addresses may change.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Seed {
    /// A host name or an address without brackets.
    pub host: String,
    /// The gossip port.
    pub port: u16,
}

impl FromStr for Seed {
    type Err = ();

    fn from_str(text: &str) -> Result<Seed, ()> {
        if let Ok(address) = text.parse::<SocketAddr>() {
            return Ok(Seed { host: address.ip().to_string(), port: address.port() });
        }
        let bare = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(text);
        if bare.parse::<Ipv6Addr>().is_ok() {
            return Ok(Seed { host: bare.to_owned(), port: GOSSIP_PORT });
        }
        let (host, port) = match text.split_once(':') {
            Some((host, port)) => (host, port.parse().map_err(|_| ())?),
            None => (text, GOSSIP_PORT),
        };
        let valid = !host.is_empty()
            && host.len() <= 253
            && host.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._".contains(&byte))
            && !looks_like_an_address(host);
        (valid && port != 0).then(|| Seed { host: host.to_owned(), port }).ok_or(())
    }
}

/// `10.0.0.256` is a mistyped address, no name: no top-level domain is all digits.
fn looks_like_an_address(host: &str) -> bool {
    host.parse::<IpAddr>().is_err()
        && host.rsplit('.').next().is_some_and(|label| label.bytes().all(|byte| byte.is_ascii_digit()))
}

impl fmt::Display for Seed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.host.contains(':') {
            true => write!(f, "[{}]:{}", self.host, self.port),
            false => write!(f, "{}:{}", self.host, self.port),
        }
    }
}
