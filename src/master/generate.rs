//! `$GENERATE start-stop[/step] owner [TTL] [class] type rdata`, as BIND has it.
//!
//! In owner and rdata `$` stands for the number, `${offset,width,base}` for the number plus an offset, padded with zeros
//! to a width, in base `d`, `o`, `x`, `X`, or in nibbles from the lowest, joined by dots: `n`, `N`. `$$` is a dollar sign.

use std::fmt::Write;

use super::Level;
use super::entry::{EntryKind, GenerateEntry};
use super::lexer::{Extent, Lexer, Token};
use super::parser::{Parser, Place, header, name};
use super::rdata::number;
use super::rdata::{self, TextError};
use crate::zone::RecordType;

/// How many records the `$GENERATE` lines of a zone may make together: as many as a large zone has, and a bound for a
/// slip of the finger in the range.
pub(super) const MAX_GENERATED: usize = 1 << 20;

/// The widest padding; no name is longer.
const MAX_WIDTH: usize = 255;

struct Range {
    start: u32,
    stop: u32,
    step: u32,
}

impl Parser<'_> {
    pub(super) fn generate(
        &mut self,
        place: &mut Place,
        extent: Extent,
        tokens: &[Token<'_>],
    ) -> Result<(), TextError> {
        let [keyword, range_token, owner, rest @ ..] = tokens else {
            return Err(TextError::new("$GENERATE takes a range, an owner, a type and data").or_at(tokens[0].end()));
        };
        debug_assert!(keyword.text.starts_with(b"$"));
        owner.unquoted()?;
        let range = range(range_token.text).map_err(|error| error.or_at(range_token.at))?;
        let header = header(rest, tokens)?;
        if header.rtype == RecordType::SOA {
            return Err(TextError::new("$GENERATE makes no SOA").or_at(rest[header.used - 1].at));
        }
        let values = rest.get(header.used..).filter(|values| !values.is_empty());
        let ([first, .., last] | [first @ last]) = values.unwrap_or_default() else {
            return Err(TextError::new("the data of the records is missing").or_at(rest[header.used - 1].end()));
        };
        self.generated += ((range.stop - range.start) / range.step) as usize + 1;
        if self.generated > MAX_GENERATED {
            let message = format!("$GENERATE makes more than {MAX_GENERATED} records");
            return Err(TextError::new(message).or_at(range_token.at));
        }
        if first.at != last.at {
            let message = "the data is one word here; put data of several in quotes, like \"10 mail$\"";
            return Err(TextError::new(message).or_at(first.at));
        }
        let ttl = self.ttl_of(&header, None, place, extent, rest[header.used - 1].at);
        let values = first.text;
        let (owner_parts, value_parts) = (template(owner)?, parts(values).map_err(|error| error.or_at(first.at))?);
        let (mut records, mut repeats) = (Vec::new(), Vec::new());
        let mut next = Some(range.start);
        while let Some(value) = next.filter(|&value| value <= range.stop) {
            next = value.checked_add(range.step);
            let text = expand(&owner_parts, value);
            let owner_token = Token { text: &text, at: owner.at, quoted: false, glued: false };
            let owner_name = name(&owner_token, &place.origin)?;
            if !owner_name.is_at_or_below(&self.origin) {
                let message = format!("{owner_name} is not in the zone {} and is left out", self.origin);
                self.report(place, (extent.start, extent.line), owner.at, Level::Warning, message);
                continue;
            }
            let text = expand(&value_parts, value);
            let rdata = rdata::read(header.rtype, &Lexer::again(&text, 0), &place.origin).map_err(|error| {
                let message = format!("for {value}, {:?}: {}", String::from_utf8_lossy(&text), error.message);
                TextError::new(message).or_at(first.at)
            })?;
            let entry = (extent.start, extent.line);
            match self.add(place, entry, owner.at, owner_name.as_wire(), (header.rtype, ttl), rdata.as_wire()) {
                None => records.push((owner_name, rdata)),
                Some(known) => repeats.push((owner_name, known)),
            }
        }
        let ttl_stated = header.ttl.is_some();
        let generate = GenerateEntry { rtype: header.rtype, ttl, ttl_stated, records, repeats };
        self.push(place, extent, || EntryKind::Generate(Box::new(generate)));
        Ok(())
    }
}

fn range(text: &[u8]) -> Result<Range, TextError> {
    let wrong = || TextError::new("a range is start-stop or start-stop/step, the start not above the stop");
    let (ends, step) = match text.iter().position(|&byte| byte == b'/') {
        Some(slash) => (&text[..slash], &text[slash + 1..]),
        None => (text, &b"1"[..]),
    };
    let dash = ends.iter().position(|&byte| byte == b'-').ok_or_else(wrong)?;
    let read = |text: &[u8]| number(text, "a range", i32::MAX as u32).map_err(|_| wrong());
    let range = Range { start: read(&ends[..dash])?, stop: read(&ends[dash + 1..])?, step: read(step)? };
    if range.start > range.stop || range.step == 0 { Err(wrong()) } else { Ok(range) }
}

/// A piece of a template.
enum Part<'a> {
    Text(&'a [u8]),
    Number { offset: i64, width: usize, base: u8 },
}

fn template<'a>(token: &Token<'a>) -> Result<Vec<Part<'a>>, TextError> {
    parts(token.text).map_err(|error| error.or_at(token.at))
}

