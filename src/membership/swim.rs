//! Membership itself: foca, and around it what foca leaves to its users.

use std::collections::BTreeSet;
use std::net::SocketAddr;

use foca::{Foca, NoCustomBroadcast};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use super::codec::{Packet, PacketCodec};
use super::notice::{Notice, Payload};
use super::roster::Change;
use super::runtime::{Collector, Kind};
use super::{Clock, Health, Identity, Malformed, Member, Output, Record, Roster, Settings, State, Timer};

/// The most records that are taken from a roster: far beyond any cluster that one gossip network can carry.
const MAX_RECORDS: usize = 10_000;

/// To how many members a good-bye is said directly and passed on by its first hearers. The rest learns from them.
const GOODBYE_FANOUT: usize = 32;

/// The membership of one node.
pub struct Membership {
    pub(super) foca: Foca<Identity, PacketCodec, StdRng, NoCustomBroadcast>,
    pub(super) settings: Settings,
    pub(super) config: foca::Config,
    pub(super) rng: StdRng,
    pub(super) roster: Roster,
    /// What foca believed of each member when the roster last followed it, in foca's order.
    followed: Vec<Belief>,
    health: Health,
    /// Whom the current probe asked, until it answers.
    unanswered: Option<Identity>,
    /// Suspicions of this life below this incarnation are refuted.
    refuted: u16,
    pub(super) seeds: Vec<SocketAddr>,
    /// Where members were in an earlier run, until the roster knows better.
    pub(super) saved_peers: Vec<SocketAddr>,
    /// Which announce timer is the one that counts.
    pub(super) announce_epoch: u64,
    /// Lives that are known to have ended on purpose, while foca is told so.
    goodbyes: BTreeSet<(SocketAddr, u64)>,
    /// Wall time of the first start.
    started_ms: u64,
    pub(super) alive: usize,
    /// This node said good-bye: nothing is done any more.
    left: bool,
}

/// What foca believes of one life of a member.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Belief {
    addr: SocketAddr,
    generation: u64,
    id: u64,
    state: foca::State,
    incarnation: foca::Incarnation,
}

impl Belief {
    fn of(member: &foca::Member<Identity>) -> Belief {
        let Identity { addr, generation, id, .. } = *member.id();
        Belief { addr, generation, id, state: member.state(), incarnation: member.incarnation() }
    }
}

impl Membership {
    /// A node that knows nobody yet. `seeds` and `saved_peers` are gossip addresses to find others by; this node's own
    /// among them does no harm.
    pub fn new(
        me: Identity,
        settings: Settings,
        seeds: Vec<SocketAddr>,
        saved_peers: Vec<SocketAddr>,
        mut rng: StdRng,
    ) -> Membership {
        let config = settings.config(1);
        let foca = Foca::new(me, config.clone(), StdRng::from_seed(rng.random()), PacketCodec);
        Membership {
            foca,
            settings,
            config,
            rng,
            roster: Roster::default(),
            followed: Vec::new(),
            health: Health::default(),
            unanswered: None,
            refuted: 0,
            seeds,
            saved_peers,
            announce_epoch: 0,
            goodbyes: BTreeSet::new(),
            started_ms: 0,
            alive: 0,
            left: false,
        }
    }

    /// Begins: announces this node to seeds and saved peers, and goes on doing so until somebody is alive.
    pub fn start(&mut self, now: Clock, out: &mut Vec<Output>) {
        self.started_ms = now.wall_ms;
        self.announce(now, out);
    }

    /// A datagram came in from the socket address `from`.
    pub fn receive(
        &mut self,
        from: SocketAddr,
        payload: &[u8],
        now: Clock,
        out: &mut Vec<Output>,
    ) -> Result<(), Malformed> {
        if self.left {
            return Ok(());
        }
        match Payload::parse(payload)? {
            Payload::Swim(packet) => self.receive_packet(from, packet, now, out)?,
            Payload::Notice(notice) => self.receive_notice(notice, now, out),
        }
        self.settle(now, out);
        Ok(())
    }

    /// A timer that was handed out has come due.
    pub fn timer(&mut self, mut timer: Timer, now: Clock, out: &mut Vec<Output>) {
        if self.left {
            return;
        }
        if let Some(delay) = self.stalled(&timer, now) {
            timer.put_off = true;
            out.push(Output::After { delay, timer });
            return;
        }
        match timer.kind {
            Kind::Announce { epoch } if epoch == self.announce_epoch => self.announce(now, out),
            Kind::Announce { .. } => {}
            Kind::Foca(timer) => {
                if matches!(timer, foca::Timer::ProbeRandomMember(_)) && self.unanswered.take().is_some() {
                    self.health.probe_missed();
                }
                // The errors tell of a probe cycle cut short, as after a stall; foca recovers from it by itself.
                if let Err(error) = self.with_foca(now, out, |foca, runtime| foca.handle_timer(timer, runtime)) {
                    tracing::debug!(%error, "timer");
                }
            }
        }
        self.settle(now, out);
    }

