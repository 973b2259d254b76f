//! What is wrong in a master file, and exactly where.

use std::fmt;

use serde::Serialize;

/// How bad it is.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// The zone is not loaded.
    Error,
    /// A check of the file fails, as with the stock checkers; a node loads the zone all the same, as the stock servers do.
    #[serde(rename = "error")]
    Fault,
    /// The zone is loaded, but something is probably not as meant.
    Warning,
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Level::Error | Level::Fault => "error",
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
    /// The text of the line, a long one cut around the place, with bytes that cannot be shown as `\DDD`.
    pub source_line: String,
    /// How many characters of `source_line` stand before the place.
    pub caret: u32,
}

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
        let line_text = &tail[..length];
        let line_text = line_text.strip_suffix(b"\r").unwrap_or(line_text);
        let (source_line, caret) = excerpt(line_text, at - start);
        let message = printable(message);
        let column = characters(&text[start..at]).count() as u32 + 1;
        Diagnostic { path: path.to_owned(), line, column, level, message, source_line, caret: caret as u32 }
    }

    /// The finding, the line it is in, and a caret below the place.
    pub fn with_source(&self) -> String {
        if self.source_line.is_empty() {
            return self.to_string();
        }
        let number = self.line.to_string();
        let indent: String = self.source_line.chars().take(self.caret as usize).map(blank_alike).collect();
        let gutter = " ".repeat(number.len());
        format!("{self}\n {number} | {}\n {gutter} | {indent}^", self.source_line)
    }
}

impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}: {}: {}", self.path, self.line, self.column, self.level, self.message)
    }
}

/// The most characters of a line that are shown before the place, and after it: a binary file has lines without end, and
/// a caret helps only where the line does not wrap.
const SHOWN_BEFORE: usize = 70;
const SHOWN_AFTER: usize = 90;

/// The part of a line around byte `at`, and how many of its characters stand before the place.
fn excerpt(line: &[u8], at: usize) -> (String, usize) {
    let (before, after) = line.split_at(at.min(line.len()));
    let (mut shown, mut caret) = (String::new(), 0);
    let count = characters(before).count();
    if count > SHOWN_BEFORE {
        shown.push('…');
    }
    for character in characters(before).skip(count.saturating_sub(SHOWN_BEFORE)) {
        show(character, &mut shown);
    }
    caret += shown.chars().count();
    let mut rest = characters(after);
    for character in rest.by_ref().take(SHOWN_AFTER) {
        show(character, &mut shown);
    }
    if rest.next().is_some() {
        shown.push('…');
    }
    (shown, caret)
}

/// The characters of a text; bytes that are no UTF-8 stand for themselves.
fn characters(text: &[u8]) -> impl Iterator<Item = Result<char, u8>> {
    text.utf8_chunks()
        .flat_map(|chunk| chunk.valid().chars().map(Ok).chain(chunk.invalid().iter().map(|&byte| Err(byte))))
}

/// Writes a character, or in the notation of master files what would move the cursor or the text around it.
fn show(character: Result<char, u8>, out: &mut String) {
    let turns =
        |c: char| matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}');
    let escape = |byte: u8, out: &mut String| out.push_str(&format!("\\{byte:03}"));
    match character {
        Ok('\t') => out.push('\t'),
        Ok(c) if c.is_control() || turns(c) => c.encode_utf8(&mut [0; 4]).bytes().for_each(|byte| escape(byte, out)),
        Ok(c) => out.push(c),
        Err(byte) => escape(byte, out),
    }
}

/// A message whose quotations cannot move the cursor: names of files may hold anything.
fn printable(message: String) -> String {
    if !message.contains(char::is_control) {
        return message;
    }
    let mut shown = String::with_capacity(message.len() + 8);
    message.chars().for_each(|c| show(Ok(c), &mut shown));
    shown
}

/// What takes as much room as a character does: a tab, nothing below a mark that joins the letter before it, a blank as
/// wide as the characters of East Asia and the emoji are in terminals (Unicode Standard Annex 11), or a plain blank.
fn blank_alike(c: char) -> &'static str {
    match c {
        '\t' => "\t",
        '\u{300}'..='\u{36f}' | '\u{fe00}'..='\u{fe0f}' => "",
        '\u{1100}'..='\u{115f}' | '\u{2e80}'..='\u{a4cf}' | '\u{ac00}'..='\u{d7a3}' | '\u{f900}'..='\u{faff}' => {
            "\u{3000}"
        }
        '\u{fe30}'..='\u{fe6f}' | '\u{ff00}'..='\u{ff60}' | '\u{1f300}'..='\u{1faff}' | '\u{20000}'..='\u{3fffd}' => {
            "\u{3000}"
        }
        _ => " ",
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

    #[test]
    fn what_cannot_be_shown_is_escaped_and_the_caret_stays_below_the_place() {
        let text = "\x1b[2J\u{202e}\u{9f8d}x!".as_bytes();
        let found = Diagnostic::new("z", &[&[0xff][..], text].concat(), (0, 1), text.len(), Level::Error, "no".into());
        let expected = "z:1:9: error: no\n 1 | \\255\\027[2J\\226\\128\\174\u{9f8d}x!\n   | ";
        assert_eq!(found.with_source(), format!("{expected}{}\u{3000} ^", " ".repeat(23)));
    }

    #[test]
    fn a_long_line_is_cut_around_the_place() {
        let text = format!("{}!{}", "a".repeat(5000), "b".repeat(5000));
        let found = Diagnostic::new("z", text.as_bytes(), (0, 1), 5000, Level::Error, "no".into());
        assert_eq!(found.column, 5001);
        let (before, after) = ("a".repeat(SHOWN_BEFORE), "b".repeat(SHOWN_AFTER - 1));
        assert_eq!(found.source_line, format!("…{before}!{after}…"));
        assert!(found.with_source().ends_with(&format!("\n   | {}^", " ".repeat(SHOWN_BEFORE + 1))));
    }
}
