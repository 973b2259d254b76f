//! DNS over QUIC (RFC 9250) through the transport of hickory-server.
//!
//! The only user of hickory-server, and of no more than its transport: the query's bytes go to `answer` like everyone
//! else's. Its response interface takes records and not bytes, so the response is taken apart and each record handed over
//! with its rdata as opaque bytes: the same header, records and order come out, only rdata is no longer compressed.
//!
//! What it cannot do: transfers are refused, malformed queries are answered by hickory-server itself, connections are
//! greeted one after another and not capped. So it is for networks that are trusted; DNS over TLS is for all.

use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use hickory_server::net::runtime::Time;
use hickory_server::proto::op::{Header, ResponseCode};
use hickory_server::proto::rr::rdata::NULL;
use hickory_server::proto::rr::{DNSClass, Name, RData, Record, RecordType};
use hickory_server::proto::serialize::binary::{BinDecodable, BinDecoder, DecodeError};
use hickory_server::server::{Request, RequestHandler, ResponseHandler, ResponseInfo};
use hickory_server::zone_handler::{MessageResponseBuilder, Queries};
use rustls::server::ResolvesServerCert;
use tokio_util::sync::CancellationToken;

use super::bind::bind_quic;
use super::responder::{Client, Responder};
use super::{BindError, ServeError};
use crate::answer::{Outcome, Transport};
use crate::zone;

/// Bound sockets and the certificate to serve them with.
pub(super) struct QuicServer {
    sockets: Vec<(SocketAddr, UdpSocket)>,
    certificate: Arc<dyn ResolvesServerCert>,
    /// How long a connection may go without a query.
    idle_timeout: Duration,
}

impl QuicServer {
    pub(super) fn bind(
        addresses: &[SocketAddr],
        certificate: Arc<dyn ResolvesServerCert>,
        idle_timeout: Duration,
    ) -> Result<QuicServer, BindError> {
        let sockets = addresses.iter().map(|&address| bind_quic(address)).collect::<Result<_, BindError>>()?;
        Ok(QuicServer { sockets, certificate, idle_timeout })
    }

    /// Where it is served, with real ports.
    pub(super) fn addresses(&self) -> Vec<SocketAddr> {
        self.sockets.iter().map(|(address, _)| *address).collect()
    }

    pub(super) async fn run(self, responder: Arc<Responder>, stop: CancellationToken) -> Result<(), ServeError> {
        let mut server = hickory_server::Server::new(Handler { responder });
        for (address, socket) in self.sockets {
            let register = || {
                let socket = tokio::net::UdpSocket::from_std(socket)?;
                server.register_quic_listener(socket, self.idle_timeout, Arc::clone(&self.certificate))
            };
            register().map_err(|error| ServeError::Quic(format!("{address}: {error}")))?;
        }
        tokio::select! {
            () = stop.cancelled() => {}
            ended = server.block_until_done() => ended.map_err(|error| ServeError::Quic(error.to_string()))?,
        }
        server.shutdown_gracefully().await.map_err(|error| ServeError::Quic(error.to_string()))
    }
}

struct Handler {
    responder: Arc<Responder>,
}

#[async_trait]
impl RequestHandler for Handler {
    async fn handle_request<R: ResponseHandler, T: Time>(&self, request: &Request, mut client: R) -> ResponseInfo {
        let mut response = Vec::new();
        let metrics = &self.responder.metrics;
        metrics.queries_quic.inc();
        let asker = Client::new(Transport::Encrypted, request.src().ip());
        let outcome = self.responder.respond(&self.responder.now(), request.as_slice(), asker, &mut response);
        let Outcome::Respond = outcome else {
            metrics.queries_dropped.inc();
            return no_response(request);
        };
        match Parsed::read(&response) {
            Ok(parsed) => {
                let message = MessageResponseBuilder::new(&parsed.queries, None).build(
                    parsed.header.metadata,
                    &parsed.answers,
                    &parsed.authorities,
                    [],
                    &parsed.additionals,
                );
                client.send_response(message).await.unwrap_or_else(|error| {
                    tracing::debug!(%error, "a response over QUIC was not sent");
                    no_response(request)
                })
            }
            Err(error) => {
                tracing::error!(%error, "a response of this server could not be read back and was not sent");
                no_response(request)
            }
        }
    }
}

/// What hickory-server wants to hear when nothing was sent.
fn no_response(request: &Request) -> ResponseInfo {
    let counts = Default::default();
    ResponseInfo::from(Header { metadata: request.metadata, counts })
}

/// A response as hickory-server's interface takes it.
struct Parsed {
    header: Header,
    queries: Queries,
    answers: Vec<Record>,
    authorities: Vec<Record>,
    additionals: Vec<Record>,
}

impl Parsed {
    fn read(response: &[u8]) -> Result<Parsed, DecodeError> {
        let mut decoder = BinDecoder::new(response);
        let mut header = Header::read(&mut decoder)?;
        // The upper bits of an extended RCODE stay in the OPT record, which goes through as it is.
        header.metadata.response_code = ResponseCode::from_low(header.metadata.response_code.low());
        let queries = Queries::read(&mut decoder, header.counts.queries.into())?;
        let mut section =
            |count: u16| (0..count).map(|_| read_record(&mut decoder)).collect::<Result<_, DecodeError>>();
        let answers = section(header.counts.answers)?;
        let authorities = section(header.counts.authorities)?;
        let additionals = section(header.counts.additionals)?;
        Ok(Parsed { header, queries, answers, authorities, additionals })
    }
}

/// Reads a record without interpreting more of its rdata than compression demands.
fn read_record(decoder: &mut BinDecoder<'_>) -> Result<Record, DecodeError> {
    let owner = Name::read(decoder)?;
    let rtype = decoder.read_u16()?.unverified();
    let class = decoder.read_u16()?.unverified();
    let ttl = decoder.read_u32()?.unverified();
    let length = usize::from(decoder.read_u16()?.unverified());
    let end = decoder.index() + length;
    let mut rdata = Vec::with_capacity(length);
    for field in zone::rdata::shape(zone::RecordType(rtype)) {
        if matches!(field, zone::rdata::Field::CompressibleName) {
            let name = Name::read(decoder)?;
            name.iter().for_each(|label| {
                rdata.push(label.len() as u8);
                rdata.extend_from_slice(label);
            });
            rdata.push(0);
        } else if matches!(field, zone::rdata::Field::U16) && decoder.index() + 2 <= end {
            rdata.extend_from_slice(decoder.read_slice(2)?.unverified());
        } else {
            break;
        }
    }
    let rest = end.saturating_sub(decoder.index());
    rdata.extend_from_slice(decoder.read_slice(rest)?.unverified());
    let code = RecordType::from(rtype);
    // `NULL` takes no empty rdata; `Update0` is how this library spells that.
    let data = if rdata.is_empty() { RData::Update0(code) } else { RData::Unknown { code, rdata: NULL::with(rdata) } };
    let mut record = Record::from_rdata(owner, ttl, data);
    record.dns_class = DNSClass::from(class);
    Ok(record)
}
