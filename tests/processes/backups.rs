//! Data directories that are backed up and restored, copied, and put back to an earlier state.

use std::fs;

use hickory_server::proto::rr::RecordType;

use super::client::lookup;
use super::cluster::Cluster;
use super::harness::{Node, ORIGIN, PROGRAM, Scene, ZONE, run, said, text, until};

fn actor(node: &Node) -> Option<String> {
    node.status()["actor"].as_str().map(str::to_owned)
}

/// Adds a record and waits until all live members have it.
fn add(node: &Node, owner: &str) {
    node.told(&["record", "add", ORIGIN, owner, "A", "192.0.2.99", "--wait", "all"]);
}

fn has(node: &Node, owner: &str) -> bool {
    lookup(node.dns, &format!("{owner}.{ORIGIN}."), RecordType::A) == ["192.0.2.99"]
}

#[test]
fn a_backup_taken_while_edits_go_on_becomes_a_node_of_its_own() {
    let scene = Scene::new();
    let node = scene.serving_node("original");
    for i in 0..5 {
        add(&node, &format!("before{i}"));
    }
    let file = scene.path("cluster.bak");
    let told = std::thread::scope(|scope| {
        let editor = scope.spawn(|| (0..10).for_each(|i| add(&node, &format!("during{i}"))));
        let told = node.told(&["backup", text(&file)]);
        editor.join().expect("edits go on");
        told
    });
    assert!(told.contains("example.test. serial 20260101"), "{told}");
    assert!(told.contains("1 zone, ") && told.contains("from original of cluster grapevine: written"), "{told}");
    assert!(!scene.path("cluster.bak.part").exists());
    add(&node, "after");

    let mut restored = scene.node("restored");
    fs::remove_dir(&restored.data).expect("it is empty");
    let listed = run(PROGRAM, &["restore", text(&file), "--list", "--json"]);
    let listed: serde_json::Value = serde_json::from_slice(&listed.stdout).expect("JSON");
    let output = run(PROGRAM, &["restore", text(&file), "--data", text(&restored.data)]);
    assert!(output.status.success(), "{}", said(&output));
    let again = run(PROGRAM, &["restore", text(&file), "--data", text(&restored.data)]);
    assert_eq!(again.status.code(), Some(1), "{}", said(&again));
    assert!(said(&again).contains("is not empty"), "{}", said(&again));
    // By itself it serves what was backed up, all of one moment, and takes edits.
    restored.start();
    until("the zone to be served", || has(&restored, "before4"));
    assert!(!has(&restored, "after"));
    let serial = &listed["zones"][0]["serial"];
    until("the serial of the backup", || restored.zone(ORIGIN).is_some_and(|zone| zone["serial"] == *serial));
    let during = (0..10).map(|i| has(&restored, &format!("during{i}"))).collect::<Vec<_>>();
    assert!(during.is_sorted_by(|a, b| a >= b), "a later edit without an earlier one: {during:?}");
    add(&restored, "own");
    until("it to be an actor of its own", || actor(&restored).is_some_and(|own| Some(own) != actor(&node)));
    restored.terminate();
    // And it may join the one that it was taken from: nothing is lost on either side, and no number counts twice.
    let mut restored = restored.joining(&node);
    restored.start();
    until("both to have all", || has(&node, "own") && has(&restored, "after") && has(&restored, "during9"));
    for log in [node.log(), restored.log()] {
        assert!(!log.contains("ERROR"), "{log}");
    }
}

#[test]
fn a_stopped_node_is_backed_up_from_its_directory_and_a_running_one_is_not() {
    let scene = Scene::new();
    let mut node = scene.serving_node("alone");
    let file = scene.path("offline.bak");
    let data = node.data.clone();
    let offline = ["backup", text(&file), "--data", text(&data)];
    let refused = run(PROGRAM, &offline);
    assert_eq!(refused.status.code(), Some(1), "{}", said(&refused));
    assert!(said(&refused).contains("in use by another grapevine"), "{}", said(&refused));
    assert!(!file.exists());
    node.terminate();
    let output = run(PROGRAM, &offline);
    assert!(output.status.success() && said(&output).contains("a stopped node"), "{}", said(&output));
    let mut bytes = fs::read(&file).expect("the backup");
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(&file, bytes).expect("the backup");
    let refused = run(PROGRAM, &["restore", text(&file), "--data", text(&scene.path("new"))]);
    assert_eq!(refused.status.code(), Some(1), "{}", said(&refused));
    assert!(said(&refused).contains("damaged") && !scene.path("new").exists(), "{}", said(&refused));
}

