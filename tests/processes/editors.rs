//! Zone files as people and tools save them: each habit is one edit, and nothing that only looks like a save is any.

use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::sync::Barrier;
use std::time::{Duration, Instant};

use hickory_server::proto::rr::RecordType;
use serde_json::Value;

use super::client::lookup;
use super::cluster::Cluster;
use super::harness::{Node, ORIGIN, Scene, ZONE, run, said, text, until, wait_for, word};

fn serial(node: &Node) -> u64 {
    node.zone(ORIGIN).and_then(|zone| zone["serial"].as_u64()).unwrap_or_default()
}

fn answers(node: &Node, label: &str) -> Vec<String> {
    lookup(node.dns, &format!("{label}.{ORIGIN}."), RecordType::A)
}

fn held(node: &Node) -> Vec<Value> {
    node.status()["held"].as_array().expect("a list").clone()
}

/// Passes once all that was saved before has been dealt with: an edit of another zone goes the whole way.
fn barrier(node: &Node) {
    let number = node.status()["zones"].as_array().expect("a list").len();
    let origin = format!("barrier{number}.test");
    node.save(&origin, &ZONE.replace(ORIGIN, &origin));
    until("a later save to be taken", || !lookup(node.dns, &format!("www.{origin}."), RecordType::A).is_empty());
    until("and written back", || node.read_file(&origin).contains("; grapevine:"));
}

/// Waits until the file shows the zone as it is served, so that the next program starts from there.
fn written_back(node: &Node) {
    wait_for("the file to be written back", || {
        let (zone, file) = (node.zone(ORIGIN).ok_or("no zone")?, node.read_file(ORIGIN));
        let marker = format!("; grapevine: {} {}", zone["serial"], word(&zone["version"]));
        if file.lines().any(|line| line == marker) { Ok(()) } else { Err("another version") }
    });
}

/// Runs a script in the zone directory.
fn shell(node: &Node, script: &str) {
    let output = run("sh", &["-ec", &format!("cd '{}'\n{script}", text(&node.zones))]);
    assert!(output.status.success(), "{script}: {}", said(&output));
}

/// What a program does to save a file with one line more, by a script that is given the line.
const HABITS: &[(&str, &str)] = &[
    ("sed", "sed -i '$ a LINE' example.test.zone"),
    ("sed-backup", "sed -i.bak '$ a LINE' example.test.zone"),
    ("ed", "printf '$\\na\\nLINE\\n.\\nw\\nq\\n' | ed -s example.test.zone"),
    (
        "vim-rename",
        "vim -Nu NONE -i NONE -es -c 'set backup writebackup backupcopy=no swapfile' -c 'call append(\"$\", \"LINE\")' -c wq example.test.zone",
    ),
    (
        "vim-copy",
        "vim -Nu NONE -i NONE -es -c 'set backup writebackup backupcopy=yes swapfile' -c 'call append(\"$\", \"LINE\")' -c wq example.test.zone",
    ),
    // Emacs: a lock beside the file, what was typed so far, and the old text under another name while the new is written.
    (
        "emacs",
        "ln -s person@machine.1:1 '.#example.test.zone'
         cp example.test.zone '#example.test.zone#'; echo 'LINE' >>'#example.test.zone#'
         mv example.test.zone example.test.zone~
         cat example.test.zone~ >example.test.zone; echo 'LINE' >>example.test.zone
         rm '#example.test.zone#' '.#example.test.zone'",
    ),
    ("append", "echo 'LINE' >>example.test.zone"),
    ("copy", "cp -p example.test.zone ../new; echo 'LINE' >>../new; cp ../new example.test.zone"),
    // With a time of long ago, as an archive or a checkout brings it.
    (
        "move",
        "cp example.test.zone ../new; echo 'LINE' >>../new; touch -d 2001-01-01 ../new; mv ../new example.test.zone",
    ),
    ("rsync", "cp example.test.zone ../new; echo 'LINE' >>../new; rsync -t ../new example.test.zone"),
    ("rsync-inplace", "cp example.test.zone ../new; echo 'LINE' >>../new; rsync --inplace ../new example.test.zone"),
    (
        "rsync-directory",
        "rm -rf ../tree; mkdir ../tree; cp example.test.zone ../tree; echo 'LINE' >>../tree/example.test.zone
         rsync -a --delay-updates ../tree/ ./",
    ),
];

