//! What people decide about held files.

use std::fs;

use super::bench::{Bench, EXAMPLE, parse};
use crate::decision::Decision;

const MANY: usize = 30;

async fn shrunk() -> (Bench, String) {
    let bench = Bench::new().await;
    let hosts: String = (0..MANY).map(|number| format!("host{number} A 198.51.100.{number} ; host\n")).collect();
    bench.write("example.zone", &format!("{EXAMPLE}{hosts}"));
    bench.settled("example.zone", "example.").await;
    let text = bench.read("example.zone");
    bench.write("example.zone", &text[..text.find("host1 ").expect("host 1")]);
    bench.until("the file is held", |bench| bench.holds("example.", "it lacks")).await;
    (bench, text)
}

#[tokio::test]
async fn an_approved_file_is_taken_over() {
    let (bench, _) = shrunk().await;
    assert_eq!(bench.decide("example.", Decision::Approve).await, Ok("the file is taken over as it is".to_owned()));
    assert!(!bench.world().has("example.", "host1.example.") && bench.world().has("example.", "host0.example."));
    bench.settled("example.zone", "example.").await;
    assert!(bench.held().is_empty());
}

#[tokio::test]
async fn a_rejected_file_is_restored_with_its_comments_and_kept_aside() {
    let (bench, text) = shrunk().await;
    let shrunk = bench.read("example.zone");
    let outcome = bench.decide("example.", Decision::Reject).await.expect("it is restored");
    assert!(outcome.contains("example.zone.rejected"), "{outcome}");
    assert_eq!(bench.read("example.zone"), text);
    assert_eq!(bench.read("example.zone.rejected"), shrunk);
    assert!(bench.held().is_empty());
    bench.barrier().await;
    assert_eq!(bench.edits("example.").len(), 0);
}

#[tokio::test]
async fn a_file_with_errors_can_be_rejected_but_not_approved() {
    let bench = Bench::example().await;
    let text = bench.read("example.zone");
    bench.write("example.zone", "what is this\n");
    bench.until("the file is held", |bench| bench.holds("example.", "error")).await;
    let message = bench.decide("example.", Decision::Approve).await.expect_err("it has errors");
    assert!(message.contains("mend it"), "{message}");
    bench.decide("example.", Decision::Reject).await.expect("it is restored");
    assert_eq!(bench.read("example.zone"), text);
}

#[tokio::test]
async fn a_missing_file_is_restored_or_its_zone_deleted() {
    let bench = Bench::example().await;
    let text = bench.read("example.zone");
    fs::remove_file(bench.path("example.zone")).expect("it was there");
    bench.until("the file is missed", |bench| bench.holds("example.", "missing")).await;
    bench.decide("example.", Decision::Reject).await.expect("it is restored");
    assert_eq!(bench.read("example.zone"), text);
    fs::remove_file(bench.path("example.zone")).expect("it was there");
    bench.until("the file is missed again", |bench| bench.holds("example.", "missing")).await;
    bench.decide("example.", Decision::Approve).await.expect("the zone is deleted");
    assert_eq!(bench.world().content("example."), None);
    bench.barrier().await;
    assert!(bench.held().is_empty() && !bench.path("example.zone").exists());
}

#[tokio::test]
async fn a_decision_about_a_file_that_is_not_held_says_so() {
    let bench = Bench::example().await;
    let message = bench.decide("example.", Decision::Approve).await.expect_err("it is not held");
    assert!(message.contains("no file of zone example. is held"), "{message}");
}

#[tokio::test]
async fn a_rejected_file_gets_the_zone_as_it_is_served_by_now() {
    let (bench, _) = shrunk().await;
    bench.world().edit("example.", |zone| {
        let (owner, rtype) = ("www.example.".parse().expect("a name"), crate::zone::RecordType::A);
        zone.rrsets.insert(
            (owner, rtype),
            parse("example.", EXAMPLE).rrsets[&("ns1.example.".parse().expect("a name"), rtype)].clone(),
        );
    });
    bench.until("the zone is published", |bench| bench.world().serial("example.") == 101).await;
    bench.barrier().await;
    bench.decide("example.", Decision::Reject).await.expect("it is restored");
    bench.settled("example.zone", "example.").await;
    assert!(bench.read("example.zone").contains("host7 A 198.51.100.7 ; host\n"));
}
