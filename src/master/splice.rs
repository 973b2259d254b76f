//! Edits of a text by byte range, and of one entry's line by token, the layout around it kept.

use std::ops::Range;

use super::lexer::{Lexer, Token};
use super::parser::header;
use super::ttl::parse_ttl;

/// Replacements in one text; those at one place apply in the order in which they were made.
#[derive(Default)]
pub(super) struct Edits(Vec<(Range<usize>, String)>);

impl Edits {
    pub(super) fn replace(&mut self, range: Range<usize>, text: impl Into<String>) {
        self.0.push((range, text.into()));
    }

    pub(super) fn insert(&mut self, at: usize, text: impl Into<String>) {
        self.replace(at..at, text);
    }

    /// Takes over all replacements of `other`.
    pub(super) fn append(&mut self, mut other: Edits) {
        self.0.append(&mut other.0);
    }

    /// Puts `new` in the place of a token; blanks that follow it shrink or grow so that a comment or value after them
    /// stays in its column.
    pub(super) fn replace_in_column(&mut self, text: &[u8], token: &Token<'_>, new: &str) {
        let (start, end) = (token.at, token.end());
        let blanks = text[end..].iter().take_while(|&&byte| byte == b' ').count();
        let more_on_line = !matches!(text.get(end + blanks), None | Some(b'\n' | b'\r'));
        let (old_width, new_width) = (end - start, new.len());
        if blanks == 0 || !more_on_line {
            self.replace(start..end, new);
        } else if new_width > old_width {
            self.replace(start..end + (new_width - old_width).min(blanks - 1), new);
        } else {
            self.replace(start..end, format!("{new:old_width$}"));
        }
    }

    /// Whether what comes after these replacements at the end of a text starts on a new line.
    pub(super) fn end_with_line(&self, text: &[u8]) -> bool {
        let last = self.0.iter().filter(|edit| edit.0.end == text.len()).max_by_key(|edit| edit.0.start);
        match last {
            Some((_, new)) => new.is_empty() || new.ends_with('\n'),
            None => text.is_empty() || text.ends_with(b"\n"),
        }
    }

    /// The text with all replacements made; `None` if there are none that change it.
    pub(super) fn apply(mut self, text: &[u8]) -> Option<Vec<u8>> {
        if self.0.is_empty() {
            return None;
        }
        self.0.sort_by_key(|edit| (edit.0.start, edit.0.end));
        let mut out = Vec::with_capacity(text.len() + 256);
        let mut at = 0;
        for (range, new) in self.0 {
            debug_assert!(range.start >= at, "edits of one text do not overlap");
            if range.start < at {
                continue;
            }
            out.extend_from_slice(&text[at..range.start]);
            out.extend_from_slice(new.as_bytes());
            at = range.end;
        }
        out.extend_from_slice(&text[at..]);
        (out != text).then_some(out)
    }
}

/// The tokens of a record's entry by their roles.
pub(super) struct Line<'a> {
    text: &'a [u8],
    range: Range<usize>,
    pub(super) owner: Option<Token<'a>>,
    pub(super) ttl: Option<Token<'a>>,
    class: Option<Token<'a>>,
    pub(super) rtype: Token<'a>,
    pub(super) rdata: Vec<Token<'a>>,
}

