//! How many instructions an answer takes, beside what it took when `instructions.txt` was written.
//!
//! The program runs itself under valgrind, twice for each kind of question: what the greater number of answers takes more
//! than the smaller is theirs alone, and is the same on every run. It fails if a kind takes a tenth more than is written,
//! so that a regression is seen without a quiet machine.
//!
//! ```text
//! cargo bench --bench instructions                 compare
//! cargo bench --bench instructions -- --update     write what is measured
//! ```

use std::fmt::Write as _;
use std::process::{Command, ExitCode};

mod questions;

const TABLE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/benches/instructions.txt");
const HEAD: &str = "# Instructions of one answer by kind of question. See instructions.rs.\n";
/// Numbers of answers between which the difference is taken.
const FEW: u64 = 500;
const MANY: u64 = 5500;
/// How much more than is written is still the same.
const TOLERANCE: f64 = 0.10;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["ask", kind, count] => {
            questions::ask(&questions::zones(), kind, count.parse().expect("a number"));
            ExitCode::SUCCESS
        }
        ["--update"] => {
            std::fs::write(
                TABLE,
                measure().iter().fold(HEAD.to_owned(), |text, (kind, count)| text + &format!("{kind} {count}\n")),
            )
            .expect("the table is writable");
            ExitCode::SUCCESS
        }
        _ => compare(),
    }
}

fn compare() -> ExitCode {
    let table = std::fs::read_to_string(TABLE).expect("the table is there: run with --update");
    let expected = |kind: &str| -> Option<f64> {
        let line = table.lines().find_map(|line| line.strip_prefix(kind)?.strip_prefix(' '));
        line?.parse().ok()
    };
    let mut is_worse = false;
    let mut out = "| answer | instructions | as written | |\n| --- | ---: | ---: | ---: |\n".to_owned();
    for (kind, count) in measure() {
        let Some(before) = expected(&kind) else {
            eprintln!("{kind} is not in {TABLE}: run with --update");
            is_worse = true;
            continue;
        };
        let change = count as f64 / before - 1.0;
        is_worse |= change > TOLERANCE;
        let _ = writeln!(out, "| {kind} | {count} | {before} | {:+.1} % |", change * 100.0);
    }
    println!("{out}");
    if is_worse {
        eprintln!("a kind of answer takes over {:.0} % more instructions than {TABLE} says", TOLERANCE * 100.0);
        return ExitCode::FAILURE;
    }
    ExitCode::SUCCESS
}

/// Instructions of one answer of each kind.
fn measure() -> Vec<(String, u64)> {
    let kinds = ["", questions::MINIMAL]
        .into_iter()
        .flat_map(|style| questions::QUESTIONS.into_iter().map(move |(kind, _)| format!("{style}{kind}")));
    let of_one = |kind: &str| (run(kind, MANY) - run(kind, FEW)) / (MANY - FEW);
    kinds.map(|kind| (of_one(&kind), kind)).map(|(count, kind)| (kind, count)).collect()
}

/// Instructions of a run of this program that answers so many questions.
fn run(kind: &str, count: u64) -> u64 {
    let own = std::env::current_exe().expect("this program has a path");
    let mut command = Command::new("valgrind");
    command.args(["--tool=cachegrind", "--cache-sim=no", "--cachegrind-out-file=/dev/null"]).arg(own);
    command.args(["ask", kind, &count.to_string()]);
    let output = command.output().expect("valgrind runs: scripts/setup bench installs it");
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "valgrind failed:\n{text}");
    // ==123== I   refs:      1,234,567
    let line = text.lines().find(|line| line.contains("refs:")).expect("valgrind counts instructions");
    let digits: String = line.rsplit(':').next().unwrap_or_default().chars().filter(char::is_ascii_digit).collect();
    digits.parse().expect("a number")
}
