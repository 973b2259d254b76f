//! Validators with a trust anchor accept Grapevine's answers of every kind from signed zones, and refuse forged ones.

use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use grapevine::zone::ZoneSet;
use tempfile::TempDir;

use crate::sign::{Denial, Signing, run};
use crate::stock::{free_address, program};
use crate::{Ours, zone};

const ORIGIN: &str = "signed.example";
const CHILD: &str = "child.signed.example";
const INSECURE: &str = "insecure.signed.example";
/// How long a validator has to begin to answer.
const PATIENCE: Duration = Duration::from_secs(20);

/// The parent of both other zones; the child's DS comes on top.
const PARENT_TEXT: &str = "$TTL 3600
signed.example. 3600 IN SOA ns.signed.example. host.signed.example. 1 7200 900 86400 600
signed.example. 3600 IN NS ns.signed.example.
ns.signed.example. 3600 IN A 127.0.0.1
a.signed.example. 3600 IN A 192.0.2.1
alias.signed.example. 3600 IN CNAME a.signed.example.
lost.signed.example. 3600 IN CNAME nowhere.signed.example.
across.signed.example. 3600 IN CNAME www.child.signed.example.
*.wild.signed.example. 3600 IN A 192.0.2.2
a.*.star.signed.example. 3600 IN A 192.0.2.7
*.wildalias.signed.example. 3600 IN CNAME a.signed.example.
dn.signed.example. 3600 IN DNAME target.signed.example.
x.target.signed.example. 3600 IN A 192.0.2.3
b.ent.signed.example. 3600 IN A 192.0.2.4
child.signed.example. 3600 IN NS ns.child.signed.example.
ns.child.signed.example. 3600 IN A 127.0.0.1
insecure.signed.example. 3600 IN NS ns.insecure.signed.example.
ns.insecure.signed.example. 3600 IN A 127.0.0.1
";
const CHILD_TEXT: &str = "$TTL 3600
child.signed.example. 3600 IN SOA ns.child.signed.example. host.signed.example. 1 7200 900 86400 600
child.signed.example. 3600 IN NS ns.child.signed.example.
ns.child.signed.example. 3600 IN A 127.0.0.1
www.child.signed.example. 3600 IN A 192.0.2.5
";
const INSECURE_TEXT: &str = "$TTL 3600
insecure.signed.example. 3600 IN SOA ns.insecure.signed.example. host.signed.example. 1 7200 900 86400 600
insecure.signed.example. 3600 IN NS ns.insecure.signed.example.
ns.insecure.signed.example. 3600 IN A 127.0.0.1
www.insecure.signed.example. 3600 IN A 192.0.2.6
";

/// What a validator should find.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Finding {
    /// Records, validated.
    Secure,
    /// The lack of them, validated.
    Denied,
    /// A denial, or that nothing is closer than a wildcard: opt-out leaves it unproven, though nothing in it is false (RFC
    /// 5155 §9.2). Validated otherwise.
    ProvenUnlessOptOut,
    /// Records of a zone that is not signed.
    Insecure,
}

/// One question of every kind: name, type, rcode.
const QUESTIONS: &[(&str, &str, &str, Finding)] = &[
    ("a.signed.example", "A", "NOERROR", Finding::Secure),
    ("A.Signed.Example", "A", "NOERROR", Finding::Secure),
    ("signed.example", "SOA", "NOERROR", Finding::Secure),
    ("signed.example", "DNSKEY", "NOERROR", Finding::Secure),
    ("signed.example", "ANY", "NOERROR", Finding::Secure),
    ("a.signed.example", "MX", "NOERROR", Finding::Denied),
    ("ent.signed.example", "A", "NOERROR", Finding::Denied),
    ("wild.signed.example", "A", "NOERROR", Finding::Denied),
    ("nothing.signed.example", "A", "NXDOMAIN", Finding::ProvenUnlessOptOut),
    ("a.b.c.nothing.signed.example", "A", "NXDOMAIN", Finding::ProvenUnlessOptOut),
    ("nothing.ent.signed.example", "A", "NXDOMAIN", Finding::ProvenUnlessOptOut),
    ("x.wild.signed.example", "A", "NOERROR", Finding::ProvenUnlessOptOut),
    ("x.y.wild.signed.example", "A", "NOERROR", Finding::ProvenUnlessOptOut),
    ("x.wild.signed.example", "MX", "NOERROR", Finding::ProvenUnlessOptOut),
    // The wildcard is an empty non-terminal.
    ("x.star.signed.example", "A", "NOERROR", Finding::ProvenUnlessOptOut),
    ("x.wildalias.signed.example", "A", "NOERROR", Finding::ProvenUnlessOptOut),
    ("alias.signed.example", "A", "NOERROR", Finding::Secure),
    ("alias.signed.example", "MX", "NOERROR", Finding::Denied),
    ("lost.signed.example", "A", "NXDOMAIN", Finding::ProvenUnlessOptOut),
    ("across.signed.example", "A", "NOERROR", Finding::Secure),
    ("x.dn.signed.example", "A", "NOERROR", Finding::Secure),
    ("y.dn.signed.example", "A", "NXDOMAIN", Finding::ProvenUnlessOptOut),
    ("dn.signed.example", "A", "NOERROR", Finding::Denied),
    ("child.signed.example", "DS", "NOERROR", Finding::Secure),
    ("www.child.signed.example", "A", "NOERROR", Finding::Secure),
    ("www.child.signed.example", "AAAA", "NOERROR", Finding::Denied),
    ("nothing.child.signed.example", "A", "NXDOMAIN", Finding::ProvenUnlessOptOut),
    ("insecure.signed.example", "DS", "NOERROR", Finding::ProvenUnlessOptOut),
    ("www.insecure.signed.example", "A", "NOERROR", Finding::Insecure),
    ("nothing.insecure.signed.example", "A", "NXDOMAIN", Finding::Insecure),
];