impl<'a> Line<'a> {
    /// Reads the entry of a record again; it was read without error before.
    pub(super) fn of(text: &'a [u8], range: Range<usize>, owner_stated: bool) -> Option<Line<'a>> {
        let tokens = Lexer::again(text, range.start);
        let (owner, rest) =
            if owner_stated { (tokens.first().copied(), tokens.get(1..)?) } else { (None, &tokens[..]) };
        let used = header(rest, &tokens).ok()?.used;
        let (mut ttl, mut class) = (None, None);
        for token in &rest[..used - 1] {
            let role = if parse_ttl(token.text).is_some() { &mut ttl } else { &mut class };
            *role = Some(*token);
        }
        Some(Line { text, range, owner, ttl, class, rtype: rest[used - 1], rdata: rest[used..].to_vec() })
    }

    /// States the TTL, in the place of the one that stands there or before class and type.
    pub(super) fn set_ttl(&self, ttl: u32, edits: &mut Edits) {
        match &self.ttl {
            Some(token) => edits.replace_in_column(self.text, token, &ttl.to_string()),
            None => edits.insert(self.class.map_or(self.rtype.at, |class| class.at), format!("{ttl} ")),
        }
    }

    /// States the owner on a line that starts with blanks.
    pub(super) fn set_owner(&self, owner: &str, edits: &mut Edits) {
        let start = self.range.start;
        let spaces = self.text[start..].iter().take_while(|&&byte| byte == b' ').count();
        edits.replace(start..start + owner.len().min(spaces.saturating_sub(1)), owner);
    }

    /// Puts other rdata in the place of what stands there; false if parentheses are in the way.
    pub(super) fn set_rdata(&self, rdata: &str, edits: &mut Edits) -> bool {
        let (Some(first), Some(last)) = (self.rdata.first(), self.rdata.last()) else { return false };
        let parenthesis =
            |pair: &[Token<'_>]| self.text[pair[0].end()..pair[1].at].iter().any(|b| matches!(b, b'(' | b')'));
        if rdata.is_empty() || self.rdata.windows(2).any(parenthesis) {
            return false;
        }
        edits.replace(first.at..last.end(), rdata);
        true
    }

    /// A line for another record, laid out like this one. Without an owner it starts with blanks.
    pub(super) fn alike(&self, owner: Option<&str>, ttl: Option<u32>, rtype: &str, rdata: &str) -> String {
        let start = self.range.start;
        let first = [self.ttl, self.class].into_iter().flatten().map(|token| token.at).fold(self.rtype.at, usize::min);
        let owner_end = self.owner.map_or(start, |owner| owner.end());
        let mut line = owner.unwrap_or_default().to_owned();
        line.push_str(&gap(&self.text[owner_end..first], owner_end - start, line.len()));
        if let Some(ttl) = ttl {
            line.push_str(&format!("{ttl} "));
        }
        if let Some(class) = self.class {
            line.push_str(&String::from_utf8_lossy(class.text));
            let after =
                [self.ttl.map_or(self.rtype.at, |ttl| ttl.at), self.rtype.at].into_iter().filter(|&at| at > class.at);
            line.push_str(&gap(&self.text[class.end()..after.min().unwrap_or(self.rtype.at)], 0, 0));
        }
        line.push_str(rtype);
        if !rdata.is_empty() {
            let rdata_at = self.rdata.first().map_or(self.rtype.end(), |token| token.at);
            line.push_str(&gap(&self.text[self.rtype.end()..rdata_at], self.rtype.text.len(), rtype.len()));
            line.push_str(rdata);
        }
        line
    }
}

/// Blanks after a word of another length that bring what follows to the same column, as far as there is room.
fn gap(blanks: &[u8], old_width: usize, new_width: usize) -> String {
    let only_blanks = !blanks.is_empty() && blanks.iter().all(|byte| matches!(byte, b' ' | b'\t'));
    if !only_blanks {
        " ".to_owned()
    } else if blanks.contains(&b'\t') {
        let same_stop = old_width / 8 == new_width / 8;
        if same_stop { String::from_utf8_lossy(blanks).into_owned() } else { "\t".to_owned() }
    } else {
        " ".repeat((old_width + blanks.len()).saturating_sub(new_width).max(1))
    }
}

/// How the first line of a text ends.
pub(super) fn line_end(text: &[u8]) -> &'static str {
    let first = text.iter().position(|&byte| byte == b'\n');
    if first.is_some_and(|at| at > 0 && text[at - 1] == b'\r') { "\r\n" } else { "\n" }
}
