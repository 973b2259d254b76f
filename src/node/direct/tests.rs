//! Edits by records, tried again, tried out and waited for.

use std::time::Duration;

use crate::node::tests::world::{World, ZONE, a, cname, direct, name};
use crate::node::{Command, CommandError, DirectEdit, Event, Ticket, Wait, WaitFor};
use crate::zone::{Change, Rdata, Record, RecordKey, RecordType};

fn all(direct: DirectEdit, timeout_ms: u64) -> DirectEdit {
    let wait = Wait { level: WaitFor::All, timeout: Duration::from_millis(timeout_ms) };
    DirectEdit { wait: Some(wait), ..direct }
}

fn rrset(owner: &str) -> Change {
    Change::RemoveRrset { owner: name(owner), rtype: RecordType::A }
}

#[test]
fn steps_are_worked_out_one_after_another_on_the_zone_as_it_is() {
    let mut world = World::new(1);
    let www = "www.corp.example.";
    let add = |last| Change::AddDefault(a(www, last));
    let first = Change::Add(Record { owner: name(www), rtype: RecordType::A, ttl: 300, rdata: a(www, 1).rdata });
    world.edit(0, &[first, add(2)]).expect("two records");
    assert_eq!(world.records(0), ["www.corp.example. 300 A [192, 0, 2, 1]", "www.corp.example. 300 A [192, 0, 2, 2]"]);
    let applied = world.edit(0, &[rrset(www), add(2), add(3)]).expect("another set");
    assert_eq!(applied.detail.expect("what changed").changes.len(), 2, "what stays is left alone");
    assert_eq!(world.records(0), ["www.corp.example. 300 A [192, 0, 2, 2]", "www.corp.example. 300 A [192, 0, 2, 3]"]);
    let applied = world.edit(0, &[add(9), Change::Remove(a(www, 9))]).expect("nothing");
    assert!(!applied.changed && applied.serial == 3);
    world
        .edit(0, &[Change::RemoveOwner { owner: name(www) }, Change::AddDefault(a("b.corp.example.", 4))])
        .expect("gone");
    assert_eq!(world.records(0), ["b.corp.example. 60 A [192, 0, 2, 4]"]);
    world.edit(0, &[Change::RemoveOwner { owner: name(ZONE) }]).expect("the apex keeps its NS");
    assert!(world.edit(0, &[Change::RemoveRrset { owner: name(ZONE), rtype: RecordType::NS }]).is_err());
}

#[test]
fn what_no_zone_file_may_say_is_refused_whole() {
    let mut world = World::new(1);
    let dname = RecordKey { rtype: RecordType::DNAME, ..cname("d.corp.example.", "x.") };
    world.edit(0, &[Change::AddDefault(a("www.corp.example.", 1)), Change::AddDefault(dname)]).expect("legal");
    let before = world.records(0);
    for (key, part) in [
        (cname("www.corp.example.", "x."), "CNAME and other data (A)"),
        (cname(ZONE, "x."), "other data (NS, SOA)"),
        (a("x.d.corp.example.", 1), "below the DNAME at d.corp.example."),
        (RecordKey { rtype: RecordType::DNAME, ..cname(ZONE, "x.") }, "d.corp.example. lies below the DNAME"),
        (a("www.other.example.", 1), "not in zone"),
        (RecordKey { rdata: Rdata::new([1].as_slice()), ..a("y.corp.example.", 1) }, "malformed A"),
    ] {
        let good = Change::AddDefault(a("good.corp.example.", 1));
        let error = world.edit(0, &[good, Change::AddDefault(key)]).expect_err(part).to_string();
        assert!(error.contains(part), "{error}");
    }
    let two = [cname("c.corp.example.", "x."), cname("c.corp.example.", "y.")].map(Change::AddDefault);
    assert!(world.edit(0, &two).expect_err("two").to_string().contains("2 CNAME records"));
    assert_eq!(world.records(0), before);
    // The same is legal once what stands in the way goes in the same edit.
    let swap = [rrset("www.corp.example."), Change::AddDefault(cname("www.corp.example.", "x."))];
    world.edit(0, &swap).expect("a legal zone comes of it");
}

#[test]
fn a_dry_run_tells_what_would_change_and_changes_nothing() {
    let mut world = World::new(1);
    let before = world.nodes[0].replica().root();
    let changes = [Change::AddDefault(a("www.corp.example.", 1))];
    let ticket = world.send(0, DirectEdit { dry_run: true, ..direct(&changes, None) });
    let applied = world.done.remove(&ticket).expect("an answer").expect("it is legal");
    assert!(applied.changed && applied.serial == 1);
    assert!(
        matches!(&applied.detail.expect("what would change").changes[..], [Change::Add(record)] if record.ttl == 60)
    );
    assert_eq!(world.nodes[0].replica().root(), before);
    world.edit(0, &changes).expect("and then it is done");
}

#[test]
fn a_request_is_carried_out_once_on_whichever_node_it_comes_again() {
    let mut world = World::new(2);
    let www = "www.corp.example.";
    let wish = direct(&[rrset(www), Change::AddDefault(a(www, 1))], Some("r1"));
    let ticket = world.send(0, wish.clone());
    let first = world.done.remove(&ticket).expect("an answer").expect("it is done");
    assert!(first.changed);
    // Somebody changes it after that: a repetition must not undo that.
    world.edit(1, &[rrset(www), Change::AddDefault(a(www, 2))]).expect("another edit");
    let now = world.records(1);
    for at in [0, 1] {
        let ticket = world.send(at, wish.clone());
        let again = world.done.remove(&ticket).expect("an answer").expect("it is known");
        assert!(!again.changed && again.serial == first.serial);
        assert!(again.detail.expect("what it did").repeated);
        let ticket = world.send(at, direct(&[Change::AddDefault(a(www, 7))], Some("r1")));
        let other = world.done.remove(&ticket).expect("an answer");
        assert_eq!(other, Err(CommandError::RequestReused { id: "r1".to_owned(), serial: first.serial }));
    }
    assert_eq!(world.records(0), now);
}

