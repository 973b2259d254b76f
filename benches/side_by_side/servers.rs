//! The servers side by side: each in the foreground, in a directory of its own, on one core, limiting nothing and logging
//! only what is wrong. All give minimal responses, as Knot always does, so that all send the same.

use std::fmt::{self, Write};
use std::fs::{self, File};
use std::io;
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::time::{Duration, Instant};

use crate::process::Group;

/// The core of the servers; the generator has the next one.
const SERVER_CORE: &str = "0";
/// How long a server has to end after it was asked to, before it is killed.
const END_PATIENCE: Duration = Duration::from_secs(20);
/// How often a server is asked whether it answers yet.
const ASK_EVERY: Duration = Duration::from_millis(2);

/// Which server.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) enum Kind {
    /// The generator's own counterpart.
    Echo,
    /// This project.
    Grapevine,
    /// NSD 4.
    Nsd,
    /// Knot DNS 3.
    Knot,
    /// BIND 9.
    Bind,
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Kind::Echo => "echo",
            Kind::Grapevine => "Grapevine",
            Kind::Nsd => "NSD",
            Kind::Knot => "Knot",
            Kind::Bind => "BIND",
        })
    }
}

/// Where a server has a zone from.
pub(crate) enum Source<'a> {
    /// Master files: the origin and the path of each.
    Files(&'a [(String, PathBuf)]),
    /// Another server, which is the primary of one zone.
    Primary(SocketAddr, &'a str),
}

/// What a server is to be.
pub(crate) struct Setup<'a> {
    /// Which server.
    pub(crate) kind: Kind,
    /// Where it keeps what it keeps.
    pub(crate) directory: PathBuf,
    /// Where it answers; nodes gossip a thousand ports above.
    pub(crate) port: u16,
    /// Its zones.
    pub(crate) source: Source<'a>,
    /// Secondaries that are told of changes.
    pub(crate) notify: &'a [SocketAddr],
    /// The gossip address of a member to join.
    pub(crate) join: Option<SocketAddr>,
    /// Whether it stays on the servers' core.
    pub(crate) is_pinned: bool,
}

/// A running server. It ends when this is dropped.
pub(crate) struct Server {
    /// Which one.
    pub(crate) kind: Kind,
    /// Where it answers.
    pub(crate) address: SocketAddr,
    /// Its processes.
    pub(crate) group: Group,
    /// When it was started.
    pub(crate) started: Instant,
    directory: PathBuf,
    process: Child,
}

