//! The canonical order of RFC 4034 §6.1 for many names at once: a million in a second.

/// Writes a key by which names compare byte by byte as they do in canonical order. Comparing two names looks for their labels
/// each time, which for the twenty comparisons that each name takes part in would be most of the work of sorting.
///
/// The labels from the root down, each ended by a zero. Zeros and ones within labels are written as two bytes, so that
/// the end of a label goes before every byte of a longer one.
pub(super) fn canonical_key(wire: &[u8], key: &mut Vec<u8>) {
    let (mut starts, mut count, mut at) = ([0u8; 128], 0, 0);
    while wire[at] != 0 {
        starts[count] = at as u8;
        count += 1;
        at += 1 + usize::from(wire[at]);
    }
    for &start in starts[..count].iter().rev() {
        let start = usize::from(start);
        for &byte in &wire[start + 1..start + 1 + usize::from(wire[start])] {
            match byte {
                0 | 1 => key.extend_from_slice(&[1, byte + 1]),
                _ => key.push(byte),
            }
        }
        key.push(0);
    }
}

/// The key on its own.
pub(super) fn canonical_key_of(wire: &[u8]) -> Vec<u8> {
    let mut key = Vec::with_capacity(wire.len() + 4);
    canonical_key(wire, &mut key);
    key
}

#[cfg(test)]
mod tests {
    use super::super::Name;
    use super::*;

    #[test]
    fn keys_order_as_names_do() {
        let names =
            [".", "a.", "b.a.", r"\000.a.", r"\000\000.a.", r"\001.a.", r"\000b.a.", "x.b.a.", "*.a.", "ab.", r"\255."];
        let names: Vec<Name> = names.iter().map(|name| name.parse().expect("a name")).collect();
        for a in &names {
            for b in &names {
                assert_eq!(canonical_key_of(a.as_wire()).cmp(&canonical_key_of(b.as_wire())), a.cmp(b), "{a:?} {b:?}");
            }
        }
    }
}
