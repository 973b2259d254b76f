//! The comment that says which version of a zone a file shows: `; grapevine: <serial> <16 hexadecimal digits>`.

use std::fmt;
use std::ops::Range;

use serde::Serialize;

/// Which version of the zone a file was written from, so that an edit of an older text is merged, not taken for a revert.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
pub struct Marker {
    /// The SOA serial of that version.
    pub serial: u32,
    /// The short hash of its version vector.
    pub version: [u8; 8],
}

impl fmt::Display for Marker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "; grapevine: {} {}", self.serial, data_encoding::HEXLOWER.encode(&self.version))
    }
}

impl Marker {
    /// Reads one line without its end; `None` if it is not a marker.
    pub fn parse(line: &[u8]) -> Option<Marker> {
        let text = std::str::from_utf8(line).ok()?.strip_prefix(';')?;
        let mut words = text.trim().strip_prefix("grapevine:")?.split_whitespace();
        let (serial, version) = (words.next()?.parse().ok()?, words.next()?);
        let bytes = data_encoding::HEXLOWER_PERMISSIVE.decode(version.as_bytes()).ok()?;
        words.next().is_none().then_some(Marker { serial, version: bytes.try_into().ok()? })
    }

    /// The first marker line of a text and where it lies, its line end not counted.
    pub(super) fn find(text: &[u8]) -> Option<(Marker, Range<usize>)> {
        let mut start = if text.starts_with(super::lexer::BOM) { super::lexer::BOM.len() } else { 0 };
        while start < text.len() {
            let length = text[start..].iter().position(|&byte| byte == b'\n').unwrap_or(text.len() - start);
            let line = &text[start..start + length];
            if line[..length.min(1)] == *b";" {
                let line = line.strip_suffix(b"\r").unwrap_or(line);
                if let Some(marker) = Marker::parse(line) {
                    return Some((marker, start..start + line.len()));
                }
            }
            start += length + 1;
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_marker_is_read_back_and_near_misses_are_not() {
        let marker = Marker { serial: 7, version: [0xab; 8] };
        assert_eq!(marker.to_string(), "; grapevine: 7 abababababababab");
        let text = format!("$TTL 60\r\n{marker}\r\n");
        assert_eq!(Marker::find(text.as_bytes()), Some((marker, 9..40)));
        for line in [
            "; grapevine: 7",
            "; grapevine: x abababababababab",
            "; grapevine: 7 abab",
            " ; grapevine: 7 abababababababab",
        ] {
            assert_eq!(Marker::find(line.as_bytes()), None, "{line}");
        }
    }
}
