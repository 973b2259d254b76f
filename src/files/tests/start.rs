//! What happens to files when a node starts.

use std::fs;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::bench::{Bench, EXAMPLE, name, parse};
use crate::files::ZoneFiles;
use crate::files::bases::Bases;
use crate::files::rewrite::Rewrite;
use crate::master::ZoneFile;
use crate::metrics::Metrics;
use crate::zone::Change;

#[test]
fn all_files_are_offered_and_those_with_errors_are_held() {
    let home = tempfile::tempdir().expect("a directory");
    let zones = home.path().join("zones");
    fs::create_dir(&zones).expect("a directory");
    fs::write(zones.join("b.example.zone"), EXAMPLE).expect("a file");
    fs::write(zones.join("a.example.zone"), EXAMPLE).expect("a file");
    fs::write(zones.join("bad.example.zone"), "@ SOA\n").expect("a file");
    fs::write(zones.join("README"), "no zone").expect("a file");
    let (_, offer) =
        ZoneFiles::open(&zones, &home.path().join("data"), true, Arc::<Metrics>::default()).expect("it opens");
    let origins: Vec<String> = offer.iter().map(|content| content.origin().to_string()).collect();
    assert_eq!(origins, ["a.example.", "b.example."]);
    let missing = home.path().join("new/zones");
    ZoneFiles::open(&missing, &home.path().join("data2"), true, Arc::<Metrics>::default()).expect("it is made");
    assert!(missing.is_dir());
    let error = ZoneFiles::open(&zones.join("README"), &home.path().join("data3"), true, Arc::<Metrics>::default());
    assert!(error.err().is_some_and(|error| error.to_string().contains("--zones")));
}

#[tokio::test]
async fn a_file_that_was_imported_is_marked() {
    let bench = Bench::with_files(&[("example.zone", EXAMPLE)]).await;
    bench.world().insert(parse("example.", EXAMPLE));
    bench.world().initialised = true;
    bench.settled("example.zone", "example.").await;
    assert!(!bench.path("example.zone.orig").exists());
    assert_eq!(bench.world().serial("example."), 100);
}

#[tokio::test]
async fn a_save_before_the_import_is_seen_counts() {
    let bench = Bench::with_files(&[("example.zone", EXAMPLE)]).await;
    bench.until("the node is asked", |bench| !bench.world().commands.is_empty()).await;
    bench.sed("example.zone", "192.0.2.10", "192.0.2.20");
    bench.world().insert(parse("example.", EXAMPLE));
    bench.world().initialised = true;
    bench.until("the save arrives", |bench| bench.world().serial("example.") == 101).await;
    bench.settled("example.zone", "example.").await;
    assert!(!bench.path("example.zone.orig").exists());
}

#[tokio::test]
async fn the_clusters_zone_wins_over_a_file_that_was_never_imported() {
    let stale = EXAMPLE.replace("192.0.2.10", "192.0.2.66");
    let bench = Bench::with_files(&[("example.zone", &stale)]).await;
    bench.world().insert(parse("example.", &EXAMPLE.replace(" 100 ", " 200 ")));
    bench.world().initialised = true;
    bench.settled("example.zone", "example.").await;
    assert_eq!(bench.read("example.zone.orig"), stale);
    assert_eq!(bench.edits("example."), Vec::<Vec<Change>>::new());
    assert_eq!(bench.world().serial("example."), 200);
    // From here on it is a file as any other.
    bench.sed("example.zone", "192.0.2.10", "192.0.2.21");
    bench.until("a save arrives", |bench| bench.world().serial("example.") == 201).await;
}

#[tokio::test]
async fn what_happened_on_both_sides_while_the_node_was_down_is_merged() {
    let bench = Bench::example().await;
    let bench = bench
        .restart(|bench| {
            bench.sed("example.zone", "192.0.2.10", "192.0.2.22");
            bench.world().edit("example.", |zone| {
                *zone = parse("example.", &format!("{EXAMPLE}remote A 192.0.2.50\n"));
            });
        })
        .await;
    bench.until("the save arrives", |bench| bench.world().serial("example.") == 102).await;
    bench.settled("example.zone", "example.").await;
    assert!(bench.world().has("example.", "remote.example."));
    assert!(bench.read("example.zone").contains("192.0.2.22"));
}

