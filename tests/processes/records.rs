//! Records edited directly on running nodes, as operators and their scripts do.

use std::io::Write;
use std::process::{Output, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use hickory_server::proto::rr::RecordType;

use super::client::{dig, lookup};
use super::cluster::Cluster;
use super::harness::{Node, ORIGIN, PROGRAM, Scene, run, said, text, until};

/// What a command prints that is fed these lines.
fn fed(node: &Node, arguments: &[&str], lines: &str) -> Output {
    let mut command = std::process::Command::new(PROGRAM);
    command.args(arguments).args(["--control", text(&node.data)]).env_remove("GRAPEVINE_CONTROL");
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("the program starts");
    child.stdin.take().expect("a pipe").write_all(lines.as_bytes()).expect("it reads");
    child.wait_with_output().expect("it ends")
}

/// The serial as the node answers it.
fn serial(node: &Node) -> u64 {
    let soa = dig(node.dns, &[ORIGIN, "SOA", "+short"]);
    soa.split(' ').nth(2).unwrap_or_else(|| panic!("{soa:?} is no SOA")).parse().expect("a number")
}

#[test]
fn an_edit_that_waited_for_all_is_answered_by_every_node_at_once() {
    let cluster = Cluster::start(5);
    for i in 0..20 {
        let (author, owner, address) = (&cluster.nodes[i % 5], format!("new{i}"), format!("10.1.0.{i}"));
        let told = author.told(&["record", "add", ORIGIN, &owner, "300", "A", &address, "--wait", "all"]);
        assert!(told.contains(&format!("+ {owner}.{ORIGIN}. 300 IN A {address}\n")), "{told}");
        assert!(told.contains("stored on 5 of 5 members"), "{told}");
        for node in &cluster.nodes {
            let question = [format!("{owner}.{ORIGIN}"), "A".to_owned(), "+short".to_owned()];
            let answer = dig(node.dns, &question.each_ref().map(String::as_str));
            assert_eq!(answer, format!("{address}\n"), "{} right after the edit on {}", node.name, author.name);
        }
    }
    cluster.await_equal();
    cluster.await_files(ORIGIN);
}

#[test]
fn records_are_added_replaced_and_deleted_on_any_node() {
    let cluster = Cluster::start(3);
    let [one, two, three] = &cluster.nodes[..] else { panic!("three nodes") };
    let www = "www.example.test.";
    one.told(&["record", "add", ORIGIN, "www 300 IN A 192.0.2.7", "--wait", "all"]);
    assert_eq!(lookup(three.dns, www, RecordType::A), ["192.0.2.7", "192.0.2.80"]);
    two.told(&["record", "replace", ORIGIN, "www", "A", "192.0.2.8", "192.0.2.9", "--wait", "all"]);
    assert_eq!(lookup(one.dns, www, RecordType::A), ["192.0.2.8", "192.0.2.9"]);
    three.told(&["record", "delete", ORIGIN, "www", "A", "192.0.2.8", "--wait", "quorum"]);
    cluster.await_answer(www, RecordType::A, &["192.0.2.9"]);
    one.told(&["record", "add", ORIGIN, "www", "TXT", "v=spf1 -all", "--ttl", "5m"]);
    cluster.await_answer(www, RecordType::TXT, &["v=spf1 -all"]);
    let shown = two.told(&["record", "delete", ORIGIN, "www", "--dry-run"]);
    assert!(shown.contains("- www.example.test. IN TXT \"v=spf1 -all\"") && shown.contains("dry run"), "{shown}");
    two.told(&["record", "delete", ORIGIN, "www"]);
    cluster.await_answer(www, RecordType::A, &[]);
    let told = two.told(&["record", "delete", ORIGIN, "www"]);
    assert!(told.contains("so already"), "{told}");
    cluster.await_equal();
    cluster.await_files(ORIGIN);
    assert!(cluster.nodes.iter().all(|node| !node.read_file(ORIGIN).contains("www")));
    // What a zone file may not say, an edit may not either.
    let before = serial(one);
    for (record, part) in [
        (&["mail", "CNAME", "ns1"][..], "a CNAME stands alone"),
        (&["www.example.org.", "A", "192.0.2.1"], "not in the zone"),
        (&["www", "A", "192.0.2"], "record:1:7: error:"),
    ] {
        let refused = one.ctl(&[&["record", "add", ORIGIN], record].concat());
        assert_eq!(refused.status.code(), Some(4), "{}", said(&refused));
        assert!(said(&refused).contains(part), "{}", said(&refused));
    }
    let refused = one.ctl(&["record", "delete", ORIGIN, "@", "NS"]);
    assert!(said(&refused).contains("its last NS"), "{}", said(&refused));
    let refused = one.ctl(&["record", "add", "nowhere.test", "www", "A", "192.0.2.1"]);
    assert!(said(&refused).contains("no zone nowhere.test."), "{}", said(&refused));
    assert_eq!(serial(one), before);
}

#[test]
fn lines_from_standard_input_are_one_edit_or_none() {
    let scene = Scene::new();
    let node = scene.serving_node("alone");
    let before = serial(&node);
    let bad = fed(&node, &["record", "add", ORIGIN, "-"], "a A 192.0.2.1\nb A 192.0.2.300\nc A 192.0.2.3\n");
    assert_eq!(bad.status.code(), Some(4), "{}", said(&bad));
    assert!(said(&bad).contains("-:2:5: error:") && said(&bad).contains(" 2 | b A 192.0.2.300\n"), "{}", said(&bad));
    assert_eq!(serial(&node), before);
    let clash = fed(&node, &["record", "add", ORIGIN, "-"], "a A 192.0.2.1\nwww CNAME a\n");
    assert_eq!(clash.status.code(), Some(4), "{}", said(&clash));
    assert_eq!(serial(&node), before);
    let batch = "delete www A\nadd www 60 CNAME a\nreplace a A 192.0.2.1\n; a comment\nadd a AAAA 2001:db8::1\n";
    let done = fed(&node, &["record", "batch", ORIGIN, "--json"], batch);
    assert_eq!(done.status.code(), Some(0), "{}", said(&done));
    let json: serde_json::Value = serde_json::from_slice(&done.stdout).expect("JSON");
    assert_eq!((&json["serial"], &json["changed"]), (&(before + 1).into(), &true.into()));
    assert_eq!(json["changes"].as_array().expect("a list").len(), 4, "{json}");
    assert_eq!(dig(node.dns, &["www.example.test", "AAAA", "+short"]), "a.example.test.\n2001:db8::1\n");
}

#[test]
fn a_wait_in_vain_says_so_and_the_same_request_again_does_nothing() {
    let cluster = Cluster::start(5);
    let [one, two, .., frozen] = &cluster.nodes[..] else { panic!("five nodes") };
    frozen.signal("STOP");
    let add = ["record", "add", ORIGIN, "once", "A", "192.0.2.7", "--request-id", "deploy-1"];
    let wait = ["--wait", "all", "--timeout", "300ms"];
    let output = one.ctl(&[&add[..], &wait].concat());
    assert_eq!(output.status.code(), Some(5), "{}", said(&output));
    assert!(said(&output).contains("is stored here, seen on 4 of 5 members after 300ms"), "{}", said(&output));
    let made = serial(one);
    // Most of them have it, and the same again changes nothing, here or elsewhere.
    let quorum = one.told(&[&add[..], &["--wait", "quorum"]].concat());
    assert!(quorum.contains(&format!("already done as serial {made}, stored on")), "{quorum}");
    let elsewhere = two.told(&add);
    assert!(elsewhere.contains(&format!("already done as serial {made}")), "{elsewhere}");
    let other = two.ctl(&["record", "add", ORIGIN, "other", "A", "192.0.2.7", "--request-id", "deploy-1"]);
    assert_eq!(other.status.code(), Some(4), "{}", said(&other));
    assert!(said(&other).contains("was used for another edit"), "{}", said(&other));
    frozen.signal("CONT");
    until("all to have it", || one.ctl(&[&add[..], &["--wait", "all"]].concat()).status.success());
    cluster.await_answer("once.example.test.", RecordType::A, &["192.0.2.7"]);
    cluster.await_equal();
    assert_eq!(serial(one), made);
    // A node remembers over a restart.
    let mut cluster = cluster;
    cluster.nodes[0].kill();
    cluster.nodes[0].start();
    let told = cluster.nodes[0].told(&add);
    assert!(told.contains(&format!("already done as serial {made}")), "{told}");
}

/// Alone, so that no other node can give back what the disk has lost.
#[test]
fn an_edit_that_was_acknowledged_survives_a_kill_at_any_moment() {
    const KILLS: u64 = 15;
    let scene = Scene::new();
    let mut node = scene.serving_node("alone");
    let (mut acknowledged, mut last) = (Vec::new(), serial(&node));
    for round in 0..KILLS {
        let (data, count) = (node.data.clone(), Arc::new(AtomicU64::new(0)));
        let done_so_far = count.clone();
        let editor = std::thread::spawn(move || {
            let mut done = Vec::new();
            for i in 0.. {
                let owner = format!("r{round}e{i}");
                let edit = ["record", "add", ORIGIN, &owner, "A", "192.0.2.7", "--control", text(&data)];
                if !run(PROGRAM, &edit).status.success() {
                    return done;
                }
                done.push(owner);
                count.fetch_add(1, Ordering::Relaxed);
            }
            done
        });
        // Somewhere in the course of an edit that follows.
        until("some edits to be made", || done_so_far.load(Ordering::Relaxed) > round % 3);
        std::thread::sleep(std::time::Duration::from_millis(round * 7 % 50));
        node.kill();
        acknowledged.extend(editor.join().expect("it ends with the node"));
        node.start();
        until("the zone to be served", || !lookup(node.dns, "ns1.example.test.", RecordType::A).is_empty());
        let now = serial(&node);
        assert!(now >= last, "serial {now} after {last}");
        last = now;
        for owner in &acknowledged {
            let found = lookup(node.dns, &format!("{owner}.{ORIGIN}."), RecordType::A);
            assert_eq!(found, ["192.0.2.7"], "{owner} was acknowledged before kill {round}");
        }
    }
    println!("{KILLS} kills, {} edits acknowledged, none lost", acknowledged.len());
    assert!(acknowledged.len() as u64 > KILLS);
    assert!(!node.log().contains("ERROR"), "{}", node.log());
}
