//! A zone directory under test, and the node beside it.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use tempfile::TempDir;
use tokio::sync::{mpsc, oneshot, watch};
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::decision::{Decision, DecisionRequest};
use crate::files::{CommandRequest, FilesHandle, Held, ZoneFiles};
use crate::master::ZoneFile;
use crate::metrics::Metrics;
use crate::node::{Applied, Command, CommandError, EditOrigin, Source};
use crate::zone::{Change, Name, Zone, ZoneContent, ZoneSet, serial_gt};

/// How long a fact may take to come true before the test fails; far longer than it ever should.
const DEADLINE: Duration = Duration::from_secs(20);

/// The zone that most tests are about.
pub(super) const EXAMPLE: &str = "\
$TTL 300
@ SOA ns1 hostmaster 100 3600 600 86400 60
  NS ns1   ; the first
  NS ns2
ns1 A 192.0.2.1
ns2 A 192.0.2.2

; people
www A 192.0.2.10   ; front
";

pub(super) fn name(text: &str) -> Name {
    text.parse().expect("a name")
}

pub(super) fn parse(origin: &str, text: &str) -> ZoneContent {
    let file = ZoneFile::parse("text", text.as_bytes(), &name(origin), &mut |_| Err("no file".to_owned()));
    file.unwrap_or_else(|errors| panic!("{errors:?}")).content().clone()
}

/// The zones of a node: applies commands as the replica does.
pub(super) struct World {
    zones: BTreeMap<Name, (ZoneContent, u64)>,
    deleted: BTreeMap<Name, u64>,
    pub(super) initialised: bool,
    pub(super) answer: Option<CommandError>,
    pub(super) commands: Vec<Command>,
    published: watch::Sender<Arc<ZoneSet>>,
}

impl World {
    fn apply(&mut self, command: Command) -> Result<Applied, CommandError> {
        if !self.initialised {
            return Err(CommandError::NotInitialised);
        }
        if let Some(error) = &self.answer {
            return Err(error.clone());
        }
        match command {
            Command::Edit(edit) => {
                let (content, serial) =
                    self.zones.get_mut(&edit.zone).ok_or(CommandError::NoSuchZone(edit.zone.clone()))?;
                let before = content.clone();
                for change in edit.changes {
                    apply_change(content, change);
                }
                let wanted = edit.serial.filter(|&wanted| serial_gt(wanted, *serial as u32));
                let changed = *content != before || wanted.is_some();
                if changed {
                    *serial = wanted.map_or(*serial + 1, u64::from);
                }
                self.publish();
                Ok(self.applied(&edit.zone, changed))
            }
            Command::Create { content, .. } => {
                let origin = content.origin().clone();
                if self.zones.contains_key(&origin) {
                    return Err(CommandError::ZoneExists(origin));
                }
                self.insert(content.to_content());
                Ok(self.applied(&origin, true))
            }
            Command::Direct(_) => unreachable!("files are edited whole"),
            Command::Import(_) | Command::Drop { .. } | Command::Remember { .. } => {
                unreachable!("the files' zones are offered, not imported, by this layer")
            }
            Command::Delete { zone, .. } => {
                let (_, serial) = self.zones.remove(&zone).ok_or(CommandError::NoSuchZone(zone.clone()))?;
                self.deleted.insert(zone, serial);
                self.publish();
                Ok(Applied { serial, version: [1; 8], changed: true, detail: None })
            }
        }
    }

    /// A zone of the cluster, with its SOA's serial.
    pub(super) fn insert(&mut self, content: ZoneContent) {
        let least = self.deleted.get(&content.origin).map_or(0, |serial| serial + 1);
        let serial = u64::from(content.soa.serial).max(least);
        self.zones.insert(content.origin.clone(), (content, serial));
        self.publish();
    }

    /// An edit of another node: the records of `text` in the place of what is there.
    pub(super) fn edit(&mut self, origin: &str, change: impl FnOnce(&mut ZoneContent)) {
        let (content, serial) = self.zones.get_mut(&name(origin)).expect("the zone is there");
        change(content);
        *serial += 1;
        self.publish();
    }

    pub(super) fn delete(&mut self, origin: &str) {
        self.initialised = true;
        self.apply(Command::Delete { zone: name(origin), source: Source::new(EditOrigin::Api) })
            .expect("the zone is there");
    }

