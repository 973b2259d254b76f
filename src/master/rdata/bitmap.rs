//! Type bitmaps of NSEC, NSEC3 and CSYNC (RFC 4034 §4.1.2).

use std::collections::BTreeSet;

use super::reader::Reader;
use super::{TextError, mnemonic};
use crate::zone::RecordType;

/// Reads the types that are left as a bitmap.
pub(super) fn read(reader: &mut Reader<'_, '_>, out: &mut Vec<u8>) -> Result<(), TextError> {
    let mut types = BTreeSet::new();
    while !reader.is_empty() {
        types.insert(reader.parse("a record type", mnemonic::listed_type)?.0);
    }
    let mut types = types.into_iter().peekable();
    while let Some(&first) = types.peek() {
        let window = first >> 8;
        let mut bits = [0u8; 32];
        let mut length = 0;
        while let Some(rtype) = types.next_if(|rtype| rtype >> 8 == window) {
            let bit = usize::from(rtype & 0xff);
            bits[bit / 8] |= 0x80 >> (bit % 8);
            length = bit / 8 + 1;
        }
        out.extend_from_slice(&[window as u8, length as u8]);
        out.extend_from_slice(&bits[..length]);
    }
    Ok(())
}

/// Writes the types of a bitmap, each after a blank; `None` if it is malformed.
pub(super) fn write(mut rest: &[u8], out: &mut String) -> Option<()> {
    while let [window, length, tail @ ..] = rest {
        let (bits, tail) = tail.split_at_checked(usize::from(*length))?;
        rest = tail;
        for (index, byte) in bits.iter().enumerate() {
            for bit in (0..8).filter(|bit| byte & (0x80 >> bit) != 0) {
                out.push(' ');
                out.push_str(&RecordType(u16::from(*window) << 8 | (index * 8 + bit) as u16).to_string());
            }
        }
    }
    rest.is_empty().then_some(())
}
