//! Splits a master file into entries and tokens (RFC 1035 §5.1) without copying.
//!
//! An entry is a line, or several that parentheses hold together; it always fills whole lines of the text.

use super::rdata::TextError;

/// The byte order mark that some editors put before UTF-8; the lexer reads over it, the parser reports it.
pub(super) const BOM: &[u8] = b"\xef\xbb\xbf";

/// A word or a quoted string, escapes still in place.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Token<'a> {
    /// The text, the quotes left out.
    pub(super) text: &'a [u8],
    /// Where it starts in the source, an opening quote included.
    pub(super) at: usize,
    /// Whether it stood in quotes.
    pub(super) quoted: bool,
    /// Whether nothing separates it from the token before (`alpn="h2"`).
    pub(super) glued: bool,
}

impl Token<'_> {
    /// Where the token ends in the source, a closing quote included.
    pub(super) fn end(&self) -> usize {
        self.at + self.text.len() + if self.quoted { 2 } else { 0 }
    }

    /// Refuses quotes: they are for strings and file names alone.
    pub(super) fn unquoted(&self) -> Result<(), TextError> {
        if !self.quoted {
            return Ok(());
        }
        Err(TextError::new("only strings stand in quotes; write this without them").or_at(self.at))
    }
}

/// Where an entry lies: whole lines, the last line end included.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Extent {
    pub(super) start: usize,
    pub(super) end: usize,
    /// The number of the first line, counted from 1.
    pub(super) line: u32,
    /// Whether the entry starts with a blank: its owner is the one before (RFC 1035 §5.1).
    pub(super) indented: bool,
}

/// Text that is no sequence of tokens.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct LexError {
    pub(super) at: usize,
    /// The number of the line that `at` lies in.
    pub(super) line: u32,
    pub(super) message: &'static str,
}

/// Walks over a text entry by entry.
pub(super) struct Lexer<'a> {
    text: &'a [u8],
    at: usize,
    line: u32,
    /// Whether a carriage return alone has ended a line.
    pub(super) has_bare_return: bool,
}

const PLAIN: [bool; 256] = {
    let mut plain = [true; 256];
    let mut index = 0;
    let special = b" \t\r\n;()\"\\\0";
    while index < special.len() {
        plain[special[index] as usize] = false;
        index += 1;
    }
    plain
};