    /// Takes in the roster of another member.
    pub fn import(&mut self, roster: Vec<Record>, now: Clock, out: &mut Vec<Output>) {
        if self.left {
            return;
        }
        let me = self.me().clone();
        let mut records = roster;
        records.truncate(MAX_RECORDS);
        // What others say of this node's address they say to it directly, in notices and packets.
        records.retain(|record| record.identity.addr != me.addr && !record.identity.is_unknown());
        for record in records.iter().filter(|record| record.state == State::Left) {
            self.goodbyes.insert((record.identity.addr, record.identity.generation));
        }
        // foca looks for each of them among all members.
        let updates: Vec<_> = records
            .iter()
            .filter(|record| !self.roster.knows(record))
            .map(|record| foca::Member::new(record.identity.clone(), record.incarnation, record.state.to_foca()))
            .collect();
        self.apply(updates, now, out);
        self.settle(now, out);
        for record in &records {
            self.roster.backdate(record);
        }
    }

    /// The whole roster, this node included, for another member to import.
    pub fn export(&self) -> Vec<Record> {
        self.roster.export(self.me(), self.started_ms)
    }

    /// Replaces the seeds, as when their names resolve to other addresses. A node that is alone tries new ones at once.
    pub fn set_seeds(&mut self, seeds: Vec<SocketAddr>, now: Clock, out: &mut Vec<Output>) {
        let news = seeds.iter().any(|seed| !self.seeds.contains(seed));
        self.seeds = seeds;
        if news && self.alive == 0 && !self.left {
            self.announce(now, out);
        }
    }

    /// Says good-bye. Nothing is answered from then on.
    pub fn leave(&mut self, now: Clock, out: &mut Vec<Output>) {
        if self.left {
            return;
        }
        self.left = true;
        self.spread_goodbye(&self.me().clone(), out);
        if let Err(error) = self.with_foca(now, out, |foca, runtime| foca.leave_cluster(runtime)) {
            tracing::debug!(%error, "leave");
        }
    }

    /// Every known member but this node.
    pub fn roster(&self) -> &Roster {
        &self.roster
    }

    /// Members that take part, without this node.
    pub fn alive(&self) -> impl Iterator<Item = &Identity> {
        self.roster.active().map(|member| &member.identity)
    }

    /// How many members take part, without this node.
    pub fn alive_count(&self) -> usize {
        self.alive
    }

    /// Who this node is in its present life.
    pub fn me(&self) -> &Identity {
        self.foca.identity()
    }

    /// How well this node itself is doing.
    pub fn health(&self) -> Health {
        self.health
    }

    fn receive_packet(
        &mut self,
        from: SocketAddr,
        bytes: &[u8],
        now: Clock,
        out: &mut Vec<Output>,
    ) -> Result<(), Malformed> {
        let packet = Packet::parse(bytes)?;
        if !self.admit(from, &packet.header, now, out) {
            return Ok(());
        }
        self.watch(&packet);
        let addressed = self.readdress(&packet, bytes);
        let bytes = addressed.as_deref().unwrap_or(bytes);
        self.with_foca(now, out, |foca, runtime| foca.handle_data(bytes, runtime))
            .map_err(|error| Malformed(error.to_string()))
    }

    fn receive_notice(&mut self, notice: Notice, now: Clock, out: &mut Vec<Output>) {
        match notice {
            Notice::Goodbye(identity) => self.receive_goodbye(identity, now, out),
            Notice::Contested { claimant, reply_to } => self.defend_address(&claimant, reply_to, out),
            Notice::Taken { holder } => self.yield_to(&holder, out),
            Notice::Outdated { last } => self.exceed(&last, now, out),
        }
    }

    /// Marks a member as gone on purpose. Passed on once, by those to whom it was news.
    fn receive_goodbye(&mut self, identity: Identity, now: Clock, out: &mut Vec<Output>) {
        let news = |known: &Member| known.identity == identity && known.state != State::Left;
        if !self.roster.get(identity.addr).is_some_and(news) {
            return;
        }
        self.goodbyes.insert((identity.addr, identity.generation));
        self.spread_goodbye(&identity, out);
        self.apply(vec![foca::Member::down(identity)], now, out);
    }

    fn spread_goodbye(&mut self, identity: &Identity, out: &mut Vec<Output>) {
        let addresses = self.roster.active().map(|member| member.identity.addr);
        let mut hearers: Vec<SocketAddr> = addresses.filter(|&addr| addr != identity.addr).collect();
        self.choose(&mut hearers, GOODBYE_FANOUT);
        let payload = Notice::Goodbye(identity.clone()).payload();
        out.extend(hearers.into_iter().map(|to| Output::Send { to, payload: payload.clone() }));
    }

    /// Keeps `count` of the items, chosen at random.
    pub(super) fn choose<T>(&mut self, items: &mut Vec<T>, count: usize) {
        for place in 0..count.min(items.len()) {
            let chosen = self.rng.random_range(place..items.len());
            items.swap(place, chosen);
        }
        items.truncate(count);
    }

