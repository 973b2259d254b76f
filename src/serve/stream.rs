//! The streams that DNS is spoken on: TCP, and TLS over it.
//!
//! What a connection needs of them beyond reading and writing: what has arrived already, and the socket itself.

use std::io::{self, Read};

use socket2::SockRef;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::server::TlsStream;

use crate::answer::Transport;
use crate::metrics::{Counter, Metrics};

/// A stream from one client.
pub(super) trait Stream: AsyncRead + AsyncWrite + Unpin + Send {
    /// How answers are to be made for it.
    const TRANSPORT: Transport;

    /// Where its queries are counted.
    fn queries(metrics: &Metrics) -> &Counter;

    /// The connection below.
    fn socket(&self) -> &TcpStream;

    /// Reads what has arrived, without waiting; `WouldBlock` if nothing has. Not by polling: tokio finds nothing until
    /// its driver has looked at the socket.
    fn read_arrived(&mut self, room: &mut [u8]) -> io::Result<usize>;
}

impl Stream for TcpStream {
    const TRANSPORT: Transport = Transport::Tcp;

    fn queries(metrics: &Metrics) -> &Counter {
        &metrics.queries_tcp
    }

    fn socket(&self) -> &TcpStream {
        self
    }

    fn read_arrived(&mut self, room: &mut [u8]) -> io::Result<usize> {
        (&*SockRef::from(&*self)).read(room)
    }
}

impl Stream for TlsStream<TcpStream> {
    const TRANSPORT: Transport = Transport::Encrypted;

    fn queries(metrics: &Metrics) -> &Counter {
        &metrics.queries_tls
    }

    fn socket(&self) -> &TcpStream {
        self.get_ref().0
    }

    fn read_arrived(&mut self, room: &mut [u8]) -> io::Result<usize> {
        let (tcp, session) = self.get_mut();
        loop {
            match session.reader().read(room) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                read => return read,
            }
            // No more than a record at a time, so that what is decrypted and not taken stays small.
            session.read_tls(&mut &*SockRef::from(&*tcp))?;
            session.process_new_packets().map_err(io::Error::other)?;
        }
    }
}
