//! Grapevine against NSD, Knot and BIND: the same generated zones, the same questions, the same answers; and the sample
//! zones by transfer through each of them.
//!
//! `GRAPEVINE_DIFFERENTIAL_SETS=n` asks about n sets of zones, `GRAPEVINE_DIFFERENTIAL_SEED=s` begins with the seed s: to
//! see one set again, give its seed and one set. `GRAPEVINE_DIFFERENTIAL_SHOW=variant` shows the cases of that variant. By default the seeds are always the same, so that no result depends on
//! chance.

mod client;
mod continuation;
mod generate;
mod judge;
mod message;
mod probe_messages;
mod probes;
mod round_trip;
mod sign;
mod stock;
mod validators;
mod variants;
mod zone_text;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use grapevine::answer::{Context, Outcome, Server, Transport, answer};
use grapevine::master::ZoneFile;
use grapevine::metrics::Metrics;
use grapevine::published::Published;
use grapevine::serve::{Listener, ServeConfig, Servers};
use grapevine::zone::{Name, RecordType, Zone, ZoneSet};
use tokio::runtime::Runtime;
use tokio_util::sync::CancellationToken;

use client::{ask, ask_all};
use generate::{Question, ZoneFamily, absolute};
use judge::{Case, Verdict};
use message::{PAYLOAD, Said, decode, query};
use stock::{KINDS, Stock, Zones};

/// The environment's variable with the name of a permitted variant of which every case is to be shown.
const SHOW: &str = "GRAPEVINE_DIFFERENTIAL_SHOW";
/// Sets of zones in an ordinary run.
const DEFAULT_SETS: usize = 40;
/// Sets that the servers load at once.
const SETS_AT_ONCE: usize = 100;
/// Questions about each set.
const QUESTIONS_A_SET: usize = 250;
/// Questions about the root zone.
const ROOT_QUESTIONS: usize = 1000;
/// After this long without one more zone loaded, a server is taken to refuse the others.
const LOAD_PATIENCE: Duration = Duration::from_secs(4);
/// A set that a server does not load is replaced by the one whose seed is this much higher.
const REPLACEMENT: u64 = 1_000_000;
/// How often that is done before the generator is taken to be broken.
const REPLACEMENTS: usize = 5;
/// Disagreements that are shown in full.
const SHOWN: usize = 8;

#[test]
fn answers_are_those_of_nsd_knot_and_bind_on_generated_zones() {
    let sets = from_environment("GRAPEVINE_DIFFERENTIAL_SETS").unwrap_or(DEFAULT_SETS as u64);
    let first = from_environment("GRAPEVINE_DIFFERENTIAL_SEED").unwrap_or(1);
    let mut tally = Tally::default();
    let seeds: Vec<u64> = (first..first + sets).collect();
    for seeds in seeds.chunks(SETS_AT_ONCE) {
        let (servers, families) = load(seeds);
        compare(&servers, &families, &mut tally);
    }
    println!("differential: seeds {first} to {}, {}", first + sets - 1, tally.summary());
    for variant in variants::VARIANTS {
        println!("  permitted: {}: {}", variant.name, variant.reason);
    }
    assert_eq!(tally.failures, 0, "disagreements that are not listed:\n{}", tally.shown);
}

#[test]
fn answers_from_the_root_zone_are_those_of_nsd_knot_and_bind() {
    let family = ZoneFamily::root(1, ROOT_QUESTIONS);
    let servers: Vec<Stock> = KINDS.iter().map(|&kind| Stock::start(kind, &Zones::Files(&family.zones))).collect();
    for server in &servers {
        assert_eq!(not_loaded(server, &family.zones), Vec::<String>::new());
    }
    let mut tally = Tally::default();
    compare(&servers, &[family], &mut tally);
    println!("differential: {}", tally.summary());
    assert_eq!(tally.failures, 0, "disagreements that are not listed:\n{}", tally.shown);
}

