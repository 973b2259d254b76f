//! How long the pure parts take: answering, reading a master file, merging states, counting a digest.

use std::hint::black_box;
use std::sync::Arc;

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use grapevine::replica::{ActorId, Batch, EditOrigin, EditRequest, Hlc, Source, ZoneReplica, ZoneState};
use grapevine::zone::{Change, Rdata, Record, RecordType, Zone};

mod questions;

/// Hosts of the zone that is read and merged.
const HOSTS: u32 = 10_000;
/// Edits by which two states differ.
const EDITS: u8 = 100;

fn answers(criterion: &mut Criterion) {
    let zones = questions::zones();
    let mut group = criterion.benchmark_group("answer");
    group.throughput(Throughput::Elements(1));
    for (kind, _) in questions::QUESTIONS {
        group.bench_function(kind, |bencher| bencher.iter(|| questions::ask(black_box(&zones), kind, 1)));
    }
}

fn parsing(criterion: &mut Criterion) {
    let text = questions::text(HOSTS);
    let mut group = criterion.benchmark_group("parse");
    group.throughput(Throughput::Bytes(text.len() as u64)).sample_size(20);
    group.bench_function("10,000 names", |bencher| bencher.iter(|| questions::parse(black_box(&text))));
    let file = questions::parse(&text);
    group.bench_function("to a snapshot", |bencher| bencher.iter(|| Zone::from_content(black_box(file.content()))));
}

fn merging(criterion: &mut Criterion) {
    let genesis = genesis();
    let edited = edited(&genesis, 1);
    let other = edited_state(&genesis, 2);
    let mut group = criterion.benchmark_group("merge");
    group.sample_size(20);
    group.bench_function("two states of 10,000 names", |bencher| {
        let state = ZoneReplica::new(genesis.clone(), false).state().clone();
        bencher.iter_batched(|| state.clone(), |mut state| state.merge(black_box(&other)), BatchSize::LargeInput);
    });
    group.throughput(Throughput::Elements(u64::from(EDITS)));
    group.bench_function("100 batches", |bencher| {
        let ingest = |mut replica: ZoneReplica| {
            for batch in &edited {
                black_box(replica.ingest(Arc::clone(batch)));
            }
        };
        bencher.iter_batched(|| ZoneReplica::new(genesis.clone(), false), ingest, BatchSize::LargeInput);
    });
}

fn digesting(criterion: &mut Criterion) {
    let mut replica = ZoneReplica::new(genesis(), false);
    let mut group = criterion.benchmark_group("digest");
    group.sample_size(20).throughput(Throughput::Elements(u64::from(HOSTS)));
    group.bench_function("10,000 names, anew", |bencher| bencher.iter(|| black_box(replica.recount())));
}

fn genesis() -> ZoneState {
    ZoneState::genesis(questions::parse(&questions::text(HOSTS)).zone(), 1, 1)
}

/// The batches of an actor that adds one address after another.
fn edited(genesis: &ZoneState, actor: u8) -> Vec<Arc<Batch>> {
    edit(genesis, actor).1
}

fn edited_state(genesis: &ZoneState, actor: u8) -> ZoneState {
    edit(genesis, actor).0.state().clone()
}

fn edit(genesis: &ZoneState, actor: u8) -> (ZoneReplica, Vec<Arc<Batch>>) {
    let mut replica = ZoneReplica::new(genesis.clone(), false);
    let mut batches = Vec::new();
    for number in 0..EDITS {
        let owner = questions::origin().child(format!("edit{number}").as_bytes()).expect("a short name");
        let rdata = Rdata::new([10, 9, actor, number].as_slice());
        let changes = [Change::Add(Record { owner, rtype: RecordType::A, ttl: 60, rdata })];
        let source = Source::new(EditOrigin::Api);
        let request = EditRequest { by_steps: false, changes: &changes, serial: None, source: &source };
        let dot = replica.next_dot(ActorId([actor; 16]));
        let batch = replica.state().prepare(&request, dot, Hlc(u64::from(number))).expect("a right edit");
        let batch = Arc::new(batch.expect("it changes something"));
        let position = replica.take_position();
        replica.commit(vec![(position, Arc::clone(&batch))]);
        batches.push(batch);
    }
    (replica, batches)
}

criterion_group!(benches, answers, parsing, merging, digesting);
criterion_main!(benches);