impl<'a> Setup<'a> {
    /// A pinned server of these files.
    pub(crate) fn of_files(kind: Kind, directory: PathBuf, port: u16, files: &'a [(String, PathBuf)]) -> Setup<'a> {
        Setup { kind, directory, port, source: Source::Files(files), notify: &[], join: None, is_pinned: true }
    }

    /// Starts the server, with its configuration written anew and what it kept from before.
    pub(crate) fn start(&self) -> io::Result<Server> {
        // A server of an earlier run that was cut short would share the port and answer in place of this one.
        UdpSocket::bind(self.address())
            .map_err(|error| io::Error::other(format!("port {} is taken ({error}): choose --port", self.port)))?;
        fs::create_dir_all(&self.directory)?;
        let mut command = Command::new("taskset");
        if self.is_pinned && cores() > 1 {
            command.args(["-c", SERVER_CORE]);
        } else {
            command.args(["-c", &format!("0-{}", cores() - 1)]);
        }
        command.args(self.arguments()?).current_dir(&self.directory).env_remove("GRAPEVINE_CONTROL");
        let log = File::options().create(true).append(true).open(self.directory.join("log"))?;
        command.stdout(log.try_clone()?).stderr(log).stdin(std::process::Stdio::null());
        let started = Instant::now();
        // NSD is a family of processes; as a group they end together.
        let process = command.process_group(0).spawn()?;
        let address = self.address();
        let group = Group(process.id());
        Ok(Server { kind: self.kind, address, group, started, directory: self.directory.clone(), process })
    }

    fn address(&self) -> SocketAddr {
        (Ipv4Addr::LOCALHOST, self.port).into()
    }

    /// The program and what it is told.
    fn arguments(&self) -> io::Result<Vec<String>> {
        let config = self.directory.join("server.conf");
        let with_config = |program: &str, before: &[&str]| {
            let mut arguments = vec![find(program)];
            arguments.extend(before.iter().map(|&text| text.to_owned()));
            arguments.push(config.display().to_string());
            arguments
        };
        let arguments = match self.kind {
            Kind::Echo => vec![own_path()?, "echo".to_owned(), self.port.to_string()],
            Kind::Grapevine => self.grapevine()?,
            Kind::Nsd => with_config("nsd", &["-d", "-c"]),
            Kind::Knot => with_config("knotd", &["-c"]),
            Kind::Bind => with_config("named", &["-f", "-4", "-n", "1", "-c"]),
        };
        match self.kind {
            Kind::Echo | Kind::Grapevine => {}
            Kind::Nsd => fs::write(&config, self.nsd())?,
            Kind::Knot => fs::write(&config, self.knot())?,
            Kind::Bind => fs::write(&config, self.bind())?,
        }
        Ok(arguments)
    }

    fn grapevine(&self) -> io::Result<Vec<String>> {
        let zones = self.directory.join("zones");
        fs::create_dir_all(&zones)?;
        if let Source::Files(files) = self.source {
            for (origin, path) in files {
                let own = zones.join(format!("{origin}.zone"));
                // A node patches its files: they are its own. What it has from an earlier start stays.
                if !own.exists() {
                    fs::copy(path, own)?;
                }
            }
        }
        let config = self.directory.join("grapevine.toml");
        fs::write(&config, "[dns]\nminimal-responses = true\n")?;
        let mut arguments = vec![grapevine_path(), "serve".to_owned()];
        let gossip = gossip_address(self.port);
        let path = |name: &str| self.directory.join(name).display().to_string();
        for (flag, value) in [
            ("--config", config.display().to_string()),
            ("--name", format!("node{}", self.port)),
            ("--zones", path("zones")),
            ("--data", path("data")),
            ("--control", path("control")),
            ("--dns", self.address().to_string()),
            ("--gossip", gossip.to_string()),
            ("--workers", "1".to_owned()),
            ("--log-level", "warn".to_owned()),
        ] {
            arguments.extend([flag.to_owned(), value]);
        }
        if let Some(member) = self.join {
            arguments.extend(["--join".to_owned(), member.to_string()]);
        }
        Ok(arguments)
    }

    fn nsd(&self) -> String {
        let directory = self.directory.display();
        let mut text = format!(
            "server:\n ip-address: 127.0.0.1@{port}\n server-count: 1\n username: \"\"\n zonesdir: \"{directory}\"
 database: \"\"\n pidfile: \"{directory}/pid\"\n zonelistfile: \"{directory}/zone.list\"
 xfrdfile: \"{directory}/xfrd.state\"\n xfrdir: \"{directory}\"\n rrl-ratelimit: 0\n minimal-responses: yes\n nsid: \"ascii_bench\"
 xfrd-reload-timeout: 0\n verbosity: 0
remote-control:\n control-enable: yes\n control-interface: \"{directory}/control\"\n",
            port = self.port
        );
        match self.source {
            Source::Files(files) => {
                for (origin, path) in files {
                    let path = path.display();
                    let _ = write!(text, "zone:\n name: \"{origin}\"\n zonefile: \"{path}\"\n");
                    if !self.notify.is_empty() {
                        text.push_str(" store-ixfr: yes\n create-ixfr: yes\n");
                    }
                    for to in self.notify {
                        let to = format!("{}@{}", to.ip(), to.port());
                        let _ = write!(text, " notify: {to} NOKEY\n provide-xfr: 127.0.0.1 NOKEY\n");
                    }
                }
            }
            Source::Primary(from, origin) => {
                let (ip, port) = (from.ip(), from.port());
                let _ = write!(
                    text,
                    "zone:\n name: \"{origin}\"\n zonefile: \"{origin}.zone\"\n request-xfr: {ip}@{port} NOKEY
 allow-notify: {ip} NOKEY\n"
                );
            }
        }
        text
    }

    fn knot(&self) -> String {
        let directory = self.directory.display();
        let mut text = format!(
            "server:\n  listen: 127.0.0.1@{}\n  rundir: {directory}\n  udp-workers: 1\n  tcp-workers: 1\n  background-workers: 1
  nsid: bench\n  tcp-idle-timeout: 120\nlog:\n  - target: stderr\n    any: error\ndatabase:\n  storage: {directory}\n",
            self.port
        );
        text.push_str("acl:\n  - id: anybody\n    address: 127.0.0.1\n    action: [transfer, notify, update]\n");
        text.push_str("remote:\n");
        if let Source::Primary(from, _) = self.source {
            let _ = write!(text, "  - id: primary\n    address: {}@{}\n", from.ip(), from.port());
        }
        for (number, to) in self.notify.iter().enumerate() {
            let _ = write!(text, "  - id: secondary{number}\n    address: {}@{}\n", to.ip(), to.port());
        }
        let _ = write!(
            text,
            "template:\n  - id: default\n    storage: {directory}\n    semantic-checks: off\n    acl: anybody\n    zonefile-sync: -1\n"
        );
        text.push_str("zone:\n");
        match self.source {
            Source::Files(files) => {
                for (origin, path) in files {
                    let _ = write!(text, "  - domain: {origin}\n    file: {}\n", path.display());
                    if !self.notify.is_empty() {
                        let ids: Vec<String> =
                            (0..self.notify.len()).map(|number| format!("secondary{number}")).collect();
                        let _ = writeln!(text, "    notify: [{}]", ids.join(", "));
                    }
                }
            }
            Source::Primary(_, origin) => {
                let _ = write!(text, "  - domain: {origin}\n    master: primary\n    zonefile-load: none\n");
            }
        }
        text
    }

    fn bind(&self) -> String {
        let (directory, port) = (self.directory.display(), self.port);
        let mut text = format!(
            "options {{ directory \"{directory}\"; pid-file none; session-keyfile none; lock-file none; listen-on port {port} {{ 127.0.0.1; }};
 listen-on-v6 {{ none; }}; recursion no; notify no; empty-zones-enable no; dnssec-validation no; server-id \"bench\";
 minimal-responses yes; }};\ncontrols {{ }};\nlogging {{ category default {{ null; }}; }};\n"
        );
        if let Source::Files(files) = self.source {
            for (origin, path) in files {
                let _ = writeln!(text, "zone \"{origin}\" {{ type primary; file \"{}\"; }};", path.display());
            }
        }
        text
    }
}

