//! Asking over UDP in windows with retries, over TCP, and transferring zones over TCP.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream, UdpSocket};
use std::time::{Duration, Instant};

use grapevine::zone::{Name, Record, RecordType};

use crate::generate::Question;
use crate::message::{query, records, transfer_query};

/// Queries on their way at once: few enough for the receive buffer of any socket.
const WINDOW: usize = 64;
/// After this long without a response what is missing is asked again.
const RETRY_AFTER: Duration = Duration::from_millis(300);
/// How often in all.
const TRIES: usize = 20;
/// How long a transfer may wait for bytes.
const TRANSFER_PATIENCE: Duration = Duration::from_secs(5);

/// Asks every question and returns the responses in the same order; `None` where there was none.
pub(crate) fn ask(server: SocketAddr, questions: &[Question], tries: usize) -> Vec<Option<Vec<u8>>> {
    let socket = UdpSocket::bind("127.0.0.1:0").expect("a socket");
    socket.connect(server).expect("a loopback address");
    socket.set_read_timeout(Some(RETRY_AFTER)).expect("a timeout");
    let mut stream = None;
    let mut responses = Vec::with_capacity(questions.len());
    for window in questions.chunks(WINDOW) {
        let mut of_window = ask_window(&socket, window, tries);
        for (question, response) in window.iter().zip(&mut of_window).filter(|(question, _)| question.tcp) {
            let stream = stream.get_or_insert_with(|| TcpStream::connect(server).expect("it listens on TCP too"));
            *response = Some(ask_over(stream, &query(1, question)).expect("a stream is answered"));
        }
        responses.append(&mut of_window);
    }
    responses
}

/// Asks over a stream and waits for the response.
fn ask_over(stream: &mut TcpStream, query: &[u8]) -> io::Result<Vec<u8>> {
    stream.set_read_timeout(Some(TRANSFER_PATIENCE))?;
    stream.write_all(&[&(query.len() as u16).to_be_bytes()[..], query].concat())?;
    read_message(stream)
}

/// Reads one message from a stream.
fn read_message(stream: &mut TcpStream) -> io::Result<Vec<u8>> {
    let mut length = [0; 2];
    stream.read_exact(&mut length)?;
    let mut message = vec![0; usize::from(u16::from_be_bytes(length))];
    stream.read_exact(&mut message)?;
    Ok(message)
}

/// As [`ask`], of a server that must respond to everything.
pub(crate) fn ask_all(server: SocketAddr, questions: &[Question]) -> Vec<Vec<u8>> {
    let missing = |index: usize| panic!("{server} did not respond to {:?}", questions[index]);
    let responses = ask(server, questions, TRIES).into_iter().enumerate();
    responses.map(|(index, response)| response.unwrap_or_else(|| missing(index))).collect()
}

fn ask_window(socket: &UdpSocket, window: &[Question], tries: usize) -> Vec<Option<Vec<u8>>> {
    let queries: Vec<Vec<u8>> = (0u16..).zip(window).map(|(id, question)| query(id, question)).collect();
    let mut responses = vec![None; window.len()];
    let mut buffer = vec![0; usize::from(u16::MAX)];
    for _ in 0..tries {
        for (query, _) in queries.iter().zip(&responses).filter(|(_, response)| response.is_none()) {
            // A port that nobody listens on yet makes this fail; the next try is another chance.
            let _refused = socket.send(query);
        }
        while responses.iter().any(Option::is_none) {
            let Ok(length) = socket.recv(&mut buffer) else { break };
            let response = &buffer[..length];
            let Some(&[high, low]) = response.first_chunk() else { continue };
            let id = usize::from(u16::from_be_bytes([high, low]));
            // A late response to an earlier window has another question.
            if queries.get(id).is_some_and(|query| is_about(response, query)) {
                responses[id] = Some(response.to_vec());
            }
        }
        if responses.iter().all(Option::is_some) {
            break;
        }
    }
    responses
}

/// Whether a response repeats the question of a query, byte for byte.
fn is_about(response: &[u8], query: &[u8]) -> bool {
    const OPT_LEN: usize = 11;
    let has_opt = query[11] == 1;
    let question = &query[12..query.len() - if has_opt { OPT_LEN } else { 0 }];
    response.get(12..12 + question.len()) == Some(question)
}

/// Transfers a zone: its SOA, then every other record. An error if the server does not have it, or not yet.
pub(crate) fn transfer(server: SocketAddr, origin: &Name) -> io::Result<Vec<Record>> {
    let deadline = Instant::now() + TRANSFER_PATIENCE;
    let mut stream = TcpStream::connect(server)?;
    stream.set_read_timeout(Some(TRANSFER_PATIENCE))?;
    let query = transfer_query(origin);
    stream.write_all(&[&(query.len() as u16).to_be_bytes()[..], &query].concat())?;
    let mut all: Vec<Record> = Vec::new();
    while Instant::now() < deadline {
        let message = read_message(&mut stream)?;
        if message[3] & 0xf != 0 {
            return Err(io::Error::other(format!("rcode {}", message[3] & 0xf)));
        }
        all.extend(records(&message).into_iter().filter(|(section, _)| *section == 0).map(|(_, record)| record));
        if all.len() > 1 && all.last().is_some_and(|record| record.rtype == RecordType::SOA) {
            all.pop();
            return Ok(all);
        }
    }
    Err(io::ErrorKind::TimedOut.into())
}
