//! EDNS: the OPT record of a query and the one of a response (RFC 6891), and the options understood.

use super::cookie::{CookieOption, ResponseCookie};
use super::interface::{Context, Server, Transport};
use super::rcode::Rcode;
use crate::zone::{RecordType, Zone};

/// The response size that every client takes (RFC 1035 §2.3.4, RFC 6891 §6.2.3).
pub(super) const MIN_UDP_PAYLOAD: u16 = 512;
/// The largest message on a stream (RFC 1035 §4.2.2).
const MAX_MESSAGE: usize = u16::MAX as usize;
/// An OPT record without options: root owner, type, class, TTL, rdlength.
const OPT_LEN: usize = 11;
/// An option's code and length.
const OPTION_HEADER_LEN: usize = 4;
/// The block to which responses are padded on encrypted transports (RFC 8467 §4.1).
const PADDING_BLOCK: usize = 468;
/// The most of the NSID that is shown, so that OPT and the longest question fit into 512 bytes.
const MAX_NSID: usize = 128;
/// The only version of EDNS there is.
const VERSION: u8 = 0;
const FLAG_DO: u16 = 0x8000;

const OPTION_NSID: u16 = 3;
const OPTION_COOKIE: u16 = 10;
const OPTION_TCP_KEEPALIVE: u16 = 11;
const OPTION_PADDING: u16 = 12;
const OPTION_EXTENDED_ERROR: u16 = 15;
const OPTION_ZONEVERSION: u16 = 19;
/// The version shown in a ZONEVERSION option is the SOA serial (RFC 9660 §3).
const ZONEVERSION_SOA_SERIAL: u8 = 0;

/// What a query's OPT record asks for. Options that are not understood leave no trace (RFC 6891 §6.1.2).
#[derive(Clone, Copy, Debug)]
pub(super) struct Edns {
    udp_payload: u16,
    version: u8,
    /// Whether the client wants DNSSEC records (RFC 3225).
    pub(super) dnssec: bool,
    wants_nsid: bool,
    wants_zone_version: bool,
    wants_padding: bool,
    wants_keepalive: bool,
    cookie: Option<CookieOption>,
    /// Whether an option has data that it must not have: an error, but one that is told with EDNS.
    pub(super) malformed: bool,
}

/// Why a response is what it is (RFC 8914).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum ExtendedError {
    /// The server is set up not to do this for this client (§4.19).
    Prohibited = 18,
    /// The name lies in no zone of this server (§4.21).
    NotAuthoritative = 20,
    /// The class, the type or the operation is not supported (§4.22).
    NotSupported = 21,
}

impl Edns {
    /// Reads an OPT record; `None` if its options cannot be told apart.
    pub(super) fn parse(class: u16, ttl: u32, mut options: &[u8]) -> Option<Edns> {
        let mut edns = Edns {
            udp_payload: class,
            version: (ttl >> 16) as u8,
            dnssec: ttl as u16 & FLAG_DO != 0,
            wants_nsid: false,
            wants_zone_version: false,
            wants_padding: false,
            wants_keepalive: false,
            cookie: None,
            malformed: false,
        };
        while !options.is_empty() {
            let (head, tail) = options.split_first_chunk::<OPTION_HEADER_LEN>()?;
            let length = usize::from(u16::from_be_bytes([head[2], head[3]]));
            let data = tail.get(..length)?;
            match u16::from_be_bytes([head[0], head[1]]) {
                OPTION_NSID => edns.wants_nsid = true,
                OPTION_PADDING => edns.wants_padding = true,
                OPTION_TCP_KEEPALIVE => edns.wants_keepalive = true,
                // Only the first counts (RFC 7873 §5.2).
                OPTION_COOKIE if edns.cookie.is_none() => {
                    edns.cookie = CookieOption::parse(data);
                    edns.malformed |= edns.cookie.is_none();
                }
                // A query's option is empty (RFC 9660 §3.1).
                OPTION_ZONEVERSION => {
                    edns.wants_zone_version = true;
                    edns.malformed |= length != 0;
                }
                _ => {}
            }
            options = &tail[length..];
        }
        Some(edns)
    }

    /// Whether there is a COOKIE option.
    pub(super) fn has_cookie(&self) -> bool {
        self.cookie.is_some()
    }

    /// Whether a good cookie proves that the client's address is its own.
    pub(super) fn proves_client(&self, context: &Context<'_>) -> bool {
        let (cookie, cookies) = (self.cookie, context.cookies);
        cookie.zip(cookies).is_some_and(|(cookie, cookies)| cookie.proves(context.client, cookies))
    }

    /// The COOKIE option of the response.
    pub(super) fn response_cookie(&self, context: &Context<'_>) -> Option<ResponseCookie> {
        self.cookie.zip(context.cookies).map(|(cookie, cookies)| cookie.response(context.client, cookies))
    }

    /// Whether the version is one that is spoken here (RFC 6891 §6.1.3).
    pub(super) fn version_is_known(&self) -> bool {
        self.version == VERSION
    }
}

/// How long a response may be.
pub(super) fn size_limit(edns: Option<&Edns>, transport: Transport, server: &Server) -> usize {
    match (transport, edns) {
        (Transport::Tcp | Transport::Encrypted, _) => MAX_MESSAGE,
        (Transport::Udp, None) => MIN_UDP_PAYLOAD.into(),
        (Transport::Udp, Some(edns)) => {
            edns.udp_payload.max(MIN_UDP_PAYLOAD).min(server.max_udp_payload.max(MIN_UDP_PAYLOAD)).into()
        }
    }
}

