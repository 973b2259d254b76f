//! The datagram transport: one UDP socket, sealed payloads, and counts of what was dropped.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use socket2::SockRef;
use tokio::net::UdpSocket;

use super::seal::{MAX_DATAGRAM, MAX_PAYLOAD, OpenError, Sealer};
use super::secrets::Secrets;
use crate::metrics::Metrics;

/// The gossip socket.
pub(super) struct Datagrams {
    socket: UdpSocket,
    ipv6: bool,
    sealer: Sealer,
    metrics: Arc<Metrics>,
    /// One byte more than a datagram may have, so that longer ones do not pass cut off.
    buffer: Box<[u8; MAX_DATAGRAM + 1]>,
}

impl Datagrams {
    pub(super) fn new(socket: UdpSocket, secrets: Arc<Secrets>, metrics: Arc<Metrics>) -> std::io::Result<Datagrams> {
        let ipv6 = socket.local_addr()?.is_ipv6();
        let sealer = Sealer::new(secrets)?;
        Ok(Datagrams { socket, ipv6, sealer, metrics, buffer: Box::new([0; MAX_DATAGRAM + 1]) })
    }

    /// Sends a payload, or loses it: nobody waits for a full socket buffer, as datagrams may get lost anyway.
    pub(super) fn send(&mut self, to: SocketAddr, payload: &[u8]) {
        if payload.len() > MAX_PAYLOAD {
            tracing::error!(%to, len = payload.len(), "a datagram that is too long was not sent");
            return;
        }
        let datagram = self.sealer.seal(payload);
        // Not tokio's `try_send_to`, which gives up unasked until the runtime has once seen the socket writable: that
        // would lose a node's first announcements.
        let socket = SockRef::from(&self.socket);
        if let Err(error) = socket.send_to(&datagram, &reachable_from(self.ipv6, to).into()) {
            tracing::debug!(%to, %error, "datagram not sent");
        }
    }

    /// The next authentic payload and where it came from. Dropping the future loses nothing.
    pub(super) async fn receive(&mut self) -> (SocketAddr, Vec<u8>) {
        loop {
            let (len, from) = match self.socket.recv_from(&mut self.buffer[..]).await {
                Ok(received) => received,
                Err(error) => {
                    // Errors of earlier sends (ICMP) may surface here; the socket goes on.
                    tracing::debug!(%error, "datagram socket");
                    tokio::task::yield_now().await;
                    continue;
                }
            };
            if let Some(datagram) = self.open(len, from) {
                return datagram;
            }
        }
    }

    /// The next payload, if it has arrived already.
    pub(super) fn try_receive(&mut self) -> Option<(SocketAddr, Vec<u8>)> {
        loop {
            let (len, from) = self.socket.try_recv_from(&mut self.buffer[..]).ok()?;
            if let Some(datagram) = self.open(len, from) {
                return Some(datagram);
            }
        }
    }

    /// Opens the datagram in the buffer, or counts why it cannot be.
    fn open(&mut self, len: usize, from: SocketAddr) -> Option<(SocketAddr, Vec<u8>)> {
        let from = SocketAddr::new(from.ip().to_canonical(), from.port());
        match self.sealer.open(&self.buffer[..len]) {
            Ok(payload) => {
                self.metrics.gossip_datagrams.inc();
                return Some((from, payload));
            }
            Err(OpenError::Replayed) => self.metrics.gossip_replayed.inc(),
            Err(error) => {
                self.metrics.gossip_unauthentic.inc();
                tracing::debug!(%from, %error, "datagram dropped");
            }
        }
        None
    }
}

/// An address as a socket of either family can send to it.
fn reachable_from(ipv6: bool, to: SocketAddr) -> SocketAddr {
    match to.ip() {
        IpAddr::V4(v4) if ipv6 => SocketAddr::new(v4.to_ipv6_mapped().into(), to.port()),
        _ => to,
    }
}
