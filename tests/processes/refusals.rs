//! What a node will not start with, and what it says then: what is wrong, and what to do.

use std::fs::{self, Permissions};
use std::net::{TcpListener, UdpSocket};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use hickory_server::proto::rr::RecordType;
use redb::{Database, TableDefinition};

use super::client::lookup;
use super::harness::{Node, ORIGIN, PROGRAM, Scene, ZONE, is_root, run, said, text, until, wait_for};

/// Done wrong by the person, and not done.
const USAGE: i32 = 2;
/// Could not be done.
const NO: i32 = 1;

#[track_caller]
fn assert_says(message: &str, words: &[&str]) {
    for word in words {
        assert!(message.contains(word), "{word:?} is not in:\n{message}");
    }
    assert!(!message.contains("please report it"), "{message}");
}

/// The node ended with this exit code, and said all of these words.
#[track_caller]
fn assert_refused((actual, message): (i32, String), code: i32, words: &[&str]) {
    assert_eq!(actual, code, "{message}");
    assert_says(&message, words);
}

fn serves_the_example(node: &Node) -> bool {
    lookup(node.dns, "www.example.test.", RecordType::A) == ["192.0.2.80"]
}

// -- what belongs to one node at a time --

#[test]
fn the_second_node_on_a_gossip_address_says_so_and_ends() {
    let scene = Scene::new();
    let first = scene.serving_node("first");
    let mut second = scene.node("second").joining(&first);
    second.gossip = first.gossip;
    assert_refused(second.refuse(), NO, &[&first.gossip.to_string(), "another process has it", "choose another port"]);
    assert!(serves_the_example(&first));
}

#[test]
fn the_second_node_of_a_name_says_so_and_ends_and_the_first_goes_on() {
    let scene = Scene::new();
    let first = scene.serving_node("first");
    let mut second = scene.node("second").joining(&first);
    second.name = "first".to_owned();
    assert_refused(second.refuse(), NO, &["node name first is in use", &first.gossip.to_string(), "a name of its own"]);
    assert!(serves_the_example(&first));
    assert_eq!(first.status()["name"], "first");
    until("the first to be alone again", || first.sees_alive(1));
}

#[test]
fn a_dead_nodes_name_and_address_are_free_again() {
    let scene = Scene::new();
    let mut first = scene.serving_node("first");
    first.kill();
    let mut second = scene.serving_node("second");
    second.kill();
    // Another machine that takes the place of a dead one: its name, its address, nothing on its disk.
    let mut heir = scene.node("heir");
    (heir.name, heir.gossip) = (first.name.clone(), first.gossip);
    heir.save(ORIGIN, ZONE);
    heir.start();
    until("it to serve in the other's place", || serves_the_example(&heir));
}

#[test]
fn a_data_directory_belongs_to_one_process() {
    let scene = Scene::new();
    let first = scene.serving_node("first");
    let mut second = scene.node("second");
    second.data = first.data.clone();
    let holder = first.status()["process"]["pid"].to_string();
    assert_refused(second.refuse(), NO, &[text(&first.data), "in use by another grapevine", &holder, "--data"]);
    assert!(serves_the_example(&first));
}

#[test]
fn a_taken_dns_port_is_named_for_udp_and_for_tcp() {
    let scene = Scene::new();
    let mut node = scene.node("node");
    let udp = UdpSocket::bind(node.dns).expect("it is free");
    assert_refused(node.refuse(), NO, &[&format!("{}/udp", node.dns), "another process has it", "ss -lnp"]);
    drop(udp);
    let _tcp = TcpListener::bind(node.dns).expect("it is free");
    node.clear_log();
    assert_refused(node.refuse(), NO, &[&format!("{}/tcp", node.dns), "another process has it", "ss -lnp"]);
}

#[test]
fn an_address_of_another_machine_is_refused() {
    let scene = Scene::new();
    let mut node = scene.node("node");
    node.dns = "192.0.2.53:5300".parse().expect("an address");
    assert_refused(node.refuse(), NO, &["192.0.2.53:5300", "no interface of this machine"]);
    let mut node = scene.node("other");
    node.gossip = "192.0.2.53:7946".parse().expect("an address");
    assert_refused(node.refuse(), NO, &["192.0.2.53:7946", "this machine has no such address"]);
}

