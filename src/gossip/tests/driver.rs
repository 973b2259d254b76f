//! The driver with small cores: one that is scripted, and one that is real membership.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rand::SeedableRng;
use rand::rngs::StdRng;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::{DEADLINE, any_port, eventually, secrets};
use crate::gossip::{Core, Driver, DriverError, Endpoint, Options, Ports, SystemClock};
use crate::membership::{Clock, Identity, Membership, Output, Settings, Timer};
use crate::node::{
    Applied, Command, CommandError, EditOrigin, Effect, Event, MemberView, Now, PersistId, RequestId, Source, View,
};
use crate::published::Published;
use crate::replica::{Facts, Write, WriteSet};
use crate::zone::{Name, ZoneSet};

fn view(name: &str, members: Vec<MemberView>) -> View {
    View {
        name: name.to_owned(),
        cluster: "home".to_owned(),
        gossip: any_port(),
        generation: 0,
        actor: None,
        initialised: true,
        synced: true,
        at_ms: 0,
        members,
        zones: Vec::new(),
    }
}

/// Notes every event and answers it with what a function says.
struct Scripted<F> {
    events: Arc<Mutex<Vec<Event>>>,
    script: F,
    deadline: Option<Duration>,
}

impl<F: FnMut(&Event) -> Vec<Effect> + Send> Core for Scripted<F> {
    fn handle(&mut self, event: Event, now: Now) -> Vec<Effect> {
        if matches!(event, Event::Tick) && self.deadline.is_some_and(|deadline| now.mono >= deadline) {
            self.deadline = None;
        }
        let effects = (self.script)(&event);
        self.events.lock().unwrap().push(event);
        effects
    }

    fn next_deadline(&self) -> Option<Duration> {
        self.deadline
    }

    fn view(&self, _now: Now) -> View {
        view(&self.events.lock().unwrap().len().to_string(), Vec::new())
    }
}

struct Running {
    addr: SocketAddr,
    ports: Ports,
    zones: Arc<Published>,
    events: Arc<Mutex<Vec<Event>>>,
    shutdown: CancellationToken,
    task: JoinHandle<Result<(), DriverError>>,
}

impl Running {
    async fn start(script: impl FnMut(&Event) -> Vec<Effect> + Send + 'static) -> Running {
        Running::start_with(script, None).await
    }

    async fn start_with(
        script: impl FnMut(&Event) -> Vec<Effect> + Send + 'static,
        deadline: Option<Duration>,
    ) -> Running {
        let events = Arc::new(Mutex::new(Vec::new()));
        let endpoint = Endpoint::bind(any_port(), secrets("home", &[1]), Arc::default()).await.unwrap();
        let (addr, shutdown) = (endpoint.local_addr(), CancellationToken::new());
        let zones = Arc::new(Published::default());
        let options = Options {
            clock: SystemClock::start(),
            seeds: Vec::new(),
            zones: zones.clone(),
            shutdown: shutdown.clone(),
        };
        let (driver, ports) = Driver::new(Scripted { events: events.clone(), script, deadline }, endpoint, options);
        Running { addr, ports, zones, events, shutdown, task: tokio::spawn(driver.run()) }
    }

    fn saw(&self, fact: impl Fn(&Event) -> bool) -> bool {
        self.events.lock().unwrap().iter().any(fact)
    }

    async fn ended(self) -> Result<(), DriverError> {
        timeout(DEADLINE, self.task).await.expect("ends in time").unwrap()
    }
}

fn delete() -> Command {
    Command::Delete { zone: Name::root(), source: Source::new(EditOrigin::Api) }
}

const APPLIED: Applied = Applied { serial: 7, version: [1; 8], changed: true, detail: None };

#[tokio::test]
async fn the_first_event_is_a_tick_and_deadlines_are_ticks() {
    let running = Running::start_with(|_| Vec::new(), Some(Duration::from_millis(1))).await;
    eventually("two ticks", || running.events.lock().unwrap().len() >= 2).await;
    assert!(running.events.lock().unwrap().iter().all(|event| matches!(event, Event::Tick)));
}

