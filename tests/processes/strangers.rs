//! Outsiders at the gossip port: nodes with another key or of another cluster, garbage, and what a listener has recorded.
//! They never get in, they are counted, and the cluster goes on.

use std::io::{Read, Write};
use std::net::{TcpStream, UdpSocket};
use std::time::Duration;

use hickory_server::proto::rr::RecordType;

use super::client::lookup;
use super::harness::{DEADLINE, Node, ORIGIN, Scene, ZONE, until, wait_for};

fn serves_the_example(node: &Node) -> bool {
    lookup(node.dns, "www.example.test.", RecordType::A) == ["192.0.2.80"]
}

fn unauthentic(node: &Node) -> u64 {
    node.metric("gossip_unauthentic")
}

/// Neither knows the other after many attempts, and both serve.
fn assert_apart(insider: &Node, outsider: &Node) {
    until("the outsider to have knocked", || unauthentic(insider) >= 3);
    for node in [insider, outsider] {
        assert_eq!(node.members().len(), 1, "{:?}", node.members());
    }
    assert!(serves_the_example(insider));
    // It waits for its cluster with the zones of its own files.
    assert_eq!(lookup(outsider.dns, "www.other.test.", RecordType::A), ["192.0.2.80"]);
    assert!(lookup(outsider.dns, "www.example.test.", RecordType::A).is_empty());
    assert!(lookup(insider.dns, "www.other.test.", RecordType::A).is_empty());
}

#[test]
fn a_node_with_another_key_never_joins() {
    let scene = Scene::new();
    let insider = scene.serving_node("insider");
    let mut outsider = scene.node("outsider").joining(&insider);
    outsider.key = Some(scene.keygen("another"));
    outsider.save("other.test", &ZONE.replace(ORIGIN, "other.test"));
    outsider.start();
    assert_apart(&insider, &outsider);
}

#[test]
fn a_node_of_another_cluster_never_joins_though_it_has_the_key() {
    let scene = Scene::new();
    let insider = scene.serving_node("insider");
    let mut outsider = scene.node("outsider").joining(&insider).flag("--cluster", "elsewhere");
    outsider.save("other.test", &ZONE.replace(ORIGIN, "other.test"));
    outsider.start();
    assert_apart(&insider, &outsider);
}

#[test]
fn garbage_at_the_gossip_port_is_counted_and_does_no_harm() {
    let scene = Scene::new();
    let node = scene.serving_node("node");
    let socket = UdpSocket::bind("127.0.0.1:0").expect("a free port");
    // Bytes without a pattern, the same in every run.
    let mut state = 1u32;
    let mut noise = |length: usize| -> Vec<u8> {
        let mut next = || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 24) as u8
        };
        (0..length).map(|_| next()).collect()
    };
    let lengths = [0, 1, 2, 24, 40, 41, 100, 1399, 1400, 1401, 9000, 65507];
    for length in lengths {
        let before = unauthentic(&node);
        socket.send_to(&noise(length), node.gossip).expect("a datagram");
        until("the datagram to be counted", || unauthentic(&node) == before + 1);
    }
    let refused = |node: &Node| node.metric("gossip_streams_unauthentic");
    for content in [noise(1), noise(1000), vec![0xff; 70_000], b"GET / HTTP/1.1\r\n\r\n".to_vec(), Vec::new()] {
        let before = refused(&node);
        let mut stream = TcpStream::connect(node.gossip).expect("the port is open");
        stream.set_read_timeout(Some(DEADLINE)).expect("a time");
        // The node may have hung up already.
        let _ = stream.write_all(&content);
        let _ = stream.shutdown(std::net::Shutdown::Write);
        let mut rest = Vec::new();
        let _ = stream.read_to_end(&mut rest);
        until("the stream to be counted", || refused(&node) == before + 1);
    }
    assert_eq!(node.metric("gossip_datagrams"), 0);
    assert!(serves_the_example(&node));
    // And those who may come in still can.
    let mut second = scene.node("second").joining(&node);
    second.start();
    until("the second to serve the zone", || serves_the_example(&second));
}

#[test]
fn recorded_cut_and_altered_datagrams_are_dropped() {
    let scene = Scene::new();
    let node = scene.serving_node("node");
    // Stands where a seed should be, and records what a genuine node sends it.
    let recorder = UdpSocket::bind("127.0.0.1:0").expect("a free port");
    recorder.set_read_timeout(Some(DEADLINE)).expect("a time");
    let at = recorder.local_addr().expect("an address");
    let mut genuine = scene.node("genuine").flag("--join", at);
    genuine.launch();
    let mut buffer = [0; 2000];
    let length = recorder.recv(&mut buffer).expect("an announcement");
    let datagram = &buffer[..length];
    let send = |bytes: &[u8]| recorder.send_to(bytes, node.gossip).expect("a datagram");

    send(datagram);
    until("the datagram to be taken as genuine", || node.metric("gossip_datagrams") >= 1);
    for repeat in 1..=3 {
        send(datagram);
        until("the repeat to be counted", || node.metric("gossip_replayed") == repeat);
    }
    for (count, cut) in [1, length / 2, length - 1].into_iter().enumerate() {
        send(&datagram[..cut]);
        until("the cut one to be counted", || unauthentic(&node) == count as u64 + 1);
    }
    for position in [0, length / 3, length - 1] {
        let before = unauthentic(&node);
        let mut altered = datagram.to_vec();
        altered[position] ^= 1;
        send(&altered);
        until("the altered one to be counted", || unauthentic(&node) == before + 1);
    }
    assert!(serves_the_example(&node));
}

#[test]
fn many_idle_strangers_do_not_keep_a_member_out() {
    let scene = Scene::new();
    let node = scene.serving_node("node");
    let strangers: Vec<TcpStream> = (0..200).filter_map(|_| TcpStream::connect(node.gossip).ok()).collect();
    assert!(strangers.len() > 100);
    let mut second = scene.node("second").joining(&node);
    second.start();
    // A stranger's place is taken from it after a while, whatever it does.
    wait_for("the second to serve the zone", || if serves_the_example(&second) { Ok(()) } else { Err(second.log()) });
    for stranger in &strangers {
        stranger.set_read_timeout(Some(Duration::from_millis(1))).expect("a time");
    }
}
