//! Edits of other nodes come into the files.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use super::bench::{Bench, EXAMPLE, parse};
use crate::zone::Change;

#[tokio::test]
async fn a_remote_edit_changes_only_its_lines() {
    let bench = Bench::example().await;
    let before = bench.read("example.zone");
    bench.world().edit("example.", |zone| *zone = parse("example.", &EXAMPLE.replace("192.0.2.10", "192.0.2.33")));
    bench.settled("example.zone", "example.").await;
    let after = bench.read("example.zone");
    let differing: Vec<(&str, &str)> = before.lines().zip(after.lines()).filter(|(a, b)| a != b).collect();
    assert_eq!(before.lines().count(), after.lines().count());
    assert_eq!(differing.len(), 3, "the marker, the serial and the record, not {differing:?}");
}

#[tokio::test]
async fn a_zone_from_another_node_gets_a_file_and_one_deleted_there_loses_it() {
    let bench = Bench::new().await;
    bench.world().insert(parse("other.example.", EXAMPLE));
    bench.settled("other.example.zone", "other.example.").await;
    bench.world().delete("other.example.");
    bench.until("the file is moved aside", |bench| !bench.path("other.example.zone").exists()).await;
    assert!(bench.path("other.example.zone.deleted").exists());
    bench.barrier().await;
    assert_eq!(bench.world().content("other.example."), None, "nothing of it came back");
    bench.world().insert(parse("other.example.", EXAMPLE));
    bench.settled("other.example.zone", "other.example.").await;
}

#[tokio::test]
async fn a_file_keeps_its_mode() {
    let bench = Bench::example().await;
    fs::set_permissions(bench.path("example.zone"), fs::Permissions::from_mode(0o600)).expect("a mode");
    bench.world().edit("example.", |zone| *zone = parse("example.", &EXAMPLE.replace("192.0.2.10", "192.0.2.33")));
    bench.settled("example.zone", "example.").await;
    assert_eq!(fs::metadata(bench.path("example.zone")).expect("the file").permissions().mode() & 0o777, 0o600);
}

#[tokio::test]
async fn saves_and_remote_edits_at_once_lose_nothing() {
    let bench = Bench::example().await;
    for number in 0..40 {
        bench.world().edit("example.", |zone| {
            let other = parse("example.", &format!("{EXAMPLE}remote{number} A 192.0.2.50\n"));
            zone.rrsets
                .extend(other.rrsets.into_iter().filter(|((owner, _), _)| owner.to_string().starts_with("remote")));
        });
        // Whatever is in the file at this moment, as an editor would find it.
        let text = bench.read("example.zone");
        fs::write(bench.path("temporary"), format!("{text}local{number} A 192.0.2.51\n")).expect("a file");
        fs::rename(bench.path("temporary"), bench.path("example.zone")).expect("a rename");
        bench
            .until("the save arrives", |bench| bench.world().has("example.", &format!("local{number}.example.")))
            .await;
    }
    bench.settled("example.zone", "example.").await;
    for number in 0..40 {
        assert!(bench.world().has("example.", &format!("remote{number}.example.")), "remote{number} is lost");
        assert!(bench.world().has("example.", &format!("local{number}.example.")), "local{number} is lost");
    }
}

#[tokio::test]
async fn a_file_that_cannot_be_written_is_shown_and_written_later() {
    let bench = Bench::example().await;
    // A directory in the place of the temporary file: it fails for root too.
    let temporary = bench.path(".example.zone.grapevine");
    bench.until("the last one is gone", |_| fs::create_dir(&temporary).is_ok()).await;
    bench.world().edit("example.", |zone| *zone = parse("example.", &EXAMPLE.replace("192.0.2.10", "192.0.2.33")));
    bench.until("the trouble is shown", |bench| bench.holds("example.", "cannot be written")).await;
    fs::remove_dir(&temporary).expect("no directory");
    bench.settled("example.zone", "example.").await;
    bench.until("the trouble is over", |bench| bench.held().is_empty()).await;
    bench.barrier().await;
    assert_eq!(bench.edits("example."), Vec::<Vec<Change>>::new());
}
