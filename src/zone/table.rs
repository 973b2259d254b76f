//! A persistent hash table of nodes: a hit costs one probe, a copy the square root of the size.
//!
//! Nodes are spread by the hash of their names over shards of some eight entries, and shards lie in groups. A clone
//! shares the groups; a write to the clone copies the one group and the one shard that it touches, so that a snapshot
//! shares with the next one all that an edit leaves alone.

use std::sync::Arc;

use triomphe::ThinArc;

use super::node::Block;
use super::{NameHash, Place};

/// Entries a shard holds on average, at most, before the number of shards doubles: two or three cache lines.
const SHARD_LOAD: usize = 12;
/// Shards in a group.
const GROUP: usize = 256;

/// A name's node.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    hash: u32,
    /// Names directly below that exist; with none, a node without RRsets does not exist itself.
    pub(super) children: u32,
    pub(super) block: Block,
}

impl Entry {
    pub(super) fn new(block: Block, children: u32) -> Entry {
        Entry { hash: hash(block.owner()), children, block }
    }

    /// The same for a name that was hashed before, and without children.
    pub(super) fn hashed(hash: u32, block: Block) -> Entry {
        debug_assert_eq!(hash, self::hash(block.owner()));
        Entry { hash, children: 0, block }
    }

    /// Where the name falls.
    pub(super) fn place(&self) -> Place {
        Place::of_hash(self.hash)
    }

    pub(super) fn is_of_name_of(&self, other: &Entry) -> bool {
        self.hash == other.hash && self.block.owner() == other.block.owner()
    }

    /// Whether the name exists: it has RRsets, or names below it.
    pub(super) fn exists(&self) -> bool {
        self.children > 0 || self.block.rrset_count() > 0
    }
}

type Shard = ThinArc<(), Entry>;

/// A set of nodes by name.
#[derive(Clone, Debug)]
pub(super) struct Table {
    groups: Vec<Arc<[Shard]>>,
    /// The number of shards, a power of two, less one.
    mask: u32,
    len: usize,
}

/// The number of shards, less one, for so many entries.
fn mask_for(len: usize) -> u32 {
    (len.div_ceil(SHARD_LOAD).next_power_of_two() - 1) as u32
}

/// The order in which names of these hashes stand in a table of all of them. Nodes that are made in this order lie in
/// memory as the table is walked.
pub(super) fn in_table_order(hashes: impl ExactSizeIterator<Item = u32> + Clone) -> Vec<u32> {
    let mask = mask_for(hashes.len());
    let mut starts = vec![0u32; mask as usize + 2];
    for hash in hashes.clone() {
        starts[(hash & mask) as usize + 1] += 1;
    }
    for index in 1..starts.len() {
        starts[index] += starts[index - 1];
    }
    let mut order: Vec<u32> = vec![0; hashes.len()];
    for (index, hash) in (0u32..).zip(hashes) {
        let place = &mut starts[(hash & mask) as usize];
        order[*place as usize] = index;
        *place += 1;
    }
    order
}

/// What names are found by.
pub(super) fn hash(wire: &[u8]) -> u32 {
    NameHash::of(wire).bits() as u32
}

fn shard(entries: Vec<Entry>) -> Shard {
    ThinArc::from_header_and_iter((), entries.into_iter())
}

impl Table {
    pub(super) fn new() -> Table {
        Table::from_entries(Vec::new())
    }

    /// A table of entries of distinct names. Quickest, and laid out best, if they come in the table's own order.
    pub(super) fn from_entries(entries: Vec<Entry>) -> Table {
        let (len, mask) = (entries.len(), mask_for(entries.len()));
        let shards = mask as usize + 1;
        let sorted = entries.is_sorted_by_key(|entry| entry.hash & mask);
        let order = if sorted { Vec::new() } else { in_table_order(entries.iter().map(|entry| entry.hash)) };
        let mut entries: Vec<Option<Entry>> = entries.into_iter().map(Some).collect();
        let place = |at: usize| if sorted { at } else { order[at] as usize };
        let mut next = 0;
        let mut made = (0..shards as u32).map(|shard| {
            let first = next;
            while next < len && entries[place(next)].as_ref().is_some_and(|entry| entry.hash & mask == shard) {
                next += 1;
            }
            let members = (first..next).map(|at| entries[place(at)].take().expect("each is placed once"));
            ThinArc::from_header_and_iter((), members)
        });
        let groups = (0..shards.div_ceil(GROUP)).map(|_| made.by_ref().take(GROUP).collect()).collect();
        Table { groups, mask, len }
    }

    /// How many shards there are.
    pub(super) fn shard_count(&self) -> usize {
        self.mask as usize + 1
    }

