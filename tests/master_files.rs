//! Master files compared with the stock servers' readers: `named-compilezone`, `named-checkzone`, `nsd-checkzone` and
//! `kzonecheck` (Debian packages bind9-utils, nsd and knot-dnssecutils). `tests/checkers` does the latter for generated files.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use grapevine::master::{Diagnostic, Level, ZoneFile, render};
use grapevine::zone::{Name, Zone};

fn data(directory: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/master").join(directory)
}

/// The zone files of a directory, sorted.
fn zones(directory: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(directory).unwrap_or_else(|error| panic!("{}: {error}", directory.display()));
    let mut found: Vec<PathBuf> = entries.map(|entry| entry.expect("a directory entry").path()).collect();
    found.retain(|path| path.extension().is_some_and(|extension| extension == "zone"));
    found.sort();
    assert!(!found.is_empty());
    found
}

fn file_name(path: &Path) -> &str {
    path.file_name().and_then(|name| name.to_str()).expect("the files have names in ASCII")
}

/// The sample zones with their origins.
fn samples() -> Vec<(PathBuf, Name)> {
    let found = zones(&Path::new(env!("CARGO_MANIFEST_DIR")).join("zones"));
    let origin = |path: &PathBuf| file_name(path).trim_end_matches(".zone").parse().expect("files are named by origin");
    found.into_iter().map(|path| (path.clone(), origin(&path))).collect()
}

fn read(path: &Path, origin: &Name) -> Result<ZoneFile, Vec<Diagnostic>> {
    let text = fs::read(path).expect("the test's file can be read");
    let directory = path.parent().expect("a file lies in a directory");
    let mut include = |name: &str| fs::read(directory.join(name)).map_err(|error| error.kind().to_string());
    ZoneFile::parse(file_name(path), &text, origin, &mut include)
}

fn read_good(path: &Path, origin: &Name) -> ZoneFile {
    read(path, origin).unwrap_or_else(|found| {
        let shown: Vec<String> = found.iter().map(Diagnostic::with_source).collect();
        panic!("{}:\n{}", path.display(), shown.join("\n"))
    })
}

/// Runs a tool in a directory; tells whether it succeeded and what it wrote.
fn run(directory: &Path, tool: &str, arguments: &[&str]) -> (bool, String, String) {
    // The servers' tools are in sbin, which a user's PATH leaves out.
    let path = format!("{}:/usr/sbin:/sbin", std::env::var("PATH").unwrap_or_default());
    let output = Command::new(tool).args(arguments).current_dir(directory).env("PATH", path).output();
    let output = output.unwrap_or_else(|error| panic!("{tool}: {error}; `scripts/setup test` installs it"));
    let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
    (output.status.success(), text(output.stdout), text(output.stderr))
}

/// The zone as BIND understands the file: one record a line, names absolute, sorted.
fn compiled(path: &Path, origin: &Name) -> String {
    let (directory, name) = (path.parent().expect("a directory"), file_name(path));
    let arguments = ["-q", "-i", "none", "-k", "ignore", "-s", "full", "-o", "-", &origin.to_string(), name];
    let (success, stdout, stderr) = run(directory, "named-compilezone", &arguments);
    assert!(success, "{}: {stderr}{stdout}", path.display());
    let mut lines: Vec<&str> = stdout.lines().collect();
    lines.sort_by_cached_key(|line| line.to_lowercase());
    lines.join("\n")
}

fn good_files() -> Vec<(PathBuf, Name)> {
    let origin: Name = "example.".parse().expect("a name");
    zones(&data("good")).into_iter().map(|path| (path, origin.clone())).chain(samples()).collect()
}

#[test]
fn a_file_means_what_bind_takes_it_to_mean() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    for (path, origin) in good_files() {
        let expected = compiled(&path, &origin);
        let file = read_good(&path, &origin);
        let rendered = directory.path().join(file_name(&path));
        fs::write(&rendered, render(file.zone(), None)).expect("the temporary directory is writable");
        // Owners are kept without their case, which BIND's output shows.
        let (ours, theirs) = (compiled(&rendered, &origin).to_lowercase(), expected.to_lowercase());
        assert_eq!(ours, theirs, "{} as rendered", path.display());
        // And the other way round: what BIND wrote is what was read.
        fs::write(&rendered, &expected).expect("the temporary directory is writable");
        assert_eq!(read_good(&rendered, &origin).content(), file.content(), "{} as compiled", path.display());
    }
}