#[test]
fn the_server_on_a_socket_says_what_the_stock_servers_say() {
    let (servers, families) = load(&[1, 2, 3]);
    let zones = zone_set(&families);
    let ours = Ours::start(zones);
    let mut failed = String::new();
    for family in &families {
        let said = ask_all(ours.address, &family.questions);
        for case in cases(&servers, family, said) {
            if matches!(case.judge(), Verdict::Wrong | Verdict::WrongAdditional) {
                failed.push_str(&case.describe());
            }
        }
    }
    assert_eq!(failed, "");
}

/// What came of all questions.
#[derive(Default)]
struct Tally {
    sets: usize,
    zones: usize,
    verdicts: BTreeMap<Verdict, usize>,
    failures: usize,
    shown: String,
}

impl Tally {
    fn count(&mut self, case: &Case, family: &ZoneFamily) {
        let verdict = case.judge();
        *self.verdicts.entry(verdict).or_default() += 1;
        let wrong = matches!(verdict, Verdict::Wrong | Verdict::WrongAdditional);
        self.failures += usize::from(wrong);
        let wanted = matches!(verdict, Verdict::Variant(name) if std::env::var(SHOW).is_ok_and(|shown| shown == name));
        if wanted {
            println!("\n== seed {}, {verdict:?}\n{}", family.seed, case.describe());
        }
        if wrong && self.failures <= SHOWN {
            self.shown += &format!("\n== seed {}, {verdict:?}\n{}", family.seed, case.describe());
            for (_, text) in &family.zones {
                self.shown += text;
                self.shown += "\n";
            }
        }
    }

    fn summary(&self) -> String {
        let questions: usize = self.verdicts.values().sum();
        let mut text = format!("{} sets, {} zones, {questions} questions", self.sets, self.zones);
        for (verdict, count) in &self.verdicts {
            text += &format!("\n  {verdict:?}: {count}");
        }
        text
    }
}

/// Starts the three servers on the sets of these seeds. Sets that one of them does not load are replaced.
fn load(seeds: &[u64]) -> (Vec<Stock>, Vec<ZoneFamily>) {
    let mut families: Vec<ZoneFamily> = seeds.iter().map(|&seed| ZoneFamily::generate(seed, QUESTIONS_A_SET)).collect();
    for _ in 0..REPLACEMENTS {
        let files: Vec<(String, String)> = families.iter().flat_map(|family| family.zones.clone()).collect();
        let servers: Vec<Stock> = KINDS.iter().map(|&kind| Stock::start(kind, &Zones::Files(&files))).collect();
        let refused: Vec<String> = servers.iter().flat_map(|server| not_loaded(server, &files)).collect();
        if refused.is_empty() {
            return (servers, families);
        }
        for family in &mut families {
            if family.zones.iter().any(|(origin, _)| refused.contains(origin)) {
                let seed = family.seed + REPLACEMENT;
                println!("seed {} is replaced by {seed}: one of {:?} was not loaded", family.seed, family.zones);
                *family = ZoneFamily::generate(seed, QUESTIONS_A_SET);
            }
        }
    }
    panic!("sets were replaced {REPLACEMENTS} times and are still not loaded");
}

/// The origins that a server does not answer for, however long it is given.
fn not_loaded(server: &Stock, files: &[(String, String)]) -> Vec<String> {
    let soa = |qname: &String| Question::new(qname, RecordType::SOA);
    let mut waiting: Vec<String> = files.iter().map(|(origin, _)| origin.clone()).collect();
    let mut deadline = Instant::now() + LOAD_PATIENCE;
    while !waiting.is_empty() && Instant::now() < deadline {
        let questions: Vec<Question> = waiting.iter().map(soa).collect();
        let mut responses = ask(server.address, &questions, 1).into_iter();
        let before = waiting.len();
        waiting.retain(|_| {
            let response = responses.next().flatten();
            !response.is_some_and(|response| decode(&response).authoritative)
        });
        if waiting.len() < before {
            deadline = Instant::now() + LOAD_PATIENCE;
        }
    }
    for origin in &waiting {
        let log = server.log();
        let lines: Vec<&str> = log.lines().filter(|line| line.contains(origin.as_str())).take(5).collect();
        println!("{:?} does not load {origin}:\n{}", server.kind, lines.join("\n"));
    }
    waiting
}

