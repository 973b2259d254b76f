//! TTLs: plain seconds or with units, and which TTL a record has that states none.

/// The largest TTL (RFC 2181 §8).
pub const MAX_TTL: u32 = i32::MAX as u32;

/// What a record has for which neither a TTL nor an SOA is known yet: the choice of NSD and Knot.
const LAST_RESORT_TTL: u32 = 3600;

/// Reads seconds: a plain number, or numbers with the units `w d h m s` in either case, as in `1h30m` or `1W2D`.
/// `None` if it is neither or beyond 32 bits.
pub fn parse_ttl(text: &[u8]) -> Option<u32> {
    let (mut total, mut number, mut digits, mut units) = (0u64, 0u64, false, false);
    for &byte in text {
        if byte.is_ascii_digit() {
            number = number * 10 + u64::from(byte - b'0');
            digits = true;
        } else {
            let unit = match byte.to_ascii_lowercase() {
                b's' => 1,
                b'm' => 60,
                b'h' => 3600,
                b'd' => 86_400,
                b'w' => 604_800,
                _ => return None,
            };
            if !std::mem::take(&mut digits) {
                return None;
            }
            total += number * unit;
            (number, units) = (0, true);
        }
        if total + number > u64::from(u32::MAX) {
            return None;
        }
    }
    // After a unit a bare number is more likely a slip than seconds; BIND and Knot refuse it too.
    (!text.is_empty() && digits != units).then_some((total + number) as u32)
}

/// The TTLs in force at a point of a file. `$TTL` counts for all records after it that state none (RFC 2308 §4);
/// without one it is the last TTL stated (RFC 1035 §5.1), and failing that, the minimum of the SOA.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub(super) struct TtlState {
    default: Option<u32>,
    last_stated: Option<u32>,
}

impl TtlState {
    /// A `$TTL` directive.
    pub(super) fn set_default(&mut self, ttl: u32) {
        self.default = Some(ttl);
    }

    /// What `$TTL`, or the SOA in its place, says for all records that state none.
    pub(super) fn in_force(&self) -> Option<u32> {
        self.default
    }

    /// A record that stated its TTL.
    pub(super) fn stated(&mut self, ttl: u32) {
        self.last_stated = Some(ttl);
    }

    /// What a record has that states no TTL; `soa_minimum` is given for the SOA, whose minimum becomes the default if
    /// nothing else is known.
    pub(super) fn implied(&mut self, soa_minimum: Option<u32>) -> u32 {
        let known = self.default.or(self.last_stated);
        if known.is_none() {
            self.default = soa_minimum.map(|minimum| minimum.min(MAX_TTL));
        }
        known.or(self.default).unwrap_or(LAST_RESORT_TTL)
    }

    /// Whether a TTL was stated that counts for records without one.
    pub(super) fn is_known(&self) -> bool {
        self.default.or(self.last_stated).is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_add_up() {
        for (text, seconds) in
            [("0", 0), ("3600", 3600), ("1h30m", 5400), ("1W2D", 777_600), ("0s", 0), ("2d", 172_800)]
        {
            assert_eq!(parse_ttl(text.as_bytes()), Some(seconds), "{text}");
        }
        for text in ["", "h", "1hh", "1x", "-1", "4294967296", "99999999w", "1h30", "1.5h"] {
            assert_eq!(parse_ttl(text.as_bytes()), None, "{text}");
        }
    }

    #[test]
    fn a_dollar_ttl_goes_before_the_last_stated_one() {
        let mut state = TtlState::default();
        assert_eq!(state.implied(None), LAST_RESORT_TTL);
        assert_eq!(state.implied(Some(60)), 60);
        state.stated(5);
        assert_eq!(state.implied(None), 60);
        let mut state = TtlState::default();
        state.stated(5);
        assert_eq!(state.implied(Some(60)), 5);
        state.set_default(7);
        assert_eq!(state.implied(None), 7);
    }
}
