//! Configurations as people write them, right and wrong.

use std::fs;
use std::path::Path;

use super::*;

fn load(file: &str, overrides: &Overrides) -> Result<Config, ConfigErrors> {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let path = directory.path().join("grapevine.toml");
    fs::write(&path, file).expect("a file");
    Config::load_among(overrides, &[&path])
}

/// What is said of a file: `line:column: message` each.
fn complaints(file: &str) -> Vec<String> {
    let errors = load(file, &Overrides::default()).expect_err("it is refused");
    errors
        .0
        .iter()
        .map(|error| match &error.place {
            Place::File { line, column, .. } => format!("{line}:{column}: {}", error.message),
            place => format!("{place}: {}", error.message),
        })
        .collect()
}

#[test]
fn without_file_and_flags_a_node_runs_on_loopback() {
    let config = Config::load_among(&Overrides::default(), &[Path::new("/nonexistent.toml")]).expect("the defaults");
    assert_eq!(config.cluster, "grapevine");
    assert_eq!(config.dns.listen, ["127.0.0.1:5300".parse().expect("an address")]);
    assert_eq!(config.gossip.listen.to_string(), "127.0.0.1:7946");
    assert_eq!(config.control, Path::new("data/grapevine.sock"));
    assert_eq!(config.dns.max_udp_payload, 1232);
    assert!(config.dns.workers > 0 && config.dns.tls.is_none() && config.file.is_none());
}

#[test]
fn flags_win_over_the_file_and_the_file_over_defaults() {
    let file = "name = 'ns1'\ncluster = 'lab'\n[dns]\nlisten = ['127.0.0.1:53', '[::1]:53']\n[gossip]\njoin = 'ns2'\n";
    let flags = Overrides { name: Some("ns9".to_owned()), ..Overrides::default() };
    let config = load(file, &flags).expect("it is right");
    assert_eq!((config.name.as_str(), config.cluster.as_str()), ("ns9", "lab"));
    assert_eq!(config.dns.listen.len(), 2);
    assert_eq!(config.gossip.join, [Seed { host: "ns2".to_owned(), port: GOSSIP_PORT }]);
    assert_eq!(config.log.level, "info");
    let flags = Overrides { dns: vec!["127.0.0.1:1053".to_owned()], ..flags };
    assert_eq!(load(file, &flags).expect("it is right").dns.listen.len(), 1, "flags replace the list");
}

#[test]
fn every_error_is_reported_at_once_with_its_place() {
    let file = "\
name = 'not a label'
cluster = 7
[dns]
listn = ['127.0.0.1:53']
listen = ['127.0.0.1', 'localhost:53']
max-udp-payload = 100
[dns.tcp]
idle-timeout = 'soon'
[gossip]
insecure = 'yes'
name = 'x'
[colour]
red = 1
";
    let found = complaints(file);
    let expected = [
        "1:8: name: \"not a label\" is not a label: 1 to 63 letters, digits, hyphens and underscores, such as ns1",
        "2:11: cluster takes a string, not an integer: a label: 1 to 63 letters, digits, hyphens and underscores, such as ns1",
        "4:1: there is no setting dns.listn; did you mean dns.listen?",
        "5:11: dns.listen: \"127.0.0.1\" is not an address with a port, such as 192.0.2.1:53 or [2001:db8::1]:53",
        "5:24: dns.listen: \"localhost:53\" is not an address with a port, such as 192.0.2.1:53 or [2001:db8::1]:53",
        "6:19: dns.max-udp-payload: 100 is not a number from 512 to 65535",
        "8:16: dns.tcp.idle-timeout: \"soon\" is not a time from 100ms to 1h, such as 10s",
        "10:12: gossip.insecure takes true or false, not a string: true or false",
        "11:1: there is no setting gossip.name; did you mean name?",
        "12:2: there is no setting colour; `grapevine config` lists those that there are",
    ];
    assert_eq!(found, expected);
}

#[test]
fn syntax_errors_come_with_the_errors_of_other_lines() {
    let found = complaints("name = \nnam = 'x'\n[dns\nlisten = 'x'\ncluster = 'a' 'b'\n");
    assert!(found.iter().any(|line| line.starts_with("1:")), "{found:?}");
    assert!(found.iter().any(|line| line.starts_with("2:1: there is no setting nam")), "{found:?}");
    assert!(found.iter().any(|line| line.starts_with("3:")), "{found:?}");
    assert!(found.iter().any(|line| line.starts_with("5:")), "{found:?}");
    assert_eq!(complaints("dns = 3\n"), ["1:7: dns is a section, not an integer; write [dns]"]);
}

#[test]
fn errors_in_flags_are_reported_with_those_of_the_file() {
    let flags = Overrides {
        dns: vec!["5300".to_owned()],
        join: vec!["10.0.0.256".to_owned()],
        log_level: Some("chatty".to_owned()),
        ..Overrides::default()
    };
    let errors = load("nam = 'x'", &flags).expect_err("it is refused");
    let places: Vec<String> = errors.0.iter().map(|error| error.place.to_string()).collect();
    assert_eq!(places[..3], ["--dns", "--join", "--log-level"]);
    assert!(places[3].ends_with("grapevine.toml:1:1"), "{places:?}");
}

