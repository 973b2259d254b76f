//! What a caller tells about itself and about a query, and what it is told to do.

use super::Transfer;

/// What a server says of itself, the same for every query.
#[derive(Clone, Debug)]
pub struct Server {
    /// The name service identifier (RFC 5001); also the answer to `id.server` and `hostname.bind` in class CH. Empty:
    /// the server keeps it to itself.
    pub nsid: String,
    /// The answer to `version.bind` and `version.server` in class CH. Empty: the server keeps it to itself.
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
