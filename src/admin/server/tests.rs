//! The interface over a real socket, with a node made of channels behind it.

use std::fs;
use std::path::PathBuf;

use tempfile::TempDir;
use tokio::task::JoinHandle;

use super::*;
use crate::admin::{Client, ClientError, HeldDiagnostic};
use crate::node::MemberState;
use crate::zone::{Rdata, Record, RecordType, Soa, Zone, ZoneContent};

const DEADLINE: Duration = Duration::from_secs(20);

/// A control server and the ends of everything that it is connected to.
struct Bench {
    client: Client,
    path: PathBuf,
    view: watch::Sender<Arc<View>>,
    held: watch::Sender<Arc<Vec<Held>>>,
    commands: mpsc::Receiver<CommandRequest>,
    decisions: mpsc::Receiver<FilesRequest>,
    stop: CancellationToken,
    server: JoinHandle<io::Result<()>>,
    _directory: TempDir,
}

fn name(text: &str) -> Name {
    text.parse().expect("a valid name")
}

fn zone_view(origin: &str, serial: u32, same_on: usize) -> ZoneView {
    ZoneView {
        origin: name(origin),
        serial,
        records: 2,
        digest: "d1".repeat(16),
        version: "ab".repeat(8),
        incarnation: "cd".repeat(16),
        same_on,
        live: 2,
        shadowed: 0,
        conflicts: 0,
        provisional: false,
        stale: false,
    }
}

fn view(zones: Vec<ZoneView>) -> Arc<View> {
    let member = |index: u16| MemberView {
        name: format!("n{index}"),
        gossip: ([127, 0, 0, 1], 7300 + index).into(),
        state: MemberState::Alive,
        since_ms: 1_000,
        this_node: index == 1,
        in_sync: true,
    };
    Arc::new(View {
        name: "n1".to_owned(),
        cluster: "test".to_owned(),
        gossip: ([127, 0, 0, 1], 7301).into(),
        generation: 1,
        actor: None,
        initialised: true,
        synced: true,
        at_ms: 1_000,
        members: vec![member(1), member(2)],
        zones,
    })
}

fn zone_set() -> ZoneSet {
    let root = Rdata::new([0u8].as_slice());
    let soa = Soa { ttl: 60, mname: root.clone(), rname: root, serial: 7, refresh: 1, retry: 2, expire: 3, minimum: 4 };
    let mut content = ZoneContent::new(name("example.org"), soa);
    let rdata = Rdata::new([192, 0, 2, 1].as_slice());
    content.add(Record { owner: name("a.b.example.org"), rtype: RecordType::A, ttl: 60, rdata });
    ZoneSet::new([Arc::new(Zone::from_content(&content))])
}

async fn bench() -> Bench {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let path = directory.path().join("control.sock");
    let (view_in, view_out) = watch::channel(view(vec![zone_view("example.org", 7, 1)]));
    let (held_in, held_out) = watch::channel(Arc::new(Vec::new()));
    let (commands_in, commands) = mpsc::channel(4);
    let (requests, decisions) = mpsc::channel(4);
    let admin = Admin {
        view: view_out,
        zones: Arc::new(ArcSwap::from_pointee(zone_set())),
        commands: commands_in,
        files: FilesHandle { held: held_out, requests },
        metrics: Arc::new(Metrics::default()),
        process: Process {
            version: "1.2.3".to_owned(),
            pid: 42,
            started_ms: 0,
            dns: vec![([127, 0, 0, 1], 5301).into()],
            service: Vec::new(),
            zones_dir: "zones".into(),
            data_dir: "data".into(),
        },
    };
    let socket = ControlSocket::bind(&path).await.expect("a control socket");
    let stop = CancellationToken::new();
    let server = tokio::spawn(serve(socket, admin, stop.clone()));
    let client = Client::new(&path);
    Bench { client, path, view: view_in, held: held_in, commands, decisions, stop, server, _directory: directory }
}

fn held(origin: &str) -> Held {
    Held {
        origin: name(origin),
        path: "zones/example.org.zone".into(),
        reason: "it has errors".to_owned(),
        approvable: false,
        diagnostics: vec![HeldDiagnostic {
            path: "zones/example.org.zone".to_owned(),
            line: 3,
            column: 5,
            message: "not an address".to_owned(),
        }],
        since_ms: 5,
    }
}

fn refusal<T>(result: Result<T, ClientError>) -> (u16, String) {
    match result {
        Err(ClientError::Refused { status, message }) => (status, message),
        Err(other) => panic!("not a refusal: {other}"),
        Ok(_) => panic!("not refused"),
    }
}

#[tokio::test]
async fn status_carries_the_view_the_process_and_the_held_files() {
    let bench = bench().await;
    bench.held.send_replace(Arc::new(vec![held("example.org")]));
    let status = bench.client.status().await.expect("a status");
    assert_eq!(status.view, View::clone(&bench.view.borrow()));
    assert_eq!((status.process.pid, status.process.version.as_str()), (42, "1.2.3"));
    assert_eq!(status.held, vec![held("example.org")]);
    assert!(status.uptime_ms > 1_000_000, "it started in 1970: {}", status.uptime_ms);
}

#[tokio::test]
async fn a_zone_is_shown_in_detail_and_an_unknown_one_is_not_found() {
    let bench = bench().await;
    let zone = bench.client.zone(&name("example.org")).await.expect("a zone");
    assert_eq!((zone.zone.serial, zone.names, zone.soa.expire), (7, 3, 3));
    assert_eq!(zone.types, BTreeMap::from([("A".to_owned(), 1), ("SOA".to_owned(), 1)]));
    let (status, message) = refusal(bench.client.zone(&name("other.org")).await);
    assert_eq!(status, 404);
    assert!(message.contains("other.org."), "{message}");
}

