//! The program as a person meets it: arguments in; output, errors and exit codes out.

mod bench;
mod control;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::{Command, Stdio};

use bench::{Bench, PROGRAM, held, zone};
use serde_json::Value;

const GOOD_ZONE: &str = "\
$TTL 1h
@ SOA ns1 hostmaster ( 2026112201 1d 2h 4w 1h )
  NS ns1
ns1 A 192.0.2.1
";

#[test]
fn wrong_usage_ends_with_2_and_help_with_0() {
    let bench = Bench::new();
    for args in [&["frobnicate"][..], &["zone", "wait", "example.org"], &["zones", "a..b"], &["status", "--yaml"], &[]]
    {
        let run = bench.run(args);
        assert_eq!((run.code, run.stdout.as_str()), (2, ""), "{args:?}");
        assert!(!run.stderr.is_empty(), "{args:?}");
    }
    let help = bench.run(&["--help"]);
    assert_eq!(help.code, 0);
    assert!(help.stdout.contains("Exit codes:") && help.stdout.contains("serve"), "{}", help.stdout);
}

#[test]
fn without_a_daemon_the_answer_is_what_to_do() {
    let bench = Bench::new();
    for args in
        [&["status"][..], &["members", "--json"], &["zones"], &["metrics"], &["zone", "delete", "a.org", "--yes"]]
    {
        let run = bench.run(args);
        assert_eq!((run.code, run.stdout.as_str()), (3, ""), "{args:?}");
        assert!(run.stderr.contains("data/grapevine.sock"), "{}", run.stderr);
        assert!(run.stderr.contains("grapevine serve") && run.stderr.contains("--control"), "{}", run.stderr);
    }
}

#[test]
fn the_control_socket_is_found_by_flag_directory_environment_and_configuration() {
    let bench = Bench::new();
    let _daemon = bench.daemon(vec![zone("example.org.", 7, 2)]);
    fs::write(bench.path("node.toml"), "data = \"data\"\n").expect("writable");
    for args in [
        &["zones"][..],
        &["zones", "--control", "data/grapevine.sock"],
        &["zones", "--control", "data"],
        &["zones", "--config", "node.toml"],
    ] {
        let run = bench.run(args);
        assert_eq!(run.code, 0, "{args:?}: {}", run.stderr);
    }
    let command = || {
        let mut command = bench.command(&["zones"]);
        command.current_dir("/");
        command
    };
    let run = command().env("GRAPEVINE_CONTROL", bench.path("data")).output().expect("it runs");
    assert_eq!(run.status.code(), Some(0));
    assert_eq!(command().output().expect("it runs").status.code(), Some(3));
}

#[test]
fn status_shows_members_zones_and_what_is_held() {
    let bench = Bench::new();
    let daemon = bench.daemon(vec![zone("example.org.", 7, 2), zone("2.0.192.in-addr.arpa.", 9, 1)]);
    daemon.hold(held("example.org."));
    let run = bench.run(&["status"]);
    assert_eq!(run.code, 0, "{}", run.stderr);
    for words in [
        "n1 in cluster test",
        "127.0.0.1:5300 (shared)",
        "n2      alive",
        "same",
        "example.org.                7        2  d1d1d1d1d1d1  2/2",
        "2.0.192.in-addr.arpa.       9        2  d1d1d1d1d1d1  1/2",
        "ago: zones/example.org.zone\n  it has errors; mend it and save\n",
        "zones/example.org.zone:3:5: error: not an address",
    ] {
        assert!(run.stdout.contains(words), "{words:?} is not in\n{}", run.stdout);
    }
    let run = bench.run(&["status", "--json"]);
    let status: Value = serde_json::from_str(&run.stdout).expect("JSON");
    assert_eq!(status["name"], "n1");
    assert_eq!(status["members"][1]["state"], "alive");
    assert_eq!(status["zones"][0]["serial"], 7);
    assert_eq!(status["held"][0]["diagnostics"][0]["line"], 3);
    assert_eq!(status["process"]["dns"][0], "127.0.0.1:5301");
}

#[test]
fn members_and_zones_print_tables_and_json() {
    let bench = Bench::new();
    let _daemon = bench.daemon(vec![zone("example.org.", 7, 2)]);
    let members = bench.run(&["members"]);
    assert_eq!(members.stdout.lines().count(), 3, "{}", members.stdout);
    assert!(members.stdout.contains("ago"), "{}", members.stdout);
    let members: Value = serde_json::from_str(&bench.run(&["members", "--json"]).stdout).expect("JSON");
    assert_eq!(members[0]["this_node"], true);
    let zones: Value = serde_json::from_str(&bench.run(&["zones", "--json"]).stdout).expect("JSON");
    assert_eq!((&zones[0]["origin"], &zones[0]["same_on"]), (&Value::from("example.org."), &Value::from(2)));
    let one = bench.run(&["zones", "Example.ORG"]);
    assert!(one.stdout.contains("1 A, 1 SOA"), "{}", one.stdout);
    let metrics = bench.run(&["metrics"]);
    assert!(metrics.stdout.contains("grapevine_zone_serial{zone=\"example.org.\"} 7\n"), "{}", metrics.stdout);
    let metrics: Value = serde_json::from_str(&bench.run(&["metrics", "--json"]).stdout).expect("JSON");
    assert_eq!(metrics["grapevine_queries_udp"], 0);
}