    pub(super) fn content(&self, origin: &str) -> Option<ZoneContent> {
        self.zones.get(&name(origin)).map(|(content, serial)| {
            let mut content = content.clone();
            content.soa.serial = *serial as u32;
            content
        })
    }

    pub(super) fn serial(&self, origin: &str) -> u64 {
        self.zones[&name(origin)].1
    }

    pub(super) fn has(&self, origin: &str, owner: &str) -> bool {
        self.content(origin).is_some_and(|zone| zone.rrsets.keys().any(|(name, _)| name.to_string() == owner))
    }

    fn applied(&self, origin: &Name, changed: bool) -> Applied {
        let serial = self.zones[origin].1;
        Applied { serial, version: version(origin, serial), changed, detail: None }
    }

    fn publish(&self) {
        let zones = self.zones.iter().map(|(origin, (content, serial))| {
            let mut zone = Zone::from_content(content);
            zone.set_soa(content.soa.clone(), *serial);
            zone.set_version(version(origin, *serial));
            Arc::new(zone)
        });
        self.published.send_replace(Arc::new(ZoneSet::new(zones)));
    }
}

fn version(origin: &Name, serial: u64) -> [u8; 8] {
    let hash = blake3::hash(format!("{origin} {serial}").as_bytes());
    hash.as_bytes()[..8].try_into().expect("eight bytes")
}

fn apply_change(content: &mut ZoneContent, change: Change) {
    match change {
        Change::Add(record) => {
            let key = (record.owner.clone(), record.rtype);
            let ttl = record.ttl;
            content.add(record);
            content.rrsets.get_mut(&key).expect("just added").ttl = ttl;
        }
        Change::Remove(record) => {
            let key = (record.owner, record.rtype);
            if let Some(rrset) = content.rrsets.get_mut(&key) {
                rrset.rdatas.remove(&record.rdata);
                if rrset.rdatas.is_empty() {
                    content.rrsets.remove(&key);
                }
            }
        }
        Change::Ttl { owner, rtype, ttl } => {
            if let Some(rrset) = content.rrsets.get_mut(&(owner, rtype)) {
                rrset.ttl = ttl;
            }
        }
        Change::Soa(soa) => content.soa = soa,
        other => panic!("no save of a file makes {other:?}"),
    }
}

/// A node's directories, its zone files at work, and its zones.
pub(super) struct Bench {
    home: Arc<TempDir>,
    world: Arc<Mutex<World>>,
    handle: FilesHandle,
    cancel: CancellationToken,
    _stop: DropGuard,
    task: tokio::task::JoinHandle<()>,
    node: tokio::task::JoinHandle<()>,
}

impl Bench {
    /// A node that has started a cluster, without any zones.
    pub(super) async fn new() -> Bench {
        let bench = Bench::with_files(&[]).await;
        bench.world().initialised = true;
        bench
    }

    /// A node that has joined nothing yet, with these files.
    pub(super) async fn with_files(files: &[(&str, &str)]) -> Bench {
        let home = Arc::new(tempfile::tempdir().expect("a directory"));
        fs::create_dir(home.path().join("zones")).expect("a directory");
        for (file, text) in files {
            fs::write(home.path().join("zones").join(file), text).expect("a file");
        }
        let world = World {
            zones: BTreeMap::new(),
            deleted: BTreeMap::new(),
            initialised: false,
            answer: None,
            commands: Vec::new(),
            published: watch::Sender::new(Arc::default()),
        };
        Bench::start(home, Arc::new(Mutex::new(world))).await
    }

    async fn start(home: Arc<TempDir>, world: Arc<Mutex<World>>) -> Bench {
        let is_offer_wanted = !world.lock().expect("no panic").initialised;
        let [zones, data] = ["zones", "data"].map(|name| home.path().join(name));
        let opened = ZoneFiles::open(&zones, &data, is_offer_wanted, Arc::<Metrics>::default());
        let (files, _) = opened.expect("usable directories");
        let (commands, mut asked) = mpsc::channel::<CommandRequest>(8);
        let zones = world.lock().expect("no panic").published.subscribe();
        let stop = CancellationToken::new();
        let (handle, task) = files.start(commands, zones, stop.clone());
        let node = tokio::spawn({
            let world = world.clone();
            async move {
                while let Some((command, reply)) = asked.recv().await {
                    let mut world = world.lock().expect("no panic");
                    world.commands.push(command.clone());
                    let _ = reply.send(world.apply(command));
                }
            }
        });
        Bench { home, world, handle, cancel: stop.clone(), _stop: stop.drop_guard(), task: tokio::spawn(task), node }
    }

