//! The past of a zone by the command line: who changed what, older versions, and back to them; and what concurrent
//! edits left to settle.

use hickory_server::proto::rr::RecordType;
use serde_json::Value;

use super::client::lookup;
use super::cluster::Cluster;
use super::harness::{Node, ORIGIN, Scene, ZONE, said, text, until, wait_for, word};

fn json(node: &Node, arguments: &[&str]) -> Value {
    serde_json::from_str(&node.told(&[arguments, &["--json"]].concat())).expect("JSON")
}

/// The serial as it is answered; what the status shows may be a moment older.
fn serial(node: &Node) -> u64 {
    let soa = lookup(node.dns, "example.test.", RecordType::SOA);
    let serial = soa.first().and_then(|soa| soa.split_whitespace().nth(2)).expect("an SOA");
    serial.parse().expect("a number")
}

fn log(node: &Node) -> Vec<Value> {
    json(node, &["zone", "log", ORIGIN])["entries"].as_array().expect("a list").clone()
}

fn kinds(node: &Node) -> Vec<String> {
    log(node).iter().map(|entry| word(&entry["what"])).collect()
}

/// The zone as the node printed it, as an own zone file would say it.
fn records(node: &Node, arguments: &[&str]) -> String {
    node.told(&[&["zone", "show", ORIGIN], arguments].concat())
}

fn www(node: &Node) -> Vec<String> {
    lookup(node.dns, "www.example.test.", RecordType::A)
}

#[test]
fn the_log_tells_who_changed_what_and_every_version_can_be_shown_and_gone_back_to() {
    let mut cluster = Cluster::start(2);
    let start = serial(&cluster.nodes[0]);
    let me = String::from_utf8(super::harness::run("id", &["-un"]).stdout).expect("a name").trim().to_owned();
    let mut versions = vec![(start, records(&cluster.nodes[0], &[]))];
    for (author, script, answer) in
        [(0, "s/192.0.2.80/192.0.2.81/", "192.0.2.81"), (1, "s/192.0.2.81/192.0.2.82/", "192.0.2.82")]
    {
        cluster.nodes[author].sed(ORIGIN, script);
        cluster.await_answer("www.example.test.", RecordType::A, &[answer]);
        cluster.await_equal();
        cluster.await_files(ORIGIN);
        versions.push((serial(&cluster.nodes[0]), records(&cluster.nodes[0], &[])));
    }
    for node in &cluster.nodes {
        let entries = log(node);
        assert_eq!(kinds(node), ["edit", "edit", "created"], "{entries:#?}");
        assert_eq!((&entries[0]["node"], &entries[1]["node"]), (&"node2".into(), &"node1".into()));
        assert_eq!((&entries[0]["who"], &entries[0]["via"]), (&me.as_str().into(), &"file".into()));
        assert_eq!(entries[0]["note"], "example.test.zone");
        let changes = &entries[0]["changes"];
        assert_eq!(changes[0], "-www.example.test. 300 IN A 192.0.2.81");
        assert_eq!(changes[1], "+www.example.test. 300 IN A 192.0.2.82");
        for (at, text) in &versions {
            assert_eq!(records(node, &["--at", &at.to_string()]), *text, "{} at {at}", node.name);
        }
        let said = node.told(&["zone", "log", ORIGIN, "-n", "1"]);
        assert!(said.contains(&format!("by {me} on node2, file: example.test.zone (-1 +1)")), "{said}");
    }

    let here = &cluster.nodes[0];
    let ends = [versions[0].0.to_string(), versions[2].0.to_string()];
    let diff = here.told(&["zone", "diff", ORIGIN, &ends[0], &ends[1]]);
    assert!(
        diff.contains("\n-www.example.test. 300 IN A 192.0.2.80\n+www.example.test. 300 IN A 192.0.2.82\n"),
        "{diff}"
    );
    let blame = json(here, &["zone", "blame", ORIGIN, "www.example.test"]);
    let record = &blame["records"][0];
    assert_eq!((&record["serial"], &record["edit"]["node"]), (&versions[2].0.into(), &"node2".into()), "{blame}");
    let whole = here.told(&["zone", "blame", ORIGIN]);
    assert!(whole.contains("with the zone's first content"), "{whole}");

    let missing = here.ctl(&["zone", "show", ORIGIN, "--at", "4000000000"]);
    assert_eq!(missing.status.code(), Some(4));
    assert!(said(&missing).contains(&format!("nearest that it can show: {}", versions[2].0)), "{}", said(&missing));

    let plan = here.told(&["zone", "rollback", ORIGIN, &ends[0], "--dry-run"]);
    assert!(
        plan.contains("+www.example.test. 300 IN A 192.0.2.80\n") && plan.contains("nothing was changed"),
        "{plan}"
    );
    let done = here.told(&["zone", "rollback", ORIGIN, &ends[0]]);
    assert!(done.contains(&format!("its serial is now {}", versions[2].0 + 1)), "{done}");
    cluster.await_answer("www.example.test.", RecordType::A, &["192.0.2.80"]);
    cluster.await_equal();
    let entry = &log(&cluster.nodes[1])[0];
    assert_eq!((&entry["note"], &entry["who"]), (&format!("rollback to serial {}", ends[0]).into(), &me.into()));

    // The history survives kills, without a gap.
    let before = log(&cluster.nodes[0]);
    cluster.nodes[0].kill();
    cluster.nodes[0].start();
    assert_eq!(log(&cluster.nodes[0]), before);
    assert_eq!(records(&cluster.nodes[0], &["--at", &ends[1]]), versions[2].1);
}