#[test]
fn a_request_repeated_while_it_is_being_stored_is_carried_out_once() {
    let mut world = World::new(1);
    world.hung.insert(0, Vec::new());
    let wish = direct(&[Change::AddDefault(a("www.corp.example.", 1))], Some("r1"));
    let first = world.send(0, wish.clone());
    let again = Ticket(1);
    world.events.push_back((0, Event::Command { ticket: again, command: Command::Direct(wish) }));
    world.settle();
    assert!(world.done.is_empty());
    world.release_disk(0);
    world.settle();
    let serial = |ticket| world.done[&ticket].as_ref().expect("it is done").serial;
    assert_eq!(serial(first), serial(again));
    assert_eq!(world.nodes[0].replica().serving(&name(ZONE)).expect("the zone").state().serial(), serial(first));
}

#[test]
fn edits_stored_together_are_each_worked_out_on_the_one_before() {
    let mut world = World::new(1);
    world.edit(0, &[Change::AddDefault(a("www.corp.example.", 1))]).expect("a record");
    world.hung.insert(0, Vec::new());
    let dname = RecordKey { rtype: RecordType::DNAME, ..cname("d.corp.example.", "x.") };
    let edits = [
        Change::AddDefault(a("busy.corp.example.", 1)),
        Change::AddDefault(dname),
        Change::AddDefault(a("a.b.d.corp.example.", 1)),
        Change::AddDefault(RecordKey { rtype: RecordType::DNAME, ..cname("corp.example.", "x.") }),
        rrset("www.corp.example."),
        Change::AddDefault(cname("www.corp.example.", "x.")),
        Change::AddDefault(a("www.corp.example.", 2)),
    ];
    let tickets = edits.map(|change| world.send(0, direct(&[change], None)));
    world.release_disk(0);
    world.settle();
    let outcomes = tickets.map(|ticket| match &world.done[&ticket] {
        Ok(applied) => applied.serial.to_string(),
        Err(error) => error.to_string(),
    });
    let expected =
        ["3", "4", "below the DNAME at d.", "below the DNAME at corp.example.", "5", "6", "CNAME and other data (A)"];
    for (outcome, expected) in outcomes.iter().zip(expected) {
        assert!(outcome.contains(expected), "{outcomes:#?}");
    }
}

#[test]
fn an_edit_that_waits_for_all_is_answered_when_the_last_disk_has_it() {
    let mut world = World::new(3);
    world.hung.insert(2, Vec::new());
    let began = world.clock;
    let wish = |last| direct(&[Change::AddDefault(a("www.corp.example.", last))], None);
    let ticket = world.send(0, all(wish(1), 60_000));
    assert!(world.done.is_empty(), "one disk hangs");
    assert_eq!(world.records(1).len(), 1, "the others serve it already");
    world.release_disk(2);
    world.settle();
    let applied = world.done.remove(&ticket).expect("an answer").expect("it is done");
    let spread = applied.detail.expect("details").spread.expect("how far");
    assert_eq!((spread.reached, spread.kept, spread.live, spread.down), (true, 3, 3, 0));
    assert_eq!(world.clock, began, "nothing had to be asked again");

    world.hung.insert(2, Vec::new());
    let quorum = Wait { level: WaitFor::Quorum, timeout: Duration::from_secs(60) };
    let ticket = world.send(0, DirectEdit { wait: Some(quorum), ..wish(2) });
    let applied = world.done.remove(&ticket).expect("two of three are enough").expect("it is done");
    let spread = applied.detail.expect("details").spread.expect("how far");
    assert_eq!((spread.reached, spread.kept, spread.live), (true, 2, 3));
    // Whoever asks for what is so already waits for what is there.
    let ticket = world.send(1, all(wish(2), 60_000));
    assert!(!world.done.contains_key(&ticket));
    world.release_disk(2);
    world.settle();
    let applied = world.done.remove(&ticket).expect("an answer").expect("it is done");
    assert!(!applied.changed && applied.detail.expect("details").spread.expect("how far").reached);
}

#[test]
fn a_wait_in_vain_tells_how_far_the_edit_came_and_a_lost_message_is_made_good() {
    let mut world = World::new(2);
    world.cut = true;
    let ticket = world.send(0, all(direct(&[Change::AddDefault(a("www.corp.example.", 1))], Some("r1")), 300));
    world.run_until(|world| world.done.contains_key(&ticket));
    let applied = world.done.remove(&ticket).expect("an answer").expect("it is stored here");
    let spread = applied.detail.expect("details").spread.expect("how far");
    assert_eq!((spread.reached, spread.kept, spread.live), (false, 1, 2));
    let serial = applied.serial;
    // The same again, while the network comes back: whoever lacks it fetches it and says so.
    let ticket = world.send(0, all(direct(&[Change::AddDefault(a("www.corp.example.", 1))], Some("r1")), 60_000));
    world.cut = false;
    world.run_until(|world| world.done.contains_key(&ticket));
    let applied = world.done.remove(&ticket).expect("an answer").expect("it is stored here");
    let detail = applied.detail.expect("details");
    assert!(detail.repeated && applied.serial == serial && !applied.changed);
    assert!(detail.spread.expect("how far").reached);
    assert_eq!(world.records(1).len(), 1);
}
