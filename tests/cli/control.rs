//! The control interface over a real socket, by its own client.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use grapevine::admin::{Client, ClientError, Condition, ControlSocket, Deleted, serve};
use grapevine::decision::Decision;
use grapevine::node::{
    Answer, Applied, Cause, Command, CommandError, HistoryEntry, HistoryPage, Question, View, ZoneView,
};
use tempfile::TempDir;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::bench::{Ends, admin, held, name, node_view, zone};

const DEADLINE: Duration = Duration::from_secs(20);

/// A control server, its client and the ends of everything that it is connected to.
struct Control {
    client: Client,
    path: PathBuf,
    ends: Ends,
    stop: CancellationToken,
    server: JoinHandle<io::Result<()>>,
    _directory: TempDir,
}

async fn control() -> Control {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let path = directory.path().join("control.sock");
    let (admin, ends) = admin(vec![zone("example.org", 7, 1)]);
    let socket = ControlSocket::bind(&path).await.expect("a control socket");
    let stop = CancellationToken::new();
    let server = tokio::spawn(serve(socket, admin, stop.clone()));
    Control { client: Client::new(&path), path, ends, stop, server, _directory: directory }
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
    let control = control().await;
    control.ends.held.send_replace(Arc::new(vec![held("example.org")]));
    let status = control.client.status().await.expect("a status");
    assert_eq!(status.view, View::clone(&control.ends.view.borrow()));
    assert_eq!((status.process.pid, status.process.version.as_str()), (42, "1.2.3"));
    assert_eq!(status.held, vec![held("example.org")]);
    assert!(status.uptime_ms > 1_000_000, "it started in 1970: {}", status.uptime_ms);
}

#[tokio::test]
async fn a_zone_is_shown_in_detail_and_an_unknown_one_is_not_found() {
    let control = control().await;
    let zone = control.client.zone(&name("example.org")).await.expect("a zone");
    assert_eq!((zone.zone.serial, zone.names, zone.soa.expire), (7, 3, 3));
    assert_eq!(zone.types, BTreeMap::from([("A".to_owned(), 1), ("SOA".to_owned(), 1)]));
    let (status, message) = refusal(control.client.zone(&name("other.org")).await);
    assert_eq!(status, 404);
    assert!(message.contains("other.org."), "{message}");
}

#[tokio::test]
async fn a_wait_ends_when_the_view_changes_to_what_is_waited_for() {
    let control = control().await;
    let origin = name("example.org");
    let condition = Condition { converged: true, serial: Some(9), live: Some(2) };
    let change = async {
        // Each step lacks one part of the condition until the last has all of them.
        for (serial, same_on) in [(8, 2), (9, 1), (9, 2)] {
            control.ends.view.send_replace(node_view(vec![zone("example.org", serial, same_on)]));
            tokio::task::yield_now().await;
        }
    };
    let (report, ()) = tokio::join!(control.client.wait(&origin, condition, DEADLINE), change);
    let report = report.expect("an answer");
    assert!(report.reached);
    assert_eq!(report.zone.expect("the zone").serial, 9);
}

#[tokio::test]
async fn a_wait_in_vain_says_so_when_its_time_is_up() {
    let control = control().await;
    let converged = Condition { converged: true, ..Condition::default() };
    let report = control.client.wait(&name("example.org"), converged, Duration::ZERO).await.expect("an answer");
    assert!(!report.reached);
    let report = control.client.wait(&name("gone.org"), converged, Duration::ZERO).await.expect("an answer");
    assert_eq!((report.reached, report.zone), (false, None));
    let (status, message) =
        refusal(control.client.wait(&name("example.org"), Condition::default(), Duration::ZERO).await);
    assert_eq!(status, 400);
    assert!(message.contains("converged"), "{message}");
}

#[tokio::test]
async fn a_provisional_zone_has_not_converged() {
    let control = control().await;
    let zone = ZoneView { provisional: true, ..zone("example.org", 7, 2) };
    control.ends.view.send_replace(node_view(vec![zone]));
    let converged = Condition { converged: true, ..Condition::default() };
    let report = control.client.wait(&name("example.org"), converged, Duration::ZERO).await.expect("an answer");
    assert!(!report.reached);
}

