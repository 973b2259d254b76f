//! The view of a node for people.

use super::node::Node;
use super::{MemberState, MemberView, Now, View, ZoneView};
use crate::membership::{Member, State};
use crate::replica::ZoneReplica;
use crate::zone::{Name, Zone};

impl Node {
    /// What the node knows of itself, its members and its zones.
    pub fn view(&self, now: Now) -> View {
        let mut members: Vec<MemberView> = self.membership.roster().iter().map(|member| self.member(member)).collect();
        let me = self.membership.me();
        members.push(MemberView {
            name: me.name.clone(),
            gossip: me.addr,
            state: MemberState::Alive,
            since_ms: self.started_ms,
            this_node: true,
            in_sync: true,
        });
        members.sort_by(|a, b| (&a.name, a.gossip).cmp(&(&b.name, b.gossip)));
        View {
            name: self.config.name.clone(),
            cluster: self.config.cluster.clone(),
            gossip: me.addr,
            generation: me.generation,
            actor: self.facts.actor.map(|actor| actor.to_string()),
            initialised: self.bootstrap.is_done(),
            synced: self.synced,
            at_ms: now.wall_ms,
            members,
            zones: self.zones(now),
        }
    }

    fn member(&self, member: &Member) -> MemberView {
        let root = self.durability.published_root();
        MemberView {
            name: member.identity.name.clone(),
            gossip: member.identity.addr,
            state: match member.state {
                State::Alive => MemberState::Alive,
                State::Suspect => MemberState::Suspect,
                State::Down => MemberState::Down,
                State::Left => MemberState::Left,
            },
            since_ms: member.since_ms,
            this_node: false,
            in_sync: member.state.is_active()
                && self.peers.get(member.identity.addr).is_some_and(|peer| peer.root == Some(root)),
        }
    }

    fn zones(&self, now: Now) -> Vec<ZoneView> {
        let live = 1 + self.membership.alive().count();
        let mut zones: Vec<ZoneView> = self.bootstrap.provisional().map(|zone| provisional_view(zone, live)).collect();
        if self.bootstrap.is_done() {
            let origins = self.replica.catalog().origins();
            let here =
                origins.filter_map(|(origin, lives)| Some((origin, self.replica.serving(origin)?, lives.count())));
            zones.extend(here.map(|(origin, zone, lives)| self.zone(origin, zone, lives - 1, live, now)));
        }
        zones.sort_by(|a, b| a.origin.cmp(&b.origin));
        zones
    }

    fn zone(&self, origin: &Name, zone: &ZoneReplica, conflicts: usize, live: usize, now: Now) -> ZoneView {
        let (state, root) = (zone.state(), self.durability.published_root());
        let digest = state.digest();
        let same = self
            .membership
            .alive()
            .filter(|member| self.peers.holds(member.addr, root, state.incarnation(), digest))
            .count();
        let soa = state.soa();
        let silent = now.mono.saturating_sub(self.last_contact).as_secs();
        let others = self.membership.roster().iter().any(|member| member.state != State::Left);
        ZoneView {
            origin: origin.clone(),
            serial: soa.serial,
            records: zone.snapshot().record_count(),
            digest: digest.to_string(),
            version: data_encoding::HEXLOWER.encode(&state.version().hash()),
            incarnation: state.incarnation().to_string(),
            same_on: 1 + same,
            live,
            shadowed: zone.shadowed(),
            conflicts,
            quarantined: zone.quarantined(),
            ambiguous: zone.ambiguous(),
            provisional: false,
            stale: others && silent > u64::from(soa.expire),
        }
    }
}

fn provisional_view(zone: &Zone, live: usize) -> ZoneView {
    ZoneView {
        origin: zone.origin().clone(),
        serial: zone.soa().serial,
        records: zone.record_count(),
        digest: String::new(),
        version: data_encoding::HEXLOWER.encode(&zone.version()),
        incarnation: String::new(),
        same_on: 1,
        live,
        shadowed: 0,
        conflicts: 0,
        quarantined: 0,
        ambiguous: 0,
        provisional: true,
        stale: false,
    }
}
