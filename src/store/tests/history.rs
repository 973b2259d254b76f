//! The history on disk: in order, by zone, and within its bounds.

use super::*;
use crate::replica::{Cause, HistoryEntry, HistoryHead, HistoryPage, HistoryQuery};
use crate::zone::Name;

fn entry(zone: &str, serial: u64, at_ms: u64) -> Write {
    let zone: Name = zone.parse().expect("a name");
    let (incarnation, version) = (Some(ZONE), VersionVector::new());
    let entry = HistoryEntry {
        zone,
        incarnation,
        before: Some(serial - 1),
        after: Some(serial),
        version: [7; 8],
        at_ms,
        cause: Cause::State,
        removed: 0,
        added: 1,
        delta: None,
    };
    Write::History { entry: Arc::new(entry), head: HistoryHead { incarnation, version, serial, count: serial } }
}

fn serials(page: &HistoryPage) -> Vec<u64> {
    page.entries.iter().filter_map(|(_, entry)| entry.after).collect()
}

fn query(zone: &str, limit: usize) -> HistoryQuery {
    HistoryQuery { zone: zone.parse().expect("a name"), older_than: None, limit }
}

#[test]
fn entries_come_back_by_zone_the_newest_first_and_page_by_page() {
    let directory = directory();
    let (mut store, _) = Store::open(directory.path()).expect("a new store");
    for serial in 1..=5 {
        store.commit(&[&[entry("a.", serial, serial), entry("b.", serial + 10, serial)]]).expect("a commit");
    }
    // Written again after a failure beside it, an entry is kept once.
    store.commit(&[&[entry("a.", 4, 9), entry("a.", 5, 9)]]).expect("a commit");
    let (mut store, saved) = reopen(store, &directory);
    let first = store.history(&query("a.", 3)).expect("a page");
    assert_eq!((serials(&first), first.more), (vec![5, 4, 3], true));
    let older_than = first.entries.last().map(|(number, _)| *number);
    let rest = store.history(&HistoryQuery { older_than, ..query("a.", 3) }).expect("a page");
    assert_eq!((serials(&rest), rest.more), (vec![2, 1], false));
    assert_eq!(store.history(&query("c.", 3)).expect("a page"), HistoryPage::default());
    let heads: Vec<(String, u64)> =
        saved.histories.iter().map(|(zone, head)| (zone.to_string(), head.serial)).collect();
    assert_eq!(heads, [("a.".to_owned(), 5), ("b.".to_owned(), 15)]);
}

#[test]
fn old_entries_go_by_number_by_age_and_by_room() {
    let directory = directory();
    let (mut store, _) = Store::open(directory.path()).expect("a new store");
    store.retain(Retention { edits: 4, ..Retention::default() });
    for serial in 1..=9 {
        store.commit(&[&[entry("a.", serial, 1000)]]).expect("a commit");
    }
    assert_eq!(serials(&store.history(&query("a.", 100)).expect("a page")), [9, 8, 7, 6]);

    // An entry of another zone makes room or time as well.
    store.retain(Retention { keep_ms: 500, ..Retention::default() });
    store.commit(&[&[entry("b.", 1, 1501)]]).expect("a commit");
    assert_eq!(serials(&store.history(&query("a.", 100)).expect("a page")), [0u64; 0]);
    assert_eq!(serials(&store.history(&query("b.", 100)).expect("a page")), [1]);

    store.retain(Retention { bytes: 1000, ..Retention::default() });
    for serial in 2..=100 {
        store.commit(&[&[entry("b.", serial, 1501)]]).expect("a commit");
    }
    let kept = serials(&store.history(&query("b.", 1000)).expect("a page"));
    assert!(kept.len() < 30 && kept[0] == 100, "{kept:?}");
    assert!(kept.windows(2).all(|pair| pair[0] == pair[1] + 1), "what is kept has no gaps: {kept:?}");
}

#[test]
fn a_store_of_before_histories_were_kept_opens() {
    let directory = directory();
    let (mut store, saved) = Store::open(directory.path()).expect("a new store");
    assert!(saved.histories.is_empty());
    assert_eq!(store.history(&query("a.", 5)).expect("an empty page"), HistoryPage::default());
}