#[tokio::test]
async fn a_delete_reaches_the_node_and_its_refusal_comes_back() {
    let mut control = control().await;
    let origin = name("example.org");
    let node = async {
        let (command, reply) = control.ends.commands.recv().await.expect("a command");
        assert!(matches!(command, Command::Delete { zone, .. } if zone == origin));
        reply
            .send(Ok(Applied { serial: (1 << 32) + 8, version: [0; 8], changed: true, detail: None }))
            .expect("someone waits");
        let (_, reply) = control.ends.commands.recv().await.expect("a command");
        reply.send(Err(CommandError::NotInitialised)).expect("someone waits");
    };
    let asking = async {
        let deleted = control.client.delete(&origin).await.expect("deleted");
        assert_eq!(deleted, Deleted { origin: origin.clone(), serial: 8 });
        assert_eq!(refusal(control.client.delete(&origin).await).0, 503);
    };
    tokio::join!(node, asking);
}

#[tokio::test]
async fn a_decision_reaches_the_files_only_for_a_file_that_is_held() {
    let mut control = control().await;
    let origin = name("example.org");
    assert_eq!(refusal(control.client.decide(&origin, Decision::Approve).await).0, 404);
    control.ends.held.send_replace(Arc::new(vec![held("example.org")]));
    let files = async {
        let request = control.ends.decisions.recv().await.expect("a request");
        assert_eq!((request.decision, &request.origin), (Decision::Reject, &origin));
        request.reply.send(Ok("the file is as it was".to_owned())).expect("someone waits");
        let request = control.ends.decisions.recv().await.expect("a request");
        assert_eq!(request.decision, Decision::Approve);
        request.reply.send(Err("it has errors".to_owned())).expect("someone waits");
    };
    let asking = async {
        let decided = control.client.decide(&origin, Decision::Reject).await.expect("done");
        assert_eq!(decided.outcome, "the file is as it was");
        let refused = refusal(control.client.decide(&origin, Decision::Approve).await);
        assert_eq!(refused, (409, "it has errors".to_owned()));
    };
    tokio::join!(files, asking);
}

#[tokio::test]
async fn a_log_comes_from_the_history_and_conflicts_from_the_node() {
    let mut control = control().await;
    let origin = name("example.org");
    let entry = HistoryEntry {
        zone: origin.clone(),
        incarnation: None,
        before: Some((1 << 32) + 6),
        after: Some((1 << 32) + 7),
        version: [0xab; 8],
        at_ms: 5,
        cause: Cause::State,
        removed: 0,
        added: 2,
        delta: None,
    };
    let behind = async {
        let (query, reply) = control.ends.history.recv().await.expect("a query");
        assert_eq!((&query.zone, query.older_than, query.limit), (&origin, Some(9), 3));
        reply.send(Ok(HistoryPage { entries: vec![(4, entry)], more: true })).expect("someone waits");
        let (question, reply) = control.ends.questions.recv().await.expect("a question");
        assert_eq!(question, Question::Conflicts);
        reply.send(Ok(Answer::Conflicts(Vec::new()))).expect("someone waits");
        let (question, reply) = control.ends.questions.recv().await.expect("a question");
        assert_eq!(question, Question::Standings { zone: origin.clone(), owner: Some(name("www.example.org")) });
        reply.send(Err(CommandError::NotInitialised)).expect("someone waits");
    };
    let asking = async {
        let log = control.client.log(&origin, 3, Some(9), None).await.expect("a log");
        let [entry] = &log.entries[..] else { panic!("one entry, not {log:?}") };
        assert_eq!((entry.number, entry.serial_before, entry.serial), (4, Some(6), Some(7)));
        assert_eq!((entry.what.as_str(), entry.more_changes, entry.kept), ("state", 2, false));
        assert!(log.more && entry.by.is_none());
        assert_eq!(control.client.conflicts().await.expect("a list").zones, []);
        let blame = control.client.blame(&origin, Some(&name("www.example.org"))).await;
        assert_eq!(refusal(blame).0, 503);
    };
    tokio::join!(behind, asking);
}

#[tokio::test]
async fn metrics_show_counters_and_the_zones() {
    let control = control().await;
    let page = control.client.metrics().await.expect("a page");
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
    let control = control().await;
    let converged = Condition { converged: true, ..Condition::default() };
    let origin = name("example.org");
    let stopping = async {
        // A second request shows that the server has begun with the first one's connection.
        control.client.status().await.expect("a status");
        control.stop.cancel();
    };
    let (waited, ()) = tokio::join!(control.client.wait(&origin, converged, DEADLINE), stopping);
    assert!(waited.is_err());
    control.server.await.expect("no panic").expect("a clean end");
    assert!(!fs::exists(&control.path).expect("readable"));
    let error = control.client.status().await.expect_err("nobody there");
    assert!(matches!(&error, ClientError::Absent { .. }), "{error}");
    assert!(error.to_string().contains("grapevine serve"), "{error}");
}
