//! What is not taken over.

use std::fmt::Write;
use std::fs;

use super::bench::{Bench, EXAMPLE, parse};
use crate::decision::Decision;
use crate::node::CommandError;
use crate::zone::Change;

fn large() -> String {
    (0..40).fold(EXAMPLE.to_owned(), |mut text, number| {
        let _ = writeln!(text, "host{number} A 198.51.100.{number}");
        text
    })
}

#[tokio::test]
async fn a_file_with_errors_is_held_with_its_place_until_it_is_mended() {
    let bench = Bench::example().await;
    bench.sed("example.zone", "192.0.2.10", "192.0.2.1000");
    bench.until("the file is held", |bench| bench.holds("example.", "example.zone:10:7: error: ")).await;
    let [held] = &bench.held()[..] else { panic!("one file is held") };
    assert!(!held.approvable && held.diagnostics[0].line == 10 && held.path == bench.path("example.zone"), "{held:?}");
    assert_eq!(bench.edits("example."), Vec::<Vec<Change>>::new());
    bench.world().edit("example.", |zone| *zone = parse("example.", &format!("{EXAMPLE}remote A 192.0.2.50\n")));
    bench.barrier().await;
    assert!(bench.read("example.zone").contains("192.0.2.1000"), "what a person wrote is not written over");
    bench.sed("example.zone", "192.0.2.1000", "192.0.2.100");
    bench.until("the file is released", |bench| bench.held().is_empty()).await;
    bench.settled("example.zone", "example.").await;
    assert!(bench.world().has("example.", "remote.example."));
}

#[tokio::test]
async fn an_empty_file_is_held() {
    let bench = Bench::example().await;
    bench.write("example.zone", "");
    bench.until("the file is held", |bench| bench.holds("example.", "")).await;
    assert!(bench.world().has("example.", "www.example."));
}

#[tokio::test]
async fn a_save_that_loses_much_of_a_zone_is_held_and_a_renumbered_one_is_not() {
    let bench = Bench::new().await;
    bench.write("example.zone", &large());
    bench.settled("example.zone", "example.").await;
    let text = bench.read("example.zone");
    bench.write("example.zone", &text.replace("198.51.100.", "203.0.113."));
    bench.until("all addresses may change at once", |bench| bench.world().serial("example.") == 101).await;
    bench.settled("example.zone", "example.").await;
    let text = bench.read("example.zone");
    let cut = text.find("host20 ").expect("host 20");
    bench.write("example.zone", &text[..cut]);
    bench.until("the file is held", |bench| bench.holds("example.", "it lacks 20 of the zone's 46 records")).await;
    assert!(bench.held()[0].approvable);
    assert!(bench.world().has("example.", "host39.example."));
    bench.write("example.zone", &text);
    bench.until("the whole file is welcome again", |bench| bench.held().is_empty()).await;
    assert_eq!(bench.world().serial("example."), 101);
}

#[tokio::test]
async fn a_missing_file_deletes_nothing() {
    let bench = Bench::example().await;
    let text = bench.read("example.zone");
    fs::remove_file(bench.path("example.zone")).expect("it was there");
    bench.until("the file is missed", |bench| bench.holds("example.", "the file is missing")).await;
    bench.world().edit("example.", |zone| *zone = parse("example.", &format!("{EXAMPLE}remote A 192.0.2.50\n")));
    bench.barrier().await;
    assert!(!bench.path("example.zone").exists() && bench.world().has("example.", "www.example."));
    bench.write("example.zone", &text);
    bench.settled("example.zone", "example.").await;
    assert!(bench.held().is_empty());
    assert!(bench.world().has("example.", "remote.example."), "the old text is merged");
}

#[tokio::test]
async fn a_vanished_directory_deletes_nothing_and_is_reported() {
    let bench = Bench::example().await;
    let away = bench.zones().with_file_name("away");
    fs::rename(bench.zones(), &away).expect("a rename");
    bench.until("the directory is missed", |bench| bench.holds(".", "the zone directory cannot be read")).await;
    assert_eq!(bench.held().len(), 1, "its files are not missing one by one");
    bench.world().edit("example.", |zone| *zone = parse("example.", &format!("{EXAMPLE}remote A 192.0.2.50\n")));
    let message = bench.decide("other.", Decision::Approve).await.expect_err("the files are still at work");
    assert!(message.contains("no file of zone other. is held"), "{message}");
    fs::rename(&away, bench.zones()).expect("a rename");
    bench.until("the directory is back", |bench| bench.held().is_empty()).await;
    bench.settled("example.zone", "example.").await;
    bench.sed("example.zone", "192.0.2.10", "192.0.2.15");
    bench.until("saves are seen again", |bench| bench.world().serial("example.") == 102).await;
}

#[tokio::test]
async fn an_emptied_directory_deletes_nothing() {
    let bench = Bench::example().await;
    let bench = bench
        .restart(|bench| {
            fs::rename(bench.zones(), bench.zones().with_file_name("away")).expect("a rename");
            fs::create_dir(bench.zones()).expect("an empty directory");
        })
        .await;
    bench.until("the file is missed", |bench| bench.holds("example.", "the file is missing")).await;
    assert!(bench.world().has("example.", "www.example."));
}

#[tokio::test]
async fn what_the_node_refuses_is_held_in_its_words() {
    let bench = Bench::example().await;
    bench.world().answer = Some(CommandError::Invalid("no NS is left".to_owned()));
    bench.sed("example.zone", "192.0.2.10", "192.0.2.16");
    bench.until("the refusal is shown", |bench| bench.holds("example.", "no NS is left")).await;
    bench.world().answer = None;
    bench.sed("example.zone", "192.0.2.16", "192.0.2.17");
    bench.settled("example.zone", "example.").await;
    assert!(bench.held().is_empty());
}

#[tokio::test]
async fn what_cannot_be_stored_is_tried_again() {
    let bench = Bench::example().await;
    bench.world().answer = Some(CommandError::NotStored("no space left".to_owned()));
    bench.sed("example.zone", "192.0.2.10", "192.0.2.18");
    bench.until("the trouble is shown", |bench| bench.holds("example.", "no space left")).await;
    bench.world().answer = None;
    bench.until("the edit arrives after all", |bench| bench.world().serial("example.") == 101).await;
    bench.until("the file is released", |bench| bench.held().is_empty()).await;
}

#[tokio::test]
async fn a_directory_that_vanishes_while_zones_change_keeps_nothing_busy() {
    let bench = Bench::example().await;
    let away = bench.zones().with_file_name("away");
    for number in 0..20 {
        bench
            .world()
            .edit("example.", |zone| *zone = parse("example.", &EXAMPLE.replace(".10 ", &format!(".{number} "))));
        fs::rename(bench.zones(), &away).expect("a rename");
        bench
            .world()
            .edit("example.", |zone| *zone = parse("example.", &EXAMPLE.replace(".10 ", &format!(".1{number} "))));
        bench.decide("other.", Decision::Approve).await.expect_err("the files are still at work");
        fs::rename(&away, bench.zones()).expect("a rename");
    }
    bench.settled("example.zone", "example.").await;
    bench.until("the directory is back", |bench| bench.held().is_empty()).await;
    assert_eq!(bench.edits("example."), Vec::<Vec<Change>>::new());
}
