//! Nodes that are killed, stopped and started again, while edits are made and questions asked.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use hickory_server::proto::op::{Message, MessageType, OpCode, Query};
use hickory_server::proto::rr::{Name, RecordType};

use super::client::{dig, lookup};
use super::cluster::Cluster;
use super::harness::{DEADLINE, ORIGIN, until, wait_for};

const ROUNDS: usize = 20;
const EDITS_PER_ROUND: usize = 10;

/// Choices that are the same in every run.
struct Dice(u32);

impl Dice {
    fn below(&mut self, limit: usize) -> usize {
        self.0 = self.0.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (self.0 >> 16) as usize % limit
    }
}

/// An edit counts as acknowledged once the node on whose disk its file was saved has answered it: from then on it must
/// never be lost, whatever is killed.
#[test]
fn no_edit_that_was_answered_once_is_lost_by_kills() {
    let mut cluster = Cluster::start(5);
    let mut dice = Dice(5);
    // Label and address of each edit, and whether it was acknowledged.
    let mut edits: BTreeMap<String, (String, bool)> = BTreeMap::new();
    let mut unanswered = 0;
    for round in 0..ROUNDS {
        let victim = dice.below(5);
        let moment = dice.below(EDITS_PER_ROUND);
        for i in 0..EDITS_PER_ROUND {
            let label = format!("r{round}e{i}");
            let address = format!("10.{round}.{i}.1");
            let mut author = dice.below(5);
            let is_moment = i == moment;
            if is_moment {
                author = victim;
            } else if !cluster.nodes[author].is_running() {
                author = (author + 1) % 5;
            }
            let node = &mut cluster.nodes[author];
            let text = node.read_file(ORIGIN) + &format!("{label}.{ORIGIN}. A {address}\n");
            node.save(ORIGIN, &text);
            let answered =
                |at: SocketAddr| lookup(at, &format!("{label}.{ORIGIN}."), RecordType::A) == [address.as_str()];
            let acknowledged = if !is_moment {
                until("an edit to be answered where it was made", || answered(node.dns));
                true
            } else {
                // At a random moment after the save: the edit may be unread, on its way to disk, kept, or answered.
                let end = Instant::now() + Duration::from_millis(dice.below(60) as u64);
                let mut acknowledged = false;
                while Instant::now() < end && !acknowledged {
                    acknowledged = answered(node.dns);
                }
                node.kill();
                acknowledged
            };
            unanswered += usize::from(!acknowledged);
            edits.insert(label, (address, acknowledged));
        }
        cluster.nodes[victim].start();
    }
    cluster.await_equal();
    for (label, (address, acknowledged)) in &edits {
        if *acknowledged {
            cluster.await_answer(&format!("{label}.{ORIGIN}."), RecordType::A, &[address]);
        }
    }
    // What was saved but not answered is in the file still, and counts from the restart: nothing is lost at all.
    for (label, (address, _)) in edits.iter().filter(|(_, (_, acknowledged))| !acknowledged) {
        cluster.await_answer(&format!("{label}.{ORIGIN}."), RecordType::A, &[address]);
    }
    let zones = cluster.await_equal();
    cluster.await_files(ORIGIN);
    println!(
        "{} edits, {ROUNDS} kills, {unanswered} edits unanswered at the kill; all five nodes equal: {zones:?}",
        edits.len()
    );
}

#[test]
fn a_restart_of_all_nodes_at_once_keeps_everything() {
    let mut cluster = Cluster::start(3);
    for i in 0..3 {
        cluster.nodes[i].sed(ORIGIN, &format!("$ a extra{i} A 192.0.2.20{i}"));
        cluster.await_answer(&format!("extra{i}.{ORIGIN}."), RecordType::A, &[&format!("192.0.2.20{i}")]);
    }
    let before = cluster.await_equal();
    cluster.await_files(ORIGIN);
    let files: Vec<String> = cluster.nodes.iter().map(|node| node.read_file(ORIGIN)).collect();
    for gently in [false, true] {
        if gently {
            cluster.nodes.iter_mut().for_each(|node| node.terminate());
        } else {
            cluster.nodes.iter_mut().for_each(|node| node.kill());
        }
        cluster.nodes.iter_mut().for_each(|node| node.launch());
        cluster.nodes.iter_mut().for_each(|node| node.await_up());
        assert_eq!(cluster.await_equal(), before);
        let now: Vec<String> = cluster.nodes.iter().map(|node| node.read_file(ORIGIN)).collect();
        assert_eq!(now, files);
    }
}

#[test]
fn a_node_that_says_goodbye_is_left_and_one_that_is_killed_is_down() {
    let mut cluster = Cluster::start(3);
    let sees = |cluster: &Cluster, name: &str, state: &str| {
        let members = cluster.nodes[0].members();
        members.iter().any(|(member, seen)| member == name && seen == state)
    };
    cluster.nodes[1].terminate();
    until("the one that stopped to be seen as left", || sees(&cluster, "node2", "left"));
    cluster.nodes[2].kill();
    until("the one that was killed to be seen as down", || sees(&cluster, "node3", "down"));
    cluster.nodes[1].start();
    cluster.nodes[2].start();
    cluster.await_equal();
}

