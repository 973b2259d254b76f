//! What happens to files when a node starts.

use std::fs;
use std::sync::Arc;

use super::bench::{Bench, EXAMPLE, name, parse};
use crate::files::ZoneFiles;
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
    let (_, offer) = ZoneFiles::open(&zones, &home.path().join("data"), Arc::<Metrics>::default()).expect("it opens");
    let origins: Vec<String> = offer.iter().map(|content| content.origin().to_string()).collect();
    assert_eq!(origins, ["a.example.", "b.example."]);
    let missing = home.path().join("new/zones");
    ZoneFiles::open(&missing, &home.path().join("data2"), Arc::<Metrics>::default()).expect("it is made");
    assert!(missing.is_dir());
    let error = ZoneFiles::open(&zones.join("README"), &home.path().join("data3"), Arc::<Metrics>::default());
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
