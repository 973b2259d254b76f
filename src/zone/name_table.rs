//! A persistent hash table from names to nodes: one probe for a hit, and a copy that costs the square root of its size.
//!
//! Names are spread over shards of some dozens of entries. A clone copies the list of shards; a write to the clone
//! copies the one shard that it touches, so a snapshot shares with the next one all that an edit leaves alone.

use std::hash::{Hash, Hasher};
use std::sync::Arc;

use hashbrown::HashTable;

use super::{Name, NameHasher, WireKey};

/// Entries a shard holds on average before the table doubles its shards: small enough to copy for each edit, large
/// enough that the list of shards stays small beside the entries.
const SHARD_LOAD: usize = 64;

/// A map from [`Name`] to `Arc<V>`.
#[derive(Debug, Clone)]
pub(super) struct NameTable<V> {
    shards: Vec<Arc<Shard<V>>>,
    len: usize,
}

type Shard<V> = HashTable<(Name, Arc<V>)>;

fn hash(wire: &[u8]) -> u64 {
    let mut hasher = NameHasher::default();
    WireKey(wire).hash(&mut hasher);
    hasher.finish()
}

impl<V: Clone> NameTable<V> {
    pub(super) fn new() -> NameTable<V> {
        NameTable { shards: vec![Arc::new(HashTable::new())], len: 0 }
    }

    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// Looks up a lower-cased wire-form name.
    pub(super) fn get(&self, wire: &[u8]) -> Option<&(Name, Arc<V>)> {
        let hash = hash(wire);
        self.shards[self.shard_of(hash)].find(hash, |entry| entry.0.as_wire() == wire)
    }

    /// The value at `name` to change in place, made by `default` if it is missing; shared parts are copied first.
    pub(super) fn entry(&mut self, name: &Name, default: impl FnOnce() -> V) -> &mut V {
        if self.len >= self.shards.len() * SHARD_LOAD * 2 {
            self.double();
        }
        let hash = hash(name.as_wire());
        let index = self.shard_of(hash);
        let shard = Arc::make_mut(&mut self.shards[index]);
        let len = &mut self.len;
        let entry = shard
            .entry(hash, |entry| entry.0 == *name, |entry| self::hash(entry.0.as_wire()))
            .or_insert_with(|| {
                *len += 1;
                (name.clone(), Arc::new(default()))
            })
            .into_mut();
        Arc::make_mut(&mut entry.1)
    }

    pub(super) fn remove(&mut self, name: &Name) {
        let hash = hash(name.as_wire());
        let index = self.shard_of(hash);
        let shard = Arc::make_mut(&mut self.shards[index]);
        if let Ok(entry) = shard.find_entry(hash, |entry| entry.0 == *name) {
            entry.remove();
            self.len -= 1;
        }
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &(Name, Arc<V>)> {
        self.shards.iter().flat_map(|shard| shard.iter())
    }

    /// The shard for a hash: bits from the middle, for the low and the top ones choose the place inside a shard.
    fn shard_of(&self, hash: u64) -> usize {
        (hash >> 24) as usize & (self.shards.len() - 1)
    }

    fn double(&mut self) {
        let count = self.shards.len() * 2;
        let old = std::mem::replace(&mut self.shards, Vec::with_capacity(count));
        self.shards.resize_with(count, || Arc::new(HashTable::with_capacity(SHARD_LOAD)));
        for shard in old {
            for (name, value) in shard.iter() {
                let hash = hash(name.as_wire());
                let index = self.shard_of(hash);
                Arc::make_mut(&mut self.shards[index])
                    .insert_unique(hash, (name.clone(), value.clone()), |entry| self::hash(entry.0.as_wire()));
            }
        }
    }
}
