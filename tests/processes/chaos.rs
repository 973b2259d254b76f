//! Edits from everywhere, by file and by command, while nodes are killed, paused and cut off from each other.
//!
//! Each node has a network namespace of its own on one bridge, so that links can be cut in either direction. What was
//! acknowledged, or saved in a file, must be on every node in the end. `GRAPEVINE_CHAOS_EDITS=<n>` sets how many edits
//! are made, `GRAPEVINE_CHAOS_SEED=<n>` which faults come.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, mpsc};
use std::time::{Duration, Instant};

use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{RngExt, SeedableRng};

use super::harness::{Node, ORIGIN, PROGRAM, Scene, ZONE, is_root, run, said, text, until, wait_within};

const NODES: usize = 5;
/// How many edits a plain `cargo test` makes.
const EDITS: usize = 120;
/// Over how many faults the edits are spread.
const FAULTS: usize = 12;
/// How many processes edit by the command line at once, beside one that saves files.
const WRITERS: usize = 3;
/// How long one edit may take with all its retries, and the cluster to agree at last.
const PATIENCE: Duration = Duration::from_secs(180);

fn number(variable: &str, default: u64) -> u64 {
    std::env::var(variable).map_or(default, |text| text.parse().expect("a number"))
}

/// Namespaces on one bridge; gone with the value.
struct Net {
    hub: String,
    spaces: Vec<String>,
}

fn ip(arguments: &[&str]) {
    let output = run("ip", arguments);
    assert!(output.status.success(), "ip {arguments:?}: {}", said(&output));
}

fn address(index: usize, port: u16) -> SocketAddr {
    SocketAddr::from(([10, 98, 0, index as u8 + 1], port))
}

impl Net {
    fn new() -> Net {
        let id = std::process::id();
        let net =
            Net { hub: format!("gv{id}hub"), spaces: (0..NODES).map(|index| format!("gv{id}n{index}")).collect() };
        ip(&["netns", "add", &net.hub]);
        ip(&["-n", &net.hub, "link", "add", "bridge", "type", "bridge"]);
        ip(&["-n", &net.hub, "link", "set", "bridge", "up"]);
        for (index, space) in net.spaces.iter().enumerate() {
            let port = format!("port{index}");
            ip(&["netns", "add", space]);
            ip(&["-n", space, "link", "add", "eth", "type", "veth", "peer", "name", &port, "netns", &net.hub]);
            ip(&["-n", &net.hub, "link", "set", &port, "master", "bridge", "up"]);
            ip(&["-n", space, "addr", "add", &format!("{}/24", address(index, 0).ip()), "dev", "eth"]);
            ip(&["-n", space, "link", "set", "eth", "up"]);
            ip(&["-n", space, "link", "set", "lo", "up"]);
        }
        net
    }

    /// What the one sends does not reach the other.
    fn cut(&self, from: usize, to: usize) {
        ip(&["-n", &self.spaces[from], "route", "replace", "blackhole", &address(to, 0).ip().to_string()]);
    }

    fn heal(&self, from: usize, to: usize) {
        ip(&["-n", &self.spaces[from], "route", "del", "blackhole", &address(to, 0).ip().to_string()]);
    }

    /// The zone as a node transfers it, line by line.
    fn transferred(&self, index: usize) -> Vec<String> {
        let server = format!("@{}", address(index, 0).ip());
        let port = address(index, 5300).port().to_string();
        let dig = ["dig", "+noall", "+answer", "+onesoa", &server, "-p", &port, ORIGIN, "axfr"];
        let output = run("ip", &[&["netns", "exec", &self.spaces[index]], &dig[..]].concat());
        let mut lines: Vec<String> = String::from_utf8_lossy(&output.stdout).lines().map(str::to_owned).collect();
        lines.sort();
        lines
    }
}

