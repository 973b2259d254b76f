//! From a file saved on one node to the answers and files of all.

use std::collections::BTreeSet;
use std::fs;
use std::sync::Barrier;
use std::time::Instant;

use hickory_server::proto::op::ResponseCode;
use hickory_server::proto::rr::RecordType;

use super::client::{lookup, rcode};
use super::cluster::Cluster;
use super::harness::{Node, ORIGIN, Scene, ZONE, said, until, wait_for, word};

const EDITS: usize = 100;

/// Adds an address record at the end of the zone's file, and saves it as `sed -i` does.
fn add_address(node: &Node, origin: &str, label: &str, address: &str) {
    let mut text = node.read_file(origin);
    text.push_str(&format!("{label} A {address}\n"));
    node.save(origin, &text);
}

fn address(i: usize) -> String {
    format!("10.0.{}.{}", i / 256, i % 256)
}

#[test]
fn an_edit_saved_on_any_node_is_answered_by_all() {
    let cluster = Cluster::start(5);
    let mut times = Vec::new();
    for i in 0..EDITS {
        let (name, address) = (format!("edit{i}.{ORIGIN}."), address(i));
        add_address(&cluster.nodes[i % 5], ORIGIN, &format!("edit{i}.{ORIGIN}."), &address);
        let saved = Instant::now();
        cluster.await_answer(&name, RecordType::A, &[&address]);
        times.push(saved.elapsed());
    }
    times.sort();
    let (median, p99) = (times[EDITS / 2], times[EDITS * 99 / 100 - 1]);
    println!("{EDITS} edits over 5 nodes, from the save to the answers of all: median {median:?}, p99 {p99:?}");
    cluster.await_equal();
    cluster.await_files(ORIGIN);
    let contents: BTreeSet<Vec<String>> =
        cluster.nodes.iter().map(|node| record_lines(&node.read_file(ORIGIN))).collect();
    for node in &cluster.nodes {
        let text = node.read_file(ORIGIN);
        assert_eq!((0..EDITS).filter(|i| text.contains(&address(*i))).count(), EDITS, "in the file of {}", node.name);
    }
    assert!(contents.iter().all(|lines| lines.len() >= EDITS));
}

fn record_lines(text: &str) -> Vec<String> {
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with(';'));
    lines.map(str::to_owned).collect()
}

#[test]
fn two_files_edited_at_once_both_count_on_all_nodes() {
    let cluster = Cluster::start(3);
    let start = Barrier::new(2);
    std::thread::scope(|scope| {
        for (node, last) in [(&cluster.nodes[0], 100), (&cluster.nodes[1], 101)] {
            let start = &start;
            scope.spawn(move || {
                let text = node.read_file(ORIGIN);
                let edited = format!("{text}www A 192.0.2.{last}\n{} A 192.0.2.{last}\n", node.name);
                start.wait();
                node.save(ORIGIN, &edited);
            });
        }
    });
    cluster.await_answer("www.example.test.", RecordType::A, &["192.0.2.100", "192.0.2.101", "192.0.2.80"]);
    cluster.await_answer("node1.example.test.", RecordType::A, &["192.0.2.100"]);
    cluster.await_answer("node2.example.test.", RecordType::A, &["192.0.2.101"]);
    cluster.await_equal();
    cluster.await_files(ORIGIN);
    for node in &cluster.nodes {
        let text = node.read_file(ORIGIN);
        assert!(text.contains("192.0.2.100") && text.contains("192.0.2.101"), "{text}");
    }
}

#[test]
fn an_editor_that_was_open_while_another_edit_came_undoes_nothing() {
    let cluster = Cluster::start(2);
    let [here, there] = &cluster.nodes[..] else { panic!("two nodes") };
    let opened = here.read_file(ORIGIN);
    there.sed(ORIGIN, "s/192.0.2.25/192.0.2.26/");
    cluster.await_answer("mail.example.test.", RecordType::A, &["192.0.2.26"]);
    cluster.await_files(ORIGIN);
    here.save(ORIGIN, &opened.replace("\"first\"", "\"second\""));
    cluster.await_answer("note.example.test.", RecordType::TXT, &["second"]);
    cluster.await_answer("mail.example.test.", RecordType::A, &["192.0.2.26"]);
    cluster.await_equal();
    cluster.await_files(ORIGIN);
    for node in &cluster.nodes {
        let text = node.read_file(ORIGIN);
        assert!(text.contains("192.0.2.26") && !text.contains("192.0.2.25") && text.contains("\"second\""), "{text}");
    }
}

