//! A persistent set of names in canonical order: what a denial of existence searches (RFC 4034 §6.1).
//!
//! Names lie in chunks of some hundreds. A clone shares the chunks; a write copies the one chunk that it touches.

use std::sync::Arc;

use super::canonical_order::canonical_key_of;
use super::{Name, canonical_cmp};

/// The most names in a chunk before it is split: small enough to copy for each edit, large enough to keep the list of
/// chunks short.
const CHUNK: usize = 256;

/// A sorted set of names.
#[derive(Debug, Clone, Default)]
pub(super) struct OrderedNames {
    /// None is empty.
    chunks: Vec<Arc<Vec<Name>>>,
}

impl OrderedNames {
    /// The set of these distinct names.
    pub(super) fn from_unsorted(mut names: Vec<Name>) -> OrderedNames {
        names.sort_by_cached_key(|name| canonical_key_of(name.as_wire()));
        OrderedNames { chunks: names.chunks(CHUNK).map(|chunk| Arc::new(chunk.to_vec())).collect() }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.chunks.is_empty()
    }

    /// Puts the name into the set or takes it out.
    pub(super) fn set(&mut self, name: &Name, present: bool) {
        if self.is_empty() && !present {
            return;
        }
        let index = self.chunk_of(name.as_wire()).unwrap_or(0);
        let place = self.chunks.get(index).map(|chunk| chunk.binary_search(name));
        match (place, present) {
            (None, true) => self.chunks.push(Arc::new(vec![name.clone()])),
            (Some(Err(at)), true) => self.insert(index, at, name),
            (Some(Ok(at)), false) => self.remove(index, at),
            _ => {}
        }
    }

    /// The name itself or the last one before it; before the first comes the last.
    pub(super) fn at_or_before(&self, wire: &[u8]) -> Option<&Name> {
        let Some(index) = self.chunk_of(wire) else { return self.chunks.last()?.last() };
        let chunk = &self.chunks[index];
        let after = chunk.partition_point(|name| canonical_cmp(name.as_wire(), wire).is_le());
        after.checked_sub(1).map(|at| &chunk[at])
    }

    /// The last chunk whose first name is not after `wire`.
    fn chunk_of(&self, wire: &[u8]) -> Option<usize> {
        self.chunks.partition_point(|chunk| canonical_cmp(chunk[0].as_wire(), wire).is_le()).checked_sub(1)
    }

    fn insert(&mut self, index: usize, at: usize, name: &Name) {
        let chunk = Arc::make_mut(&mut self.chunks[index]);
        chunk.insert(at, name.clone());
        if chunk.len() > CHUNK {
            let tail = chunk.split_off(CHUNK / 2);
            self.chunks.insert(index + 1, Arc::new(tail));
        }
    }

    fn remove(&mut self, index: usize, at: usize) {
        let chunk = Arc::make_mut(&mut self.chunks[index]);
        chunk.remove(at);
        if chunk.is_empty() {
            self.chunks.remove(index);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn it_behaves_as_a_sorted_set(steps in proptest::collection::vec((0..400u16, any::<bool>()), 0..1200)) {
            let (mut names, mut model) = (OrderedNames::default(), BTreeSet::new());
            let name = |n: u16| -> Name { format!("{}.{}.", n % 20, n / 20).parse().expect("a name") };
            for (n, present) in steps {
                names.set(&name(n), present);
                if present { model.insert(name(n)) } else { model.remove(&name(n)) };
            }
            for n in 0..400 {
                let expected = model.range(..=name(n)).next_back().or(model.last());
                prop_assert_eq!(names.at_or_before(name(n).as_wire()), expected);
            }
            prop_assert_eq!(names.is_empty(), model.is_empty());
        }
    }
}