#[tokio::test]
async fn a_file_that_agreed_with_its_zone_is_known_again_after_a_restart() {
    let bench = Bench::example().await;
    bench.settled("example.zone", "example.").await;
    let text = bench.read("example.zone");
    let marker =
        ZoneFile::parse("z", text.as_bytes(), &name("example."), &mut |_| Err(String::new())).expect("a zone").marker();
    let origin = name("example.");
    let bases = Bases::open(bench.zones().with_file_name("data/bases")).expect("bases");
    bench
        .until("it is noted that they agree", |_| bases.agreed(&origin).is_some_and(|agreed| agreed.marker() == marker))
        .await;
    // What other nodes edited meanwhile is patched in, and the file is no save.
    let commands = bench.world().commands.len();
    let remote = format!("{EXAMPLE}remote A 192.0.2.50\n");
    let bench = bench.restart(|bench| bench.world().edit("example.", |zone| *zone = parse("example.", &remote))).await;
    bench.settled("example.zone", "example.").await;
    assert!(bench.read("example.zone").contains("192.0.2.50"));
    assert_eq!(bench.world().commands.len(), commands);
    // Without the base of its marker it is read like any other.
    bases.forget(&origin);
    assert!(bases.agreed(&origin).is_none());
}

#[tokio::test]
async fn a_save_that_a_crash_caught_in_the_middle_of_a_write_back_is_found_again() {
    let bench = Bench::example().await;
    let save = bench.read("example.zone").replace("192.0.2.10", "192.0.2.24");
    bench.world().edit("example.", |zone| *zone = parse("example.", &format!("{EXAMPLE}remote A 192.0.2.50\n")));
    bench.settled("example.zone", "example.").await;
    let bench = bench.restart(|bench| bench.write(".example.zone.grapevine-swap", &save)).await;
    bench.until("the save arrives", |bench| bench.world().serial("example.") == 102).await;
    bench.settled("example.zone", "example.").await;
    assert!(bench.world().has("example.", "remote.example."), "nothing else is undone");
    assert!(bench.read("example.zone").contains("192.0.2.24"));
}

#[tokio::test]
async fn neither_side_of_an_interrupted_write_back_is_a_save() {
    let mut bench = Bench::example().await;
    let before = bench.read("example.zone");
    bench.world().edit("example.", |zone| *zone = parse("example.", &format!("{EXAMPLE}remote A 192.0.2.50\n")));
    bench.settled("example.zone", "example.").await;
    for text in [before, bench.read("example.zone")] {
        bench = bench.restart(|bench| bench.write(".example.zone.grapevine-swap", &text)).await;
        bench.barrier().await;
        assert!(!bench.path(".example.zone.grapevine-swap").exists());
        assert_eq!(bench.world().serial("example."), 101);
        assert!(bench.read("example.zone").contains("192.0.2.50"));
    }
}

/// The texts of a zone of two files before and after a write-back.
struct Halves {
    hosts: [String; 2],
    main: [String; 2],
}

/// A node that has written an edit of another node into an included file, and what there was before and after.
async fn halved() -> (Bench, Halves) {
    let bench = Bench::new().await;
    fs::create_dir(bench.path("parts")).expect("a directory");
    bench.write("parts/hosts", "; the hosts\nhost1 A 192.0.2.71 ; one\nhost2 A 192.0.2.81\n");
    bench.write("example.zone", &format!("{EXAMPLE}$INCLUDE parts/hosts\n"));
    bench.settled("example.zone", "example.").await;
    let before = [bench.read("parts/hosts"), bench.read("example.zone")];
    hosts(&bench, 73);
    bench.settled("example.zone", "example.").await;
    let ([hosts, main], after) = (before, [bench.read("parts/hosts"), bench.read("example.zone")]);
    let [hosts_after, main_after] = after;
    (bench, Halves { hosts: [hosts, hosts_after], main: [main, main_after] })
}

/// Another node's edit of the included record.
fn hosts(bench: &Bench, last: u8) {
    bench.world().edit("example.", |zone| {
        *zone = parse("example.", &format!("{EXAMPLE}host1 A 192.0.2.{last}\nhost2 A 192.0.2.81\n"));
    });
}

/// Puts the files into the state that a crash at some step of the write-back leaves.
fn crashed(bench: &Bench, halves: &Halves, now: [&str; 2], aside: [Option<&str>; 2]) {
    let paths = [bench.path("parts/hosts"), bench.path("example.zone")];
    let [old, new] = [0, 1].map(|at| [&halves.hosts[at], &halves.main[at]]);
    let rewrite = |at: usize| Rewrite {
        path: paths[at].clone(),
        old: old[at].clone().into_bytes(),
        new: *blake3::hash(new[at].as_bytes()).as_bytes(),
    };
    let bases = Bases::open(bench.zones().with_file_name("data").join("bases")).expect("bases");
    bases.put_rewrites(&name("example."), &[rewrite(0), rewrite(1)]).expect("room");
    for (at, swap) in ["parts/.hosts.grapevine-swap", ".example.zone.grapevine-swap"].into_iter().enumerate() {
        fs::write(&paths[at], now[at]).expect("a file");
        if let Some(text) = aside[at] {
            bench.write(swap, text);
        }
    }
}