#[test]
fn a_save_in_any_programs_way_is_one_edit() {
    let scene = Scene::new();
    let node = scene.serving_node("node");
    for (number, (habit, script)) in HABITS.iter().enumerate() {
        written_back(&node);
        let before = serial(&node);
        let address = format!("10.1.0.{number}");
        shell(&node, &script.replace("LINE", &format!("{habit} A {address}")));
        until(&format!("what {habit} saved to be served"), || answers(&node, habit) == [address.as_str()]);
        written_back(&node);
        barrier(&node);
        // What is answered is counted a moment later.
        until("the edit to be counted", || serial(&node) > before);
        assert_eq!(serial(&node), before + 1, "{habit} makes one edit");
        assert_eq!(held(&node), Vec::<Value>::new(), "{habit}");
    }
    assert!(HABITS.iter().all(|(habit, _)| !answers(&node, habit).is_empty()), "none undid another");
    // Copies that programs left behind are no zones.
    assert!(node.zones.join("example.test.zone~").exists() && node.zones.join("example.test.zone.bak").exists());
    let zones = || node.status()["zones"].as_array().expect("a list").len();
    until("no zone to be there but the example and one for each barrier", || zones() == 1 + HABITS.len());
}

/// Another zone behind a link, and the link moved: a change that the system gives no hint of, so that it takes the node
/// some time to find it. Returns how long.
fn unseen_change(node: &Node, version: usize) -> Duration {
    let directory = node.zones.join(format!("v{version}"));
    fs::create_dir(&directory).expect("the directory is ours");
    let zone = ZONE.replace(ORIGIN, "linked.test").replace("192.0.2.80", &format!("10.2.1.{version}"));
    fs::write(directory.join("zone"), zone).expect("the directory is ours");
    let began = Instant::now();
    symlink(&directory, node.zones.join("next")).expect("the directory is ours");
    fs::rename(node.zones.join("next"), node.zones.join("data")).expect("the directory is ours");
    until("the change to be found", || {
        lookup(node.dns, "www.linked.test.", RecordType::A) == [format!("10.2.1.{version}")]
    });
    began.elapsed()
}

#[test]
fn a_writer_that_stops_to_think_is_waited_for() {
    let scene = Scene::new();
    let node = scene.serving_node("node");
    symlink("data/zone", node.zones.join("linked.test.zone")).expect("the directory is ours");
    unseen_change(&node, 0);
    for version in 1.. {
        written_back(&node);
        let (whole, before) = (node.read_file(ORIGIN), serial(&node));
        let half = whole.find("mail ").expect("the record");
        // A script that prints the zone into its file: what is there meanwhile is a legal zone, but for its end.
        let mut file = File::create(node.file(ORIGIN)).expect("the file is ours");
        file.write_all(&whole.as_bytes()[..half]).expect("room");
        let pause = unseen_change(&node, version);
        file.write_all(&whole.as_bytes()[half..]).expect("room");
        writeln!(file, "whole{version} A 10.2.0.1").expect("room");
        drop(file);
        until("the whole to be served", || answers(&node, &format!("whole{version}")) == ["10.2.0.1"]);
        assert!(!answers(&node, "mail").is_empty());
        // A pause that was too short shows nothing, and a longer one than any writer is given must not be judged.
        if (Duration::from_secs(1)..Duration::from_secs(4)).contains(&pause) {
            // What is answered is counted a moment later.
            until("the edit to be counted", || serial(&node) > before);
            assert_eq!((serial(&node), held(&node).len()), (before + 1, 0), "one edit, and nothing was held");
            return;
        }
    }
}

#[test]
fn a_release_that_a_link_is_moved_to_is_followed() {
    let scene = Scene::new();
    let mut node = scene.node("node");
    for (release, address) in [("1", "192.0.2.80"), ("2", "192.0.2.81"), ("3", "192.0.2.82")] {
        let directory = node.home.join(format!("release{release}"));
        fs::create_dir(&directory).expect("the directory is ours");
        let zone = ZONE.replace("192.0.2.80", address);
        fs::write(directory.join("example.test.zone"), zone).expect("the directory is ours");
    }
    fs::remove_dir(&node.zones).expect("it is empty");
    symlink("release1", &node.zones).expect("the directory is ours");
    node.start();
    until("the first release to be served", || answers(&node, "www") == ["192.0.2.80"]);
    for (release, address) in [("2", "192.0.2.81"), ("3", "192.0.2.82")] {
        // As a deployment does: a new link takes the place of the old one.
        symlink(format!("release{release}"), node.home.join("next")).expect("the directory is ours");
        fs::rename(node.home.join("next"), &node.zones).expect("the directory is ours");
        until("the next release to be served", || answers(&node, "www") == [address]);
        written_back(&node);
        // And a save in it is seen as anywhere.
        node.sed(ORIGIN, &format!("$ a in{release} A 10.3.0.{release}"));
        until("a save in it to be served", || !answers(&node, &format!("in{release}")).is_empty());
    }
    assert_eq!(held(&node), Vec::<Value>::new());
}