impl Drop for Net {
    fn drop(&mut self) {
        for space in self.spaces.iter().chain([&self.hub]) {
            // One that was not made cannot be deleted.
            let _ = run("ip", &["netns", "del", space]);
        }
    }
}

/// What the writers need to know of a node, whatever happens to it meanwhile.
struct Target {
    control: PathBuf,
    file: PathBuf,
}

#[derive(Debug, Default)]
struct Faults {
    kills: usize,
    pauses: usize,
    cuts: usize,
}

/// One edit by the command line, tried on one node after the other under the same id until one has it.
fn edit_by_command(targets: &[Target], label: &str, rng: &mut StdRng) {
    wait_within(PATIENCE, "an edit to be taken", || {
        let target = targets.choose(rng).expect("there are nodes");
        let edit = ["record", "add", ORIGIN, label, "60", "A", "192.0.2.77", "--request-id", label];
        let output = run(PROGRAM, &[&edit, &["--control", text(&target.control)][..]].concat());
        output.status.success().then_some(()).ok_or_else(|| said(&output))
    });
}

/// One edit by an editor: the file is read, changed and saved by a rename.
fn edit_by_file(targets: &[Target], label: &str, rng: &mut StdRng) {
    wait_within(PATIENCE, "a file to edit", || {
        let target = targets.choose(rng).expect("there are nodes");
        let before = std::fs::read_to_string(&target.file).map_err(|error| error.to_string())?;
        let beside = target.file.with_extension("saving~");
        std::fs::write(&beside, format!("{before}{label} 60 IN A 192.0.2.78\n")).map_err(|error| error.to_string())?;
        std::fs::rename(&beside, &target.file).map_err(|error| error.to_string())
    });
}

/// Does harm until the writers are done, and then puts everything right.
fn harm(nodes: &mut [Node], net: &Net, rng: &mut StdRng, rounds: &AtomicUsize, done: &mpsc::Receiver<()>) -> Faults {
    let mut faults = Faults::default();
    // Whether the writers are done before that long.
    let done_within =
        |ms: u64| !matches!(done.recv_timeout(Duration::from_millis(ms)), Err(mpsc::RecvTimeoutError::Timeout));
    let mut over = false;
    while !over {
        let victim = rng.random_range(0..nodes.len());
        rounds.fetch_add(1, Ordering::Relaxed);
        match rng.random_range(0..3) {
            0 => {
                nodes[victim].kill();
                over = done_within(rng.random_range(100..1_500));
                nodes[victim].launch();
                nodes[victim].await_up();
                faults.kills += 1;
            }
            1 => {
                nodes[victim].signal("STOP");
                over = done_within(rng.random_range(200..3_000));
                nodes[victim].signal("CONT");
                faults.pauses += 1;
            }
            _ => {
                let pairs: Vec<(usize, usize)> = (0..nodes.len())
                    .flat_map(|from| (0..nodes.len()).map(move |to| (from, to)))
                    .filter(|(from, to)| from != to)
                    .filter(|_| rng.random_bool(0.4))
                    .collect();
                pairs.iter().for_each(|(from, to)| net.cut(*from, *to));
                over = done_within(rng.random_range(500..4_000));
                pairs.iter().for_each(|(from, to)| net.heal(*from, *to));
                faults.cuts += 1;
            }
        }
        over = over || done_within(rng.random_range(0..500));
    }
    faults
}

