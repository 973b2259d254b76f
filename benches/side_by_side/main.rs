//! Grapevine beside NSD, Knot and BIND: the same zones, the same generator, turn about. `scripts/bench` runs it.
//!
//! Each part starts its servers on one core and asks them from another, prints what it measured and how that stands to the
//! goals, and puts it into the Markdown file it is given.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use clap::{Parser, Subcommand};

mod answers;
mod echo;
mod editor;
mod load;
mod parts;
mod plot;
mod process;
mod report;
mod samples;
mod servers;
#[expect(dead_code, reason = "Grapevine's own system calls, of which not all are needed here")]
#[path = "../../src/serve/sys.rs"]
mod sys;
mod zones;

/// Measures Grapevine beside NSD, Knot and BIND.
#[derive(Parser)]
struct Args {
    #[command(subcommand)]
    part: Option<Part>,
    #[command(flatten)]
    options: Options,
}

/// How to measure.
#[derive(clap::Args, Clone)]
struct Options {
    /// How often each server has its turn
    #[arg(long, global = true, default_value_t = 5)]
    rounds: u32,
    /// How long each turn lasts at each pace, in seconds
    #[arg(long, global = true, default_value_t = 3.0)]
    seconds: f64,
    /// The first of a hundred free ports, of which a node uses one above by 500 too
    #[arg(long, global = true, default_value_t = 22000)]
    port: u16,
    /// Names of the large zone
    #[arg(long, global = true, default_value_t = 1_000_000)]
    large: u32,
    /// The Markdown file to put results into; printed only, without
    #[arg(long, global = true, value_name = "FILE")]
    into: Option<PathBuf>,
    /// Passed by cargo
    #[arg(long, global = true, hide = true)]
    bench: bool,
}

impl Options {
    fn time(&self) -> Duration {
        Duration::from_secs_f64(self.seconds)
    }
}

#[derive(Subcommand, Clone)]
enum Part {
    /// What the generator can do, against a server that only echoes
    Generator,
    /// What a datagram costs by how many are taken at once
    Calls,
    /// A zone of 1,000 names: at saturation, at 20,000/s and at 100,000/s
    Answers,
    /// A large zone
    Large,
    /// 10,000 zones
    Zones,
    /// Queries that ask for the server's name
    Nsid,
    /// Queries while edits arrive
    Edits,
    /// From a master file, and from what is kept, to the first answer; memory
    Load,
    /// The same of a small zone
    Start,
    /// One edit in a large zone
    LargeEdits,
    /// Kept-open pipelined connections
    Tcp,
    /// How soon an edit is on five servers
    Propagation,
    /// How soon a new server has a large zone
    Bootstrap,
    /// Write the zone of 1,000 names to a directory, for a server of your own
    Write {
        /// Where to
        directory: PathBuf,
    },
    /// Ask a server of your own, which serves that zone
    Ask {
        /// Where it answers
        server: SocketAddr,
        /// Queries a second; as many as it takes, without
        #[arg(long)]
        rate: Option<u32>,
        /// Its process group, to tell the CPU time it takes
        #[arg(long, value_name = "PID")]
        group: Option<u32>,
    },
    /// Serve as the echo server
    #[command(hide = true)]
    Echo {
        /// The port
        port: u16,
    },
}

fn main() -> io::Result<()> {
    let args = Args::parse();
    let Some(part) = args.part else {
        println!("name a part: scripts/bench --help");
        return Ok(());
    };
    match part {
        Part::Write { directory } => parts::write(&directory),
        Part::Ask { server, rate, group } => parts::ask(&args.options, server, rate, group),
        Part::Echo { port } => echo::serve((Ipv4Addr::LOCALHOST, port).into()),
        Part::Generator => parts::generator(&args.options),
        Part::Calls => parts::calls(&args.options),
        Part::Answers => parts::answers(&args.options),
        Part::Large => parts::large(&args.options),
        Part::Zones => parts::zones(&args.options),
        Part::Nsid => parts::nsid(&args.options),
        Part::Edits => parts::edits(&args.options),
        Part::Load => parts::load(&args.options),
        Part::Start => parts::start(&args.options),
        Part::LargeEdits => parts::large_edits(&args.options),
        Part::Tcp => parts::tcp(&args.options),
        Part::Propagation => parts::propagation(&args.options),
        Part::Bootstrap => parts::bootstrap(&args.options),
    }
}