#[test]
fn files_behind_links_within_the_directory_are_followed_when_a_link_moves() {
    let scene = Scene::new();
    let mut node = scene.node("node");
    // As a container's volume does: the file is a link through a link to a directory that is exchanged.
    for (version, address) in [("v1", "192.0.2.80"), ("v2", "192.0.2.81")] {
        fs::create_dir(node.zones.join(version)).expect("the directory is ours");
        let zone = ZONE.replace("192.0.2.80", address);
        fs::write(node.zones.join(version).join("zone"), zone).expect("the directory is ours");
    }
    symlink("v1", node.zones.join("..data")).expect("the directory is ours");
    symlink("..data/zone", node.file(ORIGIN)).expect("the directory is ours");
    node.start();
    until("the first version to be served", || answers(&node, "www") == ["192.0.2.80"]);
    written_back(&node);
    symlink("v2", node.zones.join("..next")).expect("the directory is ours");
    fs::rename(node.zones.join("..next"), node.zones.join("..data")).expect("the directory is ours");
    until("the next version to be served", || answers(&node, "www") == ["192.0.2.81"]);
    written_back(&node);
    assert!(fs::symlink_metadata(node.file(ORIGIN)).expect("the link").is_symlink(), "the link stays");
}

#[test]
fn a_tree_of_included_files_is_edited_and_written_back_where_the_records_are() {
    let cluster = Cluster::start(2);
    let [here, there] = &cluster.nodes[..] else { panic!("two nodes") };
    let part = |path: &str| here.zones.join(path);
    fs::create_dir_all(part("parts/rack")).expect("the directory is ours");
    fs::write(part("parts/hosts"), "; hosts\nhost1 A 10.4.0.1 ; one\n$INCLUDE rack/nine\n").expect("ours");
    fs::write(part("parts/rack/nine"), "; rack nine\nhost9 A 10.4.0.9\n").expect("ours");
    here.sed(ORIGIN, "$ a $INCLUDE parts/hosts");
    cluster.await_answer("host9.example.test.", RecordType::A, &["10.4.0.9"]);
    cluster.await_files(ORIGIN);
    // A save deep in the tree is an edit.
    let output = run("sed", &["-i", "s/10.4.0.9/10.4.0.90/", text(&part("parts/rack/nine"))]);
    assert!(output.status.success());
    cluster.await_answer("host9.example.test.", RecordType::A, &["10.4.0.90"]);
    // An edit made elsewhere goes to where the record is.
    there.told(&["record", "replace", ORIGIN, "host1", "A", "10.4.0.100"]);
    there.told(&["record", "replace", ORIGIN, "host9", "A", "10.4.0.99"]);
    let read = |path: &str| fs::read_to_string(part(path)).unwrap_or_default();
    until("it to be written back there", || read("parts/rack/nine") == "; rack nine\nhost9 A 10.4.0.99\n");
    until("and here", || read("parts/hosts") == "; hosts\nhost1 A 10.4.0.100 ; one\n$INCLUDE rack/nine\n");
    cluster.await_files(ORIGIN);
    // A mistake in it is shown with its own place, and a part that is gone takes nothing with it.
    fs::write(part("parts/rack/nine"), "; rack nine\nhost9 A 10.4.0.999\n").expect("ours");
    let shown = wait_for("the mistake to be shown", || held(here).first().cloned().ok_or("nothing held"));
    assert!(word(&shown["reason"]).contains("parts/rack/nine:2:"), "{shown}");
    fs::remove_file(part("parts/rack/nine")).expect("ours");
    let gone = |held: &[Value]| held.iter().any(|held| word(&held["reason"]).contains("No such file"));
    until("the missing part to be shown", || gone(&held(here)));
    cluster.await_answer("host9.example.test.", RecordType::A, &["10.4.0.99"]);
    fs::write(part("parts/rack/nine"), "host9 A 10.4.0.98\n").expect("ours");
    cluster.await_answer("host9.example.test.", RecordType::A, &["10.4.0.98"]);
    assert!(held(here).is_empty());
    cluster.await_equal();
}