impl Server {
    /// Waits until the server answers a query with NOERROR, and says how long that took since its start; `None` if it does
    /// not in the time given, or ended.
    pub(crate) fn await_answer(&mut self, query: &[u8], patience: Duration) -> io::Result<Option<Duration>> {
        self.await_that(query, patience, |response| response.get(3).is_some_and(|flags| flags & 0x0f == 0))
    }

    /// Waits until the response to a query is as wanted.
    pub(crate) fn await_that(
        &mut self,
        query: &[u8],
        patience: Duration,
        is_wanted: impl Fn(&[u8]) -> bool,
    ) -> io::Result<Option<Duration>> {
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
        socket.connect(self.address)?;
        socket.set_read_timeout(Some(ASK_EVERY))?;
        let mut buffer = [0; 4096];
        while self.started.elapsed() < patience {
            // A port on which nobody listens yet refuses.
            let _ = socket.send(query);
            match socket.recv(&mut buffer) {
                Ok(length) if is_wanted(&buffer[..length]) => return Ok(Some(self.started.elapsed())),
                // It is there and does not know: no need to keep it from finding out.
                Ok(_) => std::thread::sleep(ASK_EVERY),
                Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => std::thread::sleep(ASK_EVERY),
                Err(_) => {}
            }
            if self.process.try_wait()?.is_some() {
                break;
            }
        }
        Ok(None)
    }

    /// Stops the server from running, to have the core for another, without ending it.
    pub(crate) fn pause(&self) {
        self.signal("-STOP");
    }

    /// Lets it run again.
    pub(crate) fn resume(&self) {
        self.signal("-CONT");
    }

    /// The end of what it wrote.
    pub(crate) fn log(&self) -> String {
        let text = fs::read(self.directory.join("log")).unwrap_or_default();
        String::from_utf8_lossy(&text[text.len().saturating_sub(2000)..]).into_owned()
    }

    /// Where it keeps what it keeps.
    pub(crate) fn directory(&self) -> &Path {
        &self.directory
    }

    fn signal(&self, signal: &str) {
        let group = format!("-{}", self.process.id());
        let _already_ended = Command::new("kill").args([signal, "--", &group]).output();
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.resume();
        self.signal("-TERM");
        let deadline = Instant::now() + END_PATIENCE;
        while self.process.try_wait().is_ok_and(|status| status.is_none()) && Instant::now() < deadline {
            std::thread::sleep(ASK_EVERY);
        }
        self.signal("-KILL");
        let _already_waited_for = self.process.wait();
    }
}

/// Where a node gossips whose DNS port is this.
pub(crate) fn gossip_address(port: u16) -> SocketAddr {
    (Ipv4Addr::LOCALHOST, port + 500).into()
}

/// How many cores there are.
pub(crate) fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from).max(count_online())
}

/// This process may itself be kept to one core; the system knows how many there are.
fn count_online() -> usize {
    let text = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    text.lines().filter(|line| line.starts_with("processor")).count()
}

/// The grapevine that is measured.
pub(crate) fn grapevine_path() -> String {
    std::env::var("GRAPEVINE_BIN").unwrap_or_else(|_| env!("CARGO_BIN_EXE_grapevine").to_owned())
}

fn own_path() -> io::Result<String> {
    Ok(std::env::current_exe()?.display().to_string())
}

/// The path of a server, which may be named in the environment, as NSD_BIN, and may lie where the path of a person does
/// not lead.
fn find(program: &str) -> String {
    if let Ok(named) = std::env::var(format!("{}_BIN", program.to_uppercase())) {
        return named;
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    let directories = std::env::split_paths(&path).chain(["/usr/local/sbin".into(), "/usr/sbin".into()]);
    let found = directories.map(|directory| directory.join(program)).find(|path| path.is_file());
    found.map_or_else(|| program.to_owned(), |path| path.display().to_string())
}

/// The version that a server tells of itself.
pub(crate) fn version(kind: Kind) -> String {
    let (program, flag) = match kind {
        Kind::Echo => return "recvmmsg/sendmmsg".to_owned(),
        Kind::Grapevine => (grapevine_path(), "--version"),
        Kind::Nsd => (find("nsd"), "-v"),
        Kind::Knot => (find("knotd"), "-V"),
        Kind::Bind => (find("named"), "-v"),
    };
    let Ok(output) = Command::new(program).arg(flag).output() else { return "missing".to_owned() };
    let text = [output.stdout, output.stderr].concat();
    String::from_utf8_lossy(&text).lines().next().unwrap_or_default().trim().to_owned()
}
