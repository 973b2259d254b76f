//! Saves become edits.

use std::fs;
use std::os::unix::fs::symlink;

use super::bench::{Bench, EXAMPLE, name, parse};
use crate::node::Command;
use crate::zone::Change;

#[tokio::test]
async fn a_new_file_makes_a_zone_and_gets_its_marker() {
    let bench = Bench::new().await;
    bench.write("example.zone", EXAMPLE);
    bench.settled("example.zone", "example.").await;
    assert_eq!(bench.world().content("example."), Some(parse("example.", EXAMPLE)));
    let text = bench.read("example.zone");
    assert!(text.contains("; grapevine: 100 "), "{text}");
    assert!(text.contains("www A 192.0.2.10   ; front\n") && text.contains("\n\n; people\n"), "{text}");
}

#[tokio::test]
async fn a_save_becomes_the_difference_and_the_file_gets_the_new_serial() {
    let bench = Bench::example().await;
    bench.sed("example.zone", "192.0.2.10", "192.0.2.11");
    bench.until("the edit arrives", |bench| bench.world().serial("example.") == 101).await;
    bench.settled("example.zone", "example.").await;
    let [changes] = &bench.edits("example.")[..] else { panic!("one edit") };
    assert!(matches!(&changes[..], [Change::Remove(_), Change::Add(_)]), "{changes:?}");
    let text = bench.read("example.zone");
    assert!(text.contains("www A 192.0.2.11   ; front\n") && text.contains(" 101 3600"), "{text}");
}

#[tokio::test]
async fn a_large_file_stays_what_the_zone_is_whoever_edits() {
    let hosts: String = (0..30_000u32).map(|host| format!("h{host} A 10.0.{}.{}\n", host >> 8, host & 255)).collect();
    let bench = Bench::new().await;
    bench.write("example.zone", &format!("{EXAMPLE}{hosts}"));
    bench.settled("example.zone", "example.").await;
    let agrees =
        |bench: &Bench| bench.world().content("example.") == Some(parse("example.", &bench.read("example.zone")));
    for (from, to) in [
        ("h20000 A 10.0.78.32\n", "h20000 A 10.0.78.33\n"),
        ("h7 A 10.0.0.7\n", "h7 A 10.0.0.7\n AAAA ::7\nnew A 192.0.2.1\n"),
        ("h29999 A 10.0.117.47\n", "h29999 CNAME h0\n; the last\n"),
        ("h15000 A 10.0.58.152\n", ""),
    ] {
        let serial = bench.world().serial("example.");
        bench.sed("example.zone", from, to);
        bench.until("the save arrives", |bench| bench.world().serial("example.") > serial).await;
        bench.settled("example.zone", "example.").await;
        assert!(agrees(&bench), "after {to:?}");
    }
    let edits: Vec<usize> = bench.edits("example.").iter().map(Vec::len).collect();
    assert_eq!(edits, [2, 2, 2, 1], "no more is changed than was edited");
    // A large file rests after it was written; a save ends that, and is merged with what others did meanwhile.
    bench.world().edit("example.", |zone| {
        zone.rrsets.remove(&(name("h5.example."), crate::zone::RecordType::A));
    });
    bench.sed("example.zone", "h8 A 10.0.0.8\n", "h8 A 10.0.0.88\n");
    bench.until("the save arrives", |bench| bench.edits("example.").len() == 5).await;
    bench.settled("example.zone", "example.").await;
    assert!(agrees(&bench) && !bench.read("example.zone").contains("\nh5 "));
    let bench = bench.restart(|_| {}).await;
    bench.settled("example.zone", "example.").await;
    bench.sed("example.zone", "h6 A 10.0.0.6\n", "h6 A 10.0.0.66\n");
    bench.until("the save arrives", |bench| bench.edits("example.").len() == 6).await;
    bench.settled("example.zone", "example.").await;
    assert!(agrees(&bench) && bench.held().is_empty());
}

#[tokio::test]
async fn the_nodes_own_writes_make_no_edits() {
    let bench = Bench::example().await;
    for last in 20..30 {
        bench.world().edit("example.", |zone| {
            *zone = parse("example.", &EXAMPLE.replace("192.0.2.10", &format!("192.0.2.{last}")));
        });
        bench.settled("example.zone", "example.").await;
    }
    bench.barrier().await;
    assert_eq!(bench.edits("example."), Vec::<Vec<Change>>::new());
}

