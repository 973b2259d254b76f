//! The first minutes of a node: when it may take its own zone files for the truth.
//!
//! A node answers from its files provisionally as soon as they are read. One that joins nobody then starts a cluster and
//! imports them. One that joins waits until it has synced; then the cluster's zones win and files of zones that the
//! cluster never had are imported. Until what is imported is on disk it is served as it was, provisionally. When several
//! joining nodes find only each other, the one with the lowest address starts the cluster.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use super::node::{Node, Timer};
use super::{Command, Now, Severity};
use crate::replica::check_content;
use crate::zone::{Name, Zone, ZoneSet};

/// How often a node that has not synced yet looks whether it is on it to start the cluster, and one whose import was not
/// kept tries again.
pub(super) const LOOK_AROUND: Duration = Duration::from_secs(1);
/// For how long such a node waits at least: enough for a running cluster to be found.
const GRACE: Duration = Duration::from_secs(3);
/// After how long without any member a joining node says so; again after twice that, and so on.
const LONELY: Duration = Duration::from_secs(5);

/// Where a node stands on its way into a cluster.
#[derive(Debug)]
pub(super) struct Bootstrap {
    joins: bool,
    done: bool,
    /// The zone files, from when they were read until they are imported or lost to the cluster's zones.
    files: Option<Vec<Zone>>,
    provisional: Arc<ZoneSet>,
    waited: Duration,
    complain_at: Duration,
}

impl Bootstrap {
    pub(super) fn new(joins: bool, done: bool) -> Bootstrap {
        let (provisional, waited) = (Arc::default(), Duration::ZERO);
        Bootstrap { joins, done, files: None, provisional, waited, complain_at: LONELY }
    }

    /// Whether the replica, not the files, is the truth.
    pub(super) fn is_done(&self) -> bool {
        self.done
    }

    /// What is served: the replica's zones, and of the files' those that the replica does not have yet.
    pub(super) fn served(&self, replicated: &Arc<ZoneSet>) -> Arc<ZoneSet> {
        if !self.done {
            return self.provisional.clone();
        }
        if self.provisional.is_empty() {
            return replicated.clone();
        }
        let imported = |zone: &&Arc<Zone>| replicated.get(zone.origin()).is_none();
        Arc::new(ZoneSet::new(replicated.iter().chain(self.provisional.iter().filter(imported)).cloned()))
    }

    /// The zones that are served from files alone.
    pub(super) fn provisional(&self) -> impl Iterator<Item = &Arc<Zone>> {
        self.provisional.iter()
    }

    /// Whether this zone is one of them.
    pub(super) fn is_provisional(&self, origin: &Name) -> bool {
        self.provisional.get(origin).is_some()
    }

    /// Serves no more from files than these zones.
    fn keep_provisional(&mut self, is_kept: impl Fn(&Name) -> bool) {
        if self.provisional.iter().any(|zone| !is_kept(zone.origin())) {
            let kept = self.provisional.iter().filter(|zone| is_kept(zone.origin()));
            self.provisional = Arc::new(ZoneSet::new(kept.cloned()));
        }
    }
}

impl Node {
    pub(super) fn on_files(&mut self, files: Vec<Zone>, now: Now) {
        if self.bootstrap.done {
            return;
        }
        self.bootstrap.provisional = Arc::new(ZoneSet::new(files.iter().cloned().map(Arc::new)));
        self.bootstrap.files = Some(files);
        self.publish();
        if !self.bootstrap.joins {
            self.initialise(now);
        }
    }

    /// Zones that the catalog knows by now, living or deleted, are no more served from files.
    pub(super) fn end_provisional(&mut self) {
        if self.bootstrap.done {
            let catalog = self.replica.catalog();
            let is_known = |origin: &Name| catalog.of(origin).next().is_some() || catalog.stub(origin).is_some();
            self.bootstrap.keep_provisional(|origin| !is_known(origin));
        }
    }

    /// Takes the step from files to replica, once.
    pub(super) fn initialise(&mut self, now: Now) {
        let Some(files) = self.bootstrap.files.take().filter(|_| !self.bootstrap.done) else { return };
        self.bootstrap.done = true;
        self.facts.initialised = true;
        self.persist_facts();
        let unknown: Vec<Zone> = files.into_iter().filter(|content| self.may_import(content)).collect();
        let origins: BTreeSet<&Name> = unknown.iter().map(Zone::origin).collect();
        self.bootstrap.keep_provisional(|origin| origins.contains(origin));
        if !unknown.is_empty() {
            self.enqueue(None, Command::Import(unknown), now);
        }
        self.make_wanted(now);
        self.publish();
    }

    /// Tries once more to import what is served from files, if the disk would not keep it.
    fn import_again(&mut self, now: Now) {
        let pending: Vec<Zone> = self.bootstrap.provisional().map(|zone| Zone::clone(zone)).collect();
        if pending.is_empty() {
            return;
        }
        self.arm(now.mono + LOOK_AROUND, Timer::Bootstrap);
        let waits = self.commands.iter().any(|(_, command)| matches!(command, Command::Import(_)));
        if !waits && !self.replica.is_catalog_staged() {
            self.enqueue(None, Command::Import(pending), now);
        }
    }

    fn may_import(&mut self, content: &Zone) -> bool {
        if let Err(error) = check_content(content) {
            self.report(Severity::Warn, format!("a zone file is not imported: {error}"));
            return false;
        }
        self.is_unknown(content.origin())
    }

    /// Whether the cluster never had a zone of this name. One that it deleted is known: an old file must not bring it
    /// back.
    fn is_unknown(&mut self, origin: &Name) -> bool {
        let catalog = self.replica.catalog();
        let (live, deleted) = (catalog.of(origin).next().is_some(), catalog.stub(origin).is_some());
        if deleted && !live {
            let message = format!("zone {origin} was deleted in this cluster; its file here is not imported");
            self.report(Severity::Warn, message);
        }
        !live && !deleted
    }

    /// Starts the cluster if only such nodes are around as have not synced either, and this one is the first of them.
    pub(super) fn look_around(&mut self, now: Now) {
        if self.bootstrap.done {
            return self.import_again(now);
        }
        self.bootstrap.waited += LOOK_AROUND;
        self.arm(now.mono + LOOK_AROUND, Timer::Bootstrap);
        let alive: Vec<_> = self.membership.alive().map(|member| member.addr).collect();
        if alive.is_empty() && self.bootstrap.joins && self.bootstrap.waited >= self.bootstrap.complain_at {
            self.bootstrap.complain_at *= 2;
            let message = "no node to join has answered yet: does one run at an address given to join, can UDP and TCP \
                           reach it, and do both have the same key and cluster name?";
            self.report(Severity::Warn, message.to_owned());
        }
        let all_new =
            alive.iter().all(|addr| self.peers.get(*addr).is_some_and(|peer| peer.root.is_some() && !peer.initialised));
        let first = alive.iter().all(|addr| *addr > self.config.gossip);
        if self.bootstrap.waited >= GRACE && !alive.is_empty() && all_new && first {
            self.report(Severity::Info, "no member has zones yet: this node starts the cluster".to_owned());
            self.initialise(now);
        }
    }
}
