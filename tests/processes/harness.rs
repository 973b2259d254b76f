//! Nodes as people run them: processes of the `grapevine` binary on loopback, each with its own ports, zone files and data
//! in a temporary directory. A node ends with its value; if the test has failed by then, its log is printed.

use std::fmt::Debug;
use std::fs::{self, File, OpenOptions};
use std::net::{SocketAddr, TcpListener, UdpSocket};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::{Duration, Instant};

use hickory_server::proto::rr::RecordType;
use serde_json::Value;
use tempfile::TempDir;

use super::client::lookup;

/// The program under test.
pub(super) const PROGRAM: &str = env!("CARGO_BIN_EXE_grapevine");
/// How long any fact is waited for. Facts take milliseconds; a machine that is busy with other tests takes longer.
pub(super) const DEADLINE: Duration = Duration::from_secs(45);
/// The pause between two looks at a fact.
const PAUSE: Duration = Duration::from_millis(5);
/// Where free ports are looked for: below the range from which the system gives out ports itself, so that nobody gets
/// one between the look and its use, or while its node is being restarted.
const PORTS: std::ops::Range<u16> = 10_000..32_000;
/// How much of a log is printed for a failed test.
const LOG_SHOWN: usize = 60;

/// The zone that most tests are about. Some of its lines are laid out as nobody but a person would.
pub(super) const ORIGIN: &str = "example.test";
pub(super) const ZONE: &str = "\
; The zone of the example, tended by hand.
$ORIGIN example.test.
$TTL 1h
@       IN SOA  ns1 hostmaster (
                2026010100      ; serial
                2h 15m 2w       ; refresh, retry, expire
                5m )            ; negative answers
        IN NS   ns1
        IN NS   ns2
ns1     IN A    192.0.2.1
ns2     IN A    192.0.2.2

;; machines in use
www     300 IN  A       192.0.2.80      ; the web server
mail    IN      A       192.0.2.25
@       IN      MX      10 mail
note    IN      TXT     \"first\"
";

/// Looks until the fact is there, and gives it back.
pub(super) fn wait_for<T, E: Debug>(what: &str, look: impl FnMut() -> Result<T, E>) -> T {
    wait_within(DEADLINE, what, look)
}

/// As [`wait_for`], with its own deadline.
pub(super) fn wait_within<T, E: Debug>(limit: Duration, what: &str, mut look: impl FnMut() -> Result<T, E>) -> T {
    let end = Instant::now() + limit;
    loop {
        match look() {
            Ok(fact) => return fact,
            Err(state) if Instant::now() >= end => panic!("waited {limit:?} for {what}; the last look saw {state:#?}"),
            Err(_) => std::thread::sleep(PAUSE),
        }
    }
}

/// Looks until it is so.
pub(super) fn until(what: &str, mut look: impl FnMut() -> bool) {
    wait_for(what, || if look() { Ok(()) } else { Err("not so") });
}

/// A loopback address that is free for UDP and TCP, and was given out by no other call.
pub(super) fn free_address() -> SocketAddr {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    // Test processes that run side by side begin in different places.
    let offset = std::process::id() as u16 % 300 * 64;
    loop {
        let at = NEXT.fetch_add(1, Ordering::Relaxed).wrapping_add(offset) % (PORTS.end - PORTS.start);
        let address = SocketAddr::from(([127, 0, 0, 1], PORTS.start + at));
        if UdpSocket::bind(address).is_ok() && TcpListener::bind(address).is_ok() {
            return address;
        }
    }
}

/// A directory that is there as long as the test runs, with a key for the nodes in it.
pub(super) struct Scene {
    directory: TempDir,
}

