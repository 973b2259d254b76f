//! `dig` in its usual forms, against a node with the zones of `zones/`, and against BIND with the same files.

use std::collections::BTreeSet;
use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use super::client::dig;
use super::harness::{Node, Scene, free_address, run, text, until};

const ZONES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/zones");
/// Who may transfer zones.
const SECONDARY: &str = "127.0.0.2";

/// A node with the zones in use.
fn node_with_zones(scene: &Scene) -> Node {
    let mut node = scene.node("node").flag("--allow-transfer", format!("{SECONDARY}/32"));
    for (origin, path) in zone_files() {
        fs::copy(path, node.file(&origin)).expect("the zone can be copied");
    }
    node.start();
    until("the zones to be served", || zone_files().all(|(origin, _)| node.zone(&origin).is_some()));
    node
}

fn zone_files() -> impl Iterator<Item = (String, String)> {
    let entries = fs::read_dir(ZONES).expect("zones/ is there");
    entries.filter_map(|entry| {
        let path = entry.expect("zones/ is readable").path();
        let origin = path.file_name()?.to_str()?.strip_suffix(".zone")?.to_owned();
        Some((origin, text(&path).to_owned()))
    })
}

/// BIND's `named` with the same files.
struct Named {
    process: Child,
    at: SocketAddr,
}

impl Named {
    fn start(directory: &Path) -> Named {
        let at = free_address();
        fs::create_dir(directory).expect("the directory is ours");
        let zones: String = zone_files()
            .map(|(origin, path)| format!("zone \"{origin}\" {{ type primary; file \"{path}\"; }};\n"))
            .collect();
        let options = format!(
            "directory \"{}\"; listen-on port {} {{ 127.0.0.1; }}; listen-on-v6 {{ none; }}; pid-file none; \
             recursion no; minimal-responses no; notify no; zero-no-soa-ttl no; allow-transfer {{ {SECONDARY}; }}; session-keyfile none; \
             lock-file none; version \"none of yours\"; dnssec-validation no;",
            directory.display(),
            at.port()
        );
        let path = directory.join("named.conf");
        fs::write(&path, format!("options {{ {options} }};\ncontrols {{}};\n{zones}")).expect("the file is ours");
        let log = fs::File::create(directory.join("log")).expect("the file is ours");
        let program = ["/usr/sbin/named", "/usr/bin/named"].into_iter().find(|path| Path::new(path).exists());
        let process = Command::new(program.expect("named is installed: scripts/setup test"))
            .args(["-g", "-n", "1", "-c", text(&path)])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .expect("named starts");
        let named = Named { process, at };
        until("named to serve", || dig(at, &["corp.example", "SOA"]).contains("flags: qr aa"));
        named
    }
}

