//! A directory to run the program in, and a control socket with a node of channels behind it.

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::Arc;

use grapevine::admin::{
    Admin, CommandRequest, ControlSocket, FilesHandle, Held, HeldDiagnostic, HistoryRequest, Process, QuestionRequest,
    serve,
};
use grapevine::decision::{Decision, DecisionRequest};
use grapevine::metrics::Metrics;
use grapevine::node::{self, Applied, CommandError, MemberState, MemberView, View, ZoneView};
use grapevine::published::Published;
use grapevine::views::Views;
use grapevine::zone::{Name, Rdata, Record, RecordType, Soa, Zone, ZoneContent, ZoneSet};
use tempfile::TempDir;
use tokio::runtime::Runtime;
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;

/// The program under test.
pub(crate) const PROGRAM: &str = env!("CARGO_BIN_EXE_grapevine");

/// A directory of its own.
pub(crate) struct Bench {
    directory: TempDir,
}

/// What came of one run.
pub(crate) struct Run {
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

/// A control server on the bench's `data/grapevine.sock`.
pub(crate) struct Daemon {
    view: watch::Sender<Arc<View>>,
    held: watch::Sender<Arc<Vec<Held>>>,
    _runtime: Runtime,
}

impl Bench {
    pub(crate) fn new() -> Bench {
        Bench { directory: tempfile::tempdir().expect("a temporary directory") }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// The program in the bench's directory, with nothing from the environment that steers it.
    pub(crate) fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(PROGRAM);
        command.args(args).current_dir(self.directory.path()).env_remove("GRAPEVINE_CONTROL");
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    pub(crate) fn run(&self, args: &[&str]) -> Run {
        self.command(args).output().expect("the program runs").into()
    }

    pub(crate) fn daemon(&self, zones: Vec<ZoneView>) -> Daemon {
        let data = self.path("data");
        std::fs::create_dir_all(&data).expect("writable");
        Daemon::start(&data.join("grapevine.sock"), zones)
    }
}

impl From<Output> for Run {
    fn from(output: Output) -> Run {
        let text = |bytes| String::from_utf8(bytes).expect("output is UTF-8");
        let code = output.status.code().expect("it ended by itself");
        Run { code, stdout: text(output.stdout), stderr: text(output.stderr) }
    }
}

impl Daemon {
    fn start(socket: &Path, zones: Vec<ZoneView>) -> Daemon {
        let runtime = Runtime::new().expect("a runtime");
        let (admin, ends) = admin(zones);
        let Ends { view, held, mut commands, mut decisions, .. } = ends;
        let socket = runtime.block_on(ControlSocket::bind(socket)).expect("a control socket");
        runtime.spawn(serve(socket, admin, CancellationToken::new()));
        runtime.spawn(async move {
            while let Some((command, reply)) = commands.recv().await {
                let result = match command {
                    node::Command::Delete { zone, .. } if zone == name("example.org.") => {
                        Ok(Applied { serial: 8, version: [0; 8], changed: true, detail: None })
                    }
                    node::Command::Delete { zone, .. } => Err(CommandError::NoSuchZone(zone)),
                    other => panic!("not expected of the command line: {other:?}"),
                };
                let _ = reply.send(result);
            }
        });
        runtime.spawn(async move {
            while let Some(request) = decisions.recv().await {
                let outcome = match request.decision {
                    Decision::Approve => "approved",
                    Decision::Reject => "rejected",
                };
                let _ = request.reply.send(Ok(outcome.to_owned()));
            }
        });
        Daemon { view, held, _runtime: runtime }
    }

    pub(crate) fn show(&self, zones: Vec<ZoneView>) {
        self.view.send_replace(node_view(zones));
    }

    pub(crate) fn hold(&self, held: Held) {
        self.held.send_replace(Arc::new(vec![held]));
    }
}

/// The other ends of what a control server is connected to.
pub(crate) struct Ends {
    pub(crate) view: watch::Sender<Arc<View>>,
    pub(crate) held: watch::Sender<Arc<Vec<Held>>>,
    pub(crate) commands: mpsc::Receiver<CommandRequest>,
    pub(crate) questions: mpsc::Receiver<QuestionRequest>,
    pub(crate) history: mpsc::Receiver<HistoryRequest>,
    pub(crate) decisions: mpsc::Receiver<DecisionRequest>,
}

/// What a control server needs, made of channels.
pub(crate) fn admin(zones: Vec<ZoneView>) -> (Admin, Ends) {
    let view = watch::Sender::new(node_view(zones));
    let (held, held_out) = watch::channel(Arc::new(Vec::new()));
    let (commands_in, commands) = mpsc::channel(4);
    let (requests, decisions) = mpsc::channel(4);
    let (questions_in, questions) = mpsc::channel(4);
    let (history_in, history) = mpsc::channel(4);
    let (backups, _) = mpsc::channel(1);
    let (wishes, _) = mpsc::channel(1);
    let admin = Admin {
        backups,
        views: Views::new(view.clone(), wishes),
        zones: Arc::new(Published::from(zone_set())),
        commands: commands_in,
        questions: questions_in,
        history: history_in,
        files: FilesHandle { held: held_out, requests },
        metrics: Arc::new(Metrics::default()),
        process: process(),
    };
    (admin, Ends { view, held, commands, questions, history, decisions })
}

pub(crate) fn name(text: &str) -> Name {
    text.parse().expect("a valid name")
}

/// A zone that is the same on so many of two members.
pub(crate) fn zone(origin: &str, serial: u32, same_on: usize) -> ZoneView {
    ZoneView {
        origin: name(origin),
        serial,
        records: 2,
        digest: "d1".repeat(32),
        version: "ab".repeat(8),
        incarnation: "cd".repeat(16),
        same_on,
        live: 2,
        shadowed: 0,
        conflicts: 0,
        quarantined: 0,
        ambiguous: 0,
        provisional: false,
        stale: false,
    }
}

/// A zone's file with an error.
pub(crate) fn held(origin: &str) -> Held {
    let path = format!("zones/{}zone", name(origin));
    let (level, message) = ("error".to_owned(), "not an address".to_owned());
    let found = HeldDiagnostic { path: path.clone(), line: 3, column: 5, level, message };
    Held {
        origin: name(origin),
        path: path.into(),
        reason: "it has errors; mend it and save".to_owned(),
        approvable: true,
        diagnostics: vec![found],
        since_ms: 5,
    }
}

/// The view of the first of two live members.
pub(crate) fn node_view(zones: Vec<ZoneView>) -> Arc<View> {
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

fn process() -> Process {
    Process {
        version: "1.2.3".to_owned(),
        pid: 42,
        started_ms: 0,
        dns: vec![([127, 0, 0, 1], 5301).into()],
        service: vec![([127, 0, 0, 1], 5300).into()],
        zones_dir: "zones".into(),
        data_dir: "data".into(),
    }
}

fn zone_set() -> ZoneSet {
    let root = Rdata::new([0u8].as_slice());
    let soa = Soa { ttl: 60, mname: root.clone(), rname: root, serial: 7, refresh: 1, retry: 2, expire: 3, minimum: 4 };
    let mut content = ZoneContent::new(name("example.org."), soa);
    let rdata = Rdata::new([192, 0, 2, 1].as_slice());
    content.add(Record { owner: name("a.b.example.org."), rtype: RecordType::A, ttl: 60, rdata });
    ZoneSet::new([Arc::new(Zone::from_content(&content))])
}
