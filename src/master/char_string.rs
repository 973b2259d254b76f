//! `<character-string>`s in text (RFC 1035 §5.1): undoing escapes, and writing bytes in quotes.

use std::borrow::Cow;
use std::fmt::Write;

use super::rdata::TextError;
use crate::zone::unescape;

/// The bytes that an escaped text means: `\DDD` is a byte by number, `\X` is X itself.
pub(super) fn decode(text: &[u8]) -> Result<Cow<'_, [u8]>, TextError> {
    let Some(first) = text.iter().position(|&byte| byte == b'\\') else { return Ok(Cow::Borrowed(text)) };
    let mut bytes = Vec::with_capacity(text.len());
    bytes.extend_from_slice(&text[..first]);
    let mut rest = &text[first..];
    while let Some((&byte, tail)) = rest.split_first() {
        rest = tail;
        if byte == b'\\' {
            let (value, used) = unescape(rest).map_err(|error| TextError::new(error.to_string()))?;
            bytes.push(value);
            rest = &rest[used..];
        } else {
            bytes.push(byte);
        }
    }
    Ok(Cow::Owned(bytes))
}

/// Writes bytes as a quoted string.
pub(super) fn write_quoted(bytes: &[u8], out: &mut String) {
    out.push('"');
    for &byte in bytes {
        match byte {
            b'"' | b'\\' => {
                out.push('\\');
                out.push(char::from(byte));
            }
            0x20..=0x7e => out.push(char::from(byte)),
            _ => write!(out, "\\{byte:03}").expect("writing to a String succeeds"),
        }
    }
    out.push('"');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_are_undone_and_written_again() {
        assert_eq!(&*decode(br#"a\065\"\\\;"#).expect("good escapes"), br#"aA"\;"#);
        assert!(matches!(decode(b"plain"), Ok(Cow::Borrowed(b"plain"))));
        assert!(decode(br"\25").is_err() && decode(br"\256").is_err() && decode(br"x\").is_err());
        let mut out = String::new();
        write_quoted(b"a\"b\\c\xc3\xa4;\n", &mut out);
        assert_eq!(out, r#""a\"b\\c\195\164;\010""#);
    }
}