#[test]
fn a_file_that_is_not_edited_is_not_touched() {
    for (path, origin) in good_files() {
        let file = read_good(&path, &origin);
        assert!(file.patch(file.zone(), file.marker()).is_empty(), "{}", path.display());
        let mut newer = file.content().clone();
        newer.soa.serial += 1;
        let changed = file.patch(&Zone::from_content(&newer), None);
        assert_eq!(changed.len(), 1, "{}", path.display());
        let lines = |text: &[u8]| text.split(|&byte| byte == b'\n').map(<[u8]>::to_vec).collect::<Vec<_>>();
        let (old, new) = (lines(&fs::read(&path).expect("readable")), lines(&changed[0].1));
        let differing = old.iter().zip(&new).filter(|(old, new)| old != new).count();
        // One line differs; where the SOA is repeated, the repetition goes.
        assert!(differing == 1 || old.len() != new.len(), "{}", path.display());
    }
}

#[test]
fn the_sample_zones_are_without_findings() {
    for (path, origin) in samples() {
        assert_eq!(read_good(&path, &origin).warnings(), [], "{}", path.display());
    }
}

/// How many of the three stock checkers accept the file.
fn acceptances(path: &Path, origin: &Name) -> usize {
    let (directory, name) = (path.parent().expect("a directory"), file_name(path));
    let origin = origin.to_string();
    let bind = run(directory, "named-checkzone", &["-q", &origin, name]).0;
    let nsd = run(directory, "nsd-checkzone", &[&origin, name]).0;
    let knot = run(directory, "kzonecheck", &["-o", &origin, name]).0;
    usize::from(bind) + usize::from(nsd) + usize::from(knot)
}

/// Files on which this reader differs from the majority, and why.
const LISTED: &[(&str, &str)] = &[
    ("bad-escape.zone", "RFC 1035 section 5.1 has no escape above 255; NSD and Knot wrap or pass it on"),
    ("generate.zone", "only BIND has $GENERATE"),
    ("include.zone", "RFC 1035 section 5.1 lets origins be relative, as BIND does; NSD and Knot do not"),
    ("inheritance.zone", "relative $ORIGIN, as above"),
    ("types.zone", "only BIND has all these types"),
];

#[test]
fn files_are_accepted_that_two_of_three_servers_accept() {
    let origin: Name = "example.".parse().expect("a name");
    let all = zones(&data("good")).into_iter().chain(zones(&data("bad"))).map(|path| (path, origin.clone()));
    let mut wrong = Vec::new();
    for (path, origin) in all.chain(samples()) {
        let accepted = read(&path, &origin).is_ok();
        let votes = acceptances(&path, &origin);
        let listed = LISTED.iter().any(|(name, _)| *name == file_name(&path));
        if (accepted != (votes >= 2)) != listed {
            wrong.push(format!("{}: accepted {accepted}, by {votes} of 3", path.display()));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_finding_names_its_place_and_reason() {
    let origin: Name = "example.".parse().expect("a name");
    let mut shown = String::new();
    for path in zones(&data("bad")).into_iter().chain(zones(&data("good"))) {
        let found = match read(&path, &origin) {
            Ok(file) => file.warnings().to_vec(),
            Err(found) => {
                assert!(found.iter().any(|one| one.level == Level::Error));
                found
            }
        };
        for one in found {
            shown.push_str(&one.with_source());
            shown.push('\n');
        }
    }
    let golden = data("findings.txt");
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        fs::write(&golden, &shown).expect("the source tree is writable");
    }
    let expected = fs::read_to_string(&golden).expect("findings.txt is there; make it with UPDATE_GOLDEN=1");
    assert_eq!(shown, expected, "if this is meant, run with UPDATE_GOLDEN=1 and look at the difference");
}

#[test]
fn an_edit_of_a_sample_zone_changes_its_lines_alone() {
    let (path, origin) = samples()
        .into_iter()
        .find(|(_, origin)| *origin == "corp.example.".parse().expect("a name"))
        .expect("the sample");
    let text = fs::read_to_string(&path).expect("readable");
    let edited = text
        .replace("2026112301      ; serial", "2026112302      ; serial")
        .replace("ldap            IN A    192.0.2.62", "ldap            IN A    192.0.2.63")
        .replace("printer         IN A    203.0.113.9\n                IN EUI48", "printer         IN EUI48")
        .replace(
            "desk4           IN A    203.0.113.104\n",
            "desk4           IN A    203.0.113.104\ndesk4           IN AAAA 2001:db8:3::104\n",
        );
    let target_path = tempfile::tempdir().expect("a temporary directory");
    let edited_path = target_path.path().join("corp.example.zone");
    fs::write(&edited_path, &edited).expect("the temporary directory is writable");
    let target = read_good(&edited_path, &origin);
    let patched: BTreeMap<String, Vec<u8>> = read_good(&path, &origin).patch(target.zone(), None).into_iter().collect();
    assert_eq!(patched.len(), 1);
    assert_eq!(String::from_utf8_lossy(&patched["corp.example.zone"]), edited);
}
