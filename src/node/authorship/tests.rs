//! Stores that are put back or copied, and the numbers of their edits.

use crate::node::tests::kept::Kept;
use crate::node::tests::world::{World, ZONE, a, direct, name};
use crate::node::{Command, CommandError, Event, Ticket};
use crate::zone::Change;

fn add(owner: &str, last: u8) -> Change {
    Change::AddDefault(a(&format!("{owner}.corp.example."), last))
}

/// Two nodes; the second has made edits, and its store of before the last two is kept.
fn rolled_back() -> (World, Kept) {
    let mut world = World::new(2);
    world.edit(1, &[add("first", 1)]).expect("an edit");
    let earlier = world.disks[1].clone();
    world.edit(1, &[add("second", 1)]).expect("an edit");
    world.edit(1, &[add("third", 1)]).expect("an edit");
    (world, earlier)
}

fn noticed(world: &World, at: usize) -> bool {
    world.reports.iter().any(|(node, _, message)| *node == at && message.contains("goes on as a new actor"))
}

#[test]
fn a_store_put_back_is_noticed_and_its_numbers_are_not_used_again() {
    let (mut world, earlier) = rolled_back();
    let before = world.nodes[1].facts.actor.expect("it has made edits");
    world.restart(1, earlier);
    world.exchange();
    assert!(noticed(&world, 1) && !noticed(&world, 0));
    assert!(world.is_equal() && world.records(1).len() == 3, "what was lost has come back");
    world.edit(1, &[add("fourth", 1)]).expect("an edit");
    world.exchange();
    let after = world.nodes[1].facts.actor.expect("a new one");
    assert_ne!(before, after);
    let zone = world.nodes[0].replica().serving(&name(ZONE)).expect("the zone");
    assert_eq!((zone.state().version().get(before), zone.state().version().get(after)), (3, 1));
    assert!(world.is_equal() && world.records(0).len() == 4);
}

#[test]
fn an_edit_on_its_way_to_disk_when_it_is_noticed_does_not_count() {
    let (mut world, earlier) = rolled_back();
    world.restart(1, earlier);
    world.events.push_back((1, Event::Tick));
    world.cut = true;
    world.settle();
    world.hung.insert(1, Vec::new());
    let ticket = world.send(1, direct(&[add("doubtful", 1)], None));
    world.cut = false;
    world.exchange();
    assert!(noticed(&world, 1) && world.done.is_empty());
    world.release_disk(1);
    world.settle();
    assert_eq!(world.done.remove(&ticket), Some(Err(CommandError::Disowned)));
    world.exchange();
    assert!(world.is_equal() && world.records(1).len() == 3);
    // Nothing of it is left on the disk either.
    let disk = world.disks[1].clone();
    world.restart(1, disk);
    world.exchange();
    assert!(world.is_equal() && world.records(1).len() == 3);
    let again = Ticket(1);
    world
        .events
        .push_back((1, Event::Command { ticket: again, command: Command::Direct(direct(&[add("x", 1)], None)) }));
    world.exchange();
    assert!(world.done[&again].is_ok() && world.is_equal());
    assert!(world.reports.iter().all(|(.., message)| !message.contains("claim")), "{:?}", world.reports);
}

#[test]
fn a_node_on_a_copy_of_anothers_store_is_noticed_before_either_makes_an_edit() {
    let mut world = World::new(2);
    world.edit(1, &[add("first", 1)]).expect("an edit");
    let copy = world.join(world.disks[1].clone());
    world.exchange();
    world.exchange();
    // The first to hear the other gives the actor up, which is enough.
    assert!((noticed(&world, 1) || noticed(&world, copy)) && !noticed(&world, 0));
    world.edit(1, &[add("here", 1)]).expect("an edit");
    world.edit(copy, &[add("there", 2)]).expect("an edit");
    world.exchange();
    assert!(world.is_equal() && world.records(0).len() == 3);
    assert_ne!(world.nodes[1].facts.actor, world.nodes[copy].facts.actor);
}

#[test]
fn a_restart_is_no_reason_for_a_new_actor() {
    let (mut world, _) = rolled_back();
    let before = world.nodes[1].facts.actor;
    let disk = world.disks[1].clone();
    world.restart(1, disk);
    world.exchange();
    world.edit(1, &[add("fourth", 1)]).expect("an edit");
    assert_eq!(world.nodes[1].facts.actor, before);
    assert!(!noticed(&world, 0) && !noticed(&world, 1));
}