// -- directories --

/// A node run by a user who may not do everything, which the superuser has to become first.
fn unprivileged(scene: &Scene, name: &str) -> Node {
    let mut node = scene.node(name);
    if is_root() {
        // The build directory may be closed to others.
        let program = scene.path("grapevine");
        if !program.exists() {
            fs::copy(PROGRAM, &program).expect("the program can be copied");
            fs::set_permissions(scene.path("key"), Permissions::from_mode(0o644)).expect("it is ours");
        }
        let [user, group] = ["--reuid=65534", "--regid=65534"];
        node.wrapper = ["setpriv", user, group, "--clear-groups", "--", text(&program)].map(str::to_owned).to_vec();
        for path in [&node.home, &node.zones, &node.data] {
            assert!(run("chown", &["65534:65534", text(path)]).status.success());
        }
    }
    node
}

fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, Permissions::from_mode(mode)).expect("it is ours");
}

#[test]
fn directories_that_cannot_be_used_are_named() {
    let scene = Scene::new();
    for (name, mode) in [("closed", 0o000), ("unwritable", 0o555)] {
        let mut node = unprivileged(&scene, &format!("data-{name}"));
        set_mode(&node.data, mode);
        assert_refused(node.refuse(), NO, &[text(&node.data), "Permission denied", "--data"]);
        set_mode(&node.data, 0o755);
    }
    let mut node = unprivileged(&scene, "zones-closed");
    set_mode(&node.zones, 0o000);
    assert_refused(node.refuse(), NO, &[text(&node.zones), "Permission denied"]);
    set_mode(&node.zones, 0o755);
    let mut node = unprivileged(&scene, "nowhere");
    node.zones = scene.path("key").join("zones");
    assert_refused(node.refuse(), NO, &[text(&node.zones), "zone directory"]);
    let mut node = unprivileged(&scene, "a-file");
    node.zones = scene.path("key");
    assert_refused(node.refuse(), USAGE, &[text(&node.zones), "is a file", "--zones"]);
}

#[test]
fn a_key_file_that_cannot_be_read_is_named() {
    let scene = Scene::new();
    let mut node = unprivileged(&scene, "node");
    let closed = scene.keygen("closed");
    set_mode(&closed, 0o000);
    node.key = Some(closed.clone());
    if is_root() {
        assert!(run("chown", &["0:0", text(&closed)]).status.success());
    }
    assert_refused(node.refuse(), USAGE, &["--key-file", text(&closed), "Permission denied"]);
}

// -- what is on disk --

fn database(node: &Node) -> std::path::PathBuf {
    node.data.join("grapevine.redb")
}

/// A node that has been in use, and stopped.
fn used_node(scene: &Scene) -> Node {
    let mut node = scene.serving_node("node");
    node.terminate();
    node.clear_log();
    node
}

#[test]
fn a_damaged_database_is_refused_and_a_node_without_it_starts_anew() {
    let scene = Scene::new();
    let mut node = used_node(&scene);
    let path = database(&node);
    let mut bytes = fs::read(&path).expect("the database");
    // Every page but the first, which says what the file is.
    for page in bytes.chunks_mut(4096).skip(1) {
        page.iter_mut().skip(2048).for_each(|byte| *byte ^= 0x55);
    }
    fs::write(&path, &bytes).expect("the file is ours");
    assert_refused(node.refuse(), NO, &[text(&path), "is damaged", "move the file aside"]);
    assert_eq!(fs::read(&path).expect("the database"), bytes, "nothing was changed");
    fs::write(&path, &bytes[..bytes.len() / 2]).expect("the file is ours");
    node.clear_log();
    assert_refused(node.refuse(), NO, &[text(&path), "is damaged", "move the file aside"]);
    fs::rename(&path, scene.path("aside")).expect("the file is ours");
    node.start();
    until("the zone to be served from its file", || serves_the_example(&node));
}