#[test]
fn a_refusal_ends_with_4_and_the_daemons_words() {
    let bench = Bench::new();
    let _daemon = bench.daemon(vec![zone("example.org.", 7, 2)]);
    for args in [&["zones", "other.org"][..], &["zone", "approve", "example.org"], &["zone", "delete", "other.org"]] {
        let run = bench.run(args);
        assert_eq!((run.code, run.stdout.as_str()), (4, ""), "{args:?}");
        assert!(run.stderr.contains(".org."), "{}", run.stderr);
    }
}

#[test]
fn deleting_and_deciding_reach_the_daemon() {
    let bench = Bench::new();
    let daemon = bench.daemon(vec![zone("example.org.", 7, 2)]);
    daemon.hold(held("example.org."));
    let run = bench.run(&["zone", "reject", "example.org"]);
    assert_eq!((run.code, run.stdout.as_str()), (0, "example.org.: rejected\n"));
    let run = bench.run(&["zone", "approve", "example.org", "--json"]);
    let decided: Value = serde_json::from_str(&run.stdout).expect("JSON");
    assert_eq!(decided["outcome"], "approved");
    let run = bench.run(&["zone", "delete", "example.org", "--yes"]);
    assert_eq!(run.code, 0, "{}", run.stderr);
    assert!(run.stdout.contains("last serial 8"), "{}", run.stdout);
}

#[test]
fn a_wait_ends_with_0_when_it_is_so_and_with_1_when_not_in_time() {
    let bench = Bench::new();
    let daemon = bench.daemon(vec![zone("example.org.", 7, 1)]);
    let wait = ["zone", "wait", "example.org", "--converged", "--timeout"];
    let run = bench.run(&[&wait[..], &["50ms"]].concat());
    assert_eq!((run.code, run.stdout.as_str()), (1, ""));
    assert!(run.stderr.contains("same on 1/2 live members"), "{}", run.stderr);
    let run = bench.run(&[&wait[..], &["50ms", "--json"]].concat());
    let report: Value = serde_json::from_str(&run.stdout).expect("JSON");
    assert_eq!((run.code, &report["reached"]), (1, &Value::Bool(false)));
    let waiting =
        bench.command(&[&wait[..], &["1m", "--serial", "8", "--live", "2"]].concat()).spawn().expect("it runs");
    daemon.show(vec![zone("example.org.", 8, 2)]);
    let run = bench::Run::from(waiting.wait_with_output().expect("it ends"));
    assert_eq!((run.code, run.stdout.as_str()), (0, "example.org.: serial 8, same on 2/2 live members\n"));
    let run = bench.run(&["zone", "wait", "gone.org", "--converged", "--timeout", "0s"]);
    assert_eq!(run.code, 1);
    assert!(run.stderr.contains("no zone of that name"), "{}", run.stderr);
}

#[test]
fn zone_check_tells_every_error_with_its_place_and_a_caret() {
    let bench = Bench::new();
    fs::create_dir(bench.path("zones")).expect("writable");
    fs::write(bench.path("zones/good.org.zone"), GOOD_ZONE).expect("writable");
    let bad = GOOD_ZONE.replace("192.0.2.1", "192.0.2.999") + "www FROB 1\n";
    fs::write(bench.path("zones/bad.org.zone"), bad).expect("writable");
    let run = bench.run(&["zone", "check", "zones"]);
    assert_eq!(run.code, 1);
    let lines: Vec<&str> = run.stdout.lines().collect();
    assert!(lines[0].starts_with("zones/bad.org.zone:4:7: error: "), "{}", run.stdout);
    assert_eq!(lines[1..3], [" 4 | ns1 A 192.0.2.999", "   |       ^"]);
    assert!(lines[3].starts_with("zones/bad.org.zone:5:5: error: "), "{}", run.stdout);
    assert_eq!(lines[6], "zones/bad.org.zone: 2 errors");
    assert_eq!(lines[7], "zones/good.org.zone: ok: good.org. serial 2026112201, 3 records");

    let run = bench.run(&["zone", "check", "zones/good.org.zone", "--json"]);
    let checked: Value = serde_json::from_str(&run.stdout).expect("JSON");
    assert_eq!((run.code, &checked[0]["ok"], &checked[0]["records"]), (0, &Value::Bool(true), &Value::from(3)));

    fs::rename(bench.path("zones/good.org.zone"), bench.path("zones/db.good")).expect("writable");
    let run = bench.run(&["zone", "check", "zones/db.good"]);
    assert_eq!(run.code, 1);
    assert!(run.stdout.contains("--origin"), "{}", run.stdout);
    assert_eq!(bench.run(&["zone", "check", "zones/db.good", "--origin", "good.org"]).code, 0);
    let run = bench.run(&["zone", "check", "zones/none.org.zone"]);
    assert!(run.code == 1 && run.stdout.contains("cannot read it"), "{}", run.stdout);
}

