//! Sockets: opened, owned and explained when they cannot be.
//!
//! Everything is bound before anything is served, so that a daemon either has all its addresses or says which not.

use std::io;
use std::net::{SocketAddr, TcpListener, UdpSocket};
use std::path::PathBuf;
use std::time::Duration;

use socket2::{Domain, Protocol, SockRef, Socket, Type};

use super::{Listener, sys};

/// Bytes that the system may queue for a UDP socket: at 100 bytes a query and the kernel's overhead about 1,000
/// queries, which rides out a thread being scheduled away.
const UDP_BUFFER_BYTES: usize = 1024 * 1024;
/// Connections that wait to be accepted; the system caps it at `net.core.somaxconn`.
const TCP_BACKLOG: i32 = 1024;
/// How often another port is tried when the one free for TCP is taken for UDP.
const MAX_PORT_ATTEMPTS: usize = 32;
/// How long a blocked receive lasts where nothing else wakes it.
const RECEIVE_TIMEOUT: Duration = Duration::from_secs(1);
/// How long a full send buffer may hold up a worker.
const SEND_TIMEOUT: Duration = Duration::from_millis(100);

/// Why nothing is served. Sockets opened so far are closed again.
#[derive(Debug, thiserror::Error)]
pub enum BindError {
    /// Another process, or another listener of this one, has the address.
    #[error(
        "cannot serve DNS on {address}/{protocol}: another process has it. Stop that process (`ss -lnp 'sport = {port}'` \
         names it), choose another address, or, if several Grapevine nodes of this machine are meant to share it, give it \
         to all of them as the shared service address",
        port = address.port()
    )]
    InUse {
        /// The address wanted.
        address: SocketAddr,
        /// `udp`, `tcp`, `tls` or `quic`.
        protocol: &'static str,
    },
    /// Ports below 1024 are reserved.
    #[error(
        "cannot serve DNS on {address}/{protocol}: no permission for port {port}. Choose a port from 1024, or grant \
         CAP_NET_BIND_SERVICE (systemd: AmbientCapabilities=CAP_NET_BIND_SERVICE)",
        port = address.port()
    )]
    Permission {
        /// The address wanted.
        address: SocketAddr,
        /// `udp`, `tcp`, `tls` or `quic`.
        protocol: &'static str,
    },
    /// No interface has the address.
    #[error(
        "cannot serve DNS on {address}/{protocol}: no interface of this machine has the address {ip}. Add it (`ip address \
         add {ip} dev lo` suits a service address) or choose one that `ip address` lists",
        ip = address.ip()
    )]
    NotLocal {
        /// The address wanted.
        address: SocketAddr,
        /// `udp`, `tcp`, `tls` or `quic`.
        protocol: &'static str,
    },
    /// Anything else that the system objects to.
    #[error("cannot serve DNS on {address}/{protocol}: {source}")]
    Socket {
        /// The address wanted.
        address: SocketAddr,
        /// `udp`, `tcp`, `tls` or `quic`.
        protocol: &'static str,
        /// What the system said.
        source: io::Error,
    },
    /// A certificate or key file that is missing, unreadable or not what it should be.
    #[error("cannot serve encrypted DNS: {path}: {reason}", path = path.display())]
    Certificate {
        /// The file.
        path: PathBuf,
        /// What is wrong and what would be right.
        reason: String,
    },
}

impl BindError {
    fn new(address: SocketAddr, protocol: &'static str, source: io::Error) -> BindError {
        match source.kind() {
            io::ErrorKind::AddrInUse => BindError::InUse { address, protocol },
            io::ErrorKind::PermissionDenied => BindError::Permission { address, protocol },
            io::ErrorKind::AddrNotAvailable => BindError::NotLocal { address, protocol },
            _ => BindError::Socket { address, protocol, source },
        }
    }
}

/// The sockets of one [`Listener`], all on the same port.
#[derive(Debug)]
pub(super) struct Bound {
    /// The address with its real port.
    pub(super) address: SocketAddr,
    /// One for each worker, in one SO_REUSEPORT group.
    pub(super) udp: Vec<Socket>,
    /// Non-blocking, listening.
    pub(super) tcp: TcpListener,
}

