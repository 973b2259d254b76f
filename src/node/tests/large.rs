//! What a node costs the others in a cluster too large for all to speak to all.

use std::collections::BTreeSet;
use std::net::SocketAddr;

use super::kept::Kept;
use super::world::{World, a};
use crate::node::wire::Request;
use crate::zone::{Change, Record, RecordKey};

const NODES: usize = 70;

#[test]
fn every_member_is_told_before_any_is_told_again() {
    let mut world = World::new(NODES);
    world.nodes[0].to_tell.clear();
    let told: BTreeSet<SocketAddr> = (0..3).flat_map(|_| world.nodes[0].next_to_tell()).collect();
    assert_eq!(told.len(), NODES - 1);
    // So all know within some seconds that all hold the same.
    let RecordKey { owner, rtype, rdata } = a("new.corp.example.", 7);
    world.edit(3, &[Change::Add(Record { owner, rtype, ttl: 60, rdata })]).expect("an edit");
    world.pass(6_000);
    for node in &world.nodes {
        let view = node.view(world.now());
        assert!(view.zones.iter().all(|zone| (zone.same_on, zone.live) == (NODES, NODES)), "{}", view.name);
    }
}

#[test]
fn one_that_joins_is_sent_few_rosters_and_asked_by_some() {
    let mut world = World::new(NODES);
    world.pass(10_000);
    world.requests.clear();
    let joined = world.join(Kept::default());
    world.run_until(|world| {
        world.nodes.iter().all(|node| node.membership.alive_count() == NODES) && world.nodes[joined].synced
    });
    let rosters = world.requests.iter().filter(|(_, request)| matches!(request, Request::Roster(_))).count();
    assert!(rosters < NODES, "{rosters} rosters");
    assert!(world.is_equal());
}