#[test]
fn no_edit_is_lost_while_nodes_are_killed_paused_and_cut_off() {
    if !is_root() {
        eprintln!("network namespaces need root: nothing is tested");
        return;
    }
    let (edits, seed) = (number("GRAPEVINE_CHAOS_EDITS", EDITS as u64) as usize, number("GRAPEVINE_CHAOS_SEED", 1));
    let (scene, net) = (Scene::new(), Net::new());
    let mut nodes: Vec<Node> = Vec::new();
    for index in 0..NODES {
        let mut node = scene.node(&format!("node{index}"));
        (node.dns, node.gossip) = (address(index, 5300), address(index, 7946));
        node = node.flag("--allow-transfer", "10.98.0.0/24");
        node.wrapper = ["ip", "netns", "exec", &net.spaces[index], PROGRAM].map(str::to_owned).to_vec();
        for other in (0..NODES).filter(|other| *other != index && index > 0) {
            node = node.flag("--join", address(other, 7946));
        }
        if index == 0 {
            node.save(ORIGIN, ZONE);
        }
        node.start();
        nodes.push(node);
    }
    let targets: Vec<Target> =
        nodes.iter().map(|node| Target { control: node.data.clone(), file: node.file(ORIGIN) }).collect();
    until("every node to have the zone and its file", || {
        nodes
            .iter()
            .all(|node| node.zone(ORIGIN).is_some_and(|zone| zone["same_on"] == NODES) && node.file(ORIGIN).exists())
    });

    let (began, next, made) = (Instant::now(), AtomicUsize::new(0), Mutex::new(BTreeSet::new()));
    let rounds = AtomicUsize::new(0);
    let (all_done, done) = mpsc::channel();
    let writer = |index: usize, all_done: mpsc::Sender<()>| {
        let mut rng = StdRng::seed_from_u64(seed * 100 + index as u64);
        loop {
            let number = next.fetch_add(1, Ordering::Relaxed);
            if number >= edits {
                break;
            }
            wait_within(PATIENCE, "the fault during which this edit is made", || {
                if number * FAULTS < rounds.load(Ordering::Relaxed) * edits { Ok(()) } else { Err(number) }
            });
            let label = format!("w{index}-{}", made.lock().expect("no writer panicked").len());
            match index {
                0 => edit_by_file(&targets, &label, &mut rng),
                _ => edit_by_command(&targets, &label, &mut rng),
            }
            made.lock().expect("no writer panicked").insert(label);
        }
        drop(all_done);
    };
    let faults = std::thread::scope(|scope| {
        for index in 0..=WRITERS {
            let (writer, all_done) = (&writer, all_done.clone());
            scope.spawn(move || writer(index, all_done));
        }
        drop(all_done);
        harm(&mut nodes, &net, &mut StdRng::seed_from_u64(seed), &rounds, &done)
    });

    let made = made.into_inner().expect("no writer panicked");
    println!("{} edits, {faults:?}, {:.1} s, seed {seed}", made.len(), began.elapsed().as_secs_f64());
    let healed = Instant::now();
    wait_within(PATIENCE, "all nodes to agree and to have written their files", || {
        let missing = |node: &Node| -> Vec<String> {
            let file = node.read_file(ORIGIN);
            made.iter()
                .filter(|label| !file.contains(&format!("{label} ")) && !file.contains(&format!("{label}\t")))
                .cloned()
                .collect()
        };
        let state: Vec<_> = nodes
            .iter()
            .map(|node| {
                (node.zone(ORIGIN).map(|zone| (zone["same_on"].clone(), zone["serial"].clone())), missing(node))
            })
            .collect();
        let agree = state.iter().all(|(zone, missing)| {
            missing.is_empty()
                && zone.as_ref().is_some_and(|(same_on, serial)| {
                    *same_on == NODES && *serial == state[0].0.as_ref().expect("all have it").1
                })
        });
        if agree { Ok(()) } else { Err(state) }
    });
    println!("all agree {:.1} s after the last fault", healed.elapsed().as_secs_f64());
    let first = net.transferred(0);
    let lost: Vec<&String> =
        made.iter().filter(|label| !first.iter().any(|line| line.starts_with(&format!("{label}.{ORIGIN}.")))).collect();
    assert!(lost.is_empty(), "lost: {lost:?}");
    assert!(first.len() > made.len(), "a transfer has them all");
    for index in 1..NODES {
        assert_eq!(net.transferred(index), first, "node {index} differs");
    }
}
