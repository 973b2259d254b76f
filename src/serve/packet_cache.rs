//! Responses kept by the bytes of their queries, so that a query that comes again is answered by one look and a copy (a
//! packet cache). Each UDP thread has its own.
//!
//! A response is kept only if [`is_repeatable`] says that any client gets it for the same bytes, and counts only as long as
//! what it was made from is as it was ([`Published::is_unchanged`]). So nobody can tell by what comes back whether it was
//! kept, and an edit of one name leaves the responses about others where they are.
//!
//! Where queries seldom come again, as of a million names asked at random, looking costs more than it saves. Then the
//! cache rests, longer each time, and tries again.

use std::sync::Arc;

use super::sys;
use super::udp::is_truncated;
use crate::answer::is_repeatable;
use crate::published::Published;
use crate::zone::{Basis, mix};

/// Sets of entries, a power of two. With two of 256 bytes each, 4 MiB.
const SETS: usize = 8192;
/// Entries that a query may be in.
const WAYS: usize = 2;
/// The most bytes of a query and its response together, both without the id: ordinary ones, not signed.
const ROOM: usize = 216;
/// How much of an entry is fetched before the look: an ordinary query and its response with what stands before them.
const EXPECTED: usize = 192;
/// Bytes of a message before what is kept: the id.
const ID: usize = 2;
/// How many looks decide whether the cache is worth it.
const WINDOW: u32 = 2048;
/// The least share of them that must find something: one in so many.
const WORTH: u32 = 4;
/// How many windows a new trial lasts: long enough to fill the cache.
const TRIAL: u32 = 4;
/// How many times as long as a trial the cache rests after the first that failed, and at most.
const REST: u32 = 8;
const LONGEST_REST: u32 = 128;

/// The responses of one thread.
pub(super) struct PacketCache {
    zones: Arc<Published>,
    /// That of the newest snapshot.
    generation: u64,
    /// The high halves of the hashes of what is in each set, apart from it and close together: what differs in them need not
    /// be fetched. None before the first is kept.
    tags: Vec<[u32; WAYS]>,
    entries: Vec<[Entry; WAYS]>,
    worth: Worth,
}

/// A response with its query.
#[derive(Clone, Copy)]
#[repr(C, align(64))]
struct Entry {
    query_len: u8,
    response_len: u8,
    /// Whether it is for those who may transfer zones and see more.
    may_transfer: bool,
    /// Whether it was found since it was kept, or since another wanted its place.
    is_used: bool,
    /// The generation in which it is known to have been right; zero if there is none here.
    generation: u64,
    /// What it was made from.
    basis: Basis,
    /// The query and the response, without their ids.
    bytes: [u8; ROOM],
}

const EMPTY: Entry = Entry {
    query_len: 0,
    response_len: 0,
    may_transfer: false,
    is_used: false,
    generation: 0,
    basis: Basis::NOTHING,
    bytes: [0; ROOM],
};

/// Where the response to a query is, or is to be kept.
#[derive(Clone, Copy)]
pub(super) struct Place {
    hash: u64,
}

/// What a response was made from.
pub(super) struct Made {
    /// The snapshot's.
    pub(super) generation: u64,
    pub(super) basis: Basis,
}

impl PacketCache {
    pub(super) fn new(zones: Arc<Published>) -> PacketCache {
        PacketCache { zones, generation: 0, tags: Vec::new(), entries: Vec::new(), worth: Worth::new() }
    }

    /// From now on responses are to be those of the snapshot of this generation, or of a later one.
    pub(super) fn follow(&mut self, generation: u64) {
        self.generation = generation;
    }

    /// Where the response to a query is, if it is there, and has the processor fetch it: some time before the look. `None` while
    /// the cache rests, and for what is not kept.
    #[inline]
    pub(super) fn expect(&mut self, query: &[u8]) -> Option<Place> {
        let query = query.get(ID..).filter(|query| query.len() <= ROOM / 2)?;
        if !self.worth.is_looked() {
            return None;
        }
        let place = Place { hash: hash(query) };
        if let Some(way) = self.tags.get(place.set()).and_then(|tags| tags.iter().position(|tag| *tag == place.tag())) {
            sys::prefetch(&self.entries[place.set()][way], EXPECTED);
        }
        Some(place)
    }