impl Drop for Named {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// What `dig` shows of a response, but for what is each server's own: ids, times, cookies, its name.
#[derive(PartialEq, Eq, Debug)]
struct Shown {
    status: String,
    flags: String,
    edns: Option<String>,
    question: BTreeSet<String>,
    answer: Vec<String>,
    authority: BTreeSet<String>,
    additional: BTreeSet<String>,
}

const PLAINLY: &[&str] = &["+nocookie", "+nostats", "+nocmd", "+ttlid", "+tries=1"];
/// Where a response begins in what `dig` prints.
const RESPONSE: &str = ";; ->>HEADER<<-";

fn shown(at: SocketAddr, arguments: &[&str]) -> Shown {
    parse(&dig(at, &[PLAINLY, arguments].concat()))
}

/// Asks all questions in one form.
fn shown_all(at: SocketAddr, form: &[&str], questions: &Path) -> Vec<Shown> {
    let output = dig(at, &[PLAINLY, form, &["-f", text(questions)]].concat());
    output.split(RESPONSE).skip(1).map(parse).collect()
}

/// Reads one response.
fn parse(output: &str) -> Shown {
    let after = |from: &str, to: char| -> String {
        let rest = output.split_once(from).unwrap_or_else(|| panic!("no {from:?} in:\n{output}")).1;
        rest.split(to).next().unwrap_or_default().to_owned()
    };
    let section = |name: &str| -> Vec<String> {
        let lines = output.lines().skip_while(|line| !line.starts_with(&format!(";; {name} SECTION:"))).skip(1);
        let lines = lines.take_while(|line| !line.is_empty());
        let mut lines: Vec<String> = lines.map(plain).collect();
        lines.sort();
        lines
    };
    Shown {
        status: after("status: ", ','),
        flags: after(";; flags:", ';'),
        edns: output.contains("; EDNS:").then(|| after("; EDNS: ", '\n')),
        question: section("QUESTION").into_iter().collect(),
        answer: section("ANSWER"),
        authority: section("AUTHORITY").into_iter().collect(),
        additional: section("ADDITIONAL").into_iter().collect(),
    }
}

/// A record with single spaces. The letter case of its owner is the question's or the zone's, as each server likes.
fn plain(line: &str) -> String {
    let mut words: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
    words.iter_mut().take(1).for_each(|owner| owner.make_ascii_lowercase());
    words.join(" ")
}

/// Questions whose answers are the same from any authoritative server.
const QUESTIONS: &[&[&str]] = &[
    &["corp.example", "SOA"],
    &["corp.example", "NS"],
    &["corp.example", "MX"],
    &["corp.example", "TXT"],
    &["corp.example", "CAA"],
    &["corp.example", "A"],
    &["corp.example", "AAAA"],
    &["corp.example", "HTTPS"],
    &["corp.example", "NAPTR"],
    &["corp.example", "DNSKEY"],
    &["CoRp.ExAmPlE", "mx"],
    &["WWW.corp.EXAMPLE", "AAAA"],
    &["www.corp.example", "A"],
    &["www.corp.example", "CNAME"],
    &["www.corp.example", "MX"],
    &["status.corp.example", "A"],
    &["shop.corp.example", "HTTPS"],
    &["static.corp.example", "A"],
    &["_443._tcp.www.corp.example", "TLSA"],
    &["_tcp.www.corp.example", "A"],
    &["_dns.resolver.corp.example", "SVCB"],
    &["_sip._udp.corp.example", "SRV"],
    &["2026._domainkey.corp.example", "TXT"],
    &["_dmarc.corp.example", "TXT"],
    &["office.corp.example", "LOC"],
    &["office.corp.example", "RP"],
    &["gw.office.corp.example", "SSHFP"],
    &["gw.office.corp.example", "HINFO"],
    &["printer.office.corp.example", "EUI48"],
    &["rooms.office.corp.example", "TXT"],
    &["lab.corp.example", "NS"],
    &["lab.corp.example", "DS"],
    &["lab.corp.example", "A"],
    &["host.lab.corp.example", "A"],
    &["ns1.lab.corp.example", "A"],
    &["oldname.corp.example", "DNAME"],
    &["oldname.corp.example", "A"],
    &["gw.oldname.corp.example", "A"],
    &["desk9.oldname.corp.example", "A"],
    &["feature.dev.corp.example", "A"],
    &["a.b.dev.corp.example", "TXT"],
    &["feature.dev.corp.example", "AAAA"],
    &["dev.corp.example", "A"],
    &["*.dev.corp.example", "A"],
    &["uri.corp.example", "URI"],
    &["nothing.corp.example", "TYPE65280"],
    &["nothing.corp.example", "A"],
    &["missing.corp.example", "A"],
    &["missing.corp.example", "SOA"],
    &["-x", "192.0.2.25"],
    &["-x", "192.0.2.254"],
    &["-x", "2001:db8:1::25"],
    &["2.0.192.in-addr.arpa", "NS"],
    &["elsewhere.example", "A"],
    &["example", "SOA"],
    &[".", "NS"],
];

#[test]
fn dig_shows_what_bind_shows_in_every_form() {
    let scene = Scene::new();
    let node = node_with_zones(&scene);
    let named = Named::start(&scene.path("named"));
    let forms: &[&[&str]] = &[&["+noedns"], &["+edns=0"], &["+tcp"], &["+tcp", "+noedns"], &["+dnssec"], &["+nsid"]];
    let transfer = dig(named.at, &["+noall", "+answer", "-b", SECONDARY, "corp.example", "AXFR"]);
    let records: BTreeSet<String> = transfer.lines().map(plain).collect();
    let mut differences = Vec::new();
    let questions = scene.path("questions");
    let lines: Vec<String> = QUESTIONS.iter().map(|question| question.join(" ") + "\n").collect();
    fs::write(&questions, lines.concat()).expect("the file is ours");
    for form in forms {
        let [ours, theirs] = [node.dns, named.at].map(|at| shown_all(at, form, &questions));
        assert_eq!((ours.len(), theirs.len()), (QUESTIONS.len(), QUESTIONS.len()), "each is answered once");
        for ((question, mut ours), mut theirs) in QUESTIONS.iter().zip(ours).zip(theirs) {
            let arguments = [*form, *question].concat();
            // Which addresses help is a matter of taste, as long as they are true.
            let additional = std::mem::take(&mut ours.additional);
            let extra: Vec<&String> = additional.difference(&records).collect();
            theirs.additional.clear();
            // So is whether the name servers go along with an answer that hardly fits.
            if ours.authority.is_empty() && !ours.answer.is_empty() && form.contains(&"+noedns") {
                theirs.authority.clear();
            }
            if ours != theirs || !extra.is_empty() {
                differences.push(format!(
                    "dig {}\n  ours   {ours:?}\n  theirs {theirs:?}\n  extra {extra:?}",
                    arguments.join(" ")
                ));
            }
        }
    }
    let count = QUESTIONS.len() * forms.len();
    assert!(differences.is_empty(), "{} of {count} differ:\n{}", differences.len(), differences.join("\n"));
}

#[test]
fn unusual_queries_are_answered_as_bind_answers_them() {
    let scene = Scene::new();
    let node = node_with_zones(&scene);
    let named = Named::start(&scene.path("named"));
    for arguments in [
        &["+edns=1", "+noednsneg", "corp.example", "SOA"][..],
        &["+edns=0", "+ednsopt=65001:cafe", "corp.example", "SOA"],
        &["+edns=0", "+bufsize=512", "corp.example", "SOA"],
        &["+adflag", "corp.example", "SOA"],
        &["+opcode=status", "corp.example", "SOA"],
        &["-c", "HS", "corp.example", "SOA"],
        &["+tcp", "corp.example", "TYPE0"],
        &["+ignore", "+bufsize=512", "2026._domainkey.corp.example", "TXT"],
    ] {
        let [ours, theirs] = [node.dns, named.at].map(|at| shown(at, arguments));
        assert_eq!((ours.status, ours.flags), (theirs.status, theirs.flags), "{arguments:?}");
    }
}

#[test]
fn any_gets_something_true_and_small() {
    let scene = Scene::new();
    let node = node_with_zones(&scene);
    for transport in ["+notcp", "+tcp"] {
        let any = shown(node.dns, &[transport, "corp.example", "ANY"]);
        assert_eq!((any.status.as_str(), any.flags.as_str()), ("NOERROR", " qr aa"));
        let types: BTreeSet<&str> = any.answer.iter().filter_map(|line| line.split(' ').nth(3)).collect();
        assert_eq!(types.len(), 1, "RFC 8482: {any:?}");
        let rtype = types.first().expect("a type");
        assert_eq!(any.answer, shown(node.dns, &[transport, "corp.example", rtype]).answer);
    }
    assert_eq!(shown(node.dns, &["missing.corp.example", "ANY"]).status, "NXDOMAIN");
}

#[test]
fn each_zone_is_transferred_as_bind_does_to_those_who_may() {
    let scene = Scene::new();
    let node = node_with_zones(&scene);
    let named = Named::start(&scene.path("named"));
    for (origin, _) in zone_files() {
        let transfer = |at, from: &str| dig(at, &["+noall", "+answer", "-b", from, &origin, "AXFR"]);
        let records = |text: &str| -> Vec<String> {
            text.lines().filter(|line| !line.is_empty() && !line.starts_with(';')).map(plain).collect()
        };
        let [ours, theirs] = [node.dns, named.at].map(|at| records(&transfer(at, SECONDARY)));
        assert!(ours.len() > 3 && ours[0] == ours[ours.len() - 1], "the SOA begins and ends it: {ours:?}");
        let sorted = |lines: &[String]| lines.iter().cloned().collect::<BTreeSet<_>>();
        assert_eq!(ours.len(), theirs.len());
        assert_eq!(sorted(&ours), sorted(&theirs));
        assert!(transfer(node.dns, "127.0.0.1").contains("Transfer failed"));
    }
    assert!(dig(node.dns, &["-b", SECONDARY, "elsewhere.example", "AXFR"]).contains("Transfer failed"));
    assert_eq!(node.metric("transfers_refused"), zone_files().count() as u64);
}

#[test]
fn a_node_tells_who_it_is() {
    let scene = Scene::new();
    let node = node_with_zones(&scene);
    for name in ["id.server", "hostname.bind"] {
        assert_eq!(dig(node.dns, &["+short", name, "CH", "TXT"]), "\"node\"\n");
    }
    let version = String::from_utf8(run(super::harness::PROGRAM, &["version"]).stdout).expect("words");
    let told = dig(node.dns, &["+short", "version.bind", "CH", "TXT"]);
    let number = env!("CARGO_PKG_VERSION");
    assert!(told.contains(number) && version.contains(number), "{told} {version}");
    assert_eq!(dig(node.dns, &["+short", "version.server", "CH", "TXT"]), told);
    assert!(dig(node.dns, &["+nsid", "corp.example", "SOA"]).contains("(\"node\")"));
    assert!(!dig(node.dns, &["corp.example", "SOA"]).contains("NSID"), "nobody asked");
    let other = shown(node.dns, &["corp.example", "CH", "TXT"]);
    assert_eq!(other.status, "REFUSED");
}
