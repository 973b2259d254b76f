//! The parts about answering: which servers, which zones, which goals.

use std::io;
use std::net::SocketAddr;
use std::path::Path;

use crate::Options;
use crate::answers::{At, Comparison, HIGH, MODERATE, SATURATION};
use crate::load::{self, Pace};
use crate::plot;
use crate::process::{Cpu, Group};
use crate::report::{Bound, Report, cell, spread};
use crate::samples::Samples;
use crate::servers::{Kind, version};
use crate::zones::Model;

const SMALL: Model = Model { zones: 1, names: 1000 };
const PEERS: [Kind; 4] = [Kind::Grapevine, Kind::Nsd, Kind::Knot, Kind::Bind];

/// What the generator can do.
pub(crate) fn generator(options: &Options) -> io::Result<()> {
    let samples = compare(options, SMALL, &[Kind::Echo], &[SATURATION, MODERATE, HIGH], false, None)?;
    let mut report = Report::new("generator", "The generator and the floor");
    report.say("A server that only echoes, through Grapevine's own system calls: nothing on sockets costs less.");
    table(&mut report, &samples, &[Kind::Echo], &[SATURATION, MODERATE, HIGH]);
    report.finish(options.into.as_deref())
}

/// A small zone.
pub(crate) fn answers(options: &Options) -> io::Result<()> {
    let at = [SATURATION, MODERATE, HIGH];
    let kinds = [Kind::Echo, Kind::Grapevine, Kind::Nsd, Kind::Knot, Kind::Bind];
    let samples = compare(options, SMALL, &kinds, &at, false, None)?;
    let mut report = Report::new("answers", "Answers, 1,000 names");
    report.say(&versions(&kinds));
    table(&mut report, &samples, &kinds, &at);
    ratios(&mut report, &samples, &at);
    small_goals(&mut report, &samples, &at, "");
    if let Some(user) = samples.spread(SATURATION.user, Kind::Grapevine) {
        let bound = Bound::AtMost(0.10);
        let what = "user CPU s per million at saturation";
        report.goal(what, &bound.to_string(), &spread(user, 2), bound.holds(user.median));
    }
    plot::write(options, &samples, &kinds, &at)?;
    report.say("![CPU seconds per million answers](benchmarks.svg)");
    report.finish(options.into.as_deref())
}

/// A large zone.
pub(crate) fn large(options: &Options) -> io::Result<()> {
    let at = [SATURATION, MODERATE];
    let model = Model { zones: 1, names: options.large };
    let samples = compare(options, model, &PEERS, &at, false, None)?;
    let mut report = Report::new("large", &format!("Answers, {} names", options.large));
    report.say(&versions(&PEERS));
    table(&mut report, &samples, &PEERS, &at);
    ratios(&mut report, &samples, &at);
    for (peer, more) in [(Kind::Nsd, 1.35), (Kind::Knot, 1.30)] {
        report.ratio_goal("answers/s at saturation", &samples, SATURATION.rate, peer, Bound::AtLeast(more));
        report.ratio_goal("CPU per answer at saturation", &samples, SATURATION.total, peer, Bound::AtMost(0.75));
    }
    report.finish(options.into.as_deref())
}

/// Many zones.
pub(crate) fn zones(options: &Options) -> io::Result<()> {
    let model = Model { zones: 10_000, names: 10 };
    let samples = compare(options, model, &PEERS, &[SATURATION], false, None)?;
    let mut report = Report::new("zones", "Answers, 10,000 zones of 10 names");
    table(&mut report, &samples, &PEERS, &[SATURATION]);
    ratios(&mut report, &samples, &[SATURATION]);
    small_goals(&mut report, &samples, &[SATURATION], " with 10,000 zones");
    report.finish(options.into.as_deref())
}

/// Queries that ask for the server's name.
pub(crate) fn nsid(options: &Options) -> io::Result<()> {
    let samples = compare(options, SMALL, &PEERS, &[SATURATION], true, None)?;
    let mut report = Report::new("nsid", "Answers, 1,000 names, NSID asked");
    table(&mut report, &samples, &PEERS, &[SATURATION]);
    ratios(&mut report, &samples, &[SATURATION]);
    small_goals(&mut report, &samples, &[SATURATION], " with NSID asked");
    report.finish(options.into.as_deref())
}

/// While edits arrive.
pub(crate) fn edits(options: &Options) -> io::Result<()> {
    const RATE: u32 = 1000;
    let kinds = [Kind::Grapevine, Kind::Nsd, Kind::Knot];
    let samples = compare(options, SMALL, &kinds, &[SATURATION], false, Some(RATE))?;
    let mut report = Report::new("edits", "Answers, 1,000 names, while edits arrive");
    report.say(
        "1,000 edits a second are asked for: of Grapevine over its control socket, each acknowledged once it is on disk; of \
         Knot by UPDATE. NSD takes no edits of single records and is asked without any. The CPU time of edits counts as the \
         server's: all of it is on the one core.",
    );
    table(&mut report, &samples, &kinds, &[SATURATION]);
    ratios(&mut report, &samples, &[SATURATION]);
    let row = |kind: Kind| vec![kind.to_string(), cell(samples.spread("edits", kind), 0)];
    report.table(&["server", "edits/s acknowledged"], &[row(Kind::Grapevine), row(Kind::Knot)]);
    small_goals(&mut report, &samples, &[SATURATION], " while edits arrive");
    report.finish(options.into.as_deref())
}

