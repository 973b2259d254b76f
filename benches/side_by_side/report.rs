//! A part's results as Markdown: tables, and each goal with what was measured and whether it was met.

use std::fmt::Write as _;
use std::io;
use std::path::Path;

use crate::samples::{Samples, Spread};
use crate::servers::Kind;

/// One part's section.
pub(crate) struct Report {
    part: &'static str,
    text: String,
    goals: Vec<[String; 4]>,
}

impl Report {
    /// An empty section, which tells how busy the machine is.
    pub(crate) fn new(part: &'static str, title: &str) -> Report {
        let mut report = Report { part, text: format!("## {title}\n"), goals: Vec::new() };
        let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
        let load = load.split(' ').take(3).collect::<Vec<_>>().join(", ");
        let program = if std::env::var_os("GRAPEVINE_BIN").is_some() {
            "; another Grapevine than the one built here"
        } else {
            ""
        };
        report.say(&format!("{} cores; load of the machine at the end {load}{program}.", crate::servers::cores()));
        report
    }

    /// Adds a paragraph.
    pub(crate) fn say(&mut self, text: &str) {
        let _ = write!(self.text, "\n{text}\n");
    }

    /// Adds a table.
    pub(crate) fn table(&mut self, head: &[&str], rows: &[Vec<String>]) {
        let line = |cells: &mut dyn Iterator<Item = &str>| format!("| {} |\n", cells.collect::<Vec<_>>().join(" | "));
        self.text.push('\n');
        self.text.push_str(&line(&mut head.iter().copied()));
        self.text.push_str(&line(&mut head.iter().enumerate().map(|(at, _)| if at == 0 { "---" } else { "---:" })));
        for row in rows {
            self.text.push_str(&line(&mut row.iter().map(String::as_str)));
        }
    }

    /// Adds a goal.
    pub(crate) fn goal(&mut self, what: &str, bound: &str, measured: &str, is_met: bool) {
        let verdict = if is_met { "met" } else { "**not met**" };
        self.goals.push([what, bound, measured, verdict].map(str::to_owned));
    }

    /// Adds a goal for Grapevine's value as a ratio to that of a peer: at most the bound, or at least.
    pub(crate) fn ratio_goal(&mut self, what: &str, samples: &Samples, key: &'static str, peer: Kind, bound: Bound) {
        let Some(ratio) = samples.ratio(key, Kind::Grapevine, peer) else { return };
        self.goal(&format!("{what}, to {peer}"), &bound.to_string(), &spread(ratio, 2), bound.holds(ratio.median));
    }

    /// Prints the section and, if the results are kept, puts it into the file in place of the part's last results.
    pub(crate) fn finish(mut self, file: Option<&Path>) -> io::Result<()> {
        if !self.goals.is_empty() {
            let rows: Vec<Vec<String>> = std::mem::take(&mut self.goals).into_iter().map(Vec::from).collect();
            self.table(&["goal", "bound", "measured", ""], &rows);
        }
        println!("{}", self.text);
        let Some(file) = file else { return Ok(()) };
        let (begin, end) = (format!("<!-- part: {} -->\n", self.part), "<!-- end -->\n".to_owned());
        let section = format!("{begin}\n{}\n{end}", self.text);
        let old = std::fs::read_to_string(file).unwrap_or_default();
        let new = match old.split_once(&begin) {
            Some((before, rest)) => {
                let after = rest.split_once(&end).map_or("", |(_, after)| after);
                format!("{before}{section}{after}")
            }
            None => format!("{}\n{section}", if old.is_empty() { PREFACE } else { &old }),
        };
        std::fs::write(file, new)
    }
}

const PREFACE: &str = "# Benchmarks

The last output of `scripts/bench`, part by part. What it means is in [performance.md](performance.md). Ratios are of values
of the same round: the median, and in brackets the least and the greatest.
";

/// What a goal asks of a number.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Bound {
    /// Not more.
    AtMost(f64),
    /// Not less.
    AtLeast(f64),
}

impl Bound {
    /// Whether the number is within.
    pub(crate) fn holds(self, value: f64) -> bool {
        match self {
            Bound::AtMost(bound) => value <= bound,
            Bound::AtLeast(bound) => value >= bound,
        }
    }
}

impl std::fmt::Display for Bound {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Bound::AtMost(bound) => write!(f, "≤ {bound}"),
            Bound::AtLeast(bound) => write!(f, "≥ {bound}"),
        }
    }
}

/// A median with its spread.
pub(crate) fn spread(of: Spread, digits: usize) -> String {
    format!("{:.digits$} [{:.digits$}–{:.digits$}]", of.median, of.least, of.most)
}

/// A median with its spread, or a dash.
pub(crate) fn cell(of: Option<Spread>, digits: usize) -> String {
    of.map_or_else(|| "–".to_owned(), |of| spread(of, digits))
}