#[tokio::test]
async fn a_save_that_changes_only_comments_makes_no_edit_and_stays() {
    let bench = Bench::example().await;
    bench.sed("example.zone", "; people", "; persons");
    bench.barrier().await;
    assert_eq!(bench.edits("example."), Vec::<Vec<Change>>::new());
    assert!(bench.read("example.zone").contains("; persons\n"));
}

#[tokio::test]
async fn a_save_in_every_editors_way_is_seen() {
    let bench = Bench::example().await;
    let path = bench.path("example.zone");
    let with = |text: &str, line: &str| format!("{text}{line}\n");
    // In place, as nano and shells do.
    fs::write(&path, with(&bench.read("example.zone"), "inplace A 192.0.2.40")).expect("a write");
    bench.until("a write in place is seen", |bench| bench.world().has("example.", "inplace.example.")).await;
    bench.settled("example.zone", "example.").await;
    // vim: the old file becomes a backup, a new one takes its name, the backup goes.
    let text = bench.read("example.zone");
    fs::write(bench.path("4913"), "").expect("a probe");
    fs::remove_file(bench.path("4913")).expect("no probe");
    fs::rename(&path, bench.path("example.zone~")).expect("a backup");
    fs::write(&path, with(&text, "vim A 192.0.2.41")).expect("a write");
    fs::remove_file(bench.path("example.zone~")).expect("no backup");
    bench.until("a save of vim is seen", |bench| bench.world().has("example.", "vim.example.")).await;
    bench.settled("example.zone", "example.").await;
    // rsync: a hidden temporary file.
    let text = bench.read("example.zone");
    fs::write(bench.path(".example.zone.Ab12Cd"), with(&text, "rsync A 192.0.2.42")).expect("a write");
    fs::rename(bench.path(".example.zone.Ab12Cd"), &path).expect("a rename");
    bench.until("a save of rsync is seen", |bench| bench.world().has("example.", "rsync.example.")).await;
    bench.settled("example.zone", "example.").await;
    assert_eq!(bench.held(), []);
    assert_eq!(bench.edits("example.").len(), 3);
}

#[tokio::test]
async fn a_file_is_not_read_while_it_is_being_written() {
    use std::io::Write;
    let bench = Bench::example().await;
    let text = bench.read("example.zone");
    let half = text.find("\n; people").expect("the comment");
    let mut file = fs::File::create(bench.path("example.zone")).expect("a truncated file");
    file.write_all(&text.as_bytes()[..half]).expect("a write");
    bench.barrier().await;
    file.write_all(&text.as_bytes()[half..]).expect("a write");
    writeln!(file, "whole A 192.0.2.43").expect("a write");
    drop(file);
    bench.until("the whole is seen", |bench| bench.world().has("example.", "whole.example.")).await;
    let [changes] = &bench.edits("example.")[..] else { panic!("one edit, not {:?}", bench.edits("example.")) };
    assert_eq!(changes.len(), 1);
}

#[tokio::test]
async fn an_edit_of_an_older_text_is_merged() {
    let bench = Bench::example().await;
    let opened = bench.read("example.zone");
    bench.world().edit("example.", |zone| {
        *zone = parse("example.", &format!("{EXAMPLE}remote A 192.0.2.50\n").replace("192.0.2.10", "192.0.2.99"));
    });
    bench.settled("example.zone", "example.").await;
    bench.write("example.zone", &format!("{opened}local A 192.0.2.51\n"));
    bench.until("the local record is served", |bench| bench.world().has("example.", "local.example.")).await;
    bench.settled("example.zone", "example.").await;
    assert!(bench.world().has("example.", "remote.example."), "the other node's record stays");
    let text = bench.read("example.zone");
    assert!(text.contains("192.0.2.99") && text.contains("local") && text.contains("remote"), "{text}");
}

#[tokio::test]
async fn an_unmarked_text_is_compared_with_the_last_unmarked_one() {
    let bench = Bench::example().await;
    bench.world().edit("example.", |zone| *zone = parse("example.", &format!("{EXAMPLE}remote A 192.0.2.50\n")));
    bench.settled("example.zone", "example.").await;
    // A deploy tool that knows nothing of markers and nothing of the other node's record.
    bench.write("example.zone", &format!("{EXAMPLE}deployed A 192.0.2.60\n"));
    bench.until("the deployed record is served", |bench| bench.world().has("example.", "deployed.example.")).await;
    bench.write("example.zone", EXAMPLE);
    bench.until("it is taken back", |bench| !bench.world().has("example.", "deployed.example.")).await;
    bench.settled("example.zone", "example.").await;
    assert!(bench.world().has("example.", "remote.example."));
}

