//! The simulator: the daemon's own `Node`, by the thousand, on a virtual clock, a bad network and disks that crash.
//!
//! Every run follows from its seed. A failing run prints it; `GRAPEVINE_SIM_SEED=<seed> cargo test --test sim` runs it
//! alone. `GRAPEVINE_SIM_SEEDS=<n>` sets how many seeds are run, `GRAPEVINE_SIM_FIRST=<n>` the first.

mod disk;
mod oracle;
mod script;
mod world;

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

/// How many seeds a plain `cargo test` runs.
const SEEDS: u64 = 1000;

fn number(variable: &str) -> Option<u64> {
    let text = std::env::var(variable).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{variable} is not a number: {text:?}")))
}

#[test]
fn clusters_under_faults_converge_and_lose_nothing() {
    if let Some(seed) = number("GRAPEVINE_SIM_SEED") {
        let report = script::run(seed, true).unwrap_or_else(|failure| panic!("seed {seed}: {failure}"));
        println!("seed {seed}: {report:?}");
        return;
    }
    let first = number("GRAPEVINE_SIM_FIRST").unwrap_or(0);
    let end = first + number("GRAPEVINE_SIM_SEEDS").unwrap_or(SEEDS);
    let (next, started) = (AtomicU64::new(first), Instant::now());
    let workers = std::thread::available_parallelism().map_or(2, usize::from);
    let worker = || {
        let (mut failures, mut total) = (Vec::new(), script::Report::default());
        loop {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed >= end || failures.len() >= 3 {
                return (failures, total);
            }
            match std::panic::catch_unwind(|| script::run(seed, false)) {
                Ok(Ok(report)) => total.add(&report),
                Ok(Err(failure)) => failures.push(format!("seed {seed}: {failure}")),
                Err(_) => failures.push(format!("seed {seed}: panicked (see above)")),
            }
        }
    };
    let results: Vec<_> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..workers).map(|_| scope.spawn(worker)).collect();
        threads.into_iter().map(|thread| thread.join().expect("workers catch panics")).collect()
    });
    let mut total = script::Report::default();
    let mut failures = Vec::new();
    for (failed, report) in results {
        total.add(&report);
        failures.extend(failed);
    }
    let seconds = started.elapsed().as_secs_f64();
    println!("{} seeds in {seconds:.1} s, {:.1} seeds/s: {total:?}", end - first, (end - first) as f64 / seconds);
    assert!(failures.is_empty(), "replay with GRAPEVINE_SIM_SEED=<seed>:\n{}", failures.join("\n"));
    if end - first >= 100 {
        let happened = [total.acknowledged, total.crashes, total.partitions, total.lost, total.duplicated];
        assert!(happened.iter().all(|count| *count > 0), "the runs were too tame to show anything: {total:?}");
    }
}

#[test]
fn a_run_replays_from_its_seed() {
    for seed in [3, 4] {
        let (a, b) = (script::run(seed, false), script::run(seed, false));
        assert_eq!(a, b);
    }
}
