//! What a caller tells about itself and about a query, and what it is told to do.

use std::net::IpAddr;
use std::time::Duration;

use super::{Cookies, Transfer};

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
    /// How long a connection may stay idle: told to clients that ask (RFC 7828).
    pub idle_timeout: Duration,
    /// Whether a client that speaks of cookies gets no answer over UDP before it returns a good one (RFC 7873 §5.2.3).
    pub strict_cookies: bool,
    /// Whether answers leave out what nobody needs for them: the zone's name servers, and addresses other than glue.
    pub minimal_responses: bool,
    /// Whether the records of an RRset begin with another one from query to query.
    pub rotate: bool,
}

impl Default for Server {
    fn default() -> Server {
        Server {
            nsid: String::new(),
            version: String::new(),
            max_udp_payload: 1232,
            idle_timeout: Duration::from_secs(10),
            strict_cookies: false,
            minimal_responses: false,
            rotate: false,
        }
    }
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
    /// Where the query came from.
    pub client: IpAddr,
    /// Whether the client may transfer zones.
    pub may_transfer: bool,
    /// For DNS cookies; without it they are ignored.
    pub cookies: Option<Cookies<'a>>,
    /// Whether the client's network has had enough. A good cookie lifts that: its owner is no victim of forgery.
    pub limited: Option<Limited>,
}

/// What a network gets that has had enough responses for now.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Limited {
    /// Nothing.
    Drop,
    /// An empty, truncated response: an honest client comes again over TCP, and to a victim it is no amplification.
    Slip,
}

impl<'a> Context<'a> {
    /// A query of a client that may not transfer zones and is not limited, without cookies.
    pub fn new(server: &'a Server, transport: Transport, client: IpAddr) -> Context<'a> {
        Context { server, transport, client, may_transfer: false, cookies: None, limited: None }
    }
}

/// What is to be done with a query.
#[derive(Debug)]
pub enum Outcome {
    /// Send what is in the response buffer.
    Respond,
    /// Send nothing.
    Drop,
    /// Send a zone, message by message. Only on streams.
    Transfer(Box<Transfer>),
}