#[test]
fn comments_and_layout_of_other_nodes_files_stay_but_for_the_lines_that_changed() {
    let cluster = Cluster::start(2);
    let [here, there] = &cluster.nodes[..] else { panic!("two nodes") };
    // The file that a node received has no comments; a person there lays it out as the first one is.
    let marker = |text: &str| text.lines().find(|line| line.starts_with("; grapevine: ")).expect("a marker").to_owned();
    let own = format!("{}\n{}", marker(&there.read_file(ORIGIN)), ZONE.replace("by hand", "with care"));
    let serial = there.zone(ORIGIN).expect("the zone")["serial"].to_string();
    there.save(ORIGIN, &own.replace("2026010100", &serial));
    until("the file to be taken over as it is", || there.read_file(ORIGIN).contains("with care"));
    cluster.await_equal();
    cluster.await_files(ORIGIN);
    let before = there.read_file(ORIGIN);

    here.sed(ORIGIN, "s/192.0.2.80/192.0.2.81/; /^mail/d");
    here.sed(ORIGIN, "s/10 mail/10 www/");
    cluster.await_answer("example.test.", RecordType::MX, &["10 www.example.test."]);
    cluster.await_answer("www.example.test.", RecordType::A, &["192.0.2.81"]);
    cluster.await_equal();
    cluster.await_files(ORIGIN);
    let after = there.read_file(ORIGIN);
    let lines = |text: &str| -> Vec<String> { text.lines().map(str::to_owned).collect() };
    let (gone, come) = difference(&lines(&before), &lines(&after));
    let expected_gone = ["; grapevine: ", "; serial", "192.0.2.80", "192.0.2.25", "10 mail"];
    let expected_come = ["; grapevine: ", "; serial", "192.0.2.81", "10 www"];
    assert!(gone.iter().all(|line| expected_gone.iter().any(|part| line.contains(part))), "gone: {gone:#?}");
    assert!(come.iter().all(|line| expected_come.iter().any(|part| line.contains(part))), "come: {come:#?}");
    assert!(after.contains("www     300 IN  A       192.0.2.81      ; the web server\n"), "{after}");
    assert!(after.contains(";; machines in use\n") && after.contains("with care"), "{after}");
    assert!(after.contains("2h 15m 2w       ; refresh, retry, expire\n"), "{after}");
}

/// The lines that only the one has, and those that only the other has; all others must be in the same order.
fn difference(before: &[String], after: &[String]) -> (Vec<String>, Vec<String>) {
    let only = |these: &[String], those: &[String]| -> Vec<String> {
        these.iter().filter(|line| !those.contains(line)).cloned().collect()
    };
    let common = |these: &[String], those: &[String]| -> Vec<String> {
        these.iter().filter(|line| those.contains(line)).cloned().collect()
    };
    assert_eq!(common(before, after), common(after, before), "what stays keeps its order");
    (only(before, after), only(after, before))
}

#[test]
fn a_bad_save_is_held_with_its_place_while_the_zone_goes_on() {
    let cluster = Cluster::start(2);
    let [here, there] = &cluster.nodes[..] else { panic!("two nodes") };
    let good = here.read_file(ORIGIN);
    let line = 1 + good.lines().position(|line| line.starts_with("www")).expect("the line");
    let bad = good.replace("192.0.2.80 ", "192.0.2.800");
    let column = 1 + bad.lines().nth(line - 1).expect("the line").find("192.0.2.800").expect("the error");
    here.save(ORIGIN, &bad);
    let held = wait_for("the file to be held", || {
        let status = here.status();
        status["held"][0].as_object().cloned().ok_or(status)
    });
    assert_eq!(held["origin"], "example.test.");
    assert_eq!(held["approvable"], false);
    let diagnostic = &held["diagnostics"][0];
    assert_eq!((&diagnostic["line"], &diagnostic["column"]), (&line.into(), &column.into()), "{diagnostic}");
    let place = format!("{}:{line}:{column}", here.file(ORIGIN).display());
    assert!(here.told(&["status"]).contains(&place), "{}", here.told(&["status"]));
    assert!(here.log().contains(&place), "the log names {place}");
    let refused = here.ctl(&["zone", "approve", ORIGIN]);
    assert_eq!(refused.status.code(), Some(4), "{}", said(&refused));
    assert_eq!(here.read_file(ORIGIN), bad, "the person's text stays");
    // The zone is served as it was, and an edit made elsewhere still arrives.
    there.sed(ORIGIN, "s/192.0.2.25/192.0.2.26/");
    cluster.await_answer("mail.example.test.", RecordType::A, &["192.0.2.26"]);
    cluster.await_answer("www.example.test.", RecordType::A, &["192.0.2.80"]);
    assert_eq!(here.read_file(ORIGIN), bad, "the person's text stays");
    here.sed(ORIGIN, "s/192.0.2.800/192.0.2.88/");
    cluster.await_answer("www.example.test.", RecordType::A, &["192.0.2.88"]);
    cluster.await_answer("mail.example.test.", RecordType::A, &["192.0.2.26"]);
    until("nothing to be held", || here.status()["held"].as_array().expect("a list").is_empty());
    cluster.await_files(ORIGIN);
}

