//! All DNS servers of a process: bind, run, shut down.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::admission::Admission;
use super::bind::{Bound, bind};
use super::precedence::Precedence;
use super::quic::QuicServer;
use super::responder::Responder;
use super::tcp::TcpServer;
use super::tls::{self, BoundTls};
use super::udp::UdpWorkers;
use super::{BindError, ServeConfig};
use crate::answer::Server;
use crate::metrics::Metrics;
use crate::published::Published;

/// Servers whose sockets are open and which do not serve yet. Dropping them closes the sockets.
pub struct Servers {
    bound: Vec<Bound>,
    tls: Option<BoundTls>,
    quic: Option<QuicServer>,
    responder: Arc<Responder>,
    admission: Arc<Admission>,
}

/// Why serving ended before it was cancelled. All other servers have been stopped too.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// A UDP socket failed or its thread could not be started.
    #[error("the UDP server on {address} failed: {source}")]
    Udp {
        /// The address served.
        address: SocketAddr,
        /// What the system said.
        source: io::Error,
    },
    /// A listening TCP socket failed.
    #[error("the TCP server on {address} failed: {source}")]
    Tcp {
        /// The address served.
        address: SocketAddr,
        /// What the system said.
        source: io::Error,
    },
    /// The transport for QUIC failed.
    #[error("the server for DNS over QUIC failed: {0}")]
    Quic(String),
    /// A server ended without an error, which none should before it is cancelled.
    #[error("a DNS server ended unexpectedly: {0}")]
    Ended(String),
}

impl Servers {
    /// Opens every socket. From then on the system queues queries for them, and of a shared address sends a part here, so
    /// [`Servers::run`] should follow soon. `zones` is answered from as it is at each moment; `server` is what the answers say of it.
    pub fn bind(
        config: ServeConfig,
        zones: Arc<Published>,
        server: Arc<Server>,
        metrics: Arc<Metrics>,
    ) -> Result<Servers, BindError> {
        let bound = config.listeners.iter().map(|&listener| bind(listener, config.udp_workers));
        let bound = bound.collect::<Result<Vec<Bound>, BindError>>()?;
        let (mut tls, mut quic) = (None, None);
        if let Some(encrypted) = &config.encrypted {
            let certificate = tls::load(&encrypted.certificate, &encrypted.key)?;
            tls = Some(tls::bind(&encrypted.tls, Arc::clone(&certificate))?);
            quic = Some(QuicServer::bind(&encrypted.quic, certificate, config.tcp.idle_timeout)?)
                .filter(|quic| !quic.addresses().is_empty());
        }
        let responder = Arc::new(Responder::new(zones, server, &config, metrics));
        Ok(Servers { bound, tls, quic, responder, admission: Admission::new(config.tcp) })
    }

    /// The address of each listener in the order of the configuration, with the real port where it said 0.
    pub fn addresses(&self) -> Vec<SocketAddr> {
        self.bound.iter().map(|bound| bound.address).collect()
    }

    /// The addresses for DNS over TLS in the order of the configuration, with real ports.
    pub fn tls_addresses(&self) -> Vec<SocketAddr> {
        self.tls.iter().flat_map(|tls| &tls.listeners).map(|(address, _)| *address).collect()
    }

    /// The addresses for DNS over QUIC in the order of the configuration, with real ports.
    pub fn quic_addresses(&self) -> Vec<SocketAddr> {
        self.quic.as_ref().map(QuicServer::addresses).unwrap_or_default()
    }

    /// Serves until `stop`, then answers what has arrived, closes all sockets and returns. If a server fails, all are
    /// stopped in the same way and its error is returned.
    pub async fn run(self, stop: CancellationToken) -> Result<(), ServeError> {
        let stop = stop.child_token();
        let mut tasks = JoinSet::new();
        let (mut udp, mut streams) = (Vec::new(), Vec::new());
        for Bound { address, udp: sockets, tcp } in self.bound {
            udp.extend(sockets.into_iter().map(|socket| (address, socket)));
            streams.push((address, tcp, None));
        }
        if let Some(tls) = self.tls {
            let acceptor = Some(tls.acceptor);
            streams.extend(tls.listeners.into_iter().map(|(address, tcp)| (address, tcp, acceptor.clone())));
        }
        for (address, listener, tls) in streams {
            let (responder, admission) = (Arc::clone(&self.responder), Arc::clone(&self.admission));
            tasks.spawn(TcpServer { address, responder, admission, tls }.run(listener, stop.clone()));
        }
        if let Some(quic) = self.quic {
            tasks.spawn(quic.run(Arc::clone(&self.responder), stop.clone()));
        }
        let precedence = Arc::new(Precedence::default());
        let mut workers = UdpWorkers::start(udp, &self.responder, &precedence)?;

        let first = tokio::select! {
            // Once cancelled, a server may end.
            biased;
            () = stop.cancelled() => Ok(()),
            never = precedence.watch() => match never {},
            ended = workers.ended() => ended.and_then(|()| Err(ServeError::Ended("a UDP worker".into()))),
            Some(ended) = tasks.join_next() => match ended {
                Ok(ended) => ended.and_then(|()| Err(ServeError::Ended("a TCP server".into()))),
                Err(error) => Err(ServeError::Ended(error.to_string())),
            },
        };
        stop.cancel();
        workers.stop();
        let udp_ended = workers.join().await;
        let mut result = first.and(udp_ended);
        while let Some(ended) = tasks.join_next().await {
            result = result.and(ended.unwrap_or_else(|error| Err(ServeError::Ended(error.to_string()))));
        }
        result
    }
}
