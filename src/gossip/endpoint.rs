//! A node's place on the network: datagrams and streams on one address and port.

use std::net::SocketAddr;
use std::sync::Arc;

use tokio::net::{TcpListener, UdpSocket};

use super::datagram::Datagrams;
use super::secrets::Secrets;
use crate::metrics::Metrics;

/// How often a free port is looked for that both UDP and TCP have, when any will do.
const PORT_ATTEMPTS: usize = 16;

/// Why a gossip address cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("gossip address {addr} ({protocol}) cannot be used: {error}{}", hint(error))]
pub struct BindError {
    /// The address.
    pub addr: SocketAddr,
    /// UDP or TCP.
    pub protocol: &'static str,
    /// What the system says.
    pub error: std::io::Error,
}

fn hint(error: &std::io::Error) -> &'static str {
    match error.kind() {
        std::io::ErrorKind::AddrInUse => "; another process has it, perhaps another node: choose another port",
        std::io::ErrorKind::AddrNotAvailable => "; this machine has no such address",
        std::io::ErrorKind::PermissionDenied => "; ports below 1024 need a privilege",
        _ => "",
    }
}

/// Bound sockets, before anything is sent or answered.
pub struct Endpoint {
    pub(super) datagrams: Datagrams,
    pub(super) listener: TcpListener,
    pub(super) secrets: Arc<Secrets>,
    pub(super) metrics: Arc<Metrics>,
    addr: SocketAddr,
}

impl Endpoint {
    /// Binds UDP and TCP on one address. Port 0 takes any port that is free for both.
    pub async fn bind(addr: SocketAddr, secrets: Arc<Secrets>, metrics: Arc<Metrics>) -> Result<Endpoint, BindError> {
        let mut attempt = 1;
        let (listener, socket) = loop {
            let tcp = |error| BindError { addr, protocol: "TCP", error };
            let listener = TcpListener::bind(addr).await.map_err(tcp)?;
            let both = listener.local_addr().map_err(tcp)?;
            match UdpSocket::bind(both).await {
                Ok(socket) => break (listener, socket),
                Err(_) if addr.port() == 0 && attempt < PORT_ATTEMPTS => attempt += 1,
                Err(error) => return Err(BindError { addr: both, protocol: "UDP", error }),
            }
        };
        let udp = |error| BindError { addr, protocol: "UDP", error };
        let addr = socket.local_addr().map_err(udp)?;
        let datagrams = Datagrams::new(socket, secrets.clone(), metrics.clone()).map_err(udp)?;
        Ok(Endpoint { datagrams, listener, secrets, metrics, addr })
    }

    /// The address that was bound, with its port.
    pub fn local_addr(&self) -> SocketAddr {
        self.addr
    }
}