#[tokio::test]
async fn a_command_is_done_when_its_writes_are_kept() {
    let mut waiting = None;
    let mut running = Running::start(move |event| match event {
        Event::Command { ticket, .. } => {
            waiting = Some(*ticket);
            vec![Effect::Persist { id: PersistId(9), writes: vec![Write::Facts(Facts::default())], gathered: false }]
        }
        Event::Persisted { id: PersistId(9), result: Ok(()) } => {
            vec![Effect::Done { ticket: waiting.unwrap(), result: Ok(APPLIED) }]
        }
        _ => Vec::new(),
    })
    .await;
    let (outcome, mut done) = oneshot::channel();
    running.ports.commands.send((delete(), outcome)).await.unwrap();
    let WriteSet { id, writes, .. } = running.ports.writes.recv().await.unwrap();
    assert!(id == PersistId(9) && matches!(writes[..], [Write::Facts(_)]));
    assert!(done.try_recv().is_err(), "not before it is kept");
    running.ports.written.send((id, Ok(()))).await.unwrap();
    assert_eq!(done.await.unwrap(), Ok(APPLIED));
}

#[tokio::test]
async fn writes_come_in_order_though_the_store_is_slow() {
    let mut running = Running::start(|event| match event {
        Event::Files(_) => {
            (0..1000).map(|id| Effect::Persist { id: PersistId(id), writes: Vec::new(), gathered: false }).collect()
        }
        _ => Vec::new(),
    })
    .await;
    running.ports.files.send(Vec::new()).await.unwrap();
    for id in 0..1000 {
        let written = timeout(DEADLINE, running.ports.writes.recv()).await.unwrap().unwrap();
        assert_eq!(written.id, PersistId(id));
        running.ports.written.send((written.id, Ok(()))).await.unwrap();
    }
    let persisted = |event: &Event| matches!(event, Event::Persisted { .. });
    eventually("all reported", || {
        running.events.lock().unwrap().iter().filter(|event| persisted(event)).count() == 1000
    })
    .await;
}

#[tokio::test]
async fn published_zones_are_swapped_in_and_announced() {
    let zones = Arc::new(ZoneSet::default());
    let publish = zones.clone();
    let mut running = Running::start(move |event| match event {
        Event::Files(_) => vec![Effect::Publish(publish.clone())],
        _ => Vec::new(),
    })
    .await;
    running.ports.files.send(Vec::new()).await.unwrap();
    timeout(DEADLINE, running.ports.published.changed()).await.unwrap().unwrap();
    assert!(Arc::ptr_eq(&running.ports.published.borrow(), &zones));
    assert!(Arc::ptr_eq(running.zones.load().zones(), &zones));
}

#[tokio::test]
async fn the_view_follows_events() {
    let running = Running::start(|_| Vec::new()).await;
    running.ports.files.send(Vec::new()).await.unwrap();
    timeout(DEADLINE, running.ports.views.wait_for(|view| view.name == "2")).await.expect("both events in view");
}

#[tokio::test]
async fn a_view_that_is_asked_for_holds_all_that_has_happened() {
    let running = Running::start(|_| Vec::new()).await;
    let seen = || running.events.lock().unwrap().len();
    eventually("the first event", || seen() == 1).await;
    // More often than it is copied out of itself.
    for count in 2..100 {
        running.ports.files.send(Vec::new()).await.unwrap();
        while seen() < count {
            tokio::task::yield_now().await;
        }
        assert_eq!(running.ports.views.now().await.name, count.to_string());
    }
}