#[test]
fn the_origin_may_stand_before_the_file_as_with_the_stock_checkers() {
    let bench = Bench::new();
    fs::write(bench.path("db.good"), GOOD_ZONE).expect("writable");
    for args in [&["good.org", "db.good"][..], &["good.org.", "db.good"], &["db.good", "--origin", "good.org"]] {
        let run = bench.run(&[&["zone", "check"], args].concat());
        assert_eq!(
            (run.code, run.stdout.as_str()),
            (0, "db.good: ok: good.org. serial 2026112201, 3 records\n"),
            "{args:?}"
        );
    }
    // A file that is missing is no origin.
    assert_eq!(bench.run(&["zone", "check", "good.org.zone", "db.good"]).code, 1);
    assert_eq!(bench.run(&["zone", "check", "good.org", "db.good", "--origin", "other.org"]).code, 2);
    let file = || fs::File::open(bench.path("db.good")).expect("readable");
    let run = bench.command(&["zone", "check", "good.org", "-"]).stdin(file()).output().expect("the program runs");
    assert!(run.status.success() && run.stdout.starts_with(b"-: ok: good.org."), "{run:?}");
    assert!(!bench.command(&["zone", "check", "-"]).stdin(file()).status().expect("the program runs").success());
}

#[test]
fn an_included_device_is_refused() {
    let bench = Bench::new();
    fs::write(bench.path("a.org.zone"), format!("{GOOD_ZONE}$INCLUDE /dev/zero\n")).expect("writable");
    let run = bench.run(&["zone", "check", "a.org.zone"]);
    assert!(run.code == 1 && run.stdout.contains("not a file"), "{}", run.stdout);
}

#[test]
fn an_included_file_is_found_beside_the_zone_file() {
    let bench = Bench::new();
    fs::create_dir(bench.path("zones")).expect("writable");
    fs::write(bench.path("zones/a.org.zone"), format!("{GOOD_ZONE}$INCLUDE hosts.inc\n")).expect("writable");
    fs::write(bench.path("zones/hosts.inc"), "www A 192.0.2.2\nftp A nowhere\n").expect("writable");
    let run = bench.run(&["zone", "check", "zones/a.org.zone"]);
    assert_eq!(run.code, 1);
    assert!(run.stdout.starts_with("zones/hosts.inc:2:7: error: "), "{}", run.stdout);
}

#[test]
fn keygen_writes_a_private_file_and_never_over_another() {
    let bench = Bench::new();
    let run = bench.run(&["keygen", "cluster.key"]);
    assert_eq!(run.code, 0, "{}", run.stderr);
    let mode = fs::metadata(bench.path("cluster.key")).expect("it exists").permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let before = fs::read(bench.path("cluster.key")).expect("readable");
    let run = bench.run(&["keygen", "cluster.key"]);
    assert_eq!(run.code, 1);
    assert!(run.stderr.contains("exists already"), "{}", run.stderr);
    assert_eq!(fs::read(bench.path("cluster.key")).expect("readable"), before);
    let (one, two) = (bench.run(&["keygen"]), bench.run(&["keygen"]));
    assert_eq!((one.code, two.code), (0, 0));
    assert_ne!(one.stdout, two.stdout);
}

#[test]
fn config_prints_what_reads_back_as_the_same_and_lists_every_error() {
    let bench = Bench::new();
    let first = bench.run(&["config", "--name", "ns1", "--dns", "127.0.0.1:5353", "--dns", "[::1]:5353"]);
    assert_eq!(first.code, 0, "{}", first.stderr);
    fs::write(bench.path("grapevine.toml"), &first.stdout).expect("writable");
    let json = |run: &bench::Run| serde_json::from_str::<Value>(&run.stdout).expect("JSON");
    let second = json(&bench.run(&["config", "--json"]));
    assert_eq!((&second["name"], &second["dns"]["listen"][1]), (&Value::from("ns1"), &Value::from("[::1]:5353")));
    fs::write(bench.path("grapevine.toml"), "name = 7\n\n[gossip]\nlisten = \"nowhere\"\n").expect("writable");
    for command in ["config", "serve"] {
        let run = bench.run(&[command, "--workers", "many"]);
        assert_eq!((run.code, run.stdout.as_str()), (2, ""));
        for place in ["--workers: ", "grapevine.toml:1:8: ", "grapevine.toml:4:10: "] {
            assert!(run.stderr.contains(place), "{place} is not in {}", run.stderr);
        }
    }
}

#[test]
fn a_reader_that_has_gone_is_no_error() {
    let bench = Bench::new();
    let (reader, writer) = std::io::pipe().expect("a pipe");
    drop(reader);
    let run = Command::new(PROGRAM)
        .args(["config"])
        .current_dir(bench.path(""))
        .stdout(writer)
        .stderr(Stdio::piped())
        .output()
        .expect("it runs");
    assert_eq!((run.status.code(), String::from_utf8_lossy(&run.stderr).as_ref()), (Some(0), ""));
}
