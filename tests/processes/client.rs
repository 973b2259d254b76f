//! Small DNS clients: one that can be asked in a loop, and `dig` where it is about what a person sees.

use std::net::{SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::Duration;

use hickory_server::proto::op::{Message, MessageType, OpCode, Query, ResponseCode};
use hickory_server::proto::rr::{Name, RecordType};

use super::harness::run;

/// How long one attempt waits. On loopback an answer takes microseconds.
const PATIENCE: Duration = Duration::from_millis(500);

/// A question and what came back over UDP in time. Each comes from a port of its own.
pub(super) fn ask(at: SocketAddr, name: &str, rtype: RecordType) -> Option<Message> {
    static ID: AtomicU16 = AtomicU16::new(1);
    let id = ID.fetch_add(1, Ordering::Relaxed);
    let mut query = Message::new(id, MessageType::Query, OpCode::Query);
    query.add_query(Query::query(Name::from_ascii(name).expect("a name"), rtype));
    let socket = UdpSocket::bind("127.0.0.1:0").expect("a free port");
    socket.set_read_timeout(Some(PATIENCE)).expect("a time");
    socket.connect(at).expect("an address");
    socket.send(&query.to_vec().expect("a message")).ok()?;
    let mut buffer = [0; 4096];
    let length = socket.recv(&mut buffer).ok()?;
    let message = Message::from_vec(&buffer[..length]).expect("answers are well-formed");
    (message.metadata.id == id).then_some(message)
}

/// The rdata of the answers, sorted; nothing if there is no good answer.
pub(super) fn lookup(at: SocketAddr, name: &str, rtype: RecordType) -> Vec<String> {
    let Some(message) = ask(at, name, rtype) else { return Vec::new() };
    let mut found: Vec<String> = message
        .answers
        .iter()
        .filter(|record| record.record_type() == rtype)
        .map(|record| record.data.to_string())
        .collect();
    found.sort();
    found
}

/// The response code, if there was a response.
pub(super) fn rcode(at: SocketAddr, name: &str, rtype: RecordType) -> Option<ResponseCode> {
    ask(at, name, rtype).map(|message| message.metadata.response_code)
}

/// What `dig` prints.
pub(super) fn dig(at: SocketAddr, arguments: &[&str]) -> String {
    let (server, port) = (format!("@{}", at.ip()), at.port().to_string());
    let fixed = [server.as_str(), "-p", &port, "+norec", "+tries=2", "+time=5"];
    String::from_utf8_lossy(&run("dig", &[&fixed, arguments].concat()).stdout).into_owned()
}