fn small_goals(report: &mut Report, samples: &Samples, at: &[At], when: &str) {
    for at in at {
        let (nsd, knot) = if at.pace == SATURATION.pace { (0.97, 0.87) } else { (0.92, 0.88) };
        let what = format!("CPU per million at {}{when}", at.title);
        report.ratio_goal(&what, samples, at.total, Kind::Nsd, Bound::AtMost(nsd));
        report.ratio_goal(&what, samples, at.total, Kind::Knot, Bound::AtMost(knot));
    }
}

/// Writes the small zone, for a server that is started by hand.
pub(crate) fn write(directory: &Path) -> io::Result<()> {
    SMALL.write(directory)?;
    println!("{}", directory.join(format!("{}.zone", SMALL.origin(0))).display());
    Ok(())
}

/// Asks a server that was started by hand, and prints a line for each round.
pub(crate) fn ask(options: &Options, server: SocketAddr, rate: Option<u32>, group: Option<u32>) -> io::Result<()> {
    let queries = SMALL.queries(1 << 18, false);
    let pace = rate.map_or(Pace::Saturate, Pace::Rate);
    let cpu = || group.map_or(Ok(Cpu::default()), |group| Group(group).cpu());
    for round in 0..options.rounds as usize {
        let before = cpu()?;
        let outcome = load::run(server, &queries, round * 1000, pace, options.time())?;
        let took = (cpu()? - before).per_million(outcome.answered);
        println!(
            "{:.0}/s, {:.2} + {:.2} CPU s per million; {} answered, {} lost, {} odd",
            outcome.per_second, took.user_s, took.system_s, outcome.answered, outcome.lost, outcome.odd
        );
    }
    Ok(())
}

/// Measures in a directory that is removed afterwards.
fn compare(
    options: &Options,
    model: Model,
    kinds: &[Kind],
    at: &[At],
    nsid: bool,
    edits: Option<u32>,
) -> io::Result<Samples> {
    let scratch = tempfile::Builder::new().prefix("grapevine-bench-").tempdir()?;
    let comparison =
        Comparison { model, kinds, at, nsid, edits, rounds: options.rounds, time: options.time(), port: options.port };
    comparison.run(scratch.path())
}

fn versions(kinds: &[Kind]) -> String {
    kinds.iter().map(|&kind| format!("{kind}: {}", version(kind))).collect::<Vec<_>>().join("; ") + "."
}

/// What was measured, a line for each server.
fn table(report: &mut Report, samples: &Samples, kinds: &[Kind], at: &[At]) {
    let mut head = vec!["server".to_owned(), "bytes of an answer".to_owned()];
    for at in at {
        head.push(format!("answers/s, {}", at.title));
        head.push(format!("CPU s per million, user + system, {}", at.title));
        head.push("lost %".to_owned());
    }
    let row = |&kind: &Kind| {
        let bytes = at.first().and_then(|at| samples.spread(at.bytes, kind));
        let mut row = vec![kind.to_string(), bytes.map_or_else(String::new, |of| format!("{:.1}", of.median))];
        for at in at {
            row.push(cell(samples.spread(at.rate, kind), 0));
            let part = |key| samples.spread(key, kind).map_or(f64::NAN, |of| of.median);
            row.push(format!("{:.2} + {:.2}", part(at.user), part(at.system)));
            row.push(format!("{:.2}", part(at.lost)));
        }
        row
    };
    let head: Vec<&str> = head.iter().map(String::as_str).collect();
    report.table(&head, &kinds.iter().map(row).collect::<Vec<_>>());
}

/// Grapevine's values as ratios to those of its peers.
fn ratios(report: &mut Report, samples: &Samples, at: &[At]) {
    let mut head = vec!["Grapevine to".to_owned()];
    for at in at {
        head.extend([format!("answers/s, {}", at.title), format!("CPU per answer, {}", at.title)]);
    }
    let row = |&peer: &Kind| {
        let mut row = vec![peer.to_string()];
        for at in at {
            row.push(cell(samples.ratio(at.rate, Kind::Grapevine, peer), 2));
            row.push(cell(samples.ratio(at.total, Kind::Grapevine, peer), 2));
        }
        row
    };
    let head: Vec<&str> = head.iter().map(String::as_str).collect();
    report.table(&head, &PEERS[1..].iter().map(row).collect::<Vec<_>>());
}