#[test]
fn a_file_that_is_no_store_of_grapevines_is_left_alone() {
    let scene = Scene::new();
    for (name, content) in [("empty", &b""[..]), ("text", b"someone's diary, dearly kept\n")] {
        let mut node = scene.node(name);
        let path = database(&node);
        fs::write(&path, content).expect("the file is ours");
        assert_refused(node.refuse(), NO, &[text(&path), "is not a grapevine store", "move it aside"]);
        assert_eq!(fs::read(&path).expect("the file"), content);
    }
    let mut node = scene.node("other-program");
    let path = database(&node);
    let other = Database::create(&path).expect("a database");
    let write = other.begin_write().expect("a transaction");
    write.open_table(TableDefinition::<u64, u64>::new("theirs")).expect("a table").insert(1, 2).expect("a row");
    write.commit().expect("it fits");
    drop(other);
    assert_refused(node.refuse(), NO, &[text(&path), "is not a grapevine store"]);
}

#[test]
fn a_database_of_another_format_is_refused_with_the_way_out() {
    let scene = Scene::new();
    let mut node = used_node(&scene);
    for (format, words) in [(1_000_000u32, ["newer grapevine", "upgrade this node"]), (0, ["older grapevine", "move"])]
    {
        let meta = TableDefinition::<&str, &[u8]>::new("grapevine");
        let database = Database::create(database(&node)).expect("the node's database");
        let write = database.begin_write().expect("a transaction");
        write.open_table(meta).expect("the table").insert("format", &format.to_be_bytes()[..]).expect("a row");
        write.commit().expect("it fits");
        drop(database);
        node.clear_log();
        assert_refused(node.refuse(), NO, &words);
    }
}

// -- configuration --

#[test]
fn gossip_beyond_loopback_wants_a_key() {
    let scene = Scene::new();
    let mut node = scene.node("node").flag("--advertise", "192.0.2.1:7946");
    node.key = None;
    node.gossip.set_ip([0, 0, 0, 0].into());
    assert_refused(
        node.refuse(),
        USAGE,
        &["--gossip", "without a key", "grapevine keygen", "--key-file", "--insecure"],
    );
    // With loopback no key is needed.
    let mut node = scene.node("local");
    node.key = None;
    node.start();
    // Nor is one beyond it, if that is what is wanted.
    let mut node = scene.node("open").flag("--advertise", "127.0.0.1:9");
    node.key = None;
    node.gossip.set_ip([0, 0, 0, 0].into());
    node.flags.push("--insecure".to_owned());
    node.start();
}

#[test]
fn everything_wrong_with_a_configuration_is_told_at_once() {
    let scene = Scene::new();
    let file = scene.path("bad.toml");
    let content = "\
name = \"two words\"
zoens = \"zones\"

[dns]
listen = [\"127.0.0.1\", \"127.0.0.1:5399\"]
allow-transfer = [\"192.0.2.0/33\"]

[gossip]
join = 7
";
    fs::write(&file, content).expect("the file is ours");
    for command in ["serve", "config"] {
        let output = run(PROGRAM, &[command, "--config", text(&file), "--workers", "none"]);
        assert_eq!(output.status.code(), Some(USAGE));
        let place = |line: usize| format!("{}:{line}:", file.display());
        let mut words: Vec<String> = [1, 2, 5, 6, 9].map(place).to_vec();
        words.extend(["did you mean zones?", "--workers"].map(str::to_owned));
        assert_says(&said(&output), &words.iter().map(String::as_str).collect::<Vec<_>>());
    }
    fs::write(&file, "name = \"a\"\n[dns\nlisten = []\n").expect("the file is ours");
    let output = run(PROGRAM, &["serve", "--config", text(&file)]);
    assert_eq!(output.status.code(), Some(USAGE));
    assert_says(&said(&output), &[&format!("{}:2:", file.display())]);
    let output = run(PROGRAM, &["serve", "--config", text(&scene.path("missing.toml"))]);
    assert_eq!(output.status.code(), Some(USAGE));
    assert_says(&said(&output), &["missing.toml", "--config"]);
}

#[test]
fn an_unknown_flag_and_an_unknown_command_are_wrong_usage() {
    for arguments in [&["serve", "--jion", "127.0.0.1:1"][..], &["sevre"], &[]] {
        let output = run(PROGRAM, arguments);
        assert_eq!(output.status.code(), Some(USAGE), "{output:?}");
        assert_says(&said(&output), &["Usage:"]);
    }
    assert_says(&said(&run(PROGRAM, &["serve", "--jion", "x"])), &["--join"]);
}

#[test]
fn commands_without_a_daemon_say_so() {
    let scene = Scene::new();
    for command in [&["status"][..], &["zones"], &["zone", "delete", "example.test"], &["metrics"]] {
        let node = scene.node("absent");
        let output = node.ctl(command);
        assert_eq!(output.status.code(), Some(3), "{output:?}");
        assert_says(&said(&output), &["grapevine.sock", "serve"]);
    }
}

// -- a full disk --

/// A small file system of its own for a node's data, as long as it lives.
struct SmallDisk<'n>(&'n str);

impl SmallDisk<'_> {
    fn mount(path: &str) -> Option<SmallDisk<'_>> {
        let mounted = is_root() && run("mount", &["-t", "tmpfs", "-o", "size=4m", "tmpfs", path]).status.success();
        mounted.then_some(SmallDisk(path))
    }
}

