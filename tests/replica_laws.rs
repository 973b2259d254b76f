//! The laws of replication, on random histories: merge is a join, delivery order never matters, serials only rise, and
//! whatever is served is a legal zone.

use std::sync::Arc;

use grapevine::replica::{ActorId, Batch, EditOrigin, EditRequest, Hlc, Source, ZoneReplica, ZoneState};
use grapevine::zone::{Change, Name, Rdata, Record, RecordKey, RecordType, Soa, Zone, ZoneContent};
use proptest::prelude::*;

const ACTORS: usize = 3;

/// One step of a history.
#[derive(Clone, Debug)]
enum Step {
    /// An actor edits what it has at that moment.
    Edit { actor: usize, wish: Wish, wall_ms: u64 },
    /// An actor hears of a batch that was made before, if what it builds on is there.
    Deliver { actor: usize, pick: prop::sample::Index },
}

#[derive(Clone, Debug)]
enum Wish {
    Add { owner: u8, rtype: u8, data: u8, ttl: u32 },
    Remove { owner: u8, rtype: u8, data: u8 },
    Ttl { owner: u8, rtype: u8, ttl: u32 },
    Soa { refresh: u32 },
    Serial { ahead: u32 },
}

fn wish() -> impl Strategy<Value = Wish> {
    prop_oneof![
        4 => (0..3u8, 0..4u8, 0..3u8, 1..5u32).prop_map(|(owner, rtype, data, ttl)| Wish::Add { owner, rtype, data, ttl }),
        3 => (0..3u8, 0..4u8, 0..3u8).prop_map(|(owner, rtype, data)| Wish::Remove { owner, rtype, data }),
        1 => (0..3u8, 0..4u8, 1..5u32).prop_map(|(owner, rtype, ttl)| Wish::Ttl { owner, rtype, ttl }),
        1 => (1..5u32).prop_map(|refresh| Wish::Soa { refresh }),
        1 => (0..9u32).prop_map(|ahead| Wish::Serial { ahead }),
    ]
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        3 => (0..ACTORS, wish(), 0..1_000_000u64).prop_map(|(actor, wish, wall_ms)| Step::Edit { actor, wish, wall_ms }),
        2 => (0..ACTORS, any::<prop::sample::Index>()).prop_map(|(actor, pick)| Step::Deliver { actor, pick }),
    ];
    prop::collection::vec(step, 1..40)
}

fn origin() -> Name {
    "z.example.".parse().expect("a name")
}

fn key(owner: u8, rtype: u8, data: u8) -> RecordKey {
    let owner = match owner {
        0 => origin(),
        n => origin().child(format!("n{n}").as_bytes()).expect("a short name"),
    };
    // Letters of both cases, so that rdata which differ in case alone occur.
    let target = origin().child(&[b"aAb"[data as usize]]).expect("a short name");
    let mut wire = target.as_wire().to_vec();
    wire[1] = b"aAb"[data as usize];
    match rtype {
        0 => RecordKey { owner, rtype: RecordType::A, rdata: Rdata::new([192, 0, 2, data].as_slice()) },
        1 => RecordKey { owner, rtype: RecordType::CNAME, rdata: Rdata::new(wire) },
        2 => RecordKey { owner, rtype: RecordType::NS, rdata: Rdata::new(wire) },
        _ => RecordKey { owner, rtype: RecordType::TXT, rdata: Rdata::new([1, b'a' + data].as_slice()) },
    }
}

fn soa(refresh: u32) -> Soa {
    let name = Rdata::new(origin().as_wire());
    Soa { ttl: 60, mname: name.clone(), rname: name, serial: 10, refresh, retry: 1, expire: 1, minimum: 1 }
}

fn genesis() -> ZoneState {
    let mut content = ZoneContent::new(origin(), soa(1));
    let ns = key(0, 2, 0);
    content.add(Record { owner: ns.owner, rtype: ns.rtype, ttl: 9, rdata: ns.rdata });
    ZoneState::genesis(&Zone::from_content(&content), 1, 10)
}

fn change(wish: &Wish) -> Vec<Change> {
    match wish.clone() {
        Wish::Add { owner, rtype, data, ttl } => {
            let key = key(owner, rtype, data);
            vec![Change::Add(Record { owner: key.owner, rtype: key.rtype, ttl, rdata: key.rdata })]
        }
        Wish::Remove { owner, rtype, data } => vec![Change::Remove(key(owner, rtype, data))],
        Wish::Ttl { owner, rtype, ttl } => {
            let key = key(owner, rtype, 0);
            vec![Change::Ttl { owner: key.owner, rtype: key.rtype, ttl }]
        }
        Wish::Soa { refresh } => vec![Change::Soa(soa(refresh))],
        Wish::Serial { .. } => Vec::new(),
    }
}

/// Plays a history; returns what each actor ended up with and every batch that was made.
fn play(steps: &[Step]) -> (Vec<ZoneReplica>, Vec<Arc<Batch>>) {
    let mut replicas = vec![ZoneReplica::new(genesis(), false); ACTORS];
    let mut batches: Vec<Arc<Batch>> = Vec::new();
    for step in steps {
        match step {
            Step::Edit { actor, wish, wall_ms } => {
                let replica = &mut replicas[*actor];
                let serial = match wish {
                    Wish::Serial { ahead } => Some(replica.state().soa().serial + ahead),
                    _ => None,
                };
                let changes = change(wish);
                let request =
                    EditRequest { by_steps: false, changes: &changes, serial, source: &Source::new(EditOrigin::Api) };
                let dot = replica.next_dot(ActorId([*actor as u8; 16]));
                let hlc = replica.state().newest_hlc().next(*wall_ms).max(Hlc(batches.len() as u64));
                // Taking away the last NS is refused; that is no edit.
                let Ok(Some(batch)) = replica.state().prepare(&request, dot, hlc) else { continue };
                let batch = Arc::new(batch);
                let position = replica.take_position();
                let committed = replica.commit(vec![(position, batch.clone())]);
                assert_eq!(committed.errors, [], "an edit of the present state applies");
                batches.push(batch);
            }
            Step::Deliver { actor, pick } if !batches.is_empty() => {
                let before = replicas[*actor].state().serial();
                let ingested = replicas[*actor].ingest(pick.get(&batches).clone());
                assert_eq!(ingested.alarm, None);
                assert!(replicas[*actor].state().serial() >= before);
            }
            Step::Deliver { .. } => {}
        }
    }
    (replicas, batches)
}

