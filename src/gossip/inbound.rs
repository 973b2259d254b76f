//! The stream server: accepts peers, hands their requests to the driver, and returns its responses.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, mpsc, oneshot};
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::noise::{NoiseStream, StreamError};
use super::secrets::Secrets;
use crate::metrics::Metrics;
use crate::node::REQUEST_TIMEOUT;

/// How many connections may be without a first request: outsiders can occupy these, for a short time each, also by
/// replaying a handshake that they saw.
const MAX_HANDSHAKES: usize = 64;

/// How many authenticated connections are kept: several for each member of a large cluster.
const MAX_CONNECTIONS: usize = 256;

/// How long a handshake may take.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(5);

/// How long a connection may wait for its next request. Longer than the peers' pools keep it.
const IDLE_TIMEOUT: Duration = Duration::from_secs(60);

/// How long to pause after the system refused a connection, as when file descriptors run out.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// A request of a peer.
pub(super) struct InboundRequest {
    pub(super) payload: Vec<u8>,
    /// Takes the response. Dropped: the peer's connection is cut.
    pub(super) reply: oneshot::Sender<Vec<u8>>,
}

/// What every connection shares.
struct Shared {
    secrets: Arc<Secrets>,
    metrics: Arc<Metrics>,
    requests: mpsc::Sender<InboundRequest>,
    handshakes: Semaphore,
    connections: Semaphore,
}

/// Serves peers until the driver is gone or drops this future.
pub(super) async fn serve(
    listener: TcpListener,
    secrets: Arc<Secrets>,
    metrics: Arc<Metrics>,
    requests: mpsc::Sender<InboundRequest>,
) {
    let shared = Arc::new(Shared {
        secrets,
        metrics,
        requests,
        handshakes: Semaphore::new(MAX_HANDSHAKES),
        connections: Semaphore::new(MAX_CONNECTIONS),
    });
    let mut connections = JoinSet::new();
    while !shared.requests.is_closed() {
        match listener.accept().await {
            Ok((stream, from)) => {
                connections.spawn(serve_connection(stream, from, shared.clone()));
            }
            Err(error) => {
                tracing::warn!(%error, "gossip connection not accepted");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
        while connections.try_join_next().is_some() {}
    }
}

async fn serve_connection(stream: TcpStream, from: SocketAddr, shared: Arc<Shared>) {
    let Ok(newcomer) = shared.handshakes.try_acquire() else {
        return shared.metrics.gossip_streams_unauthentic.inc();
    };
    let Some(mut stream) = authenticate(stream, from, &shared).await else { return };
    let Ok(_permit) = shared.connections.try_acquire() else {
        return tracing::warn!(%from, limit = MAX_CONNECTIONS, "too many gossip connections");
    };
    let (mut newcomer, mut patience) = (Some(newcomer), REQUEST_TIMEOUT);
    loop {
        let payload = match timeout(patience, stream.read_message()).await {
            Ok(Ok(Some(payload))) => payload,
            Ok(Ok(None)) | Err(_) => return,
            Ok(Err(error)) => return count_failure(&error, from, &shared.metrics),
        };
        newcomer.take();
        patience = IDLE_TIMEOUT;
        // A key may have been taken out of the ring since the handshake.
        if shared.secrets.find(stream.key()).is_none() {
            return;
        }
        let (reply, response) = oneshot::channel();
        if shared.requests.send(InboundRequest { payload, reply }).await.is_err() {
            return;
        }
        let Ok(Ok(response)) = timeout(REQUEST_TIMEOUT, response).await else { return };
        match timeout(REQUEST_TIMEOUT, stream.write_message(&response)).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => return tracing::debug!(%from, %error, "response not sent"),
            Err(_) => return tracing::debug!(%from, "response not taken in time"),
        }
    }
}

async fn authenticate(stream: TcpStream, from: SocketAddr, shared: &Shared) -> Option<NoiseStream<TcpStream>> {
    let accept = async {
        // A response goes out at once, without waiting for the acknowledgement of the one before.
        stream.set_nodelay(true)?;
        NoiseStream::accept(stream, &shared.secrets).await
    };
    match timeout(HANDSHAKE_TIMEOUT, accept).await {
        Ok(Ok(stream)) => {
            shared.metrics.gossip_streams.inc();
            Some(stream)
        }
        Ok(Err(error)) => {
            shared.metrics.gossip_streams_unauthentic.inc();
            tracing::debug!(%from, %error, "stream refused");
            None
        }
        Err(_) => {
            shared.metrics.gossip_streams_unauthentic.inc();
            None
        }
    }
}

/// After the handshake: a cut connection is nobody's fault, anything else is.
fn count_failure(error: &StreamError, from: SocketAddr, metrics: &Metrics) {
    if !matches!(error, StreamError::Io(_)) {
        metrics.gossip_streams_unauthentic.inc();
    }
    tracing::debug!(%from, %error, "stream failed");
}
