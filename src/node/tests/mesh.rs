//! A few nodes that hear each other at once, on a clock that the test moves.

use std::collections::VecDeque;

use super::*;

pub(super) struct Mesh {
    pub(super) nodes: Vec<Node>,
    pub(super) reports: Vec<(usize, Severity, String)>,
    /// Every request, by asker, as it was sent.
    pub(super) requests: Vec<(usize, Request)>,
    /// How many more requests for chunks are answered; the others fail.
    pub(super) chunks_left: usize,
    /// Whether the first node and the others do not hear each other.
    pub(super) cut: bool,
    ms: u64,
    inbound: u64,
}

fn addr(index: usize) -> std::net::SocketAddr {
    std::net::SocketAddr::from(([10, 0, 0, index as u8 + 1], 7946))
}

impl Mesh {
    /// Nodes of which the first starts the cluster with one zone.
    pub(super) fn new(count: usize) -> Mesh {
        let mut mesh = Mesh {
            nodes: Vec::new(),
            reports: Vec::new(),
            requests: Vec::new(),
            chunks_left: usize::MAX,
            cut: false,
            ms: 1,
            inbound: 0,
        };
        for index in 0..count {
            mesh.join();
            let files = if index == 0 { vec![content("corp.example.")] } else { Vec::new() };
            mesh.handle(index, Event::Files(files.into_iter().map(Zone::from).collect()));
        }
        mesh
    }

    /// Adds a node; its files are still to be told.
    pub(super) fn join(&mut self) {
        let index = self.nodes.len();
        let seeds: Vec<_> = (0..index).map(addr).collect();
        let config = NodeConfig {
            name: format!("ns{index}"),
            cluster: "test".to_owned(),
            gossip: addr(index),
            id: index as u64,
            joins: !seeds.is_empty(),
            seeds,
            settings: Default::default(),
            seed: index as u64,
        };
        self.nodes.push(Node::new(config, Saved::default(), at(self.ms)));
    }

    /// Hands an event to a node, and to all nodes what follows from it.
    pub(super) fn handle(&mut self, index: usize, event: Event) {
        let mut queue = VecDeque::from([(index, event)]);
        let mut inbound: Vec<(InboundId, usize, RequestId)> = Vec::new();
        while let Some((index, event)) = queue.pop_front() {
            for effect in self.nodes[index].handle(event, at(self.ms)) {
                match effect {
                    Effect::Persist { id, .. } => queue.push_back((index, Event::Persisted { id, result: Ok(()) })),
                    Effect::SendDatagram { to, payload } => {
                        if let Some(target) = self.index_of(to).filter(|target| self.reaches(index, *target)) {
                            queue.push_back((target, Event::Datagram { from: addr(index), payload }));
                        }
                    }
                    Effect::SendRequest { id, to, payload } => {
                        let request = wire::decode(&payload).expect("nodes speak well");
                        let is_chunk = matches!(request, Request::Chunk { .. });
                        self.requests.push((index, request));
                        let target = self.index_of(to).filter(|_| !is_chunk || self.chunks_left > 0);
                        let target = target.filter(|target| self.reaches(index, *target));
                        let Some(target) = target else {
                            let result = Err("cut".to_owned());
                            queue.push_back((index, Event::Response { id, result }));
                            continue;
                        };
                        self.chunks_left -= usize::from(is_chunk);
                        self.inbound += 1;
                        inbound.push((InboundId(self.inbound), index, id));
                        queue.push_back((target, Event::Request { inbound: InboundId(self.inbound), payload }));
                    }
                    Effect::Respond { inbound: answered, payload } => {
                        let at = inbound.iter().position(|(id, ..)| *id == answered).expect("it was asked");
                        let (_, asker, id) = inbound.remove(at);
                        queue.push_back((asker, Event::Response { id, result: Ok(payload) }));
                    }
                    Effect::Report { severity, message } => self.reports.push((index, severity, message)),
                    _ => {}
                }
            }
        }
    }

    /// Lets time pass.
    pub(super) fn pass(&mut self, ms: u64) {
        for _ in 0..ms / 10 {
            self.ms += 10;
            for index in 0..self.nodes.len() {
                if self.nodes[index].next_deadline().is_some_and(|due| due <= at(self.ms).mono) {
                    self.handle(index, Event::Tick);
                }
            }
        }
    }

    pub(super) fn roots(&self) -> Vec<crate::replica::Digest> {
        self.nodes.iter().map(|node| node.replica().root()).collect()
    }

    fn reaches(&self, from: usize, to: usize) -> bool {
        !self.cut || (from == 0) == (to == 0)
    }

    pub(super) fn serial(&self, index: usize) -> Option<u32> {
        Some(self.nodes[index].served().get(&name("corp.example."))?.soa().serial)
    }

    fn index_of(&self, to: std::net::SocketAddr) -> Option<usize> {
        (0..self.nodes.len()).find(|index| addr(*index) == to)
    }
}