    /// Looks for the response to a query where it is expected, and writes it into `response`. Whether it was there; if not, it may
    /// be kept once it is made.
    #[inline]
    pub(super) fn look(&mut self, place: Place, query: &[u8], may_transfer: bool, response: &mut Vec<u8>) -> bool {
        let Some((id, query)) = query.split_first_chunk::<ID>() else { return false };
        let Some(tags) = self.tags.get(place.set()) else { return false };
        let is_it =
            |entry: &Entry| entry.generation > 0 && entry.may_transfer == may_transfer && entry.query() == query;
        let mut ways = tags.iter().zip(&mut self.entries[place.set()]);
        let found = ways.find(|(tag, entry)| **tag == place.tag() && is_it(entry)).map(|(_, entry)| entry);
        let Some(entry) = found.filter(|entry| is_right(entry, self.generation, &self.zones)) else { return false };
        self.worth.found();
        if entry.generation < self.generation {
            entry.generation = self.generation;
        }
        // What is not written stays clean in the processor's cache.
        if !entry.is_used {
            entry.is_used = true;
        }
        response.clear();
        response.extend_from_slice(id);
        response.extend_from_slice(entry.response());
        true
    }

    /// Keeps a response, if another client would get the same. Truncated ones are left to be made and counted.
    pub(super) fn keep(&mut self, place: Place, query: &[u8], may_transfer: bool, response: &[u8], made: Made) {
        let (Some(asked), Some(said)) = (query.get(ID..), response.get(ID..)) else { return };
        if asked.len() + said.len() > ROOM || is_truncated(response) || !is_repeatable(query) {
            return;
        }
        if self.entries.is_empty() {
            (self.tags, self.entries) = (vec![[0; WAYS]; SETS], vec![[EMPTY; WAYS]; SETS]);
        }
        let (tags, set) = (&mut self.tags[place.set()], &mut self.entries[place.set()]);
        // What is not right any more goes first. What was found since it was kept gets a second chance: names that are asked
        // once do not drive out others.
        let is_wrong = |entry: &Entry| entry.generation == 0 || !is_right(entry, self.generation, &self.zones);
        let way = set.iter().position(is_wrong).or_else(|| set.iter().position(|entry| !entry.is_used));
        let Some(way) = way else {
            return set.iter_mut().for_each(|entry| entry.is_used = false);
        };
        tags[way] = place.tag();
        let entry = &mut set[way];
        (entry.may_transfer, entry.is_used) = (may_transfer, false);
        (entry.generation, entry.basis) = (made.generation, made.basis);
        (entry.query_len, entry.response_len) = (asked.len() as u8, said.len() as u8);
        entry.bytes[..asked.len()].copy_from_slice(asked);
        entry.bytes[asked.len()..asked.len() + said.len()].copy_from_slice(said);
    }
}

impl Entry {
    fn query(&self) -> &[u8] {
        &self.bytes[..usize::from(self.query_len)]
    }

    fn response(&self) -> &[u8] {
        let start = usize::from(self.query_len);
        &self.bytes[start..start + usize::from(self.response_len)]
    }
}

/// Whether a response is the one that the snapshot of this generation gives, or a later one.
#[inline]
fn is_right(entry: &Entry, generation: u64, zones: &Published) -> bool {
    entry.generation == generation || zones.is_unchanged(&entry.basis, entry.generation)
}

impl Place {
    fn set(self) -> usize {
        self.hash as usize % SETS
    }

    /// What tells it from nearly all others of its set.
    fn tag(self) -> u32 {
        (self.hash >> 32) as u32
    }
}

/// Eight bytes at a time, the last eight together whatever was hashed of them before. Who makes queries collide makes them be
/// answered the ordinary way.
fn hash(query: &[u8]) -> u64 {
    let (words, _) = query.as_chunks::<8>();
    let hash = words.iter().fold(query.len() as u64, |hash, word| mix(hash, u64::from_le_bytes(*word)));
    query.last_chunk::<8>().map_or(hash, |last| mix(hash, u64::from_le_bytes(*last)))
}

/// Whether looking is worth it, by how often it found something of late.
struct Worth {
    /// Looks until the next decision, or queries until the rest ends.
    left: u32,
    hits: u32,
    rests: bool,
    /// For how many trials' time it rests next.
    rest: u32,
}

impl Worth {
    fn new() -> Worth {
        Worth { left: WINDOW * TRIAL, hits: 0, rests: false, rest: REST }
    }

    /// Whether the cache is looked at for this query.
    #[inline]
    fn is_looked(&mut self) -> bool {
        if self.left == 0 {
            self.decide();
        }
        self.left -= 1;
        !self.rests
    }

    #[inline]
    fn found(&mut self) {
        self.hits += 1;
    }