fn compare(servers: &[Stock], families: &[ZoneFamily], tally: &mut Tally) {
    let zones = zone_set(families);
    tally.zones += zones.len();
    for family in families {
        tally.sets += 1;
        let said = family.questions.iter().map(|question| ask_in_process(&zones, question)).collect();
        for case in cases(servers, family, said) {
            tally.count(&case, family);
        }
    }
}

/// Asks the stock servers, all at once, and pairs their responses with Grapevine's.
fn cases(servers: &[Stock], family: &ZoneFamily, ours: Vec<Vec<u8>>) -> Vec<Case> {
    let origins = family.origins();
    let of_server = |address| {
        let mut said: Vec<Said> = ask_all(address, &family.questions).iter().map(|response| decode(response)).collect();
        continuation::complete(address, &origins, &family.questions, &mut said);
        said
    };
    let responses: Vec<Vec<Said>> = std::thread::scope(|scope| {
        let asking: Vec<_> = servers.iter().map(|server| scope.spawn(|| of_server(server.address))).collect();
        asking.into_iter().map(|thread| thread.join().expect("the server responds")).collect()
    });
    let case = |(index, ours): (usize, Vec<u8>)| Case {
        question: family.questions[index].clone(),
        ours: decode(&ours),
        stock: responses.iter().map(|of_server| of_server[index].clone()).collect(),
    };
    ours.into_iter().enumerate().map(case).collect()
}

fn ask_in_process(zones: &ZoneSet, question: &Question) -> Vec<u8> {
    let server = server();
    let transport = if question.tcp { Transport::Tcp } else { Transport::Udp };
    let context = Context::new(&server, transport, std::net::Ipv4Addr::LOCALHOST.into());
    let mut response = Vec::new();
    let outcome = answer(zones, &query(7, question), &context, &mut response);
    assert!(matches!(outcome, Outcome::Respond), "{question:?} gets a response");
    response
}

fn server() -> Server {
    Server { max_udp_payload: PAYLOAD, ..Server::default() }
}

fn zone_set(families: &[ZoneFamily]) -> ZoneSet {
    ZoneSet::new(families.iter().flat_map(|family| &family.zones).map(|(origin, text)| zone(origin, text.as_bytes())))
}

/// Reads a master file, which has to be without errors.
fn zone(origin: &str, text: &[u8]) -> Arc<Zone> {
    let name: Name = absolute(origin).parse().expect("an origin");
    let file = ZoneFile::parse(origin, text, &name, &mut |path| Err(format!("{path}: no includes")));
    let file = file.unwrap_or_else(|errors| panic!("{origin}: {errors:?}\n{}", String::from_utf8_lossy(text)));
    Arc::new(Zone::from_content(file.content()))
}

/// Grapevine's own servers on real sockets.
struct Ours {
    address: SocketAddr,
    stop: CancellationToken,
    runtime: Option<Runtime>,
}

impl Ours {
    fn start(zones: ZoneSet) -> Ours {
        let listener = Listener { address: "127.0.0.1:0".parse().expect("an address"), shared: false };
        let config = ServeConfig { listeners: vec![listener], udp_workers: 1, ..ServeConfig::default() };
        let zones = Arc::new(Published::from(zones));
        let servers = Servers::bind(config, zones, Arc::new(server()), Arc::new(Metrics::default()));
        let servers = servers.expect("a port is free");
        let (address, stop) = (servers.addresses()[0], CancellationToken::new());
        let runtime = Runtime::new().expect("a runtime");
        runtime.spawn(servers.run(stop.clone()));
        Ours { address, stop, runtime: Some(runtime) }
    }
}

impl Drop for Ours {
    fn drop(&mut self) {
        self.stop.cancel();
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_timeout(Duration::from_secs(5));
        }
    }
}

fn from_environment(name: &str) -> Option<u64> {
    let text = std::env::var(name).ok()?;
    Some(text.parse().unwrap_or_else(|error| panic!("{name}={text}: {error}")))
}
