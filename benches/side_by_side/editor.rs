//! Edits of single records, as programs make them: over a node's control socket, or as UPDATE messages (RFC 2136).

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crate::servers::{Kind, Server};
use crate::zones::push_name;

/// How long an edit may take.
const PATIENCE: Duration = Duration::from_secs(10);
/// After how long an UPDATE is sent again: under load datagrams are lost.
const SEND_AGAIN: Duration = Duration::from_millis(500);
/// Names that edits go round.
const NAMES: u64 = 1000;
/// UPDATE's opcode (RFC 2136 §2.2), and class ANY to delete an RRset (§2.5.2).
const OPCODE_UPDATE: u8 = 5 << 3;
const CLASS_ANY: u16 = 255;
const TYPE_A: u16 = 1;
const TYPE_SOA: u16 = 6;

/// A connection to edit by.
pub(crate) enum Connection {
    /// The control socket of a node.
    Control(BufReader<UnixStream>),
    /// UPDATE messages to a server.
    Update(UdpSocket),
}

/// Where to connect.
#[derive(Clone)]
pub(crate) enum Target {
    /// The control socket of a node.
    Control(PathBuf),
    /// A server that takes UPDATE messages.
    Update(SocketAddr),
}

impl Target {
    /// How records of a server are edited; `None` if it takes no edits of single records.
    pub(crate) fn of(server: &Server) -> Option<Target> {
        match server.kind {
            Kind::Grapevine => Some(Target::Control(server.directory().join("control"))),
            Kind::Knot => Some(Target::Update(server.address)),
            Kind::Echo | Kind::Nsd | Kind::Bind => None,
        }
    }

    /// Opens a connection.
    pub(crate) fn connect(&self) -> io::Result<Connection> {
        Ok(match self {
            Target::Control(path) => Connection::Control(open(path)?),
            Target::Update(address) => {
                let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
                socket.connect(address)?;
                socket.set_read_timeout(Some(SEND_AGAIN))?;
                Connection::Update(socket)
            }
        })
    }
}

fn open(path: &Path) -> io::Result<BufReader<UnixStream>> {
    let stream = UnixStream::connect(path)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    Ok(BufReader::new(stream))
}

impl Connection {
    /// Makes `address` the one address of a name in a zone, and returns when the server says that it is done.
    pub(crate) fn replace(&mut self, origin: &str, name: &str, address: Ipv4Addr) -> io::Result<()> {
        match self {
            Connection::Control(stream) => {
                let body = format!(r#"{{"verb":"replace","lines":"{name} 60 A {address}"}}"#);
                post(stream, &format!("/v1/zones/{origin}./records"), &body)
            }
            Connection::Update(socket) => {
                let (query, began, mut response) = (update(origin, name, address), Instant::now(), [0; 512]);
                let length = loop {
                    socket.send(&query)?;
                    match socket.recv(&mut response) {
                        Err(error) if error.kind() == io::ErrorKind::WouldBlock && began.elapsed() < PATIENCE => {}
                        other => break other?,
                    }
                };
                match response[..length].get(3).map(|flags| flags & 0x0f) {
                    Some(0) => Ok(()),
                    other => Err(io::Error::other(format!("the update was refused: {other:?}"))),
                }
            }
        }
    }
}

/// Sends a request and reads the whole answer, which must be a success.
fn post(stream: &mut BufReader<UnixStream>, path: &str, body: &str) -> io::Result<()> {
    let head = format!("POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: ");
    stream.get_mut().write_all(format!("{head}{}\r\n\r\n{body}", body.len()).as_bytes())?;
    let mut status = String::new();
    stream.read_line(&mut status)?;
    let mut length = 0;
    loop {
        let mut line = String::new();
        stream.read_line(&mut line)?;
        if line.trim().is_empty() {
            break;
        }
        if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().map_err(io::Error::other)?;
        }
    }
    let mut answer = vec![0; length];
    stream.read_exact(&mut answer)?;
    if status.starts_with("HTTP/1.1 200") {
        return Ok(());
    }
    Err(io::Error::other(format!("{} {}", status.trim(), String::from_utf8_lossy(&answer))))
}

/// An UPDATE that deletes a name's addresses and adds one.
fn update(origin: &str, name: &str, address: Ipv4Addr) -> Vec<u8> {
    let mut out = vec![0, 1, OPCODE_UPDATE, 0, 0, 1, 0, 0, 0, 2, 0, 0];
    let owner = format!("{name}.{origin}");
    push_name(&mut out, origin);
    out.extend_from_slice(&TYPE_SOA.to_be_bytes());
    out.extend_from_slice(&[0, 1]);
    push_name(&mut out, &owner);
    out.extend_from_slice(&TYPE_A.to_be_bytes());
    out.extend_from_slice(&CLASS_ANY.to_be_bytes());
    out.extend_from_slice(&[0; 6]);
    push_name(&mut out, &owner);
    out.extend_from_slice(&TYPE_A.to_be_bytes());
    out.extend_from_slice(&[0, 1, 0, 0, 0, 60, 0, 4]);
    out.extend_from_slice(&address.octets());
    out
}

/// Edits at a fixed rate from threads of their own, until dropped.
pub(crate) struct Stream {
    stop: Arc<AtomicBool>,
    done: Arc<AtomicU64>,
    threads: Vec<JoinHandle<io::Result<()>>>,
    began: Instant,
}

impl Stream {
    /// Begins; the connections go to the targets in turn. Each of `connections` waits for its edit before the next, and keeps its share of the rate if it can.
    pub(crate) fn start(targets: &[Target], origin: &str, per_second: u32, connections: u32) -> io::Result<Stream> {
        let (stop, done) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let mut threads = Vec::new();
        let interval = Duration::from_secs(1) * connections / per_second;
        for connection in 0..connections {
            let mut editing = targets[connection as usize % targets.len()].connect()?;
            let (stop, done, origin) = (Arc::clone(&stop), Arc::clone(&done), origin.to_owned());
            let began = Instant::now() + interval * connection / connections;
            threads.push(std::thread::spawn(move || {
                for round in 0.. {
                    if let Some(wait) = (began + interval * round).checked_duration_since(Instant::now()) {
                        std::thread::sleep(wait);
                    }
                    if stop.load(Ordering::Relaxed) {
                        break;
                    }
                    let number = u64::from(round) * u64::from(connections) + u64::from(connection);
                    let [.., b, c, d] = number.to_be_bytes();
                    editing.replace(&origin, &format!("edit{}", number % NAMES), Ipv4Addr::new(10, b, c, d))?;
                    done.fetch_add(1, Ordering::Relaxed);
                }
                Ok(())
            }));
        }
        Ok(Stream { stop, done, threads, began: Instant::now() })
    }

    /// Ends it, and says how many edits a second were acknowledged.
    pub(crate) fn finish(self) -> io::Result<f64> {
        let per_second = self.done.load(Ordering::Relaxed) as f64 / self.began.elapsed().as_secs_f64();
        self.stop.store(true, Ordering::Relaxed);
        for thread in self.threads {
            thread.join().map_err(|_| io::Error::other("an editing thread panicked"))??;
        }
        Ok(per_second)
    }
}