#[test]
fn gossip_beyond_loopback_wants_a_key() {
    let [complaint] = &complaints("[gossip]\nlisten = '192.0.2.1:7946'\n")[..] else { panic!("one complaint") };
    assert!(complaint.starts_with("2:10: ") && complaint.contains("grapevine keygen"), "{complaint}");
    assert!(load("[gossip]\nlisten = '192.0.2.1:7946'\ninsecure = true\n", &Overrides::default()).is_ok());
    let found = complaints("[gossip]\nlisten = '192.0.2.1:7946'\nkey-file = 'no.key'\n");
    assert!(found[0].starts_with("3:12: cannot read") && found.len() == 1, "{found:?}");
    let directory = tempfile::tempdir().expect("a temporary directory");
    fs::write(directory.path().join("cluster.key"), "").expect("a file");
    fs::write(directory.path().join("g.toml"), "[gossip]\nlisten = '192.0.2.1:7946'\nkey-file = 'cluster.key'\n")
        .expect("a file");
    let flags = Overrides { config: Some(directory.path().join("g.toml")), ..Overrides::default() };
    let config = Config::load(&flags).expect("it is right");
    assert_eq!(config.gossip.key_file, Some(directory.path().join("cluster.key")), "relative to the file");
}

#[test]
fn an_unspecified_gossip_address_wants_one_to_advertise() {
    let found = complaints("[gossip]\nlisten = '[::]:7946'\ninsecure = true\n");
    assert!(found.len() == 1 && found[0].contains("--advertise"), "{found:?}");
    let found = complaints("[gossip]\nlisten = '[::]:7946'\ninsecure = true\nadvertise = '0.0.0.0:1'\n");
    assert!(found.len() == 1 && found[0].starts_with("4:13: "), "{found:?}");
}

#[test]
fn settings_that_do_not_go_together_are_refused() {
    let found = complaints("data = 'x'\nzones = 'x'\n[dns]\nlisten = ['127.0.0.1:53', '127.0.0.1:53']\n");
    assert!(found.len() == 2 && found[1].contains("given twice"), "{found:?}");
    let found = complaints("[dns.tls]\ncertificate = 'x.pem'\n");
    assert!(found.len() == 1 && found[0].starts_with("2:15: DNS over TLS takes"), "{found:?}");
    let found = complaints(&format!("control = '/{}'\n", "x".repeat(200)));
    assert!(found.len() == 1 && found[0].contains("107 bytes"), "{found:?}");
}

#[test]
fn a_named_file_must_exist() {
    let flags = Overrides { config: Some("/nonexistent/g.toml".into()), ..Overrides::default() };
    let message = Config::load(&flags).expect_err("there is none").to_string();
    assert!(message.starts_with("--config: cannot read /nonexistent/g.toml"), "{message}");
}

#[test]
fn the_effective_configuration_reads_back_as_itself() {
    let flags = Overrides {
        name: Some("ns1".to_owned()),
        join: vec!["ns2".to_owned(), "[2001:db8::1]:99".to_owned()],
        anycast: vec!["127.0.0.1:5399".to_owned()],
        zones: Some("/srv/zones".to_owned()),
        data: Some("/srv/data".to_owned()),
        ..Overrides::default()
    };
    let config = load("[dns.tcp]\nidle-timeout = '90s'\n", &flags).expect("it is right");
    let text = config.effective_toml();
    assert!(text.contains("name = \"ns1\"  # flag --name\n"), "{text}");
    assert!(text.contains("cluster = \"grapevine\"  # default\n"), "{text}");
    assert!(text.contains("idle-timeout = \"1m 30s\"  # ") && text.contains("grapevine.toml:2\n"), "{text}");
    assert!(text.contains("# advertise =  # not set\n"), "{text}");
    let again = load(&text, &Overrides::default()).unwrap_or_else(|errors| panic!("{errors}\n{text}"));
    let strip = |config: &Config| Config { file: None, effective: Vec::new(), ..config.clone() };
    assert_eq!(strip(&again), strip(&config));
    for setting in SETTINGS {
        let (_, key) = setting.key.rsplit_once('.').unwrap_or(("", setting.key));
        assert!(text.contains(&format!("{key} =")), "{} is not shown", setting.key);
    }
}

#[test]
fn seeds_are_read_in_all_usual_forms() {
    let seed = |text: &str| text.parse::<Seed>().map(|seed| seed.to_string());
    assert_eq!(seed("ns1"), Ok("ns1:7946".to_owned()));
    assert_eq!(seed("ns1.example.net:99"), Ok("ns1.example.net:99".to_owned()));
    assert_eq!(seed("192.0.2.1"), Ok("192.0.2.1:7946".to_owned()));
    assert_eq!(seed("2001:db8::1"), Ok("[2001:db8::1]:7946".to_owned()));
    assert_eq!(seed("[2001:db8::1]"), Ok("[2001:db8::1]:7946".to_owned()));
    assert_eq!(seed("[2001:db8::1]:99"), Ok("[2001:db8::1]:99".to_owned()));
    for wrong in ["", ":99", "ns1:", "ns1:x", "ns 1", "10.0.0.256", "ns1:0", "a/b"] {
        assert!(seed(wrong).is_err(), "{wrong}");
    }
}