#[test]
fn a_deleted_zone_has_its_log_and_can_be_brought_back_from_it() {
    let scene = Scene::new();
    let node = scene.serving_node("node1");
    let last = serial(&node);
    let text = records(&node, &[]);
    node.told(&["zone", "delete", ORIGIN, "--yes"]);
    assert_eq!(kinds(&node), ["deleted", "created"]);
    assert_eq!(records(&node, &["--at", &last.to_string()]), text);
    let refused = node.ctl(&["zone", "rollback", ORIGIN, &last.to_string()]);
    assert_eq!(refused.status.code(), Some(4));
    assert!(said(&refused).contains("zone show"), "{}", said(&refused));
    until("the file to be put aside", || !node.file(ORIGIN).exists());
    node.save(ORIGIN, &text);
    until("the zone to be back", || www(&node) == ["192.0.2.80"]);
    assert_eq!(kinds(&node), ["created", "deleted", "created"]);
    let none = node.ctl(&["zone", "log", "never.test"]);
    assert_eq!(none.status.code(), Some(4), "{}", said(&none));
}

#[test]
fn a_shadowed_record_is_listed_with_what_is_served_instead_and_settled_by_an_edit() {
    let mut cluster = Cluster::start(2);
    let save = |node: &Node, line: &str| node.save(ORIGIN, &(node.read_file(ORIGIN) + line));
    cluster.nodes[1].kill();
    save(&cluster.nodes[0], "alias.example.test. 60 A 192.0.2.9\n");
    let alias = |node: &Node, rtype| lookup(node.dns, "alias.example.test.", rtype);
    until("the address", || alias(&cluster.nodes[0], RecordType::A) == ["192.0.2.9"]);
    cluster.nodes[0].kill();
    cluster.nodes[1].start();
    save(&cluster.nodes[1], "alias.example.test. 60 CNAME www\n");
    until("the alias", || !alias(&cluster.nodes[1], RecordType::CNAME).is_empty());
    assert_eq!(cluster.nodes[1].told(&["conflicts"]), "no conflicts\n");
    cluster.nodes[0].start();
    cluster.await_equal();
    for node in &cluster.nodes {
        let zone = &json(node, &["conflicts"])["zones"][0];
        let shadowed = &zone["shadowed"][0];
        assert_eq!((&zone["origin"], &zone["shadowed_count"]), (&"example.test.".into(), &1.into()));
        assert_eq!(shadowed["record"], "alias.example.test. 60 IN A 192.0.2.9");
        assert_eq!(shadowed["edit"]["node"], "node1");
        assert_eq!(shadowed["instead"][0]["record"], "alias.example.test. 60 IN CNAME www.example.test.");
        let restore = "grapevine record delete example.test. 'alias.example.test. CNAME www.example.test.'";
        assert_eq!(shadowed["restore"][0], restore);
        let said = node.told(&["conflicts"]);
        assert!(said.contains("not served: alias.example.test. 60 IN A 192.0.2.9") && said.contains(restore), "{said}");
    }
    cluster.await_files(ORIGIN);
    cluster.nodes[0].sed(ORIGIN, "/^alias.*CNAME/d");
    cluster.await_answer("alias.example.test.", RecordType::A, &["192.0.2.9"]);
    assert_eq!(cluster.nodes[1].told(&["conflicts"]), "no conflicts\n");
}

