//! Answering: one pure function from a snapshot of zones and a query's bytes to a response's bytes.
//!
//! Every transport calls [`answer`]; there is no second lookup. Nothing here allocates per query beyond the caller's
//! buffer, reads a clock or touches a socket. RFC 1034 §4.3.2 and what came after it.

use std::sync::Arc;

use crate::zone::{Zone, ZoneSet};

/// What a server says of itself, the same for every query.
#[derive(Clone, Debug)]
pub struct Server {
    /// The name service identifier (RFC 5001); also the answer to `id.server` and `hostname.bind` in class CH.
    pub nsid: String,
    /// The answer to `version.bind` and `version.server` in class CH.
    pub version: String,
    /// The largest UDP response in bytes, whatever the client offers.
    pub max_udp_payload: u16,
}

/// How a query came in.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Transport {
    /// A datagram: responses are capped and truncated.
    Udp,
    /// A plain stream.
    Tcp,
    /// TLS, QUIC or HTTPS.
    Encrypted,
}

/// What is known about one query apart from its bytes.
#[derive(Clone, Copy, Debug)]
pub struct Context<'a> {
    /// The server's own facts.
    pub server: &'a Server,
    /// How the query came in.
    pub transport: Transport,
    /// Whether the client may transfer zones.
    pub may_transfer: bool,
}

/// What is to be done with a query.
#[derive(Debug)]
pub enum Outcome {
    /// Send what is in the response buffer.
    Respond,
    /// Send nothing.
    Drop,
    /// Send a zone, message by message. Only on streams.
    Transfer(Transfer),
}

/// A zone transfer under way (RFC 5936), from one snapshot however long it takes.
#[derive(Debug)]
pub struct Transfer {
    zone: Arc<Zone>,
}

impl Transfer {
    /// Writes the next message into the cleared `response`; `false` when all has been sent.
    pub fn next_message(&mut self, response: &mut Vec<u8>) -> bool {
        response.clear();
        let _ = &self.zone;
        false
    }
}

/// Answers one query into the cleared `response`.
pub fn answer(_zones: &ZoneSet, _query: &[u8], _context: &Context<'_>, response: &mut Vec<u8>) -> Outcome {
    response.clear();
    Outcome::Drop
}
