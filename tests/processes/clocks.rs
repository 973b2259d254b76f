//! Wall clocks that jump while nodes run, by libfaketime: edits go on, serials rise, later edits stay later.

use std::fs;

use hickory_server::proto::rr::RecordType;

use super::client::{dig, lookup};
use super::cluster::Cluster;
use super::harness::{Node, ORIGIN, PROGRAM, run, text};

/// Where the library is, as the faketime program would preload it.
fn library() -> String {
    let machine = String::from_utf8(run("uname", &["-m"]).stdout).expect("a name");
    let path = format!("/usr/lib/{}-linux-gnu/faketime/libfaketimeMT.so.1", machine.trim());
    assert!(fs::exists(&path).unwrap_or(false), "{path} is missing; scripts/setup test installs it");
    path
}

fn serial(node: &Node) -> u64 {
    let soa = dig(node.dns, &[ORIGIN, "SOA", "+short"]);
    soa.split(' ').nth(2).unwrap_or_else(|| panic!("{soa:?} is no SOA")).parse().expect("a number")
}

#[test]
fn edits_go_on_and_later_ones_win_however_a_clock_jumps() {
    let library = library();
    let mut cluster = Cluster::start(3);
    let clock = cluster.nodes[1].home.join("clock");
    fs::write(&clock, "+0\n").expect("a file");
    cluster.nodes[1].terminate();
    let jumper = &mut cluster.nodes[1];
    jumper.wrapper = [
        "env",
        &format!("LD_PRELOAD={library}"),
        &format!("FAKETIME_TIMESTAMP_FILE={}", text(&clock)),
        "FAKETIME_NO_CACHE=1",
        "FAKETIME_DONT_FAKE_MONOTONIC=1",
        PROGRAM,
    ]
    .map(str::to_owned)
    .to_vec();
    jumper.start();
    cluster.await_equal();
    let mut last = cluster.nodes.iter().map(serial).max().expect("three nodes");
    for (step, jump) in ["+1h", "-1h", "+1y", "-1y", "+0"].iter().enumerate() {
        fs::write(&clock, format!("{jump}\n")).expect("a file");
        // The node whose clock jumps and another take turns at one record: the later edit counts, whatever its time.
        for (turn, author) in [1, 0, 1, 2].into_iter().enumerate() {
            let address = format!("10.9.{step}.{turn}");
            let node = &cluster.nodes[author];
            node.told(&["record", "replace", ORIGIN, "www", "A", &address, "--wait", "all"]);
            node.told(&["record", "replace", ORIGIN, "alias", "CNAME", &format!("t{step}-{turn}"), "--wait", "all"]);
            for node in &cluster.nodes {
                assert_eq!(lookup(node.dns, "www.example.test.", RecordType::A), [address.as_str()], "after {jump}");
                let alias = lookup(node.dns, "alias.example.test.", RecordType::CNAME);
                assert_eq!(alias, [format!("t{step}-{turn}.example.test.")], "after {jump}");
                let now = serial(node);
                assert!(now > last, "{now} after {last} on {} at {jump}", node.name);
            }
            last = serial(&cluster.nodes[0]);
        }
        if *jump == "-1y" {
            // Even a start in the past makes nothing old.
            cluster.nodes[1].kill();
            cluster.nodes[1].start();
            cluster.await_equal();
        }
    }
    assert!(cluster.nodes.iter().all(|node| node.members().iter().all(|(_, state)| state == "alive")));
    cluster.await_equal();
    cluster.await_files(ORIGIN);
}