#[test]
fn a_file_cut_short_waits_for_approval_and_an_empty_one_for_its_content() {
    let cluster = Cluster::start(2);
    let [here, there] = &cluster.nodes[..] else { panic!("two nodes") };
    let many: String = (0..70).map(|i| format!("host{i} A {}\n", address(i))).collect();
    here.save(ORIGIN, &(here.read_file(ORIGIN) + &many));
    cluster.await_answer("host39.example.test.", RecordType::A, &["10.0.0.39"]);
    cluster.await_equal();
    cluster.await_files(ORIGIN);
    let held = |node: &Node| node.status()["held"].as_array().expect("a list").clone();

    let whole = here.read_file(ORIGIN);
    here.save(ORIGIN, "");
    until("the empty file to be held", || held(here).len() == 1);
    assert_eq!(lookup(there.dns, "host39.example.test.", RecordType::A), ["10.0.0.39"]);
    here.save(ORIGIN, &whole);
    until("nothing to be held", || held(here).is_empty());

    here.sed(ORIGIN, "/^host[1-4]/d");
    let shown = wait_for("the short file to be held", || held(here).first().cloned().ok_or("nothing held"));
    assert_eq!(shown["approvable"], true);
    assert!(word(&shown["reason"]).contains("grapevine zone approve example.test"), "{shown}");
    assert_eq!(lookup(here.dns, "host39.example.test.", RecordType::A), ["10.0.0.39"]);
    here.told(&["zone", "approve", ORIGIN]);
    cluster.await_answer("host39.example.test.", RecordType::A, &[]);
    cluster.await_answer("host0.example.test.", RecordType::A, &["10.0.0.0"]);
    cluster.await_equal();
    cluster.await_files(ORIGIN);

    there.sed(ORIGIN, "/^host/d");
    until("it to be held there", || held(there).len() == 1);
    there.told(&["zone", "reject", ORIGIN]);
    until("the file to be restored", || there.read_file(ORIGIN).contains("host0"));
    assert!(held(there).is_empty());
}

#[test]
fn a_new_file_on_any_node_is_a_new_zone_on_all() {
    let cluster = Cluster::start(3);
    for node in &cluster.nodes {
        let origin = format!("{}.test", node.name);
        node.save(&origin, &ZONE.replace(ORIGIN, &origin));
    }
    for node in &cluster.nodes {
        cluster.await_answer(&format!("www.{}.test.", node.name), RecordType::A, &["192.0.2.80"]);
        cluster.await_files(&format!("{}.test", node.name));
    }
    assert_eq!(cluster.await_equal().len(), 4);
}

#[test]
fn a_zone_made_on_several_nodes_at_once_is_one_zone() {
    let cluster = Cluster::start(3);
    let start = Barrier::new(3);
    std::thread::scope(|scope| {
        for (i, node) in cluster.nodes.iter().enumerate() {
            let start = &start;
            scope.spawn(move || {
                let differing = ZONE.replace(ORIGIN, "differing.test").replace("192.0.2.80", &format!("192.0.2.10{i}"));
                start.wait();
                node.save("same.test", &ZONE.replace(ORIGIN, "same.test"));
                node.save("differing.test", &differing);
            });
        }
    });
    cluster.await_answer("www.same.test.", RecordType::A, &["192.0.2.80"]);
    // Of different zones one is served whole everywhere, whichever it is; nothing is mixed.
    wait_for("all nodes to serve the same", || {
        let served: BTreeSet<Vec<String>> =
            cluster.nodes.iter().map(|node| lookup(node.dns, "www.differing.test.", RecordType::A)).collect();
        if served.len() == 1 && served.iter().all(|rdatas| rdatas.len() == 1) { Ok(()) } else { Err(served) }
    });
    cluster.await_equal();
    for node in &cluster.nodes {
        assert_eq!(node.zone("same.test").expect("the zone")["conflicts"], 0);
    }
}