    #[cold]
    fn decide(&mut self) {
        if self.rests {
            (self.rests, self.left, self.hits) = (false, WINDOW * TRIAL, 0);
        } else if self.hits >= WINDOW / WORTH {
            (self.left, self.hits, self.rest) = (WINDOW, 0, REST);
        } else {
            (self.rests, self.left) = (true, WINDOW * TRIAL * self.rest);
            self.rest = (self.rest * 2).min(LONGEST_REST);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::zone::{Name, NameHash, Rdata, RecordType, RrsetBuf, Soa, Zone, ZoneSet};

    /// One that follows a first snapshot.
    fn cache() -> PacketCache {
        let zones = Arc::new(Published::from(ZoneSet::default()));
        let mut cache = PacketCache::new(Arc::clone(&zones));
        cache.follow(zones.generation());
        cache
    }

    /// A query of this id for the address of `host<number>.example.`, with an OPT record of these options if any are given.
    fn query(id: u8, number: u32, options: Option<&[u8]>) -> Vec<u8> {
        let mut query = vec![0, id, 1, 0, 0, 1, 0, 0, 0, 0, 0, options.is_some().into()];
        let label = format!("host{number}");
        query.push(label.len() as u8);
        query.extend([label.as_bytes(), b"\x07example\0\0\x01\0\x01"].concat());
        if let Some(options) = options {
            query.extend([&[0, 0, 41, 4, 208, 0, 0, 0, 0, 0, options.len() as u8], options].concat());
        }
        query
    }

    /// A response that says this, with the flags that come first.
    fn said(text: &str) -> Vec<u8> {
        [b"\0\0\x80", text.as_bytes()].concat()
    }

    /// What the cache has for a query; if it has nothing, `response` is kept.
    fn ask(cache: &mut PacketCache, query: &[u8], may_transfer: bool, response: &[u8]) -> Option<String> {
        let mut found = b"something older".to_vec();
        let place = cache.expect(query)?;
        if cache.look(place, query, may_transfer, &mut found) {
            assert_eq!(found[..ID], query[..ID]);
            return Some(String::from_utf8_lossy(&found[ID + 1..]).into_owned());
        }
        let made = Made { generation: cache.generation, basis: Basis::NOTHING };
        cache.keep(place, query, may_transfer, response, made);
        None
    }

    #[test]
    fn a_query_that_comes_again_finds_its_response_under_any_id() {
        let mut cache = cache();
        assert_eq!(ask(&mut cache, &query(1, 0, None), false, &said("first")), None);
        assert_eq!(ask(&mut cache, &query(2, 0, None), false, b""), Some("first".to_owned()));
        assert_eq!(ask(&mut cache, &query(2, 0, Some(&[])), false, &said("second")), None, "it asks for more");
        assert_eq!(ask(&mut cache, &query(3, 0, None), true, &said("third")), None, "who may transfer sees more");
        assert_eq!(ask(&mut cache, &query(4, 0, None), false, b""), Some("first".to_owned()));
        assert_eq!(ask(&mut cache, &query(4, 0, None), true, b""), Some("third".to_owned()));
    }

    #[test]
    fn a_response_lasts_until_what_it_was_made_from_changes() {
        let mut cache = cache();
        let published = Arc::clone(&cache.zones);
        let root = Rdata::new([0u8].as_slice());
        let (mname, rname) = (root.clone(), root);
        let soa = Soa { ttl: 60, mname, rname, serial: 0, refresh: 1, retry: 1, expire: 1, minimum: 1 };
        let mut zone = Zone::new("example.".parse().expect("a name"), soa, 1);
        let mut edit = |cache: &mut PacketCache, owner: &str, last: u8| {
            let rrset = RrsetBuf::new(RecordType::A, 60, [&Rdata::new([192, 0, 2, last].as_slice())]);
            zone.set(&owner.parse().expect("a name"), vec![rrset]);
            published.publish(Arc::new(ZoneSet::new([Arc::new(zone.clone())])));
            cache.follow(published.generation());
        };
        let keep = |cache: &mut PacketCache, number: u32| {
            let (mut basis, asked) = (Basis::NOTHING, query(0, number, None));
            let owner: Name = format!("host{number}.example.").parse().expect("a name");
            basis.note(crate::zone::Place::of_name(NameHash::of(owner.as_wire())));
            let place = cache.expect(&asked).expect("a place");
            assert!(!cache.look(place, &asked, false, &mut Vec::new()), "it is there");
            let made = Made { generation: cache.generation, basis };
            cache.keep(place, &asked, false, &said("kept"), made);
        };
        edit(&mut cache, "host0.example.", 1);
        keep(&mut cache, 0);
        keep(&mut cache, 1);
        let is_found = |cache: &mut PacketCache, number: u32| {
            let asked = query(0, number, None);
            cache.expect(&asked).is_some_and(|place| cache.look(place, &asked, false, &mut Vec::new()))
        };
        edit(&mut cache, "host2.example.", 2);
        assert!(is_found(&mut cache, 0) && is_found(&mut cache, 1));
        edit(&mut cache, "host1.example.", 2);
        assert!(is_found(&mut cache, 0) && !is_found(&mut cache, 1));
        keep(&mut cache, 1);
        for last in 3..100 {
            edit(&mut cache, "host0.example.", last);
            assert!(!is_found(&mut cache, 0) && is_found(&mut cache, 1));
            keep(&mut cache, 0);
        }
        published.publish(Arc::default());
        cache.follow(published.generation());
        assert!(!is_found(&mut cache, 0) && !is_found(&mut cache, 1), "the zone is gone");
    }

    #[test]
    fn what_depends_on_the_client_or_the_time_is_not_kept() {
        let mut cache = cache();
        let cookie = [0, 10, 0, 8, 1, 2, 3, 4, 5, 6, 7, 8];
        let mut chaos = query(0, 1, None);
        *chaos.last_mut().expect("a class") = 3;
        let mut transfer = query(0, 1, None);
        let at = transfer.len() - 3;
        transfer[at] = 252;
        let mut cut = query(0, 1, None);
        cut.pop();
        for asked in [query(0, 1, Some(&cookie)), chaos, transfer, cut, vec![0; 12], vec![0; 3], Vec::new()] {
            assert_eq!(ask(&mut cache, &asked, false, &said("response")), None);
            assert_eq!(ask(&mut cache, &asked, false, b""), None, "{asked:?}");
        }
        let nsid = [0, 3, 0, 0];
        ask(&mut cache, &query(0, 1, Some(&nsid)), false, &said("response"));
        assert!(ask(&mut cache, &query(0, 1, Some(&nsid)), false, b"").is_some());
    }

    #[test]
    fn what_is_asked_again_and_again_stays_though_others_are_asked_once() {
        let mut cache = cache();
        let mut found = 0;
        for round in 0..10 {
            for number in 0..1000 {
                found += usize::from(ask(&mut cache, &query(0, number, None), false, &said("often")).is_some());
                let once = 10_000 + round * 1000 + number;
                assert_eq!(ask(&mut cache, &query(0, once, None), false, &said("once")), None);
            }
        }
        assert!(found > 8_500, "{found} of 9000");
    }

    #[test]
    fn what_does_not_fit_is_not_kept() {
        let mut cache = cache();
        let asked = query(0, 7, None);
        let fits = vec![b' '; ROOM - asked.len() + 2 * ID];
        assert!(!is_truncated(&fits));
        assert_eq!(ask(&mut cache, &asked, false, &[fits.clone(), vec![b' ']].concat()), None);
        assert_eq!(ask(&mut cache, &asked, false, &fits), None);
        assert_eq!(ask(&mut cache, &asked, false, &[]).map(|found| found.len()), Some(fits.len() - ID - 1));
        let long = [query(0, 7, None), vec![0; ROOM]].concat();
        assert!(cache.expect(&long).is_none());
        let truncated = [0, 0, 0x83, 0, 0, 1];
        ask(&mut cache, &query(0, 8, None), false, &truncated);
        assert_eq!(ask(&mut cache, &query(0, 8, None), false, b""), None);
    }

    #[test]
    fn it_rests_where_nothing_comes_again_and_tries_again() {
        let mut cache = cache();
        let mut number = 0;
        let mut looks = |cache: &mut PacketCache, count: u32, again: bool| {
            let looked = (0..count).filter(|_| {
                number += 1;
                let asked = query(0, if again { number % 100 } else { number }, None);
                let place = cache.expect(&asked);
                if let Some(place) = place
                    && !cache.look(place, &asked, false, &mut Vec::new())
                {
                    let made = Made { generation: cache.generation, basis: Basis::NOTHING };
                    cache.keep(place, &asked, false, &said("response"), made);
                }
                place.is_some()
            });
            looked.count() as u32
        };
        let trial = WINDOW * TRIAL;
        assert_eq!(looks(&mut cache, trial, false), trial);
        assert_eq!(looks(&mut cache, trial * REST, false), 0, "it rests");
        assert_eq!(looks(&mut cache, trial, false), trial, "it tries again");
        assert_eq!(looks(&mut cache, trial * REST * 2, false), 0, "it rests longer");
        assert_eq!(looks(&mut cache, 100 * trial, true), 100 * trial, "it stays where queries come again");
    }
}