#[test]
fn validators_accept_answers_of_every_kind() {
    for signing in Signing::ALL {
        let signed = SignedZones::make(signing, |text| text);
        for &(name, rtype, rcode, finding) in QUESTIONS {
            let opt_out = signing.denial == Denial::OptOut;
            let unbound = signed.unbound(name, rtype);
            let what = format!("{signing:?} {name} {rtype}: {finding:?}");
            assert!(unbound.contains(&format!("status: {rcode},")), "{what}\n{unbound}");
            let validated = unbound.lines().any(|line| line.starts_with(";; flags:") && line.contains(" ad"));
            let expected = match finding {
                Finding::Secure | Finding::Denied => Some(true),
                Finding::ProvenUnlessOptOut => (!opt_out).then_some(true),
                Finding::Insecure => Some(false),
            };
            assert!(expected.is_none_or(|expected| validated == expected), "{what}\n{unbound}");
            let delv = signed.delv(name, rtype);
            // After a chain that ends in nothing, delv speaks of the aliases.
            let validated = delv.contains("fully validated") && !delv.contains("unsigned answer");
            assert!(expected.is_none_or(|expected| validated == expected), "{what}\n{delv}");
            assert!(delv.contains("fully validated") || delv.contains("unsigned answer"), "{what}\n{delv}");
        }
    }
}

#[test]
fn validators_refuse_what_was_changed_after_signing() {
    let signing = Signing::ALL[0];
    let signed = SignedZones::make(signing, |text| {
        let changed = text.replace("192.0.2.1", "192.0.2.99");
        // Without its NSEC nothing proves that other types do not exist here.
        let is_proof =
            |line: &&str| line.starts_with("a.signed.example.") && line.contains("NSEC") && !line.contains("RRSIG\t");
        assert_ne!(changed, text);
        changed.lines().filter(|line| !is_proof(line)).map(|line| format!("{line}\n")).collect()
    });
    for (name, rtype) in [("a.signed.example", "A"), ("alias.signed.example", "A"), ("a.signed.example", "MX")] {
        let unbound = signed.unbound(name, rtype);
        assert!(unbound.contains("status: SERVFAIL,"), "{unbound}");
    }
    for rtype in ["A", "MX"] {
        let delv = signed.delv("a.signed.example", rtype);
        assert!(!delv.contains("fully validated") && !delv.contains("unsigned answer"), "{delv}");
    }
    // What was not changed is as good as before.
    assert!(signed.delv("x.target.signed.example", "A").contains("; fully validated"));
}

/// Grapevine with signed zones, and a validating resolver in front of it.
struct SignedZones {
    ours: Ours,
    resolver: Child,
    resolver_address: SocketAddr,
    directory: TempDir,
}

