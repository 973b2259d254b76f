//! DNS over TLS (RFC 7858) through the transports of hickory-server.
//!
//! The only user of hickory-server, and of no more than its transports: the query's bytes go to `answer` like everyone
//! else's. Its response interface takes records and not bytes, so the response is taken apart and each record handed over
//! with its rdata as opaque bytes: the same header, records and order come out, only rdata is no longer compressed.
//! Transfers are refused here, for the transports queue a fixed number of messages for a connection. Malformed queries
//! are answered by hickory-server itself, and it has no cap on connections: an address open to the world wants one in
//! front of it.

use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use hickory_server::net::runtime::Time;
use hickory_server::net::xfer::Protocol;
use hickory_server::proto::op::{Header, ResponseCode};
use hickory_server::proto::rr::rdata::NULL;
use hickory_server::proto::rr::{DNSClass, Name, RData, Record, RecordType};
use hickory_server::proto::serialize::binary::{BinDecodable, BinDecoder, DecodeError};
use hickory_server::server::{Request, RequestHandler, ResponseHandler, ResponseInfo};
use hickory_server::zone_handler::{MessageResponseBuilder, Queries};
use rustls::pki_types::pem::{Error as PemError, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::ResolvesServerCert;
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use tokio_util::sync::CancellationToken;

use super::bind::bind_tcp;
use super::responder::{Client, Responder};
use super::{BindError, EncryptedConfig, Listener, ServeError};
use crate::answer::{Outcome, Transport};
use crate::zone;

/// Bound sockets and the certificate to serve them with.
pub(super) struct Encrypted {
    tls: Vec<(SocketAddr, TcpListener)>,
    certificate: Arc<dyn ResolvesServerCert>,
    /// How long a handshake, and later the wait for a query, may take.
    idle_timeout: Duration,
}

impl Encrypted {
    pub(super) fn bind(config: &EncryptedConfig, idle_timeout: Duration) -> Result<Encrypted, BindError> {
        let certificate = Arc::new(SingleCertAndKey::from(load(&config.certificate, &config.key)?));
        let tls = config.tls.iter().map(|&address| {
            let listener = bind_tcp(Listener { address, shared: false }, "tls")?;
            let address =
                listener.local_addr().map_err(|source| BindError::Socket { address, protocol: "tls", source })?;
            Ok((address, listener))
        });
        Ok(Encrypted { tls: tls.collect::<Result<_, BindError>>()?, certificate, idle_timeout })
    }

    pub(super) fn tls_addresses(&self) -> Vec<SocketAddr> {
        self.tls.iter().map(|(address, _)| *address).collect()
    }

    pub(super) async fn run(self, responder: Arc<Responder>, stop: CancellationToken) -> Result<(), ServeError> {
        let mut server = hickory_server::Server::new(Handler { responder });
        for (address, listener) in self.tls {
            let register = || {
                let listener = tokio::net::TcpListener::from_std(listener)?;
                server.register_tls_listener(listener, self.idle_timeout, Arc::clone(&self.certificate))
            };
            register().map_err(|error| ServeError::Encrypted(format!("{address}: {error}")))?;
        }
        tokio::select! {
            () = stop.cancelled() => {}
            ended = server.block_until_done() => {
                ended.map_err(|error| ServeError::Encrypted(error.to_string()))?;
            }
        }
        server.shutdown_gracefully().await.map_err(|error| ServeError::Encrypted(error.to_string()))
    }
}

/// Reads a certificate chain and its key, and sees that they belong together.
fn load(certificate: &Path, key: &Path) -> Result<CertifiedKey, BindError> {
    let bad = |path: &Path, reason: String| BindError::Certificate { path: path.into(), reason };
    let explain = |path: &Path, what: &str, error: PemError| match error {
        PemError::NoItemsFound => bad(path, format!("there is no {what} in it; it must be PEM (`-----BEGIN …`)")),
        PemError::Io(error) => bad(path, format!("cannot be read: {error}")),
        error => bad(path, format!("is not valid PEM: {error}")),
    };
    let chain = CertificateDer::pem_file_iter(certificate)
        .and_then(Iterator::collect::<Result<Vec<_>, PemError>>)
        .map_err(|error| explain(certificate, "certificate", error))?;
    if chain.is_empty() {
        return Err(explain(certificate, "certificate", PemError::NoItemsFound));
    }
    let private = PrivateKeyDer::from_pem_file(key).map_err(|error| explain(key, "private key", error))?;
    CertifiedKey::from_der(chain, private, &rustls::crypto::ring::default_provider()).map_err(|error| match error {
        rustls::Error::InconsistentKeys(_) => {
            bad(key, format!("is not the key of the certificate in {}", certificate.display()))
        }
        error => bad(key, format!("cannot be used with the certificate in {}: {error}", certificate.display())),
    })
}

struct Handler {
    responder: Arc<Responder>,
}

#[async_trait]
impl RequestHandler for Handler {
    async fn handle_request<R: ResponseHandler, T: Time>(&self, request: &Request, mut client: R) -> ResponseInfo {
        let mut response = Vec::new();
        let metrics = &self.responder.metrics;
        if request.protocol() == Protocol::Tls {
            metrics.queries_tls.inc();
        }
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
                    tracing::debug!(%error, "a response over an encrypted transport was not sent");
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