fn parts(text: &[u8]) -> Result<Vec<Part<'_>>, TextError> {
    let (mut found, mut from, mut at) = (Vec::new(), 0, 0);
    while at < text.len() {
        match text[at] {
            // An escape passes through, so that `\$` stays a dollar sign of the name.
            b'\\' => at += 2,
            b'$' => {
                found.push(Part::Text(&text[from..at]));
                let tail = &text[at + 1..];
                let used = match tail.first() {
                    Some(b'$') => {
                        found.push(Part::Text(b"\\$"));
                        1
                    }
                    Some(b'{') => {
                        let close = tail.iter().position(|&byte| byte == b'}');
                        let close = close.ok_or_else(|| TextError::new("${ without a closing }"))?;
                        found.push(modifiers(&tail[1..close])?);
                        close + 1
                    }
                    _ => {
                        found.push(Part::Number { offset: 0, width: 0, base: b'd' });
                        0
                    }
                };
                at += 1 + used;
                from = at;
            }
            _ => at += 1,
        }
    }
    found.push(Part::Text(&text[from..]));
    Ok(found)
}

/// What stands between the braces: `offset[,width[,base]]`.
fn modifiers(text: &[u8]) -> Result<Part<'_>, TextError> {
    let wrong = || {
        TextError::new("a modifier is ${offset}, ${offset,width} or ${offset,width,base} with base d, o, x, X, n or N")
    };
    let mut fields = text.split(|&byte| byte == b',');
    let offset_text = fields.next().unwrap_or_default();
    let (sign, digits) = match offset_text.split_first() {
        Some((b'-', digits)) => (-1, digits),
        Some((b'+', digits)) => (1, digits),
        _ => (1, offset_text),
    };
    let offset = sign * i64::from(number(digits, "an offset", i32::MAX as u32).map_err(|_| wrong())?);
    let width = fields.next().map_or(Ok(0), |text| number(text, "a width", MAX_WIDTH as u32).map_err(|_| wrong()))?;
    let base = match fields.next() {
        None => b'd',
        Some([base @ (b'd' | b'o' | b'x' | b'X' | b'n' | b'N')]) => *base,
        Some(_) => return Err(wrong()),
    };
    if fields.next().is_some() { Err(wrong()) } else { Ok(Part::Number { offset, width: width as usize, base }) }
}

fn expand(parts: &[Part<'_>], value: u32) -> Vec<u8> {
    let mut out = String::new();
    let mut bytes = Vec::new();
    for part in parts {
        match part {
            Part::Text(text) => bytes.extend_from_slice(text),
            &Part::Number { offset, width, base } => {
                out.clear();
                let value = i64::from(value) + offset;
                // Negative numbers have no digits but decimal ones; BIND prints their two's complement.
                let bits = value as u32;
                let written = match base {
                    b'd' => write!(out, "{value:0width$}"),
                    b'o' => write!(out, "{bits:0width$o}"),
                    b'x' => write!(out, "{bits:0width$x}"),
                    b'X' => write!(out, "{bits:0width$X}"),
                    _ => {
                        nibbles(bits, width, base == b'N', &mut out);
                        Ok(())
                    }
                };
                written.expect("writing to a String succeeds");
                bytes.extend_from_slice(out.as_bytes());
            }
        }
    }
    bytes
}

/// Hexadecimal digits from the lowest, joined by dots; the width counts digits and dots.
fn nibbles(mut value: u32, width: usize, upper: bool, out: &mut String) {
    loop {
        let digit = char::from_digit(value & 0xf, 16).expect("a nibble is a hexadecimal digit");
        out.push(if upper { digit.to_ascii_uppercase() } else { digit });
        value >>= 4;
        if value == 0 && out.len() >= width {
            return;
        }
        out.push('.');
        if value == 0 && out.len() >= width {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn expanded(text: &str, value: u32) -> String {
        String::from_utf8(expand(&parts(text.as_bytes()).expect("a good template"), value)).expect("ASCII")
    }

    #[test]
    fn modifiers_do_what_bind_does() {
        for (text, value, expected) in [
            ("host-$", 7, "host-7"),
            ("$.${0,3}.${-1}", 7, "7.007.6"),
            ("${16,4,x}-${0,0,X}", 171, "00bb-AB"),
            ("${0,3,o}", 8, "010"),
            ("${0,7,n}", 0x1a2b, "b.2.a.1"),
            ("${0,9,N}", 0xab, "B.A.0.0.0"),
            ("${0,0,n}", 0xab, "b.a"),
            ("a$$b\\$c", 1, "a\\$b\\$c"),
        ] {
            assert_eq!(expanded(text, value), expected, "{text}");
        }
        for text in ["${", "${x}", "${0,999}", "${0,1,q}", "${0,1,d,1}"] {
            assert!(parts(text.as_bytes()).is_err(), "{text}");
        }
    }

    #[test]
    fn ranges_have_a_start_a_stop_and_perhaps_a_step() {
        assert!(range(b"1-10").is_ok() && range(b"0-255/5").is_ok());
        for text in ["", "1", "5-1", "1-5/0", "-1-5", "1-99999999999"] {
            assert!(range(text.as_bytes()).is_err(), "{text}");
        }
    }
}