#[test]
fn a_serial_raised_by_a_person_counts_and_a_lowered_one_is_explained() {
    let cluster = Cluster::start(2);
    let [here, there] = &cluster.nodes[..] else { panic!("two nodes") };
    here.sed(ORIGIN, "s/^ .*; serial$/ 2030010100 ; serial/");
    until("the serial to be everywhere", || serial(there) == 2_030_010_100);
    cluster.await_files(ORIGIN);
    here.sed(ORIGIN, "s/2030010100 ; serial$/17 ; serial/");
    until("the file to be put right", || here.read_file(ORIGIN).contains("2030010100 ; serial"));
    assert!(here.log().contains("the file's serial was lowered"), "{}", here.log());
    assert_eq!([serial(here), serial(there)], [2_030_010_100; 2]);
    // An edit under a lowered serial counts all the same.
    here.sed(ORIGIN, "s/2030010100 ; serial$/17 ; serial/; s/192.0.2.80/192.0.2.83/");
    cluster.await_answer("www.example.test.", RecordType::A, &["192.0.2.83"]);
    until("the serial to go on", || [serial(here), serial(there)] == [2_030_010_101; 2]);
    cluster.await_files(ORIGIN);
}

#[test]
fn a_held_file_stays_held_over_a_crash_until_a_person_decides() {
    let scene = Scene::new();
    let mut node = scene.serving_node("node");
    let hosts: String = (0..60).map(|i| format!("host{i} A 10.5.0.{i}\n")).collect();
    node.save(ORIGIN, &(node.read_file(ORIGIN) + &hosts));
    until("the hosts to be served", || answers(&node, "host59") == ["10.5.0.59"]);
    written_back(&node);
    for decision in ["reject", "approve"] {
        node.sed(ORIGIN, "/^host[1-4]/d");
        until("the short file to be held", || held(&node).len() == 1);
        node.kill();
        node.start();
        until("it to be held again", || held(&node).len() == 1);
        assert_eq!(answers(&node, "host40"), ["10.5.0.40"], "the zone is served as it was");
        node.told(&["zone", decision, ORIGIN]);
        let left = if decision == "approve" { Vec::new() } else { vec!["10.5.0.40".to_owned()] };
        until("the decision to count", || answers(&node, "host40") == left && held(&node).is_empty());
        written_back(&node);
        assert_eq!(node.read_file(ORIGIN).contains("host40"), decision == "reject");
    }
}

/// The same file, put onto all nodes at one moment by a tool that knows nothing of markers.
fn deploy(nodes: &[Node], zone: &str) {
    let start = Barrier::new(nodes.len());
    std::thread::scope(|scope| {
        for node in nodes {
            let start = &start;
            scope.spawn(move || {
                start.wait();
                node.save(ORIGIN, zone);
            });
        }
    });
}

#[test]
fn the_same_file_deployed_to_all_nodes_at_once_makes_neither_conflict_nor_storm() {
    let cluster = Cluster::start(3);
    let records = cluster.nodes[0].zone(ORIGIN).expect("the zone")["records"].clone();
    for round in 1..=5 {
        let before = serial(&cluster.nodes[0]);
        let written: Vec<u64> = cluster.nodes.iter().map(|node| node.metric("files_written")).collect();
        let address = format!("10.6.0.{round}");
        deploy(&cluster.nodes, &ZONE.replace("192.0.2.80", &address));
        cluster.await_answer("www.example.test.", RecordType::A, &[&address]);
        cluster.await_equal();
        cluster.await_files(ORIGIN);
        cluster.nodes.iter().for_each(barrier);
        cluster.await_equal();
        let after = serial(&cluster.nodes[0]);
        assert!(after > before && after <= before + 3, "at most one edit a node: {before} to {after}");
        for (node, before) in cluster.nodes.iter().zip(written) {
            let zone = node.zone(ORIGIN).expect("the zone");
            assert_eq!((&zone["conflicts"], &zone["records"]), (&0.into(), &records));
            assert_eq!(held(node), Vec::<Value>::new());
            // A file is written for each version that it did not see itself, and the barriers' three.
            let count = node.metric("files_written") - before;
            assert!(count <= 10, "{count} files written on {}", node.name);
        }
    }
    let orig = cluster.nodes.iter().filter(|node| Path::new(&node.zones.join("example.test.zone.orig")).exists());
    assert_eq!(orig.count(), 0, "nothing had to be kept aside");
}

#[test]
fn a_file_that_somebody_keeps_open_is_read_all_the_same() {
    let scene = Scene::new();
    let node = scene.serving_node("node");
    written_back(&node);
    let mut file = OpenOptions::new().append(true).open(node.file(ORIGIN)).expect("the file is ours");
    file.write_all(b"open A 10.7.0.1\n").expect("room");
    until("what was written to be served, though the file is open", || answers(&node, "open") == ["10.7.0.1"]);
    drop(file);
}