/// The OPT record of a response in the making.
pub(super) struct OptRecord<'q> {
    edns: &'q Edns,
    server: &'q Server,
    transport: Transport,
    cookie: Option<ResponseCookie>,
    zone_version: Option<(u8, u32)>,
    error: Option<ExtendedError>,
}

impl<'q> OptRecord<'q> {
    /// The record of the response to one query.
    pub(super) fn new(edns: &'q Edns, context: &Context<'q>) -> OptRecord<'q> {
        OptRecord::with_cookie(edns, context.server, context.transport, edns.response_cookie(context))
    }

    /// The record of a response whose cookie was made before.
    pub(super) fn with_cookie(
        edns: &'q Edns,
        server: &'q Server,
        transport: Transport,
        cookie: Option<ResponseCookie>,
    ) -> OptRecord<'q> {
        OptRecord { edns, server, transport, cookie, zone_version: None, error: None }
    }

    /// Notes the zone that the question lies in. Whether its version will be told.
    pub(super) fn set_zone(&mut self, zone: &Zone) -> bool {
        if self.edns.wants_zone_version {
            self.zone_version = Some((zone.origin().label_count() as u8, zone.soa().serial));
        }
        self.edns.wants_zone_version
    }

    /// Notes why the response is an error.
    pub(super) fn set_error(&mut self, error: ExtendedError) {
        self.error = Some(error);
    }

    /// How many bytes to keep free for the record. Padding comes on top if there is room, and an extended error, which
    /// only responses without records have.
    pub(super) fn reserved_len(&self) -> usize {
        let nsid = self.nsid().map_or(0, |nsid| OPTION_HEADER_LEN + nsid.len());
        let zone_version = if self.edns.wants_zone_version { OPTION_HEADER_LEN + 6 } else { 0 };
        let cookie = self.cookie.map_or(0, |cookie| OPTION_HEADER_LEN + cookie.len());
        let keepalive = if self.keepalive().is_some() { OPTION_HEADER_LEN + 2 } else { 0 };
        OPT_LEN + nsid + zone_version + cookie + keepalive
    }

    /// Writes the record; `limit` bounds the message.
    pub(super) fn write(&self, message: &mut Vec<u8>, rcode: Rcode, limit: usize) {
        let [t0, t1] = RecordType::OPT.0.to_be_bytes();
        let [s0, s1] = self.server.max_udp_payload.max(MIN_UDP_PAYLOAD).to_be_bytes();
        let [f0, f1] = (if self.edns.dnssec { FLAG_DO } else { 0 }).to_be_bytes();
        message.extend_from_slice(&[0, t0, t1, s0, s1, (rcode.0 >> 4) as u8, VERSION, f0, f1, 0, 0]);
        let options_at = message.len();
        if let Some(nsid) = self.nsid() {
            write_option(message, OPTION_NSID, nsid);
        }
        if let Some(cookie) = &self.cookie {
            write_option(message, OPTION_COOKIE, cookie);
        }
        if let Some(timeout) = self.keepalive() {
            write_option(message, OPTION_TCP_KEEPALIVE, &timeout.to_be_bytes());
        }
        if let Some((labels, serial)) = self.zone_version {
            let [a, b, c, d] = serial.to_be_bytes();
            write_option(message, OPTION_ZONEVERSION, &[labels, ZONEVERSION_SOA_SERIAL, a, b, c, d]);
        }
        if let Some(error) = self.error {
            write_option(message, OPTION_EXTENDED_ERROR, &(error as u16).to_be_bytes());
        }
        if self.edns.wants_padding && self.transport == Transport::Encrypted {
            pad(message, limit);
        }
        let length = (message.len() - options_at) as u16;
        message[options_at - 2..options_at].copy_from_slice(&length.to_be_bytes());
    }

    /// The idle timeout in units of 100 ms, for those who asked over a stream (RFC 7828 §3.1, §3.3.2).
    fn keepalive(&self) -> Option<u16> {
        let asked = self.edns.wants_keepalive && self.transport != Transport::Udp;
        asked.then(|| u16::try_from(self.server.idle_timeout.as_millis() / 100).unwrap_or(u16::MAX))
    }

    fn nsid(&self) -> Option<&[u8]> {
        let nsid = self.server.nsid.as_bytes();
        (self.edns.wants_nsid && !nsid.is_empty()).then(|| &nsid[..nsid.len().min(MAX_NSID)])
    }
}

fn write_option(message: &mut Vec<u8>, code: u16, data: &[u8]) {
    message.extend_from_slice(&code.to_be_bytes());
    message.extend_from_slice(&(data.len() as u16).to_be_bytes());
    message.extend_from_slice(data);
}

/// Fills the message up to a whole number of blocks, so that its length tells little (RFC 7830, RFC 8467).
fn pad(message: &mut Vec<u8>, limit: usize) {
    let unpadded = message.len() + OPTION_HEADER_LEN;
    let padded = unpadded.next_multiple_of(PADDING_BLOCK).min(limit);
    if let Some(length) = padded.checked_sub(unpadded) {
        message.extend_from_slice(&OPTION_PADDING.to_be_bytes());
        message.extend_from_slice(&(length as u16).to_be_bytes());
        message.resize(padded, 0);
    }
}