#[tokio::test]
async fn a_serial_that_a_person_raised_is_obeyed_and_a_lowered_one_is_not() {
    let bench = Bench::example().await;
    bench.sed("example.zone", " 100 3600", " 2026010100 3600");
    bench.until("the serial is raised", |bench| bench.world().serial("example.") == 2_026_010_100).await;
    bench.settled("example.zone", "example.").await;
    bench.sed("example.zone", " 2026010100 3600", " 7 3600");
    bench.until("the serial is put back", |bench| bench.read("example.zone").contains(" 2026010100 3600")).await;
    bench.barrier().await;
    assert_eq!(bench.world().serial("example."), 2_026_010_100);
    bench.sed("example.zone", "192.0.2.10", "192.0.2.12");
    bench.until("a further edit counts on", |bench| bench.world().serial("example.") == 2_026_010_101).await;
}

#[tokio::test]
async fn an_included_file_is_watched_and_patched() {
    let bench = Bench::new().await;
    fs::create_dir(bench.path("parts")).expect("a directory");
    bench.write("parts/hosts", "; the hosts\nhost1 A 192.0.2.71 ; one\n");
    bench.write("example.zone", &format!("{EXAMPLE}$INCLUDE parts/hosts\n"));
    bench.settled("example.zone", "example.").await;
    bench.sed("parts/hosts", "192.0.2.71", "192.0.2.72");
    bench.until("the included change is served", |bench| bench.world().serial("example.") == 101).await;
    bench.settled("example.zone", "example.").await;
    bench.world().edit("example.", |zone| {
        *zone = parse("example.", &format!("{EXAMPLE}host1 A 192.0.2.73\n"));
    });
    bench.settled("example.zone", "example.").await;
    assert_eq!(bench.read("parts/hosts"), "; the hosts\nhost1 A 192.0.2.73 ; one\n");
    bench.barrier().await;
    assert_eq!(bench.edits("example.").len(), 1);
}

#[tokio::test]
async fn a_linked_file_is_watched_and_written_where_it_is() {
    let bench = Bench::new().await;
    let elsewhere = tempfile::tempdir().expect("a directory");
    let target = elsewhere.path().join("the-zone.txt");
    fs::write(&target, EXAMPLE).expect("a file");
    symlink(&target, bench.path("example.zone")).expect("a link");
    bench.settled("example.zone", "example.").await;
    fs::write(&target, fs::read_to_string(&target).expect("the file").replace("192.0.2.10", "192.0.2.13"))
        .expect("a write");
    bench.until("the change is served", |bench| bench.world().serial("example.") == 101).await;
    bench.settled("example.zone", "example.").await;
    assert!(fs::symlink_metadata(bench.path("example.zone")).expect("the link").is_symlink());
    assert!(fs::read_to_string(&target).expect("the file").contains("; grapevine: 101 "));
}

#[tokio::test]
async fn files_saved_at_once_are_all_taken_over() {
    let bench = Bench::new().await;
    for number in 0..100 {
        bench.write(&format!("z{number}.example.zone"), EXAMPLE);
    }
    for number in 0..100 {
        bench.settled(&format!("z{number}.example.zone"), &format!("z{number}.example.")).await;
    }
    for number in 0..100 {
        bench.sed(&format!("z{number}.example.zone"), "192.0.2.10", "192.0.2.14");
    }
    for number in 0..100 {
        let origin = format!("z{number}.example.");
        bench.until("each edit arrives", |bench| bench.world().serial(&origin) == 101).await;
    }
}

#[tokio::test]
async fn a_classless_reverse_zone_has_its_slash_as_an_underscore() {
    let bench = Bench::new().await;
    bench.write("0_25.2.0.192.in-addr.arpa.zone", EXAMPLE);
    bench.settled("0_25.2.0.192.in-addr.arpa.zone", "0/25.2.0.192.in-addr.arpa.").await;
}

#[tokio::test]
async fn a_save_waits_while_the_node_takes_no_edits() {
    let bench = Bench::with_files(&[]).await;
    bench.write("example.zone", EXAMPLE);
    bench.until("the node is asked", |bench| bench.world().commands.len() > 1).await;
    assert!(
        matches!(&bench.world().commands[0], Command::Create { content, .. } if *content.origin() == name("example."))
    );
    bench.world().initialised = true;
    bench.settled("example.zone", "example.").await;
}