#[tokio::test]
async fn a_write_back_of_several_texts_can_be_cut_at_any_step_and_reads_as_no_edit() {
    let (mut bench, halves) = halved().await;
    let (Halves { hosts: [h0, h1], main: [m0, m1] }, halves) = (&halves, &halves);
    let steps: [([&str; 2], [Option<&str>; 2]); 7] = [
        ([h0, m0], [None, None]),
        ([h0, m0], [Some(h1), None]),
        ([h1, m0], [Some(h0), None]),
        ([h1, m0], [None, None]),
        ([h1, m0], [None, Some(m1)]),
        ([h1, m1], [None, Some(m0)]),
        ([h1, m1], [None, None]),
    ];
    for (step, (now, aside)) in steps.into_iter().enumerate() {
        // While this node is down, the record that it was writing changes once more.
        bench = bench
            .restart(|bench| {
                crashed(bench, halves, now, aside);
                hosts(bench, 74);
            })
            .await;
        bench.settled("example.zone", "example.").await;
        bench.barrier().await;
        assert_eq!(bench.edits("example."), Vec::<Vec<Change>>::new(), "step {step}");
        assert_eq!(bench.read("parts/hosts"), halves.hosts[0].replace(".71", ".74"), "step {step}");
        assert!(
            !bench.path("parts/.hosts.grapevine-swap").exists() && !bench.path(".example.zone.grapevine-swap").exists()
        );
    }
}

#[tokio::test]
async fn a_save_of_an_included_file_that_a_crash_caught_in_a_write_back_is_found_again() {
    let (bench, halves) = halved().await;
    let Halves { hosts: [h0, h1], main: [m0, _] } = &halves;
    let save = format!("{h0}host3 A 192.0.2.93\n");
    let bench = bench.restart(|bench| crashed(bench, &halves, [h1, m0], [Some(&save), None])).await;
    bench.until("the save arrives", |bench| bench.world().has("example.", "host3.example.")).await;
    bench.settled("example.zone", "example.").await;
    assert_eq!(bench.read("parts/hosts"), format!("{h1}host3 A 192.0.2.93\n"), "and nothing else is undone");
    // Saved once more before the node was back: that one counts, and the other is kept.
    let again = format!("{h0}host4 A 192.0.2.94\n");
    let bench = bench.restart(|bench| crashed(bench, &halves, [&again, m0], [Some(&save), None])).await;
    bench.until("the later save arrives", |bench| bench.world().has("example.", "host4.example.")).await;
    assert_eq!(bench.read("parts/hosts.orig"), save);
}

#[tokio::test]
async fn the_file_of_a_zone_that_was_deleted_while_the_node_was_down_goes_aside() {
    let bench = Bench::example().await;
    let bench = bench.restart(|bench| bench.world().delete("example.")).await;
    bench.until("the file goes aside", |bench| bench.path("example.zone.deleted").exists()).await;
    bench.barrier().await;
    assert_eq!(bench.world().content("example."), None);
    assert!(!bench.path("example.zone").exists());
}

#[tokio::test]
async fn without_its_bases_a_node_takes_a_marked_file_of_the_served_version_as_it_is() {
    let bench = Bench::example().await;
    let bench = bench
        .restart(|bench| {
            fs::remove_dir_all(bench.zones().with_file_name("data").join("bases")).expect("the bases");
            bench.sed("example.zone", "192.0.2.10", "192.0.2.23");
        })
        .await;
    bench.until("the save arrives", |bench| bench.world().serial("example.") == 101).await;
    assert!(!bench.path("example.zone.orig").exists());
}

#[tokio::test]
async fn zones_that_are_not_replicated_yet_are_left_alone() {
    let bench = Bench::with_files(&[("example.zone", EXAMPLE)]).await;
    bench.until("the node is asked", |bench| bench.world().commands.len() > 1).await;
    assert_eq!(bench.read("example.zone"), EXAMPLE);
    assert_eq!(bench.world().content("example."), None);
    assert_eq!(crate::files::file_name(&name("example.")), "example.zone");
}

#[test]
fn what_was_saved_last_is_looked_at_first() {
    let home = tempfile::tempdir().expect("a directory");
    let [zones, data] = ["zones", "data"].map(|name| home.path().join(name));
    fs::create_dir_all(&zones).expect("the directory is ours");
    let (mut files, _) = ZoneFiles::open(&zones, &data, false, Arc::<Metrics>::default()).expect("usable directories");
    let now = Instant::now();
    let [at_start, saved, not_yet] = ["a.example.", "b.example.", "c.example."].map(name);
    files.due.insert(saved.clone(), now - Duration::from_millis(1));
    files.due.insert(at_start.clone(), now - Duration::from_secs(1));
    files.due.insert(not_yet, now + Duration::from_secs(1));
    assert_eq!(files.next_due(now), [saved, at_start]);
}
