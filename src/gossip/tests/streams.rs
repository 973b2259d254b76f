//! What comes in at the TCP listener, and what a request gets back.

use std::net::SocketAddr;
use std::sync::Arc;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use super::{any_port, eventually, keyring, secrets};
use crate::codec::MAX_DECODED;
use crate::gossip::inbound::{InboundRequest, serve};
use crate::gossip::noise::NoiseStream;
use crate::gossip::outbound::Peers;
use crate::gossip::secrets::Secrets;
use crate::metrics::Metrics;

/// A stream server that answers every request with its bytes reversed; `drop me` is not answered.
struct Server {
    addr: SocketAddr,
    secrets: Arc<Secrets>,
    metrics: Arc<Metrics>,
    tasks: [JoinHandle<()>; 2],
}

impl Server {
    async fn start(secrets: Arc<Secrets>) -> Server {
        Server::start_at(any_port(), secrets).await
    }

    async fn start_at(addr: SocketAddr, secrets: Arc<Secrets>) -> Server {
        let listener = TcpListener::bind(addr).await.unwrap();
        let addr = listener.local_addr().unwrap();
        let metrics = Arc::new(Metrics::default());
        let (requests, mut inbound) = mpsc::channel::<InboundRequest>(4);
        let serving = tokio::spawn(serve(listener, secrets.clone(), metrics.clone(), requests));
        let answering = tokio::spawn(async move {
            while let Some(InboundRequest { payload, reply }) = inbound.recv().await {
                if payload != b"drop me" {
                    let _ = reply.send(payload.into_iter().rev().collect());
                }
            }
        });
        Server { addr, secrets, metrics, tasks: [serving, answering] }
    }

    async fn stop(self) {
        for task in self.tasks {
            task.abort();
            let _ = task.await;
        }
    }

    fn unauthentic(&self) -> u64 {
        self.metrics.gossip_streams_unauthentic.get()
    }

    /// Sends raw bytes, closes its own side, and returns what came back.
    async fn poke(&self, bytes: &[u8]) -> Vec<u8> {
        let mut stream = TcpStream::connect(self.addr).await.unwrap();
        stream.write_all(bytes).await.unwrap();
        stream.shutdown().await.unwrap();
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer).await;
        answer
    }
}

#[tokio::test]
async fn requests_of_any_size_are_answered_over_one_connection() {
    let server = Server::start(secrets("home", &[1])).await;
    let peers = Peers::new(secrets("home", &[1]));
    // Around the limits of a Noise message, and far beyond.
    for len in [0, 1, 1000, 65_514, 65_515, 65_516, 65_519, 131_034, 131_035, 5 << 20] {
        let request: Vec<u8> = (0..len).map(|index: usize| (index % 251) as u8).collect();
        let response = peers.request(server.addr, &request).await.unwrap();
        assert!(response.iter().eq(request.iter().rev()), "{len} bytes");
    }
    assert_eq!((server.metrics.gossip_streams.get(), server.unauthentic()), (1, 0));
    let too_long = peers.request(server.addr, &vec![0; MAX_DECODED + 1]).await.unwrap_err();
    assert!(too_long.to_string().contains("allowed"), "{too_long}");
}

#[tokio::test]
async fn many_requests_at_once_are_answered() {
    let server = Server::start(secrets("home", &[1])).await;
    let peers = Arc::new(Peers::new(secrets("home", &[1])));
    let requests: Vec<_> = (0..200u8)
        .map(|index| {
            let (peers, addr) = (peers.clone(), server.addr);
            tokio::spawn(async move { peers.request(addr, &[index, 0]).await.unwrap() == [0, index] })
        })
        .collect();
    for request in requests {
        assert!(request.await.unwrap());
    }
}

#[tokio::test]
async fn another_key_or_cluster_is_refused_with_the_reason_and_counted() {
    let server = Server::start(secrets("home", &[1])).await;
    for (wrong, count) in [(secrets("home", &[2]), 1), (secrets("away", &[1]), 2)] {
        let error = Peers::new(wrong).request(server.addr, b"x").await.unwrap_err().to_string();
        assert!(error.contains("key files differ"), "{error}");
        eventually("counted", || server.unauthentic() == count).await;
    }
    assert_eq!(server.metrics.gossip_streams.get(), 0);
}

