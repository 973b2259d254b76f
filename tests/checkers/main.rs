//! `grapevine zone check` against `named-checkzone`, `kzonecheck` and `nsd-checkzone`: on thousands of files, good and bad,
//! it accepts what two of the three accept and rejects what two of them reject.
//!
//! `GRAPEVINE_CHECKERS_FILES=n` checks n files, `GRAPEVINE_CHECKERS_SEED=s` begins with the seed s: to see one file again,
//! give its seed and one file. By default the seeds are always the same, so that no result depends on chance.

mod corpus;
mod exceptions;
mod lines;
mod rdata;
mod readings;
mod stock;

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use stock::{CHECKERS, ORIGIN, Said, ask, majority, run};

/// Files in an ordinary run beyond those that the tables make one by one.
const DEFAULT_RANDOM_FILES: usize = 300;
/// Files that are shown when they are judged otherwise than by the majority.
const SHOWN: usize = 20;
/// The name that every file has in its directory.
const FILE: &str = "main.zone";

/// What came of one file.
struct Judged {
    seed: u64,
    text: Vec<u8>,
    ours: Said,
    theirs: [Said; 3],
    verdict: Verdict,
}

/// How Grapevine's judgement relates to those of the three.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
enum Verdict {
    /// As the majority.
    Majority,
    /// Otherwise, for a reason that is listed.
    Exception(&'static str),
    /// Two reject the file, each for a fault that the other does not see, so there is no majority against any of it.
    DifferentFaults,
    /// Otherwise, and for no reason that is listed.
    Wrong,
}

#[test]
fn files_are_accepted_and_rejected_as_by_two_of_three_stock_checkers() {
    let default = corpus::singles() + DEFAULT_RANDOM_FILES;
    let count = from_environment("GRAPEVINE_CHECKERS_FILES").unwrap_or(default as u64);
    let first = from_environment("GRAPEVINE_CHECKERS_SEED").unwrap_or(0);
    let (next, judged) = (AtomicU64::new(first), Mutex::new(Vec::new()));
    std::thread::scope(|scope| {
        for _ in 0..std::thread::available_parallelism().map_or(2, Into::into) {
            scope.spawn(|| {
                let directory = tempfile::tempdir().expect("a temporary directory");
                for (name, text) in lines::INCLUDED {
                    fs::write(directory.path().join(name), text).expect("the directory is writable");
                }
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= first + count {
                        return;
                    }
                    let found = judge(directory.path(), seed);
                    judged.lock().expect("no thread panics while it holds this").push(found);
                }
            });
        }
    });
    let mut judged = judged.into_inner().expect("all threads ended");
    judged.sort_by_key(|file| file.seed);
    report(&judged, first);
}

#[test]
fn records_are_read_and_written_as_the_stock_tools_read_and_write_them() {
    let (next, found) = (AtomicU64::new(0), Mutex::new((0, Vec::new())));
    std::thread::scope(|scope| {
        for _ in 0..std::thread::available_parallelism().map_or(2, Into::into) {
            scope.spawn(|| {
                let directory = tempfile::tempdir().expect("a temporary directory");
                loop {
                    let index = next.fetch_add(1, Ordering::Relaxed) as usize;
                    if index >= corpus::records() {
                        return;
                    }
                    let (compared, differences) = readings::compare(directory.path(), index);
                    let mut found = found.lock().expect("no thread panics while it holds this");
                    found.0 += compared;
                    found.1.extend(differences);
                }
            });
        }
    });
    let (compared, mut differences) = found.into_inner().expect("all threads ended");
    println!("checkers: {compared} readings of {} records compared", corpus::records());
    differences.sort_by_key(|difference| difference.index);
    let shown: String = differences.into_iter().map(|difference| difference.shown).collect();
    assert!(shown.is_empty(), "{shown}");
}

fn judge(directory: &Path, seed: u64) -> Judged {
    let text = corpus::file(seed);
    fs::write(directory.join(FILE), &text).expect("the directory is writable");
    let ours = run(directory, env!("CARGO_BIN_EXE_grapevine"), &["zone", "check", "--origin", ORIGIN, FILE]);
    let theirs = ask(directory, FILE, ORIGIN);
    let mut file = Judged { seed, ours, theirs, text, verdict: Verdict::Majority };
    if file.ours.accepts != majority(&file.theirs) {
        file.verdict = match exceptions::exception(&file) {
            Some(exception) => Verdict::Exception(exception.name),
            None if exceptions::rejected_for_different_faults(directory, &file) => Verdict::DifferentFaults,
            None => Verdict::Wrong,
        };
    }
    file
}

fn report(judged: &[Judged], first: u64) {
    let (mut votes, mut verdicts) = (BTreeMap::<usize, usize>::new(), BTreeMap::<Verdict, usize>::new());
    for file in judged {
        *votes.entry(file.theirs.iter().filter(|said| said.accepts).count()).or_default() += 1;
        *verdicts.entry(file.verdict).or_default() += 1;
    }
    let last = first + judged.len() as u64 - 1;
    println!("checkers: {} files, seeds {first} to {last}; accepted by n of three: {votes:?}", judged.len());
    for (verdict, count) in &verdicts {
        println!("  {verdict:?}: {count}");
    }
    for exception in exceptions::EXCEPTIONS {
        println!("  exception: {}: {}", exception.name, exception.reason);
    }
    let wrong: Vec<&Judged> = judged.iter().filter(|file| file.verdict == Verdict::Wrong).collect();
    let seeds: Vec<u64> = wrong.iter().map(|file| file.seed).collect();
    let shown: String = wrong.iter().take(SHOWN).map(|file| describe(file)).collect();
    assert!(
        wrong.is_empty(),
        "{} files are judged otherwise than by the majority, seeds {seeds:?}{shown}",
        wrong.len()
    );
}

fn describe(file: &Judged) -> String {
    let text = file.text.strip_prefix(lines::HEAD.as_bytes()).unwrap_or(&file.text);
    let cut = |words: &str| words.chars().take(300).collect::<String>();
    let mut shown = format!("\n== seed {}\n{}\n", file.seed, cut(&format!("{:?}", String::from_utf8_lossy(text))));
    let all = CHECKERS.iter().zip(&file.theirs).chain([(&"grapevine", &file.ours)]);
    for (name, said) in all {
        let verdict = if said.accepts { "accepts" } else { "rejects" };
        shown.push_str(&format!("-- {name} {verdict}: {}\n", cut(said.words.trim())));
    }
    shown
}

fn from_environment(name: &str) -> Option<u64> {
    let text = std::env::var(name).ok()?;
    Some(text.parse().unwrap_or_else(|error| panic!("{name}={text}: {error}")))
}
