//! A cursor over the tokens of one rdata, and the plain values that they spell.

use std::borrow::Cow;

use super::TextError;
use crate::master::char_string;
use crate::master::lexer::Token;
use crate::zone::Name;

/// The tokens of an rdata that are not read yet.
pub(super) struct Reader<'a, 't> {
    tokens: &'t [Token<'a>],
    next: usize,
    origin: &'t Name,
}

impl<'a, 't> Reader<'a, 't> {
    pub(super) fn new(tokens: &'t [Token<'a>], origin: &'t Name) -> Reader<'a, 't> {
        Reader { tokens, next: 0, origin }
    }

    pub(super) fn peek(&self) -> Option<&Token<'a>> {
        self.tokens.get(self.next)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.next == self.tokens.len()
    }

    /// The next token; `what` names it to the person if it is missing.
    pub(super) fn token(&mut self, what: &str) -> Result<Token<'a>, TextError> {
        let token = self.tokens.get(self.next).copied().ok_or_else(|| self.missing(what));
        self.next += 1;
        token
    }

    /// The error for something that does not stand there; `what` names it to the person.
    pub(super) fn missing(&self, what: &str) -> TextError {
        TextError { at: self.tokens.last().map(Token::end), message: format!("{what} is missing").into() }
    }

    /// The next token if `accept` takes it.
    pub(super) fn token_if(&mut self, accept: impl FnOnce(&Token<'a>) -> bool) -> Option<Token<'a>> {
        let token = self.peek().copied().filter(|token| accept(token))?;
        self.next += 1;
        Some(token)
    }

    /// The next token read by `read`, whose error is placed at the token.
    pub(super) fn parse<T>(
        &mut self,
        what: &str,
        read: impl FnOnce(&'a [u8]) -> Result<T, TextError>,
    ) -> Result<T, TextError> {
        let token = self.token(what)?;
        token.unquoted()?;
        read(token.text).map_err(|error| error.or_at(token.at))
    }

    /// A decimal number up to `most`.
    pub(super) fn number(&mut self, what: &str, most: u32) -> Result<u32, TextError> {
        self.parse(what, |text| number(text, what, most))
    }

    /// A name, completed by the origin, in wire form.
    pub(super) fn name(&mut self, out: &mut Vec<u8>) -> Result<(), TextError> {
        let origin = self.origin.as_wire();
        self.parse("a name", |text| {
            // NSD and Knot take it for a directive, or for a slip.
            if text.starts_with(b"$") {
                return Err(TextError::new(r"a name that starts with a dollar sign is written \$"));
            }
            Name::parse_onto(text, Some(origin), out).map_err(|error| TextError::new(error.to_string()))
        })
    }

    /// A string with its escapes undone.
    pub(super) fn text(&mut self, what: &str) -> Result<Cow<'a, [u8]>, TextError> {
        let token = self.token(what)?;
        char_string::decode(token.text).map_err(|error| error.or_at(token.at))
    }

    /// A `<character-string>` with its length byte.
    pub(super) fn char_string(&mut self, out: &mut Vec<u8>) -> Result<(), TextError> {
        let at = self.peek().map(|token| token.at);
        let bytes = self.text("a string")?;
        let length = u8::try_from(bytes.len()).map_err(|_| TextError {
            at,
            message: format!("a string of {} bytes; split it into strings of at most 255", bytes.len()).into(),
        })?;
        out.push(length);
        out.extend_from_slice(&bytes);
        Ok(())
    }

    /// All tokens that are left, as one text without blanks, and where it starts.
    pub(super) fn rest(&mut self) -> Result<(Vec<u8>, Option<usize>), TextError> {
        let rest = &self.tokens[self.next.min(self.tokens.len())..];
        self.next = self.tokens.len();
        rest.iter().try_for_each(Token::unquoted)?;
        Ok((rest.iter().flat_map(|token| token.text).copied().collect(), rest.first().map(|token| token.at)))
    }

    /// All tokens that are left, as base64.
    pub(super) fn base64_rest(&mut self, out: &mut Vec<u8>) -> Result<(), TextError> {
        let (text, at) = self.rest()?;
        out.extend_from_slice(&base64(&text).map_err(|error| TextError { at, ..error })?);
        Ok(())
    }

    /// All tokens that are left, as hexadecimal digits.
    pub(super) fn hex_rest(&mut self, out: &mut Vec<u8>) -> Result<(), TextError> {
        let (text, at) = self.rest()?;
        out.extend_from_slice(&hex(&text).map_err(|error| TextError { at, ..error })?);
        Ok(())
    }

    /// Refuses tokens that are left over.
    pub(super) fn finish(&self) -> Result<(), TextError> {
        match self.peek() {
            None => Ok(()),
            Some(token) => Err(TextError {
                at: Some(token.at),
                message: "text is left over at the end of the record; a string with blanks needs quotes".into(),
            }),
        }
    }
}

/// A decimal number up to `most`; `what` names it to the person.
pub(in crate::master) fn number(text: &[u8], what: &str, most: u32) -> Result<u32, TextError> {
    let value = std::str::from_utf8(text)
        .ok()
        .filter(|text| text.bytes().all(|byte| byte.is_ascii_digit()))
        .and_then(|text| text.parse::<u32>().ok())
        .filter(|&value| value <= most);
    value.ok_or_else(|| TextError::new(format!("{what} should be a number from 0 to {most}")))
}

/// Base64 with its padding, which ends the data.
pub(super) fn base64(text: &[u8]) -> Result<Vec<u8>, TextError> {
    let wrong = |reason: String| TextError::new(format!("this is no base64: {reason}"));
    let padding = text.iter().position(|&byte| byte == b'=').map_or(&[][..], |at| &text[at..]);
    if padding.iter().any(|&byte| byte != b'=') {
        return Err(wrong("data after the padding".to_owned()));
    }
    data_encoding::BASE64.decode(text).map_err(|error| wrong(error.to_string()))
}

/// Hexadecimal digits in either case.
pub(super) fn hex(text: &[u8]) -> Result<Vec<u8>, TextError> {
    data_encoding::HEXLOWER_PERMISSIVE
        .decode(text)
        .map_err(|error| TextError::new(format!("these are no hexadecimal digits: {error}")))
}

/// ASCII text for the parsers of the standard library.
pub(super) fn ascii(text: &[u8]) -> &str {
    std::str::from_utf8(text).unwrap_or("\u{fffd}")
}