/// Opens the UDP sockets and the TCP socket of a listener. TCP comes first: a process that shares an address finds out
/// there that another does not, before its UDP sockets take queries away from it.
pub(super) fn bind(listener: Listener, udp_workers: usize) -> Result<Bound, BindError> {
    let mut attempts = 1;
    loop {
        let tcp = bind_tcp(listener, "tcp")?;
        let address = local_address(&SockRef::from(&tcp), listener.address, "tcp")?;
        let exclusive = !listener.shared || listener.address.port() == 0;
        match bind_udp(address, exclusive, udp_workers) {
            Ok(udp) => return Ok(Bound { address, udp, tcp }),
            Err(BindError::InUse { .. }) if listener.address.port() == 0 && attempts < MAX_PORT_ATTEMPTS => {
                attempts += 1;
            }
            Err(error) => return Err(error),
        }
    }
}

/// Opens a listening TCP socket.
pub(super) fn bind_tcp(listener: Listener, protocol: &'static str) -> Result<TcpListener, BindError> {
    let open = || {
        let socket = open(listener.address, Type::STREAM, Protocol::TCP)?;
        // Connections in TIME_WAIT must not keep a restarted server out. On Linux a listening socket still does.
        socket.set_reuse_address(true)?;
        socket.set_reuse_port(listener.shared)?;
        socket.bind(&listener.address.into())?;
        socket.set_nonblocking(true)?;
        socket.listen(TCP_BACKLOG)?;
        Ok(socket.into())
    };
    open().map_err(|error| BindError::new(listener.address, protocol, error))
}

/// Opens a non-blocking UDP socket for QUIC; returns its address with the real port too.
pub(super) fn bind_quic(address: SocketAddr) -> Result<(SocketAddr, UdpSocket), BindError> {
    let open = || {
        let socket = open(address, Type::DGRAM, Protocol::UDP)?;
        socket.bind(&address.into())?;
        socket.set_nonblocking(true)?;
        Ok(UdpSocket::from(socket))
    };
    let socket = open().map_err(|error| BindError::new(address, "quic", error))?;
    Ok((local_address(&SockRef::from(&socket), address, "quic")?, socket))
}

/// Opens a group of UDP sockets among which the kernel spreads clients.
///
/// Sockets that share a port must all carry SO_REUSEPORT, and any process of the same user that sets it may join them.
/// So the first socket of an address that is not shared binds without the option, which fails if anyone has the port, and
/// takes it on only then, for its siblings. (TCP has one socket, which carries it only for a shared address.)
fn bind_udp(address: SocketAddr, exclusive: bool, workers: usize) -> Result<Vec<Socket>, BindError> {
    let mut sockets = Vec::with_capacity(workers);
    for index in 0..workers.max(1) {
        let open = || {
            let socket = open(address, Type::DGRAM, Protocol::UDP)?;
            let alone = exclusive && index == 0;
            socket.set_reuse_port(!alone)?;
            socket.bind(&address.into())?;
            socket.set_reuse_port(true)?;
            set_udp_options(&socket, address)?;
            Ok(socket)
        };
        sockets.push(open().map_err(|error| BindError::new(address, "udp", error))?);
    }
    Ok(sockets)
}

fn open(address: SocketAddr, kind: Type, protocol: Protocol) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(address), kind, Some(protocol))?;
    if address.is_ipv6() {
        // IPv4 has listeners of its own: mapped addresses would make one client look like two.
        socket.set_only_v6(true)?;
    }
    Ok(socket)
}

fn set_udp_options(socket: &Socket, address: SocketAddr) -> io::Result<()> {
    sys::set_buffers(socket, UDP_BUFFER_BYTES);
    sys::ignore_path_mtu(socket, address.is_ipv6());
    if address.ip().is_unspecified() {
        sys::receive_destination(socket, address.is_ipv6())?;
    }
    socket.set_read_timeout(Some(RECEIVE_TIMEOUT))?;
    socket.set_write_timeout(Some(SEND_TIMEOUT))
}

fn local_address(socket: &Socket, wanted: SocketAddr, protocol: &'static str) -> Result<SocketAddr, BindError> {
    let address = socket.local_addr().map_err(|error| BindError::new(wanted, protocol, error))?;
    Ok(address.as_socket().expect("the socket was opened for an internet address"))
}
