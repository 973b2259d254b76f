//! ASCII letters in lower case, eight bytes at a time: names are compared without regard to case (RFC 4343).

const LOW_BITS: u64 = 0x7f7f_7f7f_7f7f_7f7f;
const HIGH_BIT: u64 = 0x8080_8080_8080_8080;
const EACH: u64 = 0x0101_0101_0101_0101;

/// Eight bytes with their ASCII letters in lower case.
#[inline]
pub(super) fn lower_case(word: u64) -> u64 {
    let low_bits = word & LOW_BITS;
    // The high bit of each byte: whether its other bits are more than those of Z, and at least those of A.
    let beyond_z = low_bits + EACH * u64::from(0x7f - b'Z');
    let from_a = low_bits + EACH * u64::from(0x80 - b'A');
    let is_upper = (from_a ^ beyond_z) & !word & HIGH_BIT;
    word | is_upper >> 2
}

/// Copies bytes to the start of `to`, which has room for them, with their ASCII letters in lower case.
#[inline]
pub fn copy_lower_case(from: &[u8], to: &mut [u8]) {
    let to = &mut to[..from.len()];
    for (place, word) in to.as_chunks_mut::<8>().0.iter_mut().zip(from.as_chunks::<8>().0) {
        *place = lower_case(u64::from_le_bytes(*word)).to_le_bytes();
    }
    match (to.last_chunk_mut::<8>(), from.last_chunk::<8>()) {
        // Some of these are copied twice.
        (Some(place), Some(word)) => *place = lower_case(u64::from_le_bytes(*word)).to_le_bytes(),
        _ => to.iter_mut().zip(from).for_each(|(place, byte)| *place = byte.to_ascii_lowercase()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn eight_bytes_are_lower_cased_as_each_of_them() {
        for byte in 0..=u8::MAX {
            let bytes = [byte, b'A', 0xff, byte, b'Z', 0, b'[', byte];
            let lower = lower_case(u64::from_le_bytes(bytes)).to_le_bytes();
            assert_eq!(lower, bytes.map(|byte| byte.to_ascii_lowercase()));
        }
    }

    #[test]
    fn any_number_of_bytes_is_copied_and_no_byte_more() {
        let from: Vec<u8> = (0..40u8).map(|byte| b'@' + byte).collect();
        for length in 0..=from.len() {
            let mut to = [0xff; 41];
            copy_lower_case(&from[..length], &mut to);
            assert_eq!(to[..length], from[..length].to_ascii_lowercase());
            assert!(to[length..].iter().all(|&byte| byte == 0xff), "{length}");
        }
    }
}
