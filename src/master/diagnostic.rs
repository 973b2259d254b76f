//! What is wrong in a master file, and exactly where.

use std::fmt;

use serde::Serialize;

/// How bad it is.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// The zone is not loaded.
    Error,
    /// The zone is loaded, but something is probably not as meant.
    Warning,
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Level::Error => "error",
            Level::Warning => "warning",
        })
    }
}

/// One finding in a master file.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Diagnostic {
    /// The file, as named by the caller or resolved from `$INCLUDE`.
    pub path: String,
    /// The line, counted from 1.
    pub line: u32,
    /// The character within the line, counted from 1.
    pub column: u32,
    /// Error or warning.
    pub level: Level,
    /// What is wrong and what would be right.
    pub message: String,
    /// The text of the line, cut at [`MAX_SOURCE_LINE`] characters.
    pub source_line: String,
}

/// The most characters of a source line that a diagnostic quotes: a binary file has lines without end.
pub const MAX_SOURCE_LINE: usize = 400;

impl Diagnostic {
    /// A finding at byte `at` of `text`, which lies in the entry that starts at byte `entry_start` in line `entry_line`.
    pub(super) fn new(
        path: &str,
        text: &[u8],
        (entry_start, entry_line): (usize, u32),
        at: usize,
        level: Level,
        message: String,
    ) -> Diagnostic {
        let at = at.min(text.len());
        let before = &text[entry_start.min(at)..at];
        let line = entry_line + before.iter().filter(|&&byte| byte == b'\n').count() as u32;
        let start = before.iter().rposition(|&byte| byte == b'\n').map_or(entry_start.min(at), |n| entry_start + n + 1);
        let tail = &text[start..];
        let length = tail.iter().position(|&byte| byte == b'\n').unwrap_or(tail.len());
        let quoted = String::from_utf8_lossy(tail[..length].strip_suffix(b"\r").unwrap_or(&tail[..length]));
        Diagnostic {
            path: path.to_owned(),
            line,
            column: String::from_utf8_lossy(&text[start..at]).chars().count() as u32 + 1,
            level,
            message,
            source_line: quoted.chars().take(MAX_SOURCE_LINE).collect(),
        }
    }

    /// The finding, the line it is in, and a caret below the place.
    pub fn with_source(&self) -> String {
        let shown = self.source_line.replace(|c: char| c.is_control() && c != '\t', "\u{fffd}");
        let column = self.column as usize - 1;
        if shown.is_empty() || column > MAX_SOURCE_LINE {
            return self.to_string();
        }
        let number = self.line.to_string();
        let indent: String = shown.chars().take(column).map(|c| if c == '\t' { '\t' } else { ' ' }).collect();
        let gutter = " ".repeat(number.len());
        format!("{self}\n {number} | {shown}\n {gutter} | {indent}^")
    }
}

impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}: {}: {}", self.path, self.line, self.column, self.level, self.message)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_caret_stands_below_the_place_also_after_tabs_and_umlauts() {
        let text = "x\n(\n\tä bad\r\n)".as_bytes();
        let found = Diagnostic::new("a.zone", text, (2, 2), 8, Level::Error, "no".into());
        assert_eq!(found.to_string(), "a.zone:3:4: error: no");
        assert_eq!(found.with_source(), "a.zone:3:4: error: no\n 3 | \tä bad\n   | \t  ^");
    }
}