impl<'a> Lexer<'a> {
    pub(super) fn new(text: &'a [u8]) -> Lexer<'a> {
        Lexer::at(text, if text.starts_with(BOM) { BOM.len() } else { 0 })
    }

    /// Begins at the start of a line within the text, which counts as the first.
    pub(super) fn at(text: &'a [u8], at: usize) -> Lexer<'a> {
        Lexer { text, at, line: 1, has_bare_return: false }
    }

    /// The tokens of one entry that lies at `extent` of a text that was read without error before.
    pub(super) fn again(text: &'a [u8], start: usize) -> Vec<Token<'a>> {
        let mut tokens = Vec::new();
        let mut lexer = Lexer::at(text, start);
        // The entry was read before, so there is nothing to report.
        let _ = lexer.next_entry(&mut tokens);
        tokens
    }

    /// Reads the next entry into `tokens`; blank and comment lines are passed over. After an error reading goes on with
    /// the next line.
    pub(super) fn next_entry(&mut self, tokens: &mut Vec<Token<'a>>) -> Option<Result<Extent, LexError>> {
        tokens.clear();
        while let Some(&first) = self.text.get(self.at) {
            let (start, line) = (self.at, self.line);
            if let Err(error) = self.scan(tokens) {
                self.skip_line();
                tokens.clear();
                return Some(Err(error));
            }
            if !tokens.is_empty() {
                return Some(Ok(Extent { start, end: self.at, line, indented: matches!(first, b' ' | b'\t') }));
            }
        }
        None
    }

    fn scan(&mut self, tokens: &mut Vec<Token<'a>>) -> Result<(), LexError> {
        let (mut open, mut glued) = (None, false);
        loop {
            let Some(&byte) = self.text.get(self.at) else {
                let message = "this parenthesis is never closed";
                return open.map_or(Ok(()), |(at, line)| Err(LexError { at, line, message }));
            };
            match byte {
                b'\n' => {
                    self.at += 1;
                    self.line += 1;
                    glued = false;
                    if open.is_none() {
                        return Ok(());
                    }
                }
                // Alone it ends a line, as BIND and NSD have it.
                b'\r' if open.is_none() && self.text.get(self.at + 1) != Some(&b'\n') => {
                    self.at += 1;
                    self.has_bare_return = true;
                    return Ok(());
                }
                b' ' | b'\t' | b'\r' => {
                    self.at += 1;
                    glued = false;
                }
                b';' => self.skip_comment(),
                b'(' if open.is_some() => return Err(self.error("parentheses do not nest")),
                b'(' => {
                    open = Some((self.at, self.line));
                    self.at += 1;
                    glued = false;
                }
                b')' if open.is_none() => return Err(self.error("a closing parenthesis without an opening one")),
                b')' => {
                    open = None;
                    self.at += 1;
                    glued = false;
                }
                b'"' => {
                    tokens.push(self.quoted(glued)?);
                    glued = true;
                }
                _ => {
                    tokens.push(self.word(glued)?);
                    glued = true;
                }
            }
        }
    }

    fn word(&mut self, glued: bool) -> Result<Token<'a>, LexError> {
        let at = self.at;
        loop {
            while self.text.get(self.at).is_some_and(|&byte| PLAIN[usize::from(byte)]) {
                self.at += 1;
            }
            match self.text.get(self.at) {
                Some(b'\\') => self.escape()?,
                Some(0) => return Err(self.error("a NUL byte; the file is damaged, or no text")),
                _ => return Ok(Token { text: &self.text[at..self.at], at, quoted: false, glued }),
            }
        }
    }

    fn quoted(&mut self, glued: bool) -> Result<Token<'a>, LexError> {
        let at = self.at;
        let opening = self.error("this quote is not closed on its line");
        self.at += 1;
        loop {
            match self.text.get(self.at) {
                Some(b'"') => {
                    self.at += 1;
                    return Ok(Token { text: &self.text[at + 1..self.at - 1], at, quoted: true, glued });
                }
                Some(b'\\') => self.escape()?,
                None | Some(b'\n') => return Err(opening),
                Some(_) => self.at += 1,
            }
        }
    }

    /// Passes a backslash and the byte that it takes its meaning from.
    fn escape(&mut self) -> Result<(), LexError> {
        match self.text.get(self.at + 1) {
            None | Some(b'\n' | b'\r') => Err(self.error("a backslash at the end of the line escapes nothing")),
            Some(_) => {
                self.at += 2;
                Ok(())
            }
        }
    }

    fn skip_comment(&mut self) {
        self.at += self.text[self.at..].iter().position(|&byte| byte == b'\n').unwrap_or(self.text.len() - self.at);
    }

    fn skip_line(&mut self) {
        self.skip_comment();
        if self.at < self.text.len() {
            self.at += 1;
            self.line += 1;
        }
    }

    fn error(&self, message: &'static str) -> LexError {
        LexError { at: self.at, line: self.line, message }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entries(text: &str) -> Vec<Result<Vec<String>, LexError>> {
        let mut lexer = Lexer::new(text.as_bytes());
        let mut tokens = Vec::new();
        let mut found = Vec::new();
        while let Some(result) = lexer.next_entry(&mut tokens) {
            found.push(result.map(|_| {
                tokens.iter().map(|token| String::from_utf8_lossy(token.text).into_owned()).collect::<Vec<_>>()
            }));
        }
        found
    }

    #[test]
    fn parentheses_join_lines_and_comments_go() {
        let found = entries("\u{feff}a ( b ; ( c\n d )\te\r\n\n ; only\nf \"g ; h\"i");
        assert_eq!(found.len(), 2);
        assert_eq!(found[0].as_deref(), Ok(["a", "b", "d", "e"].map(String::from).as_slice()));
        assert_eq!(found[1].as_deref(), Ok(["f", "g ; h", "i"].map(String::from).as_slice()));
    }

    #[test]
    fn escaped_delimiters_belong_to_the_word() {
        assert_eq!(entries(r#"a\;b\ c\"d\(e "q\"r""#), [Ok(vec![r#"a\;b\ c\"d\(e"#.into(), r#"q\"r"#.into()])]);
    }

    #[test]
    fn errors_name_where_and_reading_goes_on() {
        let found = entries("a \"b\nc )\nd \\\ne f\ng (\nh\n");
        assert_eq!(found.iter().filter(|entry| entry.is_ok()).count(), 1);
        let errors: Vec<_> = found.into_iter().filter_map(Result::err).map(|error| (error.at, error.line)).collect();
        assert_eq!(errors, [(2, 1), (7, 2), (11, 3), (19, 5)]);
    }
}