impl Drop for SmallDisk<'_> {
    fn drop(&mut self) {
        // Lazily: a node that outlives a failed test may still use it.
        run("umount", &["-l", self.0]);
    }
}

#[test]
fn an_edit_on_a_full_disk_is_refused_and_nothing_else_suffers() {
    let scene = Scene::new();
    let mut node = scene.node("node");
    let data = text(&node.data).to_owned();
    let Some(_disk) = SmallDisk::mount(&data) else {
        return eprintln!("not shown: only the superuser may mount a small disk");
    };
    let origins: Vec<String> = (0..40).map(|i| format!("zone{i}.test")).collect();
    for origin in &origins {
        node.save(origin, &ZONE.replace("example.test", origin));
    }
    node.start();
    let served = |node: &Node, origin: &str| lookup(node.dns, &format!("www.{origin}."), RecordType::A);
    until("all zones to be served", || origins.iter().all(|origin| served(&node, origin) == ["192.0.2.80"]));
    let ballast = node.data.join("ballast");
    let mut refused = None;
    let mut deleted = Vec::new();
    for origin in &origins {
        // What the last refusal or edit has given back is taken again.
        fill(&ballast);
        let output = node.ctl(&["zone", "delete", origin, "--yes"]);
        if output.status.success() {
            deleted.push(origin);
            continue;
        }
        assert_eq!(output.status.code(), Some(4), "{output:?}");
        refused = Some((origin, said(&output)));
        break;
    }
    let (origin, message) = refused.expect("a full disk takes no more edits");
    // A saved file is an edit as well. It waits, and the person is told.
    let edited = origins.iter().rev().find(|other| !deleted.contains(other)).expect("not all are deleted");
    node.sed(edited, "s/192.0.2.80/192.0.2.81/");
    until("the file to be held", || node.told(&["status"]).contains("free some space"));
    assert_eq!(served(&node, edited), ["192.0.2.80"]);
    assert_says(&message, &["No space left", "free some space", "nothing needs to be restarted"]);
    assert_eq!(served(&node, origin), ["192.0.2.80"], "what could not be deleted goes on");
    assert!(deleted.iter().all(|origin| served(&node, origin).is_empty()));
    assert!(node.metric("edits_refused") >= 1);
    fs::remove_file(&ballast).expect("it is ours");
    node.told(&["zone", "delete", origin, "--yes"]);
    wait_for("the zone to be gone", || match served(&node, origin) {
        gone if gone.is_empty() => Ok(()),
        still => Err(still),
    });
    until("the saved file to be taken over by itself", || served(&node, edited) == ["192.0.2.81"]);
    // And it is so after a crash, too.
    node.kill();
    node.start();
    deleted.push(origin);
    until("what it kept to be served", || served(&node, edited) == ["192.0.2.81"]);
    for other in &origins {
        assert_eq!(served(&node, other).is_empty(), deleted.contains(&other), "{other}");
    }
    drop(node);
}