#[test]
fn only_the_command_deletes_a_zone_and_then_it_is_gone_everywhere() {
    let mut cluster = Cluster::start(3);
    let held = |node: &Node| node.status()["held"].as_array().expect("a list").len();
    fs::remove_file(cluster.nodes[0].file(ORIGIN)).expect("the file");
    fs::remove_dir_all(&cluster.nodes[1].zones).expect("the directory");
    until("the missing file to be shown", || held(&cluster.nodes[0]) == 1);
    until("the missing directory to be shown", || held(&cluster.nodes[1]) == 1);
    cluster.await_answer("www.example.test.", RecordType::A, &["192.0.2.80"]);
    // Not even a restart takes a lost file for a wish.
    cluster.nodes[0].kill();
    cluster.nodes[0].start();
    cluster.await_equal();
    cluster.await_answer("www.example.test.", RecordType::A, &["192.0.2.80"]);

    cluster.nodes[2].told(&["zone", "delete", ORIGIN, "--yes"]);
    for node in &cluster.nodes {
        until("the zone to be gone", || {
            rcode(node.dns, "www.example.test.", RecordType::A) == Some(ResponseCode::Refused)
        });
        until("its file to be gone", || !node.file(ORIGIN).exists());
    }
    // It stays so when a node comes back that did not hear of it.
    cluster.nodes[1].kill();
    cluster.nodes[1].start();
    until("the node to be back", || cluster.nodes[1].sees_alive(3));
    assert!(cluster.nodes.iter().all(|node| node.zone(ORIGIN).is_none()));
    // And a zone of the name can be made again, above the old serials.
    cluster.nodes[0].save(ORIGIN, ZONE);
    cluster.await_answer("www.example.test.", RecordType::A, &["192.0.2.80"]);
    cluster.await_equal();
}

#[test]
fn a_joining_node_answers_from_its_files_until_it_has_the_clusters() {
    let scene = Scene::new();
    let mut seed = scene.node("seed");
    let mut newcomer = scene.node("newcomer").joining(&seed);
    newcomer.save(ORIGIN, &ZONE.replace("192.0.2.80", "192.0.2.99"));
    newcomer.save("brought.test", &ZONE.replace(ORIGIN, "brought.test"));
    newcomer.start();
    let www = |node: &Node, origin: &str| lookup(node.dns, &format!("www.{origin}."), RecordType::A);
    until("its own file to be answered", || www(&newcomer, ORIGIN) == ["192.0.2.99"]);
    until("it to be shown as provisional", || newcomer.zone(ORIGIN).is_some_and(|zone| zone["provisional"] == true));
    assert!(newcomer.told(&["zones"]).contains("provisional"));
    assert_eq!(newcomer.status()["initialised"], false);
    seed.save(ORIGIN, ZONE);
    seed.start();
    until("the cluster's zone to win", || www(&newcomer, ORIGIN) == ["192.0.2.80"]);
    until("the zone that it brought to be taken up", || www(&seed, "brought.test") == ["192.0.2.80"]);
    let orig = newcomer.zones.join("example.test.zone.orig");
    until("its own file to be kept aside", || fs::read_to_string(&orig).is_ok_and(|text| text.contains("192.0.2.99")));
    until("its file to show the cluster's zone", || newcomer.read_file(ORIGIN).contains("192.0.2.80"));
    until("it to be shown as replicated", || newcomer.zone(ORIGIN).is_some_and(|zone| zone["provisional"] == false));
    assert!(newcomer.log().contains("kept aside"));
}

#[test]
fn an_edit_made_while_the_node_was_down_counts_from_its_start() {
    let mut cluster = Cluster::start(3);
    cluster.nodes[2].terminate();
    cluster.nodes[2].sed(ORIGIN, "s/192.0.2.25/192.0.2.26/");
    cluster.nodes[0].sed(ORIGIN, "s/192.0.2.80/192.0.2.81/");
    cluster.await_answer("www.example.test.", RecordType::A, &["192.0.2.81"]);
    cluster.nodes[2].start();
    cluster.await_answer("mail.example.test.", RecordType::A, &["192.0.2.26"]);
    cluster.await_answer("www.example.test.", RecordType::A, &["192.0.2.81"]);
    cluster.await_equal();
    cluster.await_files(ORIGIN);
}