#[test]
fn a_whole_cluster_comes_back_from_one_backup() {
    let scene = Scene::new();
    let node = scene.serving_node("lost");
    add(&node, "kept");
    let file = scene.path("all.bak");
    node.told(&["backup", text(&file)]);
    drop(node);
    let mut first = scene.node("first");
    let output = run(PROGRAM, &["restore", text(&file), "--data", text(&first.data)]);
    assert!(output.status.success(), "{}", said(&output));
    first.start();
    let mut second = scene.node("second").joining(&first);
    second.start();
    until("both to serve it", || has(&first, "kept") && has(&second, "kept"));
    until("both to have its file", || first.file(ORIGIN).exists() && second.file(ORIGIN).exists());
    add(&second, "new");
    assert!(has(&first, "new") && first.read_file(ORIGIN).contains("kept"));
}

#[test]
fn a_copied_data_directory_beside_the_original_edits_as_another() {
    let mut cluster = Cluster::start(2);
    add(&cluster.nodes[1], "first");
    cluster.nodes[1].terminate();
    let scene = Scene::new();
    let mut clone = scene.node("clone").joining(&cluster.nodes[0]);
    clone.key.clone_from(&cluster.nodes[0].key);
    fs::copy(cluster.nodes[1].data.join("grapevine.redb"), clone.data.join("grapevine.redb")).expect("a copy");
    cluster.nodes[1].start();
    clone.start();
    assert!(clone.log().contains("this data directory is a copy"), "{}", clone.log());
    assert!(!cluster.nodes[1].log().contains("is a copy"));
    until("all to be there", || cluster.nodes[0].sees_alive(3) && clone.sees_alive(3));
    add(&clone, "there");
    add(&cluster.nodes[1], "here");
    cluster.nodes.push(clone);
    cluster.await_equal();
    assert!(cluster.nodes.iter().all(|node| has(node, "there") && has(node, "here")));
    assert_ne!(actor(&cluster.nodes[1]), actor(&cluster.nodes[2]));
    assert!(cluster.nodes.iter().all(|node| !node.log().contains("ERROR")));
}

/// As a snapshot of a virtual machine does: the same file with the bytes of yesterday.
#[test]
fn a_node_put_back_in_place_notices_and_uses_no_number_twice() {
    let mut cluster = Cluster::start(3);
    add(&cluster.nodes[1], "first");
    until("it to be an actor", || actor(&cluster.nodes[1]).is_some());
    let before = actor(&cluster.nodes[1]);
    cluster.nodes[1].terminate();
    let file = cluster.nodes[1].data.join("grapevine.redb");
    let yesterday = fs::read(&file).expect("the store");
    cluster.nodes[1].start();
    add(&cluster.nodes[1], "second");
    add(&cluster.nodes[1], "third");
    cluster.nodes[1].kill();
    fs::write(&file, yesterday).expect("the store");
    cluster.nodes[1].start();
    until("it to be noticed", || cluster.nodes[1].log().contains("this node goes on as a new actor"));
    assert!(!cluster.nodes[1].log().contains("is a copy"));
    cluster.await_equal();
    add(&cluster.nodes[1], "fourth");
    cluster.await_equal();
    for node in &cluster.nodes {
        assert!(["first", "second", "third", "fourth"].iter().all(|owner| has(node, owner)), "{}", node.name);
        assert!(!node.log().contains("ERROR"), "{}", node.log());
    }
    assert_ne!(actor(&cluster.nodes[1]), before);
}

#[test]
fn a_node_does_not_start_where_it_cannot_write() {
    if !super::harness::is_root() {
        return;
    }
    let scene = Scene::new();
    let mut node = scene.node("fixed");
    node.save(ORIGIN, ZONE);
    let data = node.data.display().to_string();
    let script = format!("mount -t tmpfs none {data} && mount -o remount,ro {data} && exec \"$@\"");
    node.wrapper = ["unshare", "-m", "sh", "-c", &script, "sh", PROGRAM].map(str::to_owned).to_vec();
    let (code, log) = node.refuse();
    assert_ne!(code, 0);
    assert!(log.contains("Read-only file system") && log.contains("--data"), "{log}");
}
