//! Moments in RRSIG: seconds since 1970 or `YYYYMMDDHHmmSS` in UTC (RFC 4034 §3.2).

use super::TextError;
use super::reader::{ascii, number};

const DAY: i64 = 86_400;

/// Reads either form. Other years than 1970 to 2106, which 32 bits can hold, stand for the moment of the same remainder,
/// as with BIND and NSD.
pub(super) fn read(text: &[u8]) -> Result<u32, TextError> {
    let wrong = || TextError::new("a time is YYYYMMDDHHmmSS or a number of seconds since 1970");
    if text.len() != 14 {
        return number(text, "a time", u32::MAX).map_err(|_| wrong());
    }
    let part = |range: std::ops::Range<usize>, least: i64, most: i64| {
        let digits = &text[range];
        let value = ascii(digits).parse::<i64>().ok().filter(|_| digits.iter().all(u8::is_ascii_digit));
        value.filter(|value| (least..=most).contains(value)).ok_or_else(wrong)
    };
    let (year, month) = (part(0..4, 0, 9999)?, part(4..6, 1, 12)?);
    let day = part(6..8, 1, days_in_month(year, month))?;
    let seconds = part(8..10, 0, 23)? * 3600 + part(10..12, 0, 59)? * 60 + part(12..14, 0, 60)?;
    Ok((days_from_civil(year, month, day) * DAY + seconds) as u32)
}

/// `YYYYMMDDHHmmSS`.
pub(super) fn write(value: u32) -> String {
    let value = i64::from(value);
    let (year, month, day) = civil_from_days(value / DAY);
    let seconds = value % DAY;
    format!("{year:04}{month:02}{day:02}{:02}{:02}{:02}", seconds / 3600, seconds / 60 % 60, seconds % 60)
}

fn days_in_month(year: i64, month: i64) -> i64 {
    let next = if month == 12 { (year + 1, 1) } else { (year, month + 1) };
    days_from_civil(next.0, next.1, 1) - days_from_civil(year, month, 1)
}

/// Days since 1970-01-01 in the Gregorian calendar, for years after 0 (Hinnant, "chrono-compatible date algorithms").
fn days_from_civil(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let (era, of_era) = (year / 400, year % 400);
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468
}

/// The inverse of [`days_from_civil`].
fn civil_from_days(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let (era, of_era) = (days / 146_097, days % 146_097);
    let year_of_era = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * of_year + 2) / 153;
    let (day, month) = (of_year - (153 * shifted + 2) / 5 + 1, (shifted + 2) % 12 + 1);
    (year_of_era + era * 400 + i64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_survive_a_round_trip() {
        assert_eq!(read(b"20040509183619"), Ok(1_084_127_779));
        assert_eq!(read(b"1084127779"), Ok(1_084_127_779));
        for value in [0, 1, 951_782_400, 951_868_799, 951_868_800, 1_084_127_779, u32::MAX] {
            assert_eq!(read(write(value).as_bytes()), Ok(value), "{}", write(value));
        }
        assert_eq!(write(u32::MAX), "21060207062815");
        for text in ["20040230000000", "2004050918361", "20041301000000", "99993131000000", "x", ""] {
            assert!(read(text.as_bytes()).is_err(), "{text}");
        }
    }
}
