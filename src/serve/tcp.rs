//! DNS over TCP (RFC 7766) and over TLS (RFC 7858): accepting connections within limits.
//!
//! What is said on a connection is in [`super::connection`]. Must not look into messages.

use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use tokio_util::sync::CancellationToken;

use super::ServeError;
use super::admission::Admission;
use super::connection::Connection;
use super::responder::Responder;

/// How long connections may take, once the server stops, to send what they owe.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(2);
/// How long to leave the listening socket alone when the process is out of file descriptors or memory.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// One listening socket and its connections.
pub(super) struct TcpServer {
    pub(super) address: SocketAddr,
    pub(super) responder: Arc<Responder>,
    pub(super) admission: Arc<Admission>,
    /// Greets clients of a socket for DNS over TLS.
    pub(super) tls: Option<TlsAcceptor>,
}

impl TcpServer {
    /// Serves until `stop`; then answers what has arrived, and ends.
    pub(super) async fn run(self, listener: TcpListener, stop: CancellationToken) -> Result<(), ServeError> {
        let failed = |source| ServeError::Tcp { address: self.address, source };
        let listener = tokio::net::TcpListener::from_std(listener).map_err(failed)?;
        let mut connections = JoinSet::new();
        loop {
            tokio::select! {
                biased;
                () = stop.cancelled() => break,
                Some(_) = connections.join_next() => {}
                accepted = listener.accept() => match accepted {
                    Ok((stream, client)) => self.admit(&mut connections, stream, client, &stop),
                    Err(error) => {
                        tracing::debug!(%error, address = %self.address, "a TCP connection was not accepted");
                        if !is_about_one_connection(&error) {
                            tokio::time::sleep(ACCEPT_PAUSE).await;
                        }
                    }
                },
            }
        }
        // Closing the listener resets what it has queued, so that is taken first.
        let listener = listener.into_std().map_err(failed)?;
        while let Ok((stream, client)) = listener.accept() {
            if stream.set_nonblocking(true).is_ok()
                && let Ok(stream) = TcpStream::from_std(stream)
            {
                self.admit(&mut connections, stream, client, &stop);
            }
        }
        drop(listener);
        let all_ended = async { while connections.join_next().await.is_some() {} };
        if tokio::time::timeout(DRAIN_TIMEOUT, all_ended).await.is_err() {
            tracing::debug!(count = connections.len(), "TCP connections were cut at shutdown");
            connections.shutdown().await;
        }
        Ok(())
    }

    fn admit(&self, connections: &mut JoinSet<()>, stream: TcpStream, client: SocketAddr, stop: &CancellationToken) {
        let admitted = self.admission.admit(client.ip(), stop);
        if admitted.as_ref().is_none_or(|admitted| admitted.takes_place) {
            self.responder.metrics.tcp_limited.inc();
        }
        let Some(admitted) = admitted else { return };
        let (responder, admission) = (Arc::clone(&self.responder), Arc::clone(&self.admission));
        let tls = self.tls.clone();
        connections.spawn(async move {
            let ended = match tls {
                None => Connection::new(stream, client.ip(), responder, admission).serve(&admitted).await,
                Some(tls) => {
                    let greeted = greet(&tls, stream, &responder, &admission, admitted.stop()).await;
                    let Some(stream) = greeted else { return };
                    Connection::new(stream, client.ip(), responder, admission).serve(&admitted).await
                }
            };
            if let Err(end) = ended {
                tracing::trace!(%client, %end, "a connection ended early");
            }
        });
    }
}

/// The TLS handshake, within the time that a connection may go without a query; `None` if it fails, which is counted,
/// or if the connection is to end, for a client that has asked nothing yet has been promised nothing.
async fn greet(
    tls: &TlsAcceptor,
    stream: TcpStream,
    responder: &Responder,
    admission: &Admission,
    stop: &CancellationToken,
) -> Option<TlsStream<TcpStream>> {
    let handshake = tokio::time::timeout(admission.limits.idle_timeout, tls.accept(stream));
    let error = match stop.run_until_cancelled(handshake).await? {
        Ok(Ok(stream)) => return Some(stream),
        Ok(Err(error)) => error.to_string(),
        Err(elapsed) => elapsed.to_string(),
    };
    responder.metrics.tls_refused.inc();
    tracing::trace!(error, "a TLS handshake failed");
    None
}

/// Whether an accept error concerns the connection alone, which is gone (accept(2), "Error handling").
fn is_about_one_connection(error: &std::io::Error) -> bool {
    use std::io::ErrorKind as Kind;
    matches!(
        error.kind(),
        Kind::ConnectionAborted | Kind::ConnectionReset | Kind::ConnectionRefused | Kind::Interrupted
    )
}
