//! The stream client: sends requests to peers over a small pool of connections.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::sync::Semaphore;
use tokio::time::{Instant, timeout};

use super::noise::{NoiseStream, StreamError};
use super::secrets::Secrets;
use crate::node::REQUEST_TIMEOUT;

/// How many requests may be under way at once; more wait, within their time.
const MAX_REQUESTS: usize = 64;

/// How many idle connections are kept to one peer.
const MAX_IDLE_PER_PEER: usize = 2;

/// How many idle connections are kept in all.
const MAX_IDLE: usize = 128;

/// How long an idle connection is kept; shorter than the server waits, so that it seldom fails on use.
const IDLE: Duration = Duration::from_secs(30);

/// How long a connection may take to be made.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);

/// Why a request has no response.
#[derive(Debug, thiserror::Error)]
pub(super) enum RequestError {
    /// The stream failed.
    #[error(transparent)]
    Stream(#[from] StreamError),
    /// The peer closed the connection instead of answering.
    #[error("peer closed the connection without answering")]
    Closed,
    /// No connection in time.
    #[error("no connection within {CONNECT_TIMEOUT:?}")]
    Unreachable,
    /// No response in time.
    #[error("no response within {REQUEST_TIMEOUT:?}")]
    TimedOut,
}

/// A stream with a peer.
type PeerStream = NoiseStream<TcpStream>;

/// Connections to peers.
pub(super) struct Peers {
    secrets: Arc<Secrets>,
    permits: Semaphore,
    /// Idle connections with the time since when. Locked for look-ups only, never across an await.
    idle: Mutex<HashMap<SocketAddr, Vec<(PeerStream, Instant)>>>,
}

impl Peers {
    pub(super) fn new(secrets: Arc<Secrets>) -> Peers {
        Peers { secrets, permits: Semaphore::new(MAX_REQUESTS), idle: Mutex::default() }
    }

    /// Asks a peer. A connection from the pool may have been cut meanwhile, so such a request is tried once more on a
    /// new one: requests may arrive twice without harm.
    pub(super) async fn request(&self, to: SocketAddr, payload: &[u8]) -> Result<Vec<u8>, RequestError> {
        let attempt = async {
            let _permit = self.permits.acquire().await.expect("the semaphore is never closed");
            if let Some(stream) = self.take_idle(to)
                && let Ok(response) = self.exchange(to, stream, payload).await
            {
                return Ok(response);
            }
            let connected = timeout(CONNECT_TIMEOUT, self.connect(to)).await;
            let stream = connected.map_err(|_| RequestError::Unreachable)??;
            self.exchange(to, stream, payload).await
        };
        timeout(REQUEST_TIMEOUT, attempt).await.map_err(|_| RequestError::TimedOut)?
    }

    async fn connect(&self, to: SocketAddr) -> Result<PeerStream, StreamError> {
        let stream = TcpStream::connect(to).await?;
        // Requests are small and wait for their responses.
        stream.set_nodelay(true)?;
        NoiseStream::connect(stream, &self.secrets).await
    }

    async fn exchange(&self, to: SocketAddr, mut stream: PeerStream, payload: &[u8]) -> Result<Vec<u8>, RequestError> {
        stream.write_message(payload).await?;
        let response = stream.read_message().await?.ok_or(RequestError::Closed)?;
        self.keep_idle(to, stream);
        Ok(response)
    }

    fn take_idle(&self, to: SocketAddr) -> Option<PeerStream> {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        let streams = idle.get_mut(&to)?;
        streams.retain(|(stream, since)| since.elapsed() < IDLE && self.secrets.find(stream.key()).is_some());
        streams.pop().map(|(stream, _)| stream)
    }

    fn keep_idle(&self, to: SocketAddr, stream: PeerStream) {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        idle.retain(|_, streams| {
            streams.retain(|(_, since)| since.elapsed() < IDLE);
            !streams.is_empty()
        });
        let total: usize = idle.values().map(Vec::len).sum();
        let streams = idle.entry(to).or_default();
        if total < MAX_IDLE && streams.len() < MAX_IDLE_PER_PEER {
            streams.push((stream, Instant::now()));
        }
    }
}
