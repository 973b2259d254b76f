//! The simulator: the daemon's own `Node`, by the thousand, on a virtual clock, a bad network and disks that crash.
//!
//! Every run follows from its seed. A failing run prints it; `GRAPEVINE_SIM_SEED=<seed> cargo test --test sim` runs it
//! alone, with a trace. `GRAPEVINE_SIM_SEEDS=<n>` sets how many seeds are run, `GRAPEVINE_SIM_FIRST=<n>` the first.
//! `scripts/sim` runs many, optimised.

mod disk;
mod kept;
mod ledger;
mod machine;
mod nemesis;
mod network;
mod oracle;
mod poison;
mod report;
mod rest;
mod script;
mod secondary;
mod workload;
mod world;

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use report::Report;

/// How many seeds a plain `cargo test` runs: unoptimised that is less than a minute on two processors.
const SEEDS: u64 = 150;
/// After so many failures the rest of the seeds is not worth the time, unless `GRAPEVINE_SIM_FAILURES` says otherwise.
const ENOUGH_FAILURES: u64 = 3;
/// How often a long run tells how far it is.
const PROGRESS: usize = 1000;
/// From so many seeds on, every nemesis must have struck.
const REPRESENTATIVE: u64 = 1000;

/// Seeds that once found something, and what. A change of the script gives a seed another run; they stay all the same.
const REGRESSIONS: &[(u64, &str)] = &[
    (97, "a stub that was remembered twice was lost, and the zone's next life began below its serial"),
    (232, "an edit on its way to disk while its zone was deleted and listed again was in memory and not on disk"),
    (376, "an edit that waited for its causes after a crash gave the next one a number that no node accepts"),
    (414, "after a restart a node would have served another life of a zone, or none, until it had raised a serial"),
    (801, "that a life was forgotten while its listing was on its way to disk was forgotten at the next edit"),
    (1071, "a node that crashed forgot what it had served, and nobody told of a serial with two contents"),
    (1706, "writes that had failed were made again behind an edit that they undid on disk"),
    (1790, "zones whose import the disk would not keep were served from their files for ever, by that node alone"),
    (2390, "an edit of a zone that was made anew meanwhile was acknowledged with the serial of the zone's other life"),
    (2397, "who pulled a zone's state was not told of serials that had stood for two contents"),
    (4023, "a life that was deleted came back, and a node used again the numbers that its edits of it had before"),
    (4869, "while a life waited to rise above a deleted one, another was served that was below that one too"),
    (7607, "a refused edit stayed on a full disk, and a backup of it held another edit under the number used next"),
    (10504, "what had failed to be written was served when writes that were asked for later were kept"),
    (22007, "while a life that is listed had not arrived, another was served that was below a deleted one"),
    (23241, "a node that got a whole state and crashed forgot that it had served it under its serial"),
    (
        49086,
        "an edit that a failing disk kept without its zone's state was in a node that restarted and in no running one",
    ),
];

fn number(variable: &str) -> Option<u64> {
    let text = std::env::var(variable).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{variable} is not a number: {text:?}")))
}

/// Runs seeds on all processors; the sum of their reports, and what failed.
fn run_all(seeds: &[u64]) -> (Report, Vec<String>) {
    let (next, failed) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let started = Instant::now();
    let enough = number("GRAPEVINE_SIM_FAILURES").unwrap_or(ENOUGH_FAILURES) as usize;
    let worker = || {
        let (mut failures, mut total) = (Vec::new(), Report::default());
        loop {
            let index = next.fetch_add(1, Ordering::Relaxed);
            let Some(&seed) = seeds.get(index) else { break };
            if index > 0 && index.is_multiple_of(PROGRESS) {
                println!("{index} seeds begun, {:.0} s", started.elapsed().as_secs_f64());
            }
            if failed.load(Ordering::Relaxed) >= enough {
                break;
            }
            let failure = match std::panic::catch_unwind(|| script::run(seed, false)) {
                Ok(Ok(report)) => {
                    total.count("runs");
                    total.add(&report);
                    continue;
                }
                Ok(Err(failure)) => failure,
                Err(_) => "panicked (see above)".to_owned(),
            };
            failed.fetch_add(1, Ordering::Relaxed);
            println!("seed {seed}: {failure}");
            failures.push(format!("seed {seed}: {failure}"));
        }
        (failures, total)
    };
    let workers = std::thread::available_parallelism().map_or(2, usize::from);
    let results: Vec<_> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..workers).map(|_| scope.spawn(worker)).collect();
        threads.into_iter().map(|thread| thread.join().expect("workers catch panics")).collect()
    });
    let (mut total, mut failures) = (Report::default(), Vec::new());
    for (failed, report) in results {
        total.add(&report);
        failures.extend(failed);
    }
    (total, failures)
}

#[test]
fn clusters_under_faults_converge_and_lose_nothing() {
    if let Some(seed) = number("GRAPEVINE_SIM_SEED") {
        let report = script::run(seed, true).unwrap_or_else(|failure| panic!("seed {seed}: {failure}"));
        println!("seed {seed}:\n{report}");
        return;
    }
    let (first, count) = (number("GRAPEVINE_SIM_FIRST").unwrap_or(0), number("GRAPEVINE_SIM_SEEDS").unwrap_or(SEEDS));
    let seeds: Vec<u64> = (first..first + count).collect();
    let started = Instant::now();
    let (total, failures) = run_all(&seeds);
    let seconds = started.elapsed().as_secs_f64();
    let runs = total.get("runs") + failures.len() as u64;
    println!("{total}\n{runs} seeds in {seconds:.1} s, {:.1} seeds/s", runs as f64 / seconds);
    assert!(failures.is_empty(), "replay with GRAPEVINE_SIM_SEED=<seed>:\n{}", failures.join("\n"));
    if count >= REPRESENTATIVE {
        let rare = ["runs with thousands of zones", "runs with many nodes", "absences that outlast the log"];
        let expected = nemesis::ALL.iter().map(|(_, name, _)| *name).chain(poison::PROVOKED.iter().copied()).chain([
            "poisoned answers",
            "unsynced writes lost",
            "writes kept, nobody told",
            "datagrams lost",
            "datagrams repeated",
        ]);
        let expected = expected.chain(rare.into_iter().filter(|_| count >= 2 * REPRESENTATIVE));
        let never: Vec<_> = expected.filter(|what| total.get(what) == 0).collect();
        assert!(never.is_empty(), "the runs were too tame, these never happened: {never:?}");
    }
}

#[test]
fn what_once_failed_does_not_fail_again() {
    let seeds: Vec<u64> = REGRESSIONS.iter().map(|(seed, _)| *seed).collect();
    let (_, failures) = run_all(&seeds);
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

#[test]
fn a_run_replays_from_its_seed() {
    for seed in [3, 4] {
        let (a, b) = (script::run(seed, false), script::run(seed, false));
        assert_eq!(a, b);
    }
}

#[test]
#[ignore = "takes minutes unless optimised: scripts/sim runs it"]
fn a_thousand_nodes_agree() {
    let nodes = number("GRAPEVINE_SIM_NODES").unwrap_or(1000) as usize;
    let started = Instant::now();
    let report = script::large(1, nodes, Duration::from_secs(5), false).unwrap_or_else(|failure| panic!("{failure}"));
    println!("{report}\n{nodes} nodes in {:.1} s", started.elapsed().as_secs_f64());
}