    /// Stops the zone files; `between` happens while they are down; then they start again.
    pub(super) async fn restart(self, between: impl FnOnce(&Bench)) -> Bench {
        self.cancel.cancel();
        while !self.task.is_finished() {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        between(&self);
        let Bench { home, world, node, .. } = self;
        node.abort();
        Bench::start(home, world).await
    }

    pub(super) fn world(&self) -> MutexGuard<'_, World> {
        self.world.lock().expect("no panic")
    }

    pub(super) fn path(&self, file: &str) -> PathBuf {
        self.home.path().join("zones").join(file)
    }

    pub(super) fn zones(&self) -> PathBuf {
        self.home.path().join("zones")
    }

    pub(super) fn read(&self, file: &str) -> String {
        fs::read_to_string(self.path(file)).unwrap_or_default()
    }

    pub(super) fn write(&self, file: &str, text: &str) {
        fs::write(self.path(file), text).expect("a file");
    }

    /// Changes a file as `sed -i` does: through another file that takes its place.
    pub(super) fn sed(&self, file: &str, from: &str, to: &str) {
        let text = self.read(file);
        assert!(text.contains(from), "{from} is not in {text}");
        fs::write(self.path("sedXyZ123"), text.replace(from, to)).expect("a file");
        fs::rename(self.path("sedXyZ123"), self.path(file)).expect("a rename");
    }

    /// Waits until something is so.
    pub(super) async fn until(&self, what: &str, fact: impl Fn(&Bench) -> bool) {
        let deadline = Instant::now() + DEADLINE;
        while !fact(self) {
            assert!(
                Instant::now() < deadline,
                "it did not come true that {what}\nheld: {:#?}\nfiles: {:#?}",
                self.held(),
                fs::read_dir(self.zones()).map(|entries| entries
                    .flatten()
                    .map(|entry| (entry.path(), fs::read_to_string(entry.path())))
                    .collect::<Vec<_>>())
            );
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }

    /// Waits until a file says what the node serves, under its serial and marker.
    pub(super) async fn settled(&self, file: &str, origin: &str) {
        self.until(&format!("{file} is written back"), |bench| bench.is_settled(file, origin)).await;
    }

    fn is_settled(&self, file: &str, origin: &str) -> bool {
        let Some(content) = self.world().content(origin) else { return false };
        let path = self.path(file);
        let parsed = ZoneFile::parse(&path.to_string_lossy(), self.read(file).as_bytes(), &name(origin), &mut |path| {
            fs::read(path).map_err(|error| error.to_string())
        });
        let expected = version(&name(origin), self.world().serial(origin));
        parsed.is_ok_and(|file| *file.content() == content && file.marker().is_some_and(|m| m.version == expected))
    }

    /// Passes once everything that was asked of the files before is done: a new zone goes the whole way.
    pub(super) async fn barrier(&self) {
        let number = self.world().commands.len();
        let (file, origin) = (format!("barrier{number}.zone"), format!("barrier{number}."));
        self.write(&file, "@ 60 SOA ns. root. 1 1 1 1 1\n@ 60 NS ns.\n");
        self.settled(&file, &origin).await;
    }

    pub(super) fn held(&self) -> Vec<Held> {
        self.handle.held.borrow().to_vec()
    }

    pub(super) fn holds(&self, origin: &str, why: &str) -> bool {
        self.held().iter().any(|held| held.origin == name(origin) && held.reason.contains(why))
    }

    pub(super) async fn decide(&self, origin: &str, decision: Decision) -> Result<String, String> {
        let (reply, outcome) = oneshot::channel();
        let request = DecisionRequest { origin: name(origin), decision, reply };
        self.handle.requests.send(request).await.expect("the files are at work");
        outcome.await.expect("an answer")
    }

    /// The edits that the node was asked for, of one zone.
    pub(super) fn edits(&self, origin: &str) -> Vec<Vec<Change>> {
        let world = self.world();
        world
            .commands
            .iter()
            .filter_map(|command| match command {
                Command::Edit(edit) if edit.zone == name(origin) => Some(edit.changes.clone()),
                _ => None,
            })
            .collect()
    }

    /// A cluster with the example zone, whose file is in step.
    pub(super) async fn example() -> Bench {
        let bench = Bench::new().await;
        bench.write("example.zone", EXAMPLE);
        bench.settled("example.zone", "example.").await;
        bench
    }
}
