//! TLS: certificates, and what a server of DNS over TLS (RFC 7858) is set up with.
//!
//! Only the handshake is special. What is said on the stream is said as over TCP, by [`super::connection`], within the
//! same limits.

use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::sync::Arc;

use rustls::ServerConfig;
use rustls::pki_types::pem::{Error as PemError, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::ResolvesServerCert;
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use tokio_rustls::TlsAcceptor;

use super::bind::bind_tcp;
use super::{BindError, Listener};

/// What DNS over TLS is called in the handshake (RFC 7858, IANA's registry of ALPN ids).
const ALPN: &[u8] = b"dot";

/// Bound sockets and what to greet clients with.
pub(super) struct BoundTls {
    /// Non-blocking, listening, each with its address and real port.
    pub(super) listeners: Vec<(SocketAddr, TcpListener)>,
    pub(super) acceptor: TlsAcceptor,
}

/// Opens the sockets for DNS over TLS.
pub(super) fn bind(addresses: &[SocketAddr], certificate: Arc<dyn ResolvesServerCert>) -> Result<BoundTls, BindError> {
    let listeners = addresses.iter().map(|&address| {
        let listener = bind_tcp(Listener { address, shared: false }, "tls")?;
        let address = listener.local_addr().map_err(|source| BindError::Socket { address, protocol: "tls", source })?;
        Ok((address, listener))
    });
    let listeners = listeners.collect::<Result<_, BindError>>()?;
    Ok(BoundTls { listeners, acceptor: TlsAcceptor::from(Arc::new(server_config(certificate))) })
}

fn server_config(certificate: Arc<dyn ResolvesServerCert>) -> ServerConfig {
    // RFC 7858 §3.2 asks for TLS 1.2 and up, which are the versions that rustls knows.
    let builder = ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("the provider has cipher suites for every version");
    let mut config = builder.with_no_client_auth().with_cert_resolver(certificate);
    config.alpn_protocols = vec![ALPN.to_vec()];
    config
}

/// Reads a certificate chain and its key, and sees that they belong together.
pub(super) fn load(certificate: &Path, key: &Path) -> Result<Arc<dyn ResolvesServerCert>, BindError> {
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
    let certified = CertifiedKey::from_der(chain, private, &rustls::crypto::ring::default_provider());
    let certified = certified.map_err(|error| match error {
        rustls::Error::InconsistentKeys(_) => {
            bad(key, format!("is not the key of the certificate in {}", certificate.display()))
        }
        error => bad(key, format!("cannot be used with the certificate in {}: {error}", certificate.display())),
    })?;
    Ok(Arc::new(SingleCertAndKey::from(certified)))
}