    /// The entries of one shard.
    pub(super) fn shard(&self, index: usize) -> &[Entry] {
        &self.groups[index / GROUP][index % GROUP].slice
    }

    /// Looks up a lower-cased wire-form name.
    pub(super) fn get(&self, wire: &[u8]) -> Option<&Entry> {
        self.find(NameHash::of(wire), |owner| owner == wire)
    }

    /// The entry of this hash whose owner is the one that is meant.
    #[inline]
    pub(super) fn find(&self, hash: NameHash, is_meant: impl Fn(&[u8]) -> bool) -> Option<&Entry> {
        let hash = hash.bits() as u32;
        let entries = self.shard((hash & self.mask) as usize);
        entries.iter().find(|entry| entry.hash == hash && is_meant(entry.block.owner()))
    }

    /// Puts a node in, in place of any other of its name.
    pub(super) fn put(&mut self, entry: Entry) {
        if self.len >= self.shard_count() * SHARD_LOAD {
            self.double();
        }
        let shard = self.shard_mut(entry.hash);
        let owner = entry.block.owner();
        match shard.slice.iter().position(|known| known.hash == entry.hash && known.block.owner() == owner) {
            Some(at) => replace(shard, at, entry),
            None => {
                let mut entries = Vec::with_capacity(shard.slice.len() + 1);
                entries.extend_from_slice(&shard.slice);
                entries.push(entry);
                *shard = self::shard(entries);
                self.len += 1;
            }
        }
    }

    /// Takes a node out.
    pub(super) fn remove(&mut self, wire: &[u8]) {
        let hash = hash(wire);
        let shard = self.shard_mut(hash);
        let differs = |entry: &&Entry| entry.hash != hash || entry.block.owner() != wire;
        let kept: Vec<Entry> = shard.slice.iter().filter(differs).cloned().collect();
        let removed = shard.slice.len() - kept.len();
        *shard = self::shard(kept);
        self.len -= removed;
    }

    /// Whether a name has two entries.
    pub(super) fn has_duplicates(&self) -> bool {
        let twice = |(index, entry): (usize, &Entry), shard: &Shard| {
            let same = |other: &Entry| other.hash == entry.hash && other.block.owner() == entry.block.owner();
            shard.slice[..index].iter().any(same)
        };
        let mut shards = self.groups.iter().flat_map(|group| group.iter());
        shards.any(|shard| shard.slice.iter().enumerate().any(|entry| twice(entry, shard)))
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Entry> {
        self.groups.iter().flat_map(|group| group.iter()).flat_map(|shard| shard.slice.iter())
    }

    /// Every entry of either table with that of the same name in the other, but for shards that are the same in both: one
    /// that both have from a table they were copied from, or one of the same bytes in the same order, as a file has that
    /// was read again. Both are walked as they lie in memory.
    pub(super) fn pairs_of_unlike_shards<'t>(
        &'t self,
        other: &'t Table,
    ) -> impl Iterator<Item = (Option<&'t Entry>, Option<&'t Entry>)> {
        let mask = self.mask.min(other.mask);
        let indices = (0..=mask).filter(move |&index| !self.has_same_shard(other, index));
        indices.flat_map(move |index| {
            let (ours, theirs) = (move || self.residue(index, mask), move || other.residue(index, mask));
            let met = ours().map(move |our| (Some(our), theirs().find(|their| their.is_of_name_of(our))));
            let come = theirs().filter(move |their| !ours().any(|our| our.is_of_name_of(their)));
            met.chain(come.map(|their| (None, Some(their))))
        })
    }

    /// The shards that are not the very same in both, in pairs; `None` if the tables do not have as many.
    pub(super) fn unlike_shards<'t>(
        &'t self,
        other: &'t Table,
    ) -> Option<impl Iterator<Item = (&'t [Entry], &'t [Entry])>> {
        let groups = self.groups.iter().zip(&other.groups).filter(|(ours, theirs)| !Arc::ptr_eq(ours, theirs));
        let shards = groups.flat_map(|(ours, theirs)| ours.iter().zip(theirs.iter()));
        let entries = shards.map(|(ours, theirs)| (&ours.slice, &theirs.slice));
        (self.mask == other.mask).then(|| entries.filter(|(ours, theirs)| ours.as_ptr() != theirs.as_ptr()))
    }

    fn has_same_shard(&self, other: &Table, index: u32) -> bool {
        if self.mask != other.mask {
            return false;
        }
        let (ours, theirs) = (self.shard(index as usize), other.shard(index as usize));
        let is_same = |(our, their): (&Entry, &Entry)| {
            our.hash == their.hash && our.children == their.children && our.block == their.block
        };
        ours.as_ptr() == theirs.as_ptr() || ours.len() == theirs.len() && ours.iter().zip(theirs).all(is_same)
    }

    /// The entries that would be in this shard if there were only so many shards.
    fn residue(&self, index: u32, mask: u32) -> impl Iterator<Item = &Entry> {
        (index as usize..self.shard_count()).step_by(mask as usize + 1).flat_map(|shard| self.shard(shard))
    }

    fn shard_mut(&mut self, hash: u32) -> &mut Shard {
        let index = (hash & self.mask) as usize;
        &mut Arc::make_mut(&mut self.groups[index / GROUP])[index % GROUP]
    }

    /// Splits every shard in two.
    fn double(&mut self) {
        let bit = self.mask + 1;
        let half = |upper: bool| {
            self.groups.iter().flat_map(|group| group.iter()).map(move |old| {
                let members = old.slice.iter().filter(|entry| (entry.hash & bit != 0) == upper);
                shard(members.cloned().collect())
            })
        };
        let mut all = half(false).chain(half(true));
        let groups = (0..(2 * bit as usize).div_ceil(GROUP)).map(|_| all.by_ref().take(GROUP).collect()).collect();
        drop(all);
        self.groups = groups;
        self.mask |= bit;
    }
}