    /// Takes the signs of this node's own health from a packet: answers to its probes, and suspicions of it.
    fn watch(&mut self, packet: &Packet) {
        let header = &packet.header;
        let answered = match &header.message {
            foca::Message::Ack(_) => Some(&header.src),
            foca::Message::ForwardedAck { origin, .. } => Some(origin),
            _ => None,
        };
        if answered.is_some() && answered == self.unanswered.as_ref() {
            self.unanswered = None;
            self.health.probe_answered();
        }
        let me = self.foca.identity();
        let suspected = packet
            .updates
            .iter()
            .filter(|update| update.id() == me && update.state() == foca::State::Suspect)
            .map(|update| update.incarnation())
            .max();
        if let Some(incarnation) = suspected
            && incarnation >= self.refuted
        {
            self.refuted = incarnation.saturating_add(1);
            self.health.suspected();
        }
    }

    /// Whether this process has been stopped for a while, so that answers may wait unread in the socket while the
    /// timers that judge them are due. Then these timers are put off, once, by this much.
    fn stalled(&mut self, timer: &Timer, now: Clock) -> Option<std::time::Duration> {
        let lateness = now.mono.saturating_sub(timer.due);
        if timer.put_off || lateness <= self.settings.probe_rtt {
            return None;
        }
        match &timer.kind {
            Kind::Foca(foca::Timer::SendIndirectProbe { .. }) => Some(self.settings.probe_rtt),
            Kind::Foca(foca::Timer::ProbeRandomMember(_)) => {
                self.health.timer_late();
                Some(self.settings.probe_period)
            }
            Kind::Foca(foca::Timer::ChangeSuspectToDown { .. }) => Some(self.settings.probe_period),
            _ => None,
        }
    }

    pub(super) fn apply(&mut self, updates: Vec<foca::Member<Identity>>, now: Clock, out: &mut Vec<Output>) {
        let applied = self.with_foca(now, out, |foca, runtime| foca.apply_many(updates.into_iter(), true, runtime));
        if let Err(error) = applied {
            tracing::warn!(%error, "members could not be encoded for gossip");
        }
    }

    /// Calls foca and collects what it wants done.
    pub(super) fn with_foca<R>(
        &mut self,
        now: Clock,
        out: &mut Vec<Output>,
        call: impl FnOnce(&mut Foca<Identity, PacketCodec, StdRng, NoCustomBroadcast>, &mut Collector<'_>) -> R,
    ) -> R {
        let generation = self.foca.identity().generation;
        let mut runtime = Collector { out, now, health: self.health, probed: None };
        let result = call(&mut self.foca, &mut runtime);
        if let Some(probed) = runtime.probed {
            self.unanswered = Some(probed);
        }
        if self.foca.identity().generation != generation {
            self.refuted = 0;
        }
        result
    }

    /// Makes roster and settings follow what foca believes now.
    fn settle(&mut self, now: Clock, out: &mut Vec<Output>) {
        let me = self.foca.identity();
        let (mut changes, mut count) = (Vec::new(), 0);
        for member in self.foca.iter_membership_state().filter(|member| member.id().addr != me.addr) {
            let identity = member.id();
            let left = self.goodbyes.contains(&(identity.addr, identity.generation));
            let belief = Belief::of(member);
            // Most members are as they were, and where they were, after most messages.
            let is_known = self.followed.get(count) == Some(&belief);
            match self.followed.get_mut(count) {
                Some(place) => *place = belief,
                None => self.followed.push(belief),
            }
            count += 1;
            if left || !is_known {
                changes.extend(self.roster.observe(identity, member.state(), member.incarnation(), left, now));
            }
        }
        self.followed.truncate(count);
        self.goodbyes.clear();
        for change in changes {
            match change {
                Change::Up(identity) => {
                    self.saved_peers.retain(|&addr| addr != identity.addr);
                    self.defend_name(&identity, out);
                    out.push(Output::Up(identity));
                }
                Change::Down(identity) => out.push(Output::Down(identity)),
                Change::Left(identity) => {
                    self.saved_peers.retain(|&addr| addr != identity.addr);
                    out.push(Output::Left(identity));
                }
            }
        }
        self.follow_size(now, out);
    }

    /// Adapts to the number of live members.
    fn follow_size(&mut self, now: Clock, out: &mut Vec<Output>) {
        let alive = self.foca.num_members();
        if alive == self.alive {
            return;
        }
        if alive == 0 {
            out.push(Output::Idle);
            // The timer that is armed waits longer than a lonely node should.
            self.arm_announce(now, self.settings.announce_period_alone, out);
        }
        self.alive = alive;
        self.config = self.settings.config(alive + 1);
        if let Err(error) = self.foca.set_config(self.config.clone()) {
            tracing::warn!(%error, "settings stay as they were for a cluster of another size");
        }
    }
}