#[tokio::test]
async fn a_wait_ends_when_the_view_changes_to_what_is_waited_for() {
    let bench = bench().await;
    let origin = name("example.org");
    let condition = Condition { converged: true, serial: Some(9), live: Some(2) };
    let change = async {
        // Each step lacks one part of the condition until the last has all of them.
        for (serial, same_on) in [(8, 2), (9, 1), (9, 2)] {
            bench.view.send_replace(view(vec![zone_view("example.org", serial, same_on)]));
            tokio::task::yield_now().await;
        }
    };
    let (report, ()) = tokio::join!(bench.client.wait(&origin, condition, DEADLINE), change);
    let report = report.expect("an answer");
    assert!(report.reached);
    assert_eq!(report.zone.expect("the zone").serial, 9);
}

#[tokio::test]
async fn a_wait_in_vain_says_so_when_its_time_is_up() {
    let bench = bench().await;
    let converged = Condition { converged: true, ..Condition::default() };
    let report = bench.client.wait(&name("example.org"), converged, Duration::ZERO).await.expect("an answer");
    assert!(!report.reached);
    let report = bench.client.wait(&name("gone.org"), converged, Duration::ZERO).await.expect("an answer");
    assert_eq!((report.reached, report.zone), (false, None));
    let (status, message) =
        refusal(bench.client.wait(&name("example.org"), Condition::default(), Duration::ZERO).await);
    assert_eq!(status, 400);
    assert!(message.contains("converged"), "{message}");
}

#[tokio::test]
async fn a_provisional_zone_has_not_converged() {
    let bench = bench().await;
    let zone = ZoneView { provisional: true, ..zone_view("example.org", 7, 2) };
    bench.view.send_replace(view(vec![zone]));
    let converged = Condition { converged: true, ..Condition::default() };
    let report = bench.client.wait(&name("example.org"), converged, Duration::ZERO).await.expect("an answer");
    assert!(!report.reached);
}

#[tokio::test]
async fn a_delete_reaches_the_node_and_its_refusal_comes_back() {
    let mut bench = bench().await;
    let origin = name("example.org");
    let node = async {
        let (command, reply) = bench.commands.recv().await.expect("a command");
        assert!(matches!(command, Command::Delete { zone } if zone == origin));
        reply.send(Ok(Applied { serial: (1 << 32) + 8, version: [0; 8], changed: true })).expect("someone waits");
        let (_, reply) = bench.commands.recv().await.expect("a command");
        reply.send(Err(CommandError::NotInitialised)).expect("someone waits");
    };
    let asking = async {
        let deleted = bench.client.delete(&origin).await.expect("deleted");
        assert_eq!(deleted, Deleted { origin: origin.clone(), serial: 8 });
        assert_eq!(refusal(bench.client.delete(&origin).await).0, 503);
    };
    tokio::join!(node, asking);
}

#[tokio::test]
async fn a_decision_reaches_the_files_only_for_a_file_that_is_held() {
    let mut bench = bench().await;
    let origin = name("example.org");
    assert_eq!(refusal(bench.client.decide(&origin, Decision::Approve).await).0, 404);
    bench.held.send_replace(Arc::new(vec![held("example.org")]));
    let files = async {
        let request = bench.decisions.recv().await.expect("a request");
        assert_eq!((request.decision, &request.origin), (Decision::Reject, &origin));
        request.reply.send(Ok("the file is as it was".to_owned())).expect("someone waits");
        let request = bench.decisions.recv().await.expect("a request");
        assert_eq!(request.decision, Decision::Approve);
        request.reply.send(Err("it has errors".to_owned())).expect("someone waits");
    };
    let asking = async {
        let decided = bench.client.decide(&origin, Decision::Reject).await.expect("done");
        assert_eq!(decided.outcome, "the file is as it was");
        let refused = refusal(bench.client.decide(&origin, Decision::Approve).await);
        assert_eq!(refused, (409, "it has errors".to_owned()));
    };
    tokio::join!(files, asking);
}

#[tokio::test]
async fn metrics_show_counters_and_the_zones() {
    let bench = bench().await;
    let page = bench.client.metrics().await.expect("a page");
    for line in [
        "# TYPE grapevine_queries_udp counter",
        "grapevine_build_info{version=\"1.2.3\"} 1",
        "grapevine_members{state=\"alive\"} 2",
        "# TYPE grapevine_zone_serial gauge",
        "grapevine_zone_serial{zone=\"example.org.\"} 7",
    ] {
        assert!(page.lines().any(|found| found == line), "{line} is not in\n{page}");
    }
}

#[tokio::test]
async fn stopping_ends_the_waits_and_removes_the_socket() {
    let bench = bench().await;
    let converged = Condition { converged: true, ..Condition::default() };
    let origin = name("example.org");
    let stopping = async {
        // A second request shows that the server has begun with the first one's connection.
        bench.client.status().await.expect("a status");
        bench.stop.cancel();
    };
    let (waited, ()) = tokio::join!(bench.client.wait(&origin, converged, DEADLINE), stopping);
    assert!(waited.is_err());
    bench.server.await.expect("no panic").expect("a clean end");
    assert!(!fs::exists(&bench.path).expect("readable"));
    let error = bench.client.status().await.expect_err("nobody there");
    assert!(matches!(&error, ClientError::Absent { .. }), "{error}");
    assert!(error.to_string().contains("grapevine serve"), "{error}");
}