#[tokio::test]
async fn garbage_and_cut_off_streams_are_counted_and_the_server_goes_on() {
    let server = Server::start(secrets("home", &[1])).await;
    let id = keyring(&[1]).keys()[0].id().0;
    let hello = [&b"GV\x01"[..], &id].concat();
    let garbage: Vec<Vec<u8>> = vec![
        b"GET / HTTP/1.1\r\n\r\n".to_vec(),
        Vec::new(),
        b"G".to_vec(),
        b"GV".to_vec(),
        b"GV\x01\x00\x00".to_vec(),
        hello.clone(),
        [&hello[..], &[0, 48], &[7; 20]].concat(),
        [&hello[..], &[0, 48], &[7; 48]].concat(),
        [&hello[..], &[0xff, 0xff], &[7; 100]].concat(),
        [&hello[..], &[0, 0]].concat(),
    ];
    for (count, bytes) in garbage.iter().enumerate() {
        server.poke(bytes).await;
        eventually("counted", || server.unauthentic() == count as u64 + 1).await;
    }
    assert_eq!(Peers::new(secrets("home", &[1])).request(server.addr, b"ab").await.unwrap(), b"ba");
}

#[tokio::test]
async fn a_stream_that_turns_to_garbage_is_cut_and_counted() {
    let server = Server::start(secrets("home", &[1])).await;
    let stream = TcpStream::connect(server.addr).await.unwrap();
    let stream = NoiseStream::connect(stream, &secrets("home", &[1])).await.unwrap();
    let mut raw = stream.into_inner();
    raw.write_all(&[&[0, 40][..], &[9; 40]].concat()).await.unwrap();
    assert!(!matches!(raw.read(&mut [0]).await, Ok(1..)), "cut");
    eventually("counted", || server.unauthentic() == 1).await;
}

#[tokio::test]
async fn versions_that_differ_are_named_on_both_sides() {
    let server = Server::start(secrets("home", &[1])).await;
    assert_eq!(server.poke(b"GV\x63 a hello of the future").await, b"GV\x01");
    eventually("counted", || server.unauthentic() == 1).await;

    let listener = TcpListener::bind(any_port()).await.unwrap();
    let addr = listener.local_addr().unwrap();
    let future_node = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        stream.write_all(b"GV\x63").await.unwrap();
        let _ = stream.read_to_end(&mut Vec::new()).await;
    });
    let error = Peers::new(secrets("home", &[1])).request(addr, b"x").await.unwrap_err().to_string();
    assert!(error.contains("version 99") && error.contains("same release"), "{error}");
    future_node.await.unwrap();
}

#[tokio::test]
async fn a_cut_connection_is_a_failed_request() {
    let server = Server::start(secrets("home", &[1])).await;
    let peers = Peers::new(secrets("home", &[1]));
    let error = peers.request(server.addr, b"drop me").await.unwrap_err().to_string();
    assert!(error.contains("without answering"), "{error}");
    assert_eq!(peers.request(server.addr, b"ab").await.unwrap(), b"ba");
    let addr = server.addr;
    server.stop().await;
    assert!(peers.request(addr, b"ab").await.is_err());
}

#[tokio::test]
async fn a_pooled_connection_to_a_peer_that_restarted_is_replaced() {
    let server = Server::start(secrets("home", &[1])).await;
    let (addr, peers) = (server.addr, Peers::new(secrets("home", &[1])));
    assert_eq!(peers.request(addr, b"ab").await.unwrap(), b"ba");
    server.stop().await;
    let server = Server::start_at(addr, secrets("home", &[1])).await;
    assert_eq!(peers.request(addr, b"cd").await.unwrap(), b"dc");
    assert_eq!(server.metrics.gossip_streams.get(), 1);
}

#[tokio::test]
async fn keys_rotate_without_a_gap_and_old_ones_lose_their_streams() {
    let server = Server::start(secrets("home", &[1])).await;
    let mine = secrets("home", &[1]);
    let peers = Peers::new(mine.clone());
    let works = async || assert_eq!(peers.request(server.addr, b"ab").await.unwrap(), b"ba");
    works().await;
    for step in [&[1, 2][..], &[2, 1], &[2]] {
        server.secrets.rotate(&keyring(step));
        works().await;
        mine.rotate(&keyring(step));
        works().await;
    }
    let old = Peers::new(secrets("home", &[1]));
    assert!(old.request(server.addr, b"ab").await.is_err());

    // A stream that was open under a key which is now gone is not served.
    server.secrets.rotate(&keyring(&[3]));
    assert!(peers.request(server.addr, b"ab").await.is_err());
}
