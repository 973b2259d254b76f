//! Several nodes that are one cluster, and what must be equal on all of them.

use std::collections::BTreeSet;
use std::net::SocketAddr;

use hickory_server::proto::rr::RecordType;
use serde_json::Value;

use super::client::lookup;
use super::harness::{Node, ORIGIN, Scene, ZONE, free_address, wait_for, word};

/// A cluster whose first node began with [`ZONE`]. The nodes end before their directory does.
pub(super) struct Cluster {
    pub(super) nodes: Vec<Node>,
    /// The address that all share, if they do.
    pub(super) service: Option<SocketAddr>,
    _scene: Scene,
}

impl Cluster {
    /// Starts the nodes and returns when all serve the zone and have its file.
    pub(super) fn start(count: usize) -> Cluster {
        Cluster::start_with(count, None)
    }

    /// The same, with a service address.
    pub(super) fn start_sharing(count: usize) -> Cluster {
        Cluster::start_with(count, Some(free_address()))
    }

    fn start_with(count: usize, service: Option<SocketAddr>) -> Cluster {
        let scene = Scene::new();
        let mut nodes: Vec<Node> = (1..=count).map(|i| scene.node(&format!("node{i}"))).collect();
        let addresses: Vec<SocketAddr> = nodes.iter().map(|node| node.gossip).collect();
        nodes[0].save(ORIGIN, ZONE);
        for (i, node) in nodes.iter_mut().enumerate() {
            node.flags.extend(service.iter().flat_map(|at| ["--anycast".to_owned(), at.to_string()]));
            node.flags.extend(addresses[..i.min(2)].iter().flat_map(|at| ["--join".to_owned(), at.to_string()]));
            node.launch();
        }
        let mut cluster = Cluster { nodes, service, _scene: scene };
        cluster.nodes.iter_mut().for_each(Node::await_up);
        cluster.await_equal();
        cluster.await_files(ORIGIN);
        cluster
    }

    /// The nodes that run.
    pub(super) fn running(&self) -> impl Iterator<Item = &Node> {
        self.nodes.iter().filter(|node| node.is_running())
    }

    /// Waits until all running nodes know each other and have the same zones: serial, digest and version vector, as
    /// `grapevine status --json` tells of each. Returns what they have.
    pub(super) fn await_equal(&self) -> BTreeSet<String> {
        let live = self.running().count();
        wait_for("all nodes to be equal", || {
            let states: Vec<(String, bool, BTreeSet<String>)> = self
                .running()
                .map(|node| {
                    let status = node.status();
                    (node.name.clone(), settled(&status, live), zones(&status))
                })
                .collect();
            let first = states[0].2.clone();
            let equal = !first.is_empty() && states.iter().all(|(_, settled, zones)| *settled && *zones == first);
            if equal { Ok(first) } else { Err(states) }
        })
    }

    /// Waits until every running node has a file of the zone that says what the zone does.
    pub(super) fn await_files(&self, origin: &str) {
        for node in self.running() {
            wait_for("the file to show the zone's version", || {
                let zone = node.zone(origin).ok_or("no such zone")?;
                let (serial, version) = (zone["serial"].to_string(), word(&zone["version"]));
                let file = node.read_file(origin);
                let shown = file.lines().any(|line| line == format!("; grapevine: {serial} {version}"));
                if shown { Ok(()) } else { Err("another version") }
            });
        }
    }

    /// Waits until every running node answers so.
    pub(super) fn await_answer(&self, name: &str, rtype: RecordType, rdatas: &[&str]) {
        for node in self.running() {
            wait_for(&format!("{} to answer {name} {rtype} with {rdatas:?}", node.name), || {
                let found = lookup(node.dns, name, rtype);
                if found == rdatas { Ok(()) } else { Err(found) }
            });
        }
    }
}

/// Whether all members are alive to a node, and it serves nothing by itself.
fn settled(status: &Value, live: usize) -> bool {
    let list = |key: &str| status[key].as_array().expect("a list").clone();
    let alive = list("members").iter().filter(|member| member["state"] == "alive").count();
    alive == live && list("zones").iter().all(|zone| zone["provisional"] == false)
}

/// All that must be equal of the zones of a node.
fn zones(status: &Value) -> BTreeSet<String> {
    let zones = status["zones"].as_array().expect("a list").iter();
    let facts = ["origin", "serial", "records", "digest", "version", "incarnation"];
    zones.map(|zone| facts.map(|key| zone[key].to_string()).join(" ")).collect()
}
