//! What clients and operators ask for beyond plain answers: cookies, keepalive, rate limiting.

use std::fs;
use std::io::Write;
use std::net::TcpStream;

use hickory_server::proto::rr::RecordType;

use super::client::{ask, dig};
use super::cluster::Cluster;
use super::harness::{ORIGIN, PROGRAM, Scene, ZONE, text, until};

/// The cookie that `dig` prints: the client's half and the server's.
fn cookie(output: &str) -> Option<&str> {
    output.lines().find_map(|line| line.strip_prefix("; COOKIE: "))?.split_whitespace().next()
}

#[test]
fn a_cookie_of_one_node_is_good_at_another() {
    let cluster = Cluster::start(2);
    let [first, second] = &cluster.nodes[..] else { panic!("two nodes") };
    let told = dig(first.dns, &["+cookie", "www.example.test", "A"]);
    assert!(told.contains("(good)"), "{told}");
    let whole = cookie(&told).expect("a cookie");
    assert_eq!(whole.len(), 48, "eight bytes of the client's and sixteen of the server's, in hex: {told}");
    let there = dig(second.dns, &[&format!("+cookie={whole}"), "www.example.test", "A"]);
    assert!(there.contains("(good)") && there.contains("status: NOERROR"), "{there}");
}

#[test]
fn keepalive_is_told_over_tcp_alone() {
    let scene = Scene::new();
    let node = scene.serving_node("node");
    assert!(dig(node.dns, &["+tcp", "+keepalive", "www.example.test"]).contains("TCP KEEPALIVE: 10.0 secs"));
    assert!(!dig(node.dns, &["+notcp", "+keepalive", "www.example.test"]).contains("KEEPALIVE"));
    assert!(!dig(node.dns, &["+tcp", "www.example.test"]).contains("KEEPALIVE"), "nobody asked");
}

#[test]
fn a_flood_is_limited_and_told_to_come_by_tcp() {
    let scene = Scene::new();
    let config = scene.path("limited.toml");
    fs::write(&config, "[dns.rrl]\nrate = 1\nslip = 2\n").expect("the directory is ours");
    let mut node = scene.node("node").flag("--config", text(&config));
    node.save(ORIGIN, ZONE);
    node.start();
    until("the zone to be served", || dig(node.dns, &["+tcp", "+short", "www.example.test", "A"]).contains("192."));
    let mut truncated = 0;
    until("responses to be withheld", || {
        let slipped = ask(node.dns, "www.example.test.", RecordType::A).is_some_and(|said| said.metadata.truncation);
        truncated += u64::from(slipped);
        node.metric("responses_withheld") > 0 && truncated > 0
    });
    assert!(node.metric("responses_slipped") >= truncated);
    let over_tcp = dig(node.dns, &["+tcp", "+short", "www.example.test", "A"]);
    assert!(over_tcp.contains("192."), "TCP is not limited: {over_tcp}");
}

#[test]
fn hundreds_of_idle_connections_keep_no_client_out_whatever_the_shell_s_limit_on_files() {
    let scene = Scene::new();
    let mut node = scene.node("node");
    let script = "ulimit -Sn 128; exec \"$0\" \"$@\"";
    node.wrapper = ["sh", "-c", script, PROGRAM].map(str::to_owned).to_vec();
    node.save(ORIGIN, ZONE);
    node.start();
    let answers =
        |node: &super::harness::Node| dig(node.dns, &["+tcp", "+short", "www.example.test", "A"]).contains("192.");
    until("the zone to be served", || answers(&node));
    let mut idle = Vec::new();
    for _ in 0..400 {
        let mut stream = TcpStream::connect(node.dns).expect("it listens");
        // It may have had to make room already.
        let _ = stream.write_all(&[0]);
        idle.push(stream);
    }
    assert!(answers(&node), "others were in the way");
    assert!(node.metric("tcp_limited") >= 140);
    assert!(!node.log().contains("too few open files"), "the limit can be raised:\n{}", node.log());
}

#[test]
fn a_limit_on_files_that_is_too_low_for_all_clients_is_told() {
    let scene = Scene::new();
    let mut node = scene.node("node");
    node.wrapper = ["sh", "-c", "ulimit -n 128; exec \"$0\" \"$@\"", PROGRAM].map(str::to_owned).to_vec();
    node.save(ORIGIN, ZONE);
    node.start();
    until("it to be told", || node.log().contains("dns.tcp.max-connections"));
    assert!(node.log().contains("ulimit") && node.log().contains("allowed=128"), "{}", node.log());
}
