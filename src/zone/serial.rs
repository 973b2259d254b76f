//! Serial number arithmetic (RFC 1982).

/// Whether serial `a` is newer than `b`; of two serials exactly 2^31 apart neither is.
pub fn serial_gt(a: u32, b: u32) -> bool {
    (a.wrapping_sub(b) as i32) > 0
}

/// What is served of a serial that is kept in 64 bits and never goes back.
pub fn served_serial(serial: u64) -> u32 {
    serial as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn newer_wraps_around() {
        assert!(serial_gt(1, 0));
        assert!(serial_gt(0, u32::MAX));
        assert!(serial_gt(0x7fff_ffff, 0));
        assert!(!serial_gt(0x8000_0000, 0) && !serial_gt(0, 0x8000_0000));
        assert!(!serial_gt(7, 7));
        assert_eq!(served_serial(u64::from(u32::MAX) + 3), 2);
    }
}