fn deliver(batches: impl IntoIterator<Item = Arc<Batch>>) -> ZoneReplica {
    let mut replica = ZoneReplica::new(genesis(), false);
    for batch in batches {
        let before = replica.snapshot().serial();
        assert_eq!(replica.ingest(batch).alarm, None);
        assert!(replica.snapshot().serial() >= before, "the served serial went back");
        assert_legal(replica.snapshot());
    }
    replica
}

fn assert_legal(zone: &Zone) {
    let apex = zone.apex();
    assert_eq!(apex.get(RecordType::SOA).map(|soa| soa.count()), Some(1));
    assert!(apex.get(RecordType::NS).is_some_and(|ns| ns.count() > 0));
    for node in zone.iter() {
        for rrset in node.rrsets() {
            assert!(rrset.count() > 0);
            if rrset.rtype == RecordType::CNAME {
                assert_eq!((rrset.count(), node.rrsets().len()), (1, 1), "{} has a CNAME and more", node.name());
            }
        }
    }
}

fn merged(a: &ZoneState, b: &ZoneState) -> ZoneState {
    let mut state = a.clone();
    state.merge(b);
    state
}

fn assert_same(a: &ZoneState, b: &ZoneState) {
    assert_eq!(a, b);
    assert_eq!((a.digest(), a.serial(), a.record_count()), (b.digest(), b.serial(), b.record_count()));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn delivery_order_and_repetition_never_matter(steps in steps(), shuffle in any::<prop::sample::Index>()) {
        let (_, batches) = play(&steps);
        let forwards = deliver(batches.iter().cloned());
        let backwards = deliver(batches.iter().rev().cloned());
        let mut turned = batches.clone();
        if !turned.is_empty() {
            turned.rotate_left(shuffle.index(batches.len()));
        }
        let twice = deliver(turned.iter().chain(&batches).cloned());
        assert_same(forwards.state(), backwards.state());
        assert_same(forwards.state(), twice.state());
        prop_assert_eq!(forwards.snapshot(), backwards.snapshot());
        prop_assert_eq!(forwards.snapshot(), twice.snapshot());
    }

    #[test]
    fn merge_is_commutative_associative_and_idempotent(steps in steps()) {
        let (replicas, _) = play(&steps);
        let [a, b, c] = &replicas[..] else { unreachable!("three actors") };
        let (a, b, c) = (a.state(), b.state(), c.state());
        assert_same(&merged(a, b), &merged(b, a));
        assert_same(&merged(&merged(a, b), c), &merged(a, &merged(b, c)));
        assert_same(&merged(a, a), a);
        assert_same(&merged(&merged(a, b), b), &merged(a, b));
    }

    #[test]
    fn merging_states_equals_delivering_batches(steps in steps()) {
        let (replicas, batches) = play(&steps);
        let by_merge = replicas.iter().skip(1).fold(replicas[0].state().clone(), |all, one| merged(&all, one.state()));
        assert_same(&by_merge, deliver(batches).state());
    }

    #[test]
    fn serials_rise_with_every_edit_and_exceed_both_sides_of_a_merge(steps in steps()) {
        let (replicas, _) = play(&steps);
        let (a, b) = (replicas[0].state(), replicas[1].state());
        let both = merged(a, b);
        prop_assert!(both.serial() >= a.serial() && both.serial() >= b.serial());
        if !a.version().includes(b.version()) && !b.version().includes(a.version()) {
            prop_assert!(both.serial() > a.serial() && both.serial() > b.serial());
        }
    }

    #[test]
    fn what_is_served_is_legal_and_says_what_it_leaves_out(steps in steps()) {
        let (replicas, _) = play(&steps);
        for replica in &replicas {
            assert_legal(replica.snapshot());
            prop_assert_eq!(replica.shadowed(), replica.state().shadowed().len());
            let rebuilt = ZoneReplica::new(replica.state().clone(), false);
            prop_assert_eq!(rebuilt.snapshot(), replica.snapshot(), "the incremental snapshot is the whole one");
        }
    }

    #[test]
    fn a_state_survives_encoding(steps in steps()) {
        let (replicas, _) = play(&steps);
        for replica in &replicas {
            let chunks = replica.state().encode();
            let decoded = ZoneState::decode(chunks.iter().map(|chunk| &**chunk)).expect("what was encoded decodes");
            assert_same(&decoded, replica.state());
        }
    }

    #[test]
    fn garbage_is_no_state(bytes in prop::collection::vec(any::<u8>(), 0..300), flip in any::<prop::sample::Index>()) {
        let _ = ZoneState::decode([&bytes[..]]);
        let mut chunk = genesis().encode()[0].to_vec();
        let at = flip.index(chunk.len());
        chunk[at] ^= 0x41;
        let _ = ZoneState::decode([&chunk[..]]);
    }
}