impl Scene {
    pub(super) fn new() -> Scene {
        let directory = tempfile::Builder::new().prefix("grapevine-test-").tempdir().expect("a temporary directory");
        fs::set_permissions(directory.path(), fs::Permissions::from_mode(0o755)).expect("it is ours");
        let scene = Scene { directory };
        scene.keygen("key");
        scene
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// Makes a key file.
    pub(super) fn keygen(&self, name: &str) -> PathBuf {
        let path = self.path(name);
        let output = run(PROGRAM, &["keygen", text(&path)]);
        assert!(output.status.success(), "{output:?}");
        path
    }

    /// A node with directories and ports of its own, not started yet.
    pub(super) fn node(&self, name: &str) -> Node {
        let home = self.path(name);
        for part in ["zones", "data"] {
            fs::create_dir_all(home.join(part)).expect("the directory is ours");
        }
        Node {
            name: name.to_owned(),
            key: Some(self.path("key")),
            zones: home.join("zones"),
            data: home.join("data"),
            home,
            dns: free_address(),
            gossip: free_address(),
            flags: Vec::new(),
            wrapper: vec![PROGRAM.to_owned()],
            process: None,
        }
    }

    /// A running node that serves [`ZONE`].
    pub(super) fn serving_node(&self, name: &str) -> Node {
        let mut node = self.node(name);
        node.save(ORIGIN, ZONE);
        node.start();
        until("the zone to be served", || !lookup(node.dns, "www.example.test.", RecordType::A).is_empty());
        node
    }
}

/// One node.
pub(super) struct Node {
    pub(super) name: String,
    pub(super) home: PathBuf,
    pub(super) zones: PathBuf,
    pub(super) data: PathBuf,
    pub(super) dns: SocketAddr,
    pub(super) gossip: SocketAddr,
    pub(super) key: Option<PathBuf>,
    /// Further flags of `serve`.
    pub(super) flags: Vec<String>,
    /// The program with what stands before it.
    pub(super) wrapper: Vec<String>,
    process: Option<Child>,
}

impl Node {
    pub(super) fn flag(mut self, flag: &str, value: impl ToString) -> Node {
        self.flags.extend([flag.to_owned(), value.to_string()]);
        self
    }

    pub(super) fn joining(self, other: &Node) -> Node {
        let at = other.gossip;
        self.flag("--join", at)
    }

    /// Begins to run it and returns at once.
    pub(super) fn launch(&mut self) {
        assert!(self.process.is_none(), "{} runs already", self.name);
        let log = OpenOptions::new().create(true).append(true).open(self.log_path()).expect("the log can be written");
        let mut command = self.command(&["serve", "--name", &self.name]);
        command
            .args(["--dns", &self.dns.to_string(), "--gossip", &self.gossip.to_string()])
            .args(["--zones", text(&self.zones), "--data", text(&self.data)])
            .args(self.key.iter().flat_map(|path| ["--key-file", text(path)]))
            .args(&self.flags)
            .stdin(Stdio::null())
            .stdout(log.try_clone().expect("a file can be shared"))
            .stderr(log);
        self.process = Some(command.spawn().expect("the program starts"));
    }

    /// Runs it, and returns when it says that it is up.
    pub(super) fn start(&mut self) {
        self.launch();
        self.await_up();
    }

    pub(super) fn await_up(&mut self) {
        wait_for("the node to be up", || {
            assert!(self.ended().is_none(), "{} ended instead of serving:\n{}", self.name, self.log());
            let output = self.ctl(&["status", "--json"]);
            output.status.success().then_some(()).ok_or(said(&output))
        });
    }

    /// Runs it and waits until it has ended: its exit code and what it said.
    pub(super) fn refuse(&mut self) -> (i32, String) {
        self.launch();
        self.await_end()
    }

    /// Waits until it has ended by itself: its exit code and what it said.
    pub(super) fn await_end(&mut self) -> (i32, String) {
        let status = wait_for("the process to end", || self.ended().ok_or_else(|| self.log()));
        self.process = None;
        (status.code().expect("it was not killed"), self.log())
    }

    fn ended(&mut self) -> Option<ExitStatus> {
        self.process.as_mut().expect("it was started").try_wait().expect("a child can be waited for")
    }

    pub(super) fn is_running(&self) -> bool {
        self.process.is_some()
    }

    /// kill -9.
    pub(super) fn kill(&mut self) {
        let mut process = self.process.take().expect("it runs");
        process.kill().expect("a child can be killed");
        process.wait().expect("a child can be waited for");
    }

    /// SIGTERM, and waits for the end, which must be a good one.
    pub(super) fn terminate(&mut self) {
        self.signal("TERM");
        let (code, log) = self.await_end();
        assert_eq!(code, 0, "{} ended badly:\n{log}", self.name);
    }

    /// Sends a signal, named as kill(1) wants it.
    pub(super) fn signal(&self, name: &str) {
        assert!(run("kill", &["-s", name, &self.id()]).status.success());
    }

    /// The number of its process.
    pub(super) fn id(&self) -> String {
        self.process.as_ref().expect("it runs").id().to_string()
    }

    /// Saves a zone file as `sed -i` and most editors do: written beside it and renamed.
    pub(super) fn save(&self, origin: &str, content: &str) {
        let path = self.file(origin);
        let beside = self.zones.join(format!(".{origin}.saving"));
        fs::write(&beside, content).expect("the zone directory is ours");
        fs::rename(&beside, path).expect("the zone directory is ours");
    }

