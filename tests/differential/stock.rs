//! NSD, Knot and BIND as Debian has them, each in the foreground in a directory of its own on a port of its own.

use std::fmt::Write;
use std::fs::{self, File};
use std::net::{SocketAddr, TcpListener, UdpSocket};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::time::{Duration, Instant};

use tempfile::TempDir;

/// How long a server has to end after it was asked to, before it is killed.
const END_PATIENCE: Duration = Duration::from_secs(5);
/// How often a server is started on another port when somebody took the one that was free.
const PORT_TRIES: usize = 5;
/// How long a server has to begin to listen.
const LISTEN_PATIENCE: Duration = Duration::from_secs(20);

/// Which server.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Kind {
    /// BIND 9.
    Bind,
    /// NSD 4.
    Nsd,
    /// Knot DNS 3.
    Knot,
}

/// All of them.
pub(crate) const KINDS: [Kind; 3] = [Kind::Bind, Kind::Nsd, Kind::Knot];

/// Where a server has its zones from.
pub(crate) enum Zones<'a> {
    /// Master files: origin without a final dot, text.
    Files(&'a [(String, String)]),
    /// Another server, which is the primary of these origins.
    Primary(SocketAddr, &'a [String]),
}

/// A running server. It ends when this is dropped.
pub(crate) struct Stock {
    /// Which one.
    pub(crate) kind: Kind,
    /// Where it listens.
    pub(crate) address: SocketAddr,
    directory: TempDir,
    process: Child,
}

impl Stock {
    /// Starts a server and waits until it listens.
    pub(crate) fn start(kind: Kind, zones: &Zones<'_>) -> Stock {
        (0..PORT_TRIES)
            .find_map(|_| Stock::try_start(kind, zones))
            .unwrap_or_else(|| panic!("{kind:?} ended at once {PORT_TRIES} times"))
    }

    /// `None` if the server ended at once.
    fn try_start(kind: Kind, zones: &Zones<'_>) -> Option<Stock> {
        let directory = tempfile::Builder::new().prefix("grapevine-stock-").tempdir().expect("a directory");
        let address = free_address();
        let config = directory.path().join("server.conf");
        fs::write(&config, kind.config(directory.path(), address.port(), zones)).expect("the directory is writable");
        let log = File::create(directory.path().join("log")).expect("the directory is writable");
        let mut command = Command::new(program(kind.program()));
        command.args(kind.arguments()).arg(&config).current_dir(directory.path());
        command.stdout(log.try_clone().expect("a file can be shared")).stderr(log);
        // NSD is a family of processes; as a group they end together.
        let process = command.process_group(0).spawn().unwrap_or_else(|error| panic!("{kind:?}: {error}"));
        let mut stock = Stock { kind, address, directory, process };
        let deadline = Instant::now() + LISTEN_PATIENCE;
        while std::net::TcpStream::connect(address).is_err() {
            if stock.has_ended() {
                eprintln!("{kind:?} ended:\n{}", stock.log());
                return None;
            }
            assert!(Instant::now() < deadline, "{kind:?} does not listen:\n{}", stock.log());
            std::thread::yield_now();
        }
        Some(stock)
    }

    /// What it wrote so far.
    pub(crate) fn log(&self) -> String {
        fs::read_to_string(self.directory.path().join("log")).unwrap_or_default()
    }

    fn has_ended(&mut self) -> bool {
        self.process.try_wait().is_ok_and(|status| status.is_some())
    }

    fn signal(&self, signal: &str) {
        let group = format!("-{}", self.process.id());
        let _already_ended = Command::new("kill").args([signal, "--", &group]).output();
    }
}

impl Drop for Stock {
    fn drop(&mut self) {
        self.signal("-TERM");
        let deadline = Instant::now() + END_PATIENCE;
        while !self.has_ended() && Instant::now() < deadline {
            std::thread::yield_now();
        }
        self.signal("-KILL");
        let _already_waited_for = self.process.wait();
    }
}

impl Kind {
    fn program(self) -> &'static str {
        match self {
            Kind::Bind => "named",
            Kind::Nsd => "nsd",
            Kind::Knot => "knotd",
        }
    }

    /// Arguments up to the path of the configuration.
    fn arguments(self) -> &'static [&'static str] {
        match self {
            Kind::Bind => &["-g", "-4", "-n", "1", "-c"],
            Kind::Nsd => &["-d", "-c"],
            Kind::Knot => &["-c"],
        }
    }

    /// A configuration that answers as fully as the server can and limits nothing.
    fn config(self, directory: &Path, port: u16, zones: &Zones<'_>) -> String {
        let mut text = self.general(directory, port);
        if let (Kind::Knot, Zones::Primary(primary, _)) = (self, zones) {
            writeln!(text, "remote:\n  - id: primary\n    address: {}@{}", primary.ip(), primary.port()).expect("text");
        }
        if self == Kind::Knot {
            text.push_str("zone:\n");
        }
        match zones {
            Zones::Files(files) => {
                for (origin, content) in *files {
                    let path = directory.join(format!("{origin}.zone"));
                    fs::write(&path, content).expect("the directory is writable");
                    text.push_str(&self.primary_zone(origin, &path));
                }
            }
            Zones::Primary(primary, origins) => {
                for origin in *origins {
                    text.push_str(&self.secondary_zone(origin, *primary));
                }
            }
        }
        text
    }

    fn general(self, directory: &Path, port: u16) -> String {
        let directory = directory.display();
        match self {
            Kind::Bind => format!(
                "options {{ directory \"{directory}\"; pid-file none; session-keyfile none; lock-file none;
                 listen-on port {port} {{ 127.0.0.1; }}; listen-on-v6 {{ none; }}; recursion no; notify no;
                 allow-transfer {{ any; }}; dnssec-validation no; empty-zones-enable no; minimal-responses no;
                 max-udp-size 1400; edns-udp-size 1400; check-names primary ignore; check-integrity no;
                 check-sibling no; zero-no-soa-ttl no; check-mx ignore; check-mx-cname ignore; check-srv-cname ignore; }};
                 controls {{ }};\n"
            ),
            Kind::Nsd => format!(
                "server:\n ip-address: 127.0.0.1@{port}\n server-count: 1\n username: \"\"\n zonesdir: \"{directory}\"
                 database: \"\"\n pidfile: \"{directory}/pid\"\n zonelistfile: \"{directory}/zone.list\"
                 xfrdfile: \"{directory}/xfrd.state\"\n xfrdir: \"{directory}\"\n rrl-ratelimit: 0
                 ipv4-edns-size: 1400\n answer-cookie: yes\n minimal-responses: no\n refuse-any: no\n xfrd-reload-timeout: 0
                 remote-control:\n control-enable: no\n"
            ),
            Kind::Knot => format!(
                "server:\n  listen: 127.0.0.1@{port}\n  rundir: {directory}\n  udp-workers: 1\n  tcp-workers: 1
  background-workers: 1\n  udp-max-payload: 1400\nlog:\n  - target: stderr\n    any: info
database:\n  storage: {directory}\nacl:\n  - id: anybody\n    action: transfer
template:\n  - id: default\n    storage: {directory}\n    semantic-checks: off\n    zonefile-sync: -1
    journal-content: none\n    acl: anybody\n    global-module: mod-cookies\n"
            ),
        }
    }

    fn primary_zone(self, origin: &str, path: &Path) -> String {
        let path = path.display();
        match self {
            Kind::Bind => format!("zone \"{origin}\" {{ type primary; file \"{path}\"; }};\n"),
            Kind::Nsd => format!("zone:\n name: \"{origin}\"\n zonefile: \"{path}\"\n"),
            Kind::Knot => format!("  - domain: {origin}\n    file: {path}\n"),
        }
    }

    fn secondary_zone(self, origin: &str, primary: SocketAddr) -> String {
        let (ip, port) = (primary.ip(), primary.port());
        match self {
            Kind::Bind => format!(
                "zone \"{origin}\" {{ type secondary; file \"{origin}.zone\"; primaries {{ {ip} port {port}; }}; }};\n"
            ),
            Kind::Nsd => format!(
                "zone:\n name: \"{origin}\"\n zonefile: \"{origin}.zone\"\n request-xfr: AXFR {ip}@{port} NOKEY
                 allow-notify: {ip} NOKEY\n provide-xfr: 127.0.0.1 NOKEY\n"
            ),
            Kind::Knot => format!("  - domain: {origin}\n    master: primary\n"),
        }
    }
}

/// A loopback port that is free for UDP and TCP at this moment.
pub(crate) fn free_address() -> SocketAddr {
    loop {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
        let address = listener.local_addr().expect("it is bound");
        if UdpSocket::bind(address).is_ok() {
            return address;
        }
    }
}

/// The path of a server, which may lie where the path of a person does not lead.
pub(crate) fn program(name: &str) -> PathBuf {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let directories = std::env::split_paths(&path).chain(["/usr/local/sbin".into(), "/usr/sbin".into()]);
    directories
        .map(|directory| directory.join(name))
        .find(|path| path.is_file())
        .unwrap_or_else(|| panic!("{name} is missing: run scripts/setup test"))
}