#[test]
fn a_node_whose_disk_is_full_serves_what_it_has_and_catches_up_when_there_is_room() {
    let scene = Scene::new();
    let writer = scene.serving_node("writer");
    let mut full = scene.node("full").joining(&writer);
    let data = text(&full.data).to_owned();
    let Some(_disk) = SmallDisk::mount(&data) else {
        return eprintln!("not shown: only the superuser may mount a small disk");
    };
    full.start();
    until("the zone to be there", || serves_the_example(&full));
    until("its file to be there", || full.read_file(ORIGIN).contains("192.0.2.80"));
    let ballast = full.data.join("ballast");
    let has = |node: &Node, label: String| !lookup(node.dns, &format!("{label}.{ORIGIN}."), RecordType::A).is_empty();
    let troubled = |full: &Node| full.log().contains("edits of other nodes are not stored");
    // Long notes, so that what the database has in reserve is soon used up.
    let long = |i: usize| (0..40).map(|_| format!("\"{i:0>200}\"")).collect::<Vec<_>>().join(" ");
    let mut last = 0;
    while !troubled(&full) {
        fill(&ballast);
        last += 1;
        assert!(last < 500, "the disk never gets full");
        let text = writer.read_file(ORIGIN);
        let kept = text.lines().filter(|line| !line.starts_with("note")).map(|line| {
            format!(
                "{line}
"
            )
        });
        writer.save(
            ORIGIN,
            &format!(
                "{}note TXT {}
step{last} A 192.0.2.1
",
                kept.collect::<String>(),
                long(last)
            ),
        );
        until("the edit to be answered where it was made", || has(&writer, format!("step{last}")));
    }
    assert!(serves_the_example(&full), "what it has is served");
    for i in 1..=5 {
        writer.sed(ORIGIN, &format!("$ a more{i} A 192.0.2.{i}"));
        until("the edit to be answered where it was made", || has(&writer, format!("more{i}")));
    }
    fs::remove_file(&ballast).expect("it is ours");
    wait_for("the node to catch up", || {
        let [here, there] = [&writer, &full].map(|node| node.zone(ORIGIN).map(|zone| zone["digest"].clone()));
        let served = (1..=5).all(|i| has(&full, format!("more{i}")));
        if here == there && served { Ok(()) } else { Err(full.log()) }
    });
    full.kill();
    full.start();
    until("what it kept to be served", || has(&full, "more5".to_owned()));
    drop(full);
}

#[test]
fn a_zone_directory_that_cannot_be_written_is_shown_and_the_edits_are_served() {
    let scene = Scene::new();
    let writer = scene.serving_node("writer");
    let mut reader = unprivileged(&scene, "reader").joining(&writer);
    reader.start();
    until("its file to be there", || reader.read_file(ORIGIN).contains("192.0.2.80"));
    set_mode(&reader.zones, 0o555);
    writer.sed(ORIGIN, "s/192.0.2.80/192.0.2.81/");
    until("the edit to be served", || lookup(reader.dns, "www.example.test.", RecordType::A) == ["192.0.2.81"]);
    until("the trouble to be shown", || {
        let status = reader.told(&["status"]);
        status.contains("cannot be written") && status.contains("Permission denied")
    });
    assert!(reader.read_file(ORIGIN).contains("192.0.2.80"));
    set_mode(&reader.zones, 0o755);
    until("the file to be written after all", || reader.read_file(ORIGIN).contains("192.0.2.81"));
}

/// Writes until nothing fits any more.
fn fill(path: &Path) {
    use std::io::Write;
    let mut file = fs::OpenOptions::new().create(true).append(true).open(path).expect("the file is ours");
    for size in [65536, 4096, 1] {
        while file.write_all(&vec![0; size]).is_ok() {}
    }
}