#[test]
fn of_two_clusters_joined_the_incarnation_that_lost_can_be_read_and_dropped() {
    let scene = Scene::new();
    let mut one = scene.serving_node("one");
    let mut two = scene.node("two");
    two.save(ORIGIN, &ZONE.replace("192.0.2.80", "192.0.2.99").replace("2026010100", "2026010105"));
    two.start();
    until("the other zone", || www(&two) == ["192.0.2.99"]);
    one.terminate();
    let gossip = two.gossip;
    one = one.flag("--join", gossip);
    one.start();
    wait_for("the higher serial to win on both", || {
        let found = (www(&one), www(&two));
        if found.0 == ["192.0.2.99"] && found.0 == found.1 { Ok(()) } else { Err(found) }
    });
    for node in [&one, &two] {
        let others = wait_for("the other incarnation to be here", || {
            let zone = json(node, &["conflicts"])["zones"][0].clone();
            if zone["others"][0]["records"].is_number() { Ok(zone["others"].clone()) } else { Err(zone) }
        });
        let id = word(&others[0]["incarnation"]);
        assert!(records(node, &["--incarnation", &id]).contains("192.0.2.80"), "{others}");
    }
    assert!(kinds(&one).contains(&"switched".to_owned()), "{:?}", kinds(&one));
    let zone = &json(&one, &["conflicts"])["zones"][0];
    let served = word(&zone["served"]["incarnation"]);
    let refused = one.ctl(&["zone", "drop", ORIGIN, &served]);
    assert_eq!(refused.status.code(), Some(4), "{}", said(&refused));
    let id = word(&zone["others"][0]["incarnation"]);
    one.told(&["zone", "drop", ORIGIN, &id[..8]]);
    for node in [&one, &two] {
        until("no conflict to be left", || node.told(&["conflicts"]) == "no conflicts\n");
        assert_eq!(www(node), ["192.0.2.99"]);
    }
}

#[test]
fn the_history_keeps_no_more_than_it_is_told_to() {
    let scene = Scene::new();
    let mut node = scene.node("node1");
    let config = scene.path("node1.toml");
    std::fs::write(&config, "[history]\nedits = 3\n").expect("writable");
    node = node.flag("--config", text(&config));
    node.save(ORIGIN, ZONE);
    node.start();
    until("the zone", || www(&node) == ["192.0.2.80"]);
    let first = serial(&node);
    for last in 81..90 {
        node.save(ORIGIN, &ZONE.replace("192.0.2.80", &format!("192.0.2.{last}")));
        until("the edit", || www(&node) == [format!("192.0.2.{last}")]);
    }
    assert_eq!(kinds(&node), ["edit", "edit", "edit"]);
    let refused = node.ctl(&["zone", "show", ORIGIN, "--at", &first.to_string()]);
    assert_eq!(refused.status.code(), Some(4));
    assert!(said(&refused).contains("nearest"), "{}", said(&refused));
}