/// Replaces one entry of a shard: in place if nobody else has it.
fn replace(shard: &mut Shard, at: usize, entry: Entry) {
    let mut entry = Some(entry);
    shard.with_arc_mut(|arc| {
        if let Some(own) = triomphe::Arc::get_mut(arc)
            && let Some(entry) = entry.take()
        {
            own.slice_mut()[at] = entry;
        }
    });
    if let Some(entry) = entry {
        let mut entries: Vec<Entry> = shard.slice.to_vec();
        entries[at] = entry;
        *shard = self::shard(entries);
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::super::Name;
    use super::*;

    fn entry(n: u16, children: u32) -> Entry {
        let name: Name = format!("{n}.example.").parse().expect("a name");
        Entry::new(Block::new(name.as_wire(), &[], b""), children)
    }

    fn content(table: &Table) -> BTreeMap<Vec<u8>, u32> {
        table.iter().map(|entry| (entry.block.owner().to_vec(), entry.children)).collect()
    }

    type Pair<'t> = (Option<&'t Entry>, Option<&'t Entry>);

    fn pairs_by_lookup<'t>(one: &'t Table, two: &'t Table) -> impl Iterator<Item = Pair<'t>> {
        let come = two.iter().filter(|entry| one.get(entry.block.owner()).is_none());
        let met = one.iter().map(|entry| (Some(entry), two.get(entry.block.owner())));
        met.chain(come.map(|entry| (None, Some(entry))))
    }

    /// The pairs that are not the same on both sides, by name.
    fn differing<'t>(pairs: impl Iterator<Item = Pair<'t>>) -> BTreeMap<Vec<u8>, (Option<u32>, Option<u32>)> {
        let children = |entry: Option<&Entry>| entry.map(|entry| entry.children);
        let named =
            pairs.filter_map(|(one, two)| Some((one.or(two)?.block.owner().to_vec(), (children(one), children(two)))));
        named.filter(|(_, (one, two))| one != two).collect()
    }

    proptest! {
        #[test]
        fn it_behaves_as_a_map_and_copies_keep_what_they_had(
            first in proptest::collection::btree_set(0..900u16, 0..700),
            second in proptest::collection::btree_set(0..900u16, 0..60),
            steps in proptest::collection::vec((0..900u16, any::<bool>(), 0..9u32), 0..900),
        ) {
            let mut table = Table::from_entries(first.iter().map(|&n| entry(n, 0)).collect());
            let mut model: BTreeMap<Vec<u8>, u32> = first.iter().map(|&n| (entry(n, 0).block.owner().to_vec(), 0)).collect();
            let (copy, copied) = (table.clone(), model.clone());
            for (n, put, children) in steps {
                let entry = entry(n, children);
                let owner = entry.block.owner().to_vec();
                if put {
                    table.put(entry);
                    model.insert(owner, children);
                } else {
                    table.remove(&owner);
                    model.remove(&owner);
                }
            }
            prop_assert_eq!(table.len, model.len());
            for n in 0..900 {
                let entry = entry(n, 0);
                let owner = entry.block.owner();
                prop_assert_eq!(table.get(owner).map(|found| found.children), model.get(owner).copied());
            }
            prop_assert_eq!(content(&table), model);
            prop_assert_eq!(content(&copy), copied);
            let other = Table::from_entries(second.iter().map(|&n| entry(n, 0)).collect());
            for (one, two) in [(&table, &copy), (&copy, &table), (&table, &other), (&other, &table)] {
                prop_assert_eq!(differing(one.pairs_of_unlike_shards(two)), differing(pairs_by_lookup(one, two)));
            }
        }
    }
}
