//! A server that sends back what it gets with the bit for a response set, through Grapevine's own system calls: the floor
//! under which no server on sockets comes, and the proof of what the generator can do.

use std::io;
use std::net::{SocketAddr, UdpSocket};

use crate::sys::{self, Batch, Wait};

/// The receive buffer that Grapevine asks for.
const BUFFER_BYTES: usize = 4 << 20;

/// Serves until the process ends.
pub(crate) fn serve(address: SocketAddr) -> io::Result<()> {
    let socket = UdpSocket::bind(address)?;
    sys::set_buffers(&socket, BUFFER_BYTES);
    let mut batch = Batch::new(false);
    loop {
        if batch.receive(&socket, Wait::ForOne)? > 0 {
            batch.reply(
                &socket,
                &mut (),
                |(), _| (),
                |(), datagram, (), response| {
                    response.clear();
                    response.extend_from_slice(datagram.bytes);
                    if let Some(flags) = response.get_mut(2) {
                        *flags |= 0x80;
                    }
                    true
                },
            );
        }
    }
}