    /// Edits a zone file with `sed -i`.
    pub(super) fn sed(&self, origin: &str, script: &str) {
        let output = run("sed", &["-i", "-e", script, text(&self.file(origin))]);
        assert!(output.status.success(), "{output:?}");
    }

    pub(super) fn file(&self, origin: &str) -> PathBuf {
        self.zones.join(format!("{origin}.zone"))
    }

    pub(super) fn read_file(&self, origin: &str) -> String {
        fs::read_to_string(self.file(origin)).unwrap_or_default()
    }

    /// The program, set up to run from the node's directory and to know nothing of the tester's own settings.
    pub(super) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(&self.wrapper[0]);
        command.args(&self.wrapper[1..]).args(arguments).current_dir(&self.home).env_remove("GRAPEVINE_CONTROL");
        command
    }

    /// Asks the running node by the command line.
    pub(super) fn ctl(&self, arguments: &[&str]) -> Output {
        run(PROGRAM, &[arguments, &["--control", text(&self.data)]].concat())
    }

    /// As [`Node::ctl`]; it must succeed, and printed this.
    pub(super) fn told(&self, arguments: &[&str]) -> String {
        let output = self.ctl(arguments);
        assert!(output.status.success(), "{arguments:?} on {}: {}", self.name, said(&output));
        String::from_utf8(output.stdout).expect("the command line speaks UTF-8")
    }

    pub(super) fn status(&self) -> Value {
        serde_json::from_str(&self.told(&["status", "--json"])).expect("the status is JSON")
    }

    /// What the status says of a zone.
    pub(super) fn zone(&self, origin: &str) -> Option<Value> {
        let fqdn = format!("{}.", origin.trim_end_matches('.'));
        let status = self.status();
        status["zones"].as_array().expect("a list").iter().find(|zone| zone["origin"] == fqdn.as_str()).cloned()
    }

    /// The state of each member by name, this node included.
    pub(super) fn members(&self) -> Vec<(String, String)> {
        let status = self.status();
        let members = status["members"].as_array().expect("a list").iter();
        members.map(|member| (word(&member["name"]), word(&member["state"]))).collect()
    }

    pub(super) fn sees_alive(&self, count: usize) -> bool {
        self.members().iter().filter(|(_, state)| state == "alive").count() == count
    }

    /// A counter of `grapevine metrics`.
    pub(super) fn metric(&self, name: &str) -> u64 {
        let page = self.told(&["metrics"]);
        let value = page.lines().find_map(|line| line.strip_prefix(&format!("grapevine_{name} ")));
        value.unwrap_or_else(|| panic!("there is no metric {name}:\n{page}")).parse().expect("a number")
    }

    fn log_path(&self) -> PathBuf {
        self.home.join("log")
    }

    pub(super) fn log(&self) -> String {
        fs::read_to_string(self.log_path()).unwrap_or_default()
    }

    /// Forgets what it has said so far.
    pub(super) fn clear_log(&self) {
        File::create(self.log_path()).expect("the log can be written");
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        if let Some(mut process) = self.process.take() {
            // It may have ended just now.
            let _ = process.kill();
            let _ = process.wait();
        }
        if std::thread::panicking() {
            let log = self.log();
            let lines: Vec<&str> = log.lines().collect();
            let end = lines[lines.len().saturating_sub(LOG_SHOWN)..].join("\n");
            eprintln!("-- log of {}, dns {}, gossip {}:\n{end}\n", self.name, self.dns, self.gossip);
        }
    }
}

/// Runs a program to its end.
pub(super) fn run(program: &str, arguments: &[&str]) -> Output {
    let mut command = Command::new(program);
    command.args(arguments).env_remove("GRAPEVINE_CONTROL").stdin(Stdio::null());
    command.output().unwrap_or_else(|error| panic!("{program}: {error}; is it installed? scripts/setup test"))
}

/// All that a command said.
pub(super) fn said(output: &Output) -> String {
    String::from_utf8_lossy(&[output.stdout.as_slice(), &output.stderr].concat()).into_owned()
}

/// A path as an argument.
pub(super) fn text(path: &Path) -> &str {
    path.to_str().expect("test paths are UTF-8")
}

/// A JSON string.
pub(super) fn word(value: &Value) -> String {
    value.as_str().unwrap_or_else(|| panic!("{value} is no string")).to_owned()
}

/// Whether the tests may do what only the superuser may.
pub(super) fn is_root() -> bool {
    String::from_utf8_lossy(&run("id", &["-u"]).stdout).trim() == "0"
}
