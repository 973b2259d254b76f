//! How long ago, in words as short as they can be and still tell.

use std::time::{SystemTime, UNIX_EPOCH};

/// The wall clock in milliseconds since 1970.
pub(super) fn now_ms() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_millis() as u64)
}

/// `3m 12s ago`. Clocks differ between machines: a moment in the future is now.
pub(super) fn ago(since_ms: u64, now_ms: u64) -> String {
    match now_ms.saturating_sub(since_ms) / 1000 {
        0 => "just now".to_owned(),
        seconds => format!("{} ago", span(seconds)),
    }
}

/// `3m 12s`: the two largest units.
pub(super) fn span(seconds: u64) -> String {
    let units = [("d", seconds / 86_400), ("h", seconds / 3600 % 24), ("m", seconds / 60 % 60), ("s", seconds % 60)];
    let first = units.iter().position(|(_, count)| *count > 0).unwrap_or(units.len() - 1);
    let shown: Vec<String> = units[first..]
        .iter()
        .take(2)
        .enumerate()
        .filter(|(index, (_, count))| *index == 0 || *count > 0)
        .map(|(_, (unit, count))| format!("{count}{unit}"))
        .collect();
    shown.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_two_largest_units_are_told() {
        let table = [(0, "0s"), (59, "59s"), (60, "1m"), (192, "3m 12s"), (3_600, "1h"), (90_061, "1d 1h")];
        for (seconds, text) in table {
            assert_eq!(span(seconds), text);
        }
        assert_eq!(ago(1_000, 193_500), "3m 12s ago");
        assert_eq!((ago(2_000, 1_000), ago(1_000, 1_999)), ("just now".to_owned(), "just now".to_owned()));
    }
}
