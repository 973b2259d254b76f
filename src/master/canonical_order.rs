//! RRsets in the canonical order of RFC 4034 §6.1, a million of them in a second.

use std::collections::BTreeMap;

use super::parser::RrsetMap;
use crate::zone::{Name, RecordType, RrsetContent};

/// Sorts by keys that compare byte by byte: comparing two [`Name`]s looks for their labels each time, which for the
/// twenty comparisons that each name takes part in would be most of the work of reading a large zone.
pub(super) fn sorted(rrsets: RrsetMap) -> BTreeMap<(Name, RecordType), RrsetContent> {
    let mut keyed: Vec<(Vec<u8>, (Name, RecordType), RrsetContent)> =
        rrsets.into_iter().map(|(key, rrset)| (sort_key(&key), key, rrset)).collect();
    keyed.sort_unstable_by(|a, b| a.0.cmp(&b.0));
    keyed.into_iter().map(|(_, key, rrset)| (key, rrset)).collect()
}

/// The labels from the root down, each ended by a zero, then the type. Zeros and ones within labels are written as two
/// bytes, so that the end of a label goes before every byte of a longer one.
fn sort_key((owner, rtype): &(Name, RecordType)) -> Vec<u8> {
    let labels: Vec<&[u8]> = owner.labels().collect();
    let mut key = Vec::with_capacity(owner.as_wire().len() + 4);
    for label in labels.into_iter().rev() {
        for &byte in label {
            match byte {
                0 | 1 => key.extend_from_slice(&[1, byte + 1]),
                _ => key.push(byte),
            }
        }
        key.push(0);
    }
    // No label starts with a zero, so the end of the name goes before every name below it.
    key.push(0);
    key.extend_from_slice(&rtype.0.to_be_bytes());
    key
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_order_as_names_and_types_do() {
        let names =
            [".", "a.", "b.a.", r"\000.a.", r"\000\000.a.", r"\001.a.", r"\000b.a.", "x.b.a.", "*.a.", "ab.", r"\255."];
        let keys: Vec<(Name, RecordType)> = names
            .iter()
            .flat_map(|name| [RecordType::A, RecordType::CAA].map(|rtype| (name.parse().expect("a name"), rtype)))
            .collect();
        for a in &keys {
            for b in &keys {
                assert_eq!(sort_key(a).cmp(&sort_key(b)), a.cmp(b), "{a:?} {b:?}");
            }
        }
    }
}