impl SignedZones {
    /// Signs the zones, changes the parent's text and serves it.
    fn make(signing: Signing, change: impl FnOnce(String) -> String) -> SignedZones {
        let directory = tempfile::Builder::new().prefix("grapevine-signed-").tempdir().expect("a directory");
        let keys = directory.path();
        let child = signing.sign_in(keys, CHILD, CHILD_TEXT);
        let parent_text = format!("{PARENT_TEXT}{}", ds_of(keys, CHILD));
        let parent = change(signing.sign_in(keys, ORIGIN, &parent_text));
        let mut zones = ZoneSet::default();
        for (origin, text) in [(ORIGIN, &parent), (CHILD, &child), (INSECURE, &INSECURE_TEXT.to_owned())] {
            zones.insert(zone(origin, text.as_bytes()));
        }
        let ours = Ours::start(zones);
        let anchor = ds_of(keys, ORIGIN);
        fs::write(keys.join("anchor"), &anchor).expect("the directory is writable");
        let fields: Vec<&str> = anchor.split_whitespace().skip_while(|field| *field != "DS").skip(1).collect();
        let (numbers, digest) = (fields[..3].join(" "), fields[3..].concat());
        let text = format!("trust-anchors {{ {ORIGIN}. static-ds {numbers} \"{digest}\"; }};\n");
        fs::write(keys.join("anchor.delv"), text).expect("the directory is writable");
        let (resolver, resolver_address) = start_unbound(keys, ours.address);
        SignedZones { ours, resolver, resolver_address, directory }
    }

    /// What the resolver says, as `dig` shows it.
    fn unbound(&self, name: &str, rtype: &str) -> String {
        dig(self.resolver_address, &["+dnssec", name, rtype])
    }

    /// What `delv` says, which asks and validates itself.
    fn delv(&self, name: &str, rtype: &str) -> String {
        let (ip, port) = (format!("@{}", self.ours.address.ip()), self.ours.address.port().to_string());
        let root = format!("+root={ORIGIN}");
        let output = Command::new(program("delv"))
            .args([&ip, "-p", &port, "-a", "anchor.delv", &root, name, rtype])
            .current_dir(self.directory.path())
            .output()
            .expect("delv starts");
        format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
    }
}

impl Drop for SignedZones {
    fn drop(&mut self) {
        let _already_ended = self.resolver.kill();
        let _waited_for = self.resolver.wait();
    }
}

/// The DS record of a zone that was signed in this directory.
fn ds_of(directory: &Path, origin: &str) -> String {
    let file = fs::read_dir(directory)
        .expect("the directory is readable")
        .map(|entry| entry.expect("an entry").file_name().into_string().expect("names of keys are text"))
        .find(|name| name.starts_with(&format!("K{origin}.+")) && name.ends_with(".key"))
        .expect("the zone was signed");
    run(directory, "ldns-key2ds", &["-n", "-2", &file])
}

fn start_unbound(directory: &Path, server: SocketAddr) -> (Child, SocketAddr) {
    let address = free_address();
    let (ip, port) = (server.ip(), server.port());
    let text = format!(
        "server:\n interface: 127.0.0.1\n port: {}\n do-daemonize: no\n username: \"\"\n chroot: \"\"\n pidfile: \"\"
 directory: \"{}\"\n use-syslog: no\n logfile: \"\"\n verbosity: 1\n val-log-level: 2\n do-not-query-localhost: no
 module-config: \"validator iterator\"\n trust-anchor-file: \"anchor\"\n num-threads: 1\n do-ip6: no
remote-control:\n control-enable: no\nstub-zone:\n name: \"{ORIGIN}\"\n stub-addr: {ip}@{port}\n stub-prime: no\n",
        address.port(),
        directory.display(),
    );
    fs::write(directory.join("unbound.conf"), text).expect("the directory is writable");
    let log = fs::File::create(directory.join("unbound.log")).expect("the directory is writable");
    let child = Command::new(program("unbound"))
        .args(["-d", "-c", "unbound.conf"])
        .current_dir(directory)
        .stdout(Stdio::null())
        .stderr(log)
        .spawn()
        .expect("unbound starts");
    let deadline = Instant::now() + PATIENCE;
    while !dig(address, &["+time=1", "+tries=1", ORIGIN, "SOA"]).contains("status: NOERROR") {
        let log = || fs::read_to_string(directory.join("unbound.log")).unwrap_or_default();
        assert!(Instant::now() < deadline, "unbound does not answer:\n{}", log());
    }
    (child, address)
}

fn dig(server: SocketAddr, arguments: &[&str]) -> String {
    let (ip, port) = (format!("@{}", server.ip()), server.port().to_string());
    let output = Command::new(program("dig")).args([&ip, "-p", &port]).args(arguments).output().expect("dig starts");
    String::from_utf8_lossy(&output.stdout).into_owned()
}