#[test]
fn a_node_that_stood_still_catches_up() {
    let cluster = Cluster::start(3);
    let [here, _, frozen] = &cluster.nodes[..] else { panic!("three nodes") };
    frozen.signal("STOP");
    until("the frozen one to be seen as down", || {
        here.members().iter().any(|(name, state)| name == "node3" && state == "down")
    });
    here.sed(ORIGIN, "s/192.0.2.80/192.0.2.81/");
    until("the edit to be answered", || lookup(here.dns, "www.example.test.", RecordType::A) == ["192.0.2.81"]);
    frozen.signal("CONT");
    cluster.await_answer("www.example.test.", RecordType::A, &["192.0.2.81"]);
    cluster.await_equal();
}

// -- the service address --

/// The time between two queries of the steady load.
const PACE: Duration = Duration::from_millis(2);
/// For how long queries go on after the kill.
const AFTERMATH: Duration = Duration::from_secs(3);
/// Queries under way when a node is killed die with it: those in the buffers of its sockets. Of the queries of one second
/// these are hardly ever more than one; the bound leaves room for a machine that is busy.
const TOLERATED_PERCENT: usize = 2;

/// One query each from a port of its own, so that the system spreads them over the nodes.
struct Sent {
    at: Instant,
    socket: UdpSocket,
}

fn send(at: SocketAddr) -> Sent {
    let mut query = Message::new(7, MessageType::Query, OpCode::Query);
    query.add_query(Query::query(Name::from_ascii("www.example.test.").expect("a name"), RecordType::A));
    let socket = UdpSocket::bind("127.0.0.1:0").expect("a free port");
    socket.connect(at).expect("an address");
    // A port that nobody listens on would show here as an error of an earlier query.
    let _ = socket.send(&query.to_vec().expect("a message"));
    socket.set_nonblocking(true).expect("a socket");
    Sent { at: Instant::now(), socket }
}

/// Drops the queries that are answered, and returns how many were.
fn collect(waiting: &mut Vec<Sent>) -> usize {
    let before = waiting.len();
    waiting.retain(|sent| {
        let mut buffer = [0; 512];
        let Ok(length) = sent.socket.recv(&mut buffer) else { return true };
        let message = Message::from_vec(&buffer[..length]).expect("answers are well-formed");
        assert_eq!(message.answers.len(), 1, "a wrong answer: {message}");
        false
    });
    before - waiting.len()
}

fn who(service: SocketAddr) -> String {
    dig(service, &["+short", "id.server.", "CH", "TXT"]).trim().trim_matches('"').to_owned()
}

#[test]
fn killing_a_node_loses_only_the_service_addresss_queries_in_flight() {
    let mut cluster = Cluster::start_sharing(5);
    let service = cluster.service.expect("they share one");
    let mut seen = BTreeSet::new();
    wait_for("every node to have answered the service address", || {
        seen.insert(who(service));
        if (1..=5).all(|i| seen.contains(&format!("node{i}"))) { Ok(()) } else { Err(seen.clone()) }
    });
    let (mut waiting, mut count, mut killed) = (Vec::new(), 0, None::<Instant>);
    let began = Instant::now();
    let over = &AtomicBool::new(false);
    let retried = std::thread::scope(|scope| {
        // Beside the load somebody who asks again when there is no answer, as resolvers do.
        let patient = scope.spawn(move || {
            let mut answered = 0;
            while !over.load(Ordering::Relaxed) {
                let answer = dig(service, &["+short", "+time=1", "+tries=4", "www.example.test.", "A"]);
                // Above it dig tells of a first try that died with the node.
                assert_eq!(answer.lines().last(), Some("192.0.2.80"), "{answer}");
                answered += 1;
            }
            answered
        });
        loop {
            waiting.push(send(service));
            count += 1;
            collect(&mut waiting);
            match killed {
                None if began.elapsed() > Duration::from_secs(1) => {
                    cluster.nodes[2].kill();
                    killed = Some(Instant::now());
                }
                Some(moment) if moment.elapsed() > AFTERMATH => break,
                _ => std::thread::sleep(PACE),
            }
        }
        over.store(true, Ordering::Relaxed);
        patient.join().expect("whoever asks again is answered")
    });
    let killed = killed.expect("it was killed");
    // Whatever the nodes still have in their buffers is answered soon.
    let end = Instant::now() + DEADLINE.min(Duration::from_secs(5));
    while Instant::now() < end && waiting.iter().any(|sent| sent.at > killed + Duration::from_secs(1)) {
        collect(&mut waiting);
    }
    let lost: Vec<i64> = waiting
        .iter()
        .map(|sent| match sent.at.checked_duration_since(killed) {
            Some(after) => after.as_millis() as i64,
            None => -(killed.duration_since(sent.at).as_millis() as i64),
        })
        .collect();
    println!(
        "{count} queries, one node of five killed: lost {} (ms from the kill: {lost:?}); {retried} digs, all answered",
        lost.len()
    );
    assert!(lost.iter().all(|after| *after < 1000), "queries were lost long after the kill");
    let in_that_second = (1000 / PACE.as_millis()) as usize;
    assert!(lost.len() * 100 <= in_that_second * TOLERATED_PERCENT, "too many queries were lost");
    assert!((0..20).all(|_| who(service) != "node3"));
    // And it is back as soon as it runs and has caught up.
    cluster.nodes[2].start();
    until("the node to answer the service address again", || who(service) == "node3");
}