#[tokio::test]
async fn requests_are_answered_between_drivers_and_failures_reported() {
    let answering = Running::start(|event| match event {
        Event::Request { inbound, payload } => {
            vec![Effect::Respond { inbound: *inbound, payload: [payload, &b"!"[..]].concat() }]
        }
        _ => Vec::new(),
    })
    .await;
    let (good, bad) = (answering.addr, SocketAddr::from(([127, 0, 0, 1], 1)));
    let asking = Running::start(move |event| match event {
        Event::Files(_) => [(1, good), (2, bad)]
            .map(|(id, to)| Effect::SendRequest { id: RequestId(id), to, payload: b"hey".to_vec() })
            .into(),
        _ => Vec::new(),
    })
    .await;
    asking.ports.files.send(Vec::new()).await.unwrap();
    eventually("an answer", || {
        asking
            .saw(|event| matches!(event, Event::Response { id: RequestId(1), result: Ok(answer) } if answer == b"hey!"))
    })
    .await;
    eventually("a failure", || {
        asking.saw(|event| matches!(event, Event::Response { id: RequestId(2), result: Err(_) }))
    })
    .await;
}

#[tokio::test]
async fn a_stop_says_goodbye_and_waits_for_writes() {
    let mut running = Running::start(|event| match event {
        Event::Files(_) => vec![Effect::Persist { id: PersistId(1), writes: Vec::new(), gathered: false }],
        _ => Vec::new(),
    })
    .await;
    running.ports.files.send(Vec::new()).await.unwrap();
    let id = running.ports.writes.recv().await.unwrap().id;
    running.shutdown.cancel();
    eventually("good-bye", || running.saw(|event| matches!(event, Event::Leave))).await;
    assert!(!running.task.is_finished(), "a write is under way");
    running.ports.written.send((id, Ok(()))).await.unwrap();
    let (events, commands) = (running.events.clone(), running.ports.commands.clone());
    assert!(running.ended().await.is_ok());
    assert!(matches!(events.lock().unwrap().last(), Some(Event::Persisted { id: PersistId(1), .. })));
    assert!(commands.send((delete(), oneshot::channel().0)).await.is_err(), "no commands any more");
}

#[tokio::test]
async fn a_fatal_effect_ends_the_driver_with_its_message() {
    let running = Running::start(|_| vec![Effect::Fatal("name taken".to_owned())]).await;
    assert_eq!(running.ended().await.unwrap_err().to_string(), "name taken");
}

#[tokio::test]
async fn without_its_store_a_driver_ends() {
    let Running { ports, task, .. } = Running::start(|_| Vec::new()).await;
    let Ports { written, .. } = ports;
    drop(written);
    let ended = timeout(DEADLINE, task).await.unwrap().unwrap();
    assert!(matches!(ended, Err(DriverError::StoreEnded)));
}

#[tokio::test]
async fn a_refused_command_comes_back() {
    let running = Running::start(|event| match event {
        Event::Command { ticket, .. } => vec![Effect::Done { ticket: *ticket, result: Err(CommandError::Busy) }],
        _ => Vec::new(),
    })
    .await;
    let (outcome, done) = oneshot::channel();
    running.ports.commands.send((delete(), outcome)).await.unwrap();
    assert_eq!(done.await.unwrap(), Err(CommandError::Busy));
}

/// A node that does nothing but be a member.
struct MemberCore {
    membership: Membership,
    timers: BTreeMap<(Duration, u64), Timer>,
    count: u64,
    started: bool,
}

impl MemberCore {
    fn perform(&mut self, outputs: Vec<Output>, now: Now) -> Vec<Effect> {
        let mut effects = Vec::new();
        for output in outputs {
            match output {
                Output::Send { to, payload } => effects.push(Effect::SendDatagram { to, payload }),
                Output::After { delay, timer } => {
                    self.count += 1;
                    self.timers.insert((now.mono + delay, self.count), timer);
                }
                Output::Duplicate(message) => effects.push(Effect::Fatal(message)),
                _ => {}
            }
        }
        effects
    }
}

