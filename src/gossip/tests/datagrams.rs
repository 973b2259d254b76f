//! What comes in at the UDP socket.

use std::sync::Arc;

use tokio::net::UdpSocket;

use super::{any_port, secrets};
use crate::gossip::endpoint::Endpoint;
use crate::gossip::seal::{MAX_PAYLOAD, Sealer};
use crate::metrics::Metrics;

#[tokio::test]
async fn only_authentic_and_new_datagrams_come_through_and_all_others_are_counted() {
    let metrics = Arc::new(Metrics::default());
    let mut endpoint = Endpoint::bind(any_port(), secrets("home", &[1]), metrics.clone()).await.unwrap();
    let to = endpoint.local_addr();
    let outside = UdpSocket::bind(any_port()).await.unwrap();

    let mut peer = Sealer::new(secrets("home", &[1])).unwrap();
    let good = peer.seal(b"first");
    let unauthentic = [
        Vec::new(),
        vec![0; 2000],
        b"\x00\x01\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\x07example\x00\x00\x01\x00\x01".to_vec(),
        good[..good.len() - 1].to_vec(),
        good[..20].to_vec(),
        Sealer::new(secrets("home", &[2])).unwrap().seal(b"wrong key"),
        Sealer::new(secrets("away", &[1])).unwrap().seal(b"wrong cluster"),
    ];
    for datagram in &unauthentic {
        outside.send_to(datagram, to).await.unwrap();
    }
    outside.send_to(&good, to).await.unwrap();
    outside.send_to(&good, to).await.unwrap();
    outside.send_to(&peer.seal(b"second"), to).await.unwrap();

    let from = outside.local_addr().unwrap();
    assert_eq!(endpoint.datagrams.receive().await, (from, b"first".to_vec()));
    assert_eq!(endpoint.datagrams.receive().await, (from, b"second".to_vec()));
    let counts = [&metrics.gossip_unauthentic, &metrics.gossip_replayed, &metrics.gossip_datagrams];
    assert_eq!(counts.map(|counter| counter.get()), [unauthentic.len() as u64, 1, 2]);
}

#[tokio::test]
async fn endpoints_of_both_families_reach_each_other() {
    let bind = async |addr: &str| {
        let metrics = Arc::new(Metrics::default());
        Endpoint::bind(addr.parse().unwrap(), secrets("home", &[1]), metrics).await.unwrap()
    };
    let mut both = bind("[::]:0").await;
    let mut v4 = bind("127.0.0.1:0").await;
    let both_addr = format!("127.0.0.1:{}", both.local_addr().port()).parse().unwrap();
    // Sent before the runtime had a look at the socket.
    both.datagrams.send(v4.local_addr(), b"from both");
    assert_eq!(v4.datagrams.receive().await.1, b"from both");
    v4.datagrams.send(both_addr, &[7; MAX_PAYLOAD]);
    assert_eq!(both.datagrams.receive().await, (v4.local_addr(), vec![7; MAX_PAYLOAD]), "as an IPv4 address");
}

#[tokio::test]
async fn an_address_in_use_is_refused_with_advice() {
    let bind = async |addr| Endpoint::bind(addr, secrets("home", &[1]), Arc::default()).await;
    let first = bind(any_port()).await.unwrap();
    let message = bind(first.local_addr()).await.err().unwrap().to_string();
    assert!(message.contains("choose another port") && message.contains(&first.local_addr().to_string()), "{message}");
}