impl Core for MemberCore {
    fn handle(&mut self, event: Event, now: Now) -> Vec<Effect> {
        let (clock, mut out) = (Clock { mono: now.mono, wall_ms: now.wall_ms }, Vec::new());
        match event {
            Event::Tick => {
                if !std::mem::replace(&mut self.started, true) {
                    self.membership.start(clock, &mut out);
                }
                while let Some(due) = self.timers.first_entry().filter(|first| first.key().0 <= now.mono) {
                    self.membership.timer(due.remove(), clock, &mut out);
                }
            }
            Event::Datagram { from, payload } => self.membership.receive(from, &payload, clock, &mut out).unwrap(),
            Event::Seeds(seeds) => self.membership.set_seeds(seeds, clock, &mut out),
            Event::Leave => self.membership.leave(clock, &mut out),
            _ => {}
        }
        self.perform(out, now)
    }

    fn next_deadline(&self) -> Option<Duration> {
        self.timers.first_key_value().map(|((due, _), _)| *due)
    }

    fn view(&self, _now: Now) -> View {
        let members = self.membership.roster().iter().map(|member| MemberView {
            name: member.identity.name.clone(),
            gossip: member.identity.addr,
            state: match member.state {
                crate::membership::State::Alive => crate::node::MemberState::Alive,
                crate::membership::State::Suspect => crate::node::MemberState::Suspect,
                crate::membership::State::Down => crate::node::MemberState::Down,
                crate::membership::State::Left => crate::node::MemberState::Left,
            },
            since_ms: member.since_ms,
            this_node: false,
            in_sync: false,
        });
        view(&self.membership.me().name, members.collect())
    }
}

struct Member {
    addr: SocketAddr,
    ports: Ports,
    shutdown: CancellationToken,
    task: JoinHandle<Result<(), DriverError>>,
}

impl Member {
    async fn start(name: &str, seed: Option<SocketAddr>) -> Member {
        let endpoint = Endpoint::bind(any_port(), secrets("home", &[1]), Arc::default()).await.unwrap();
        let (addr, shutdown, clock) = (endpoint.local_addr(), CancellationToken::new(), SystemClock::start());
        let id = u64::from(addr.port());
        let me = Identity::new(addr, clock.now().wall_ms, name, id).unwrap();
        let membership = Membership::new(me, Settings::default(), Vec::new(), Vec::new(), StdRng::seed_from_u64(id));
        let core = MemberCore { membership, timers: BTreeMap::new(), count: 0, started: false };
        let seeds = seed.map(|seed| format!("localhost:{}", seed.port())).into_iter().collect();
        let (driver, ports) =
            Driver::new(core, endpoint, Options { clock, seeds, zones: Arc::default(), shutdown: shutdown.clone() });
        Member { addr, ports, shutdown, task: tokio::spawn(driver.run()) }
    }

    /// Waits until it sees a member so.
    async fn sees(&self, name: &str, state: crate::node::MemberState) {
        let sees = |view: &View| view.members.iter().any(|member| member.name == name && member.state == state);
        let seen = timeout(DEADLINE, self.ports.views.wait_for(sees)).await;
        seen.unwrap_or_else(|_| panic!("{name} is not seen {state:?}"));
    }
}

#[tokio::test]
async fn real_nodes_find_each_other_by_a_seeds_name_and_learn_who_left() {
    use crate::node::MemberState::{Alive, Left};
    let first = Member::start("a", None).await;
    let others = [Member::start("b", Some(first.addr)).await, Member::start("c", Some(first.addr)).await];
    for (node, name) in [(&first, "b"), (&first, "c"), (&others[0], "c"), (&others[1], "b")] {
        node.sees(name, Alive).await;
    }

    let twin = Member::start("b", Some(first.addr)).await;
    let ended = timeout(DEADLINE, twin.task).await.expect("the second of a name ends").unwrap();
    let message = ended.unwrap_err().to_string();
    assert!(message.contains(&others[0].addr.to_string()), "{message}");

    first.shutdown.cancel();
    assert!(timeout(DEADLINE, first.task).await.unwrap().unwrap().is_ok());
    for other in &others {
        other.sees("a", Left).await;
    }
}
