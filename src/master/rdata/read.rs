//! Presentation form to wire form, field by field.

use std::net::{Ipv4Addr, Ipv6Addr};

use super::reader::{Reader, ascii, hex, number};
use super::{TextError, address_prefix, bitmap, gateway, hip, historic, location, mnemonic, svcb, timestamp};
use crate::master::lexer::Token;
use crate::master::ttl::parse_ttl;
use crate::zone::rdata::{Field, check, shape};
use crate::zone::{Name, Rdata, RecordType};

/// Reads the tokens after a record's type.
pub(in crate::master) fn read(rtype: RecordType, tokens: &[Token<'_>], origin: &Name) -> Result<Rdata, TextError> {
    let mut wire = Vec::with_capacity(32);
    read_into(rtype, tokens, origin, &mut wire)?;
    Ok(Rdata::new(wire))
}

/// The same in place of what is in `wire`.
pub(in crate::master) fn read_into(
    rtype: RecordType,
    tokens: &[Token<'_>],
    origin: &Name,
    wire: &mut Vec<u8>,
) -> Result<(), TextError> {
    wire.clear();
    let mut reader = Reader::new(tokens, origin);
    let first = tokens.first().map(|token| token.at);
    // Without a length after it, it is a string of one number sign.
    let numbered = tokens.get(1).is_none_or(|next| next.text.first().is_none_or(|byte| !byte.is_ascii_alphabetic()));
    if numbered && reader.token_if(|token| token.text == br"\#" && !token.quoted).is_some() {
        generic(&mut reader, wire)?;
    } else if rtype == RecordType::NXT {
        historic::read_nxt(&mut reader, wire)?;
    } else {
        for &field in shape(rtype) {
            read_field(field, rtype, &mut reader, wire)?;
        }
    }
    reader.finish()?;
    check(rtype, wire).map_err(|error| TextError { at: first, message: error.to_string().into() })
}

/// `\# length hex` (RFC 3597 §5).
fn generic(reader: &mut Reader<'_, '_>, wire: &mut Vec<u8>) -> Result<(), TextError> {
    let at = reader.peek().map(|token| token.at);
    let length = reader.number("the length of the data", u16::MAX.into())?;
    reader.hex_rest(wire)?;
    if wire.len() != length as usize {
        let message = format!("the length says {length} bytes, but {} follow", wire.len());
        return Err(TextError { at, message: message.into() });
    }
    Ok(())
}

fn read_field(
    field: Field,
    rtype: RecordType,
    reader: &mut Reader<'_, '_>,
    out: &mut Vec<u8>,
) -> Result<(), TextError> {
    match field {
        Field::CompressibleName | Field::Name => reader.name(out)?,
        Field::U8 if rtype == RecordType::DSYNC => out.push(reader.parse("a scheme", mnemonic::dsync_scheme)?),
        Field::U8 => out.push(reader.number("this field", u8::MAX.into())? as u8),
        Field::U16 => push_u16(out, reader.number("this field", u16::MAX.into())? as u16),
        Field::U32 => push_u32(out, reader.number("this field", u32::MAX)?),
        Field::Seconds => push_u32(out, reader.parse("an amount of seconds", seconds)?),
        Field::Timestamp => push_u32(out, reader.parse("a time", timestamp::read)?),
        Field::Ipv4 => out.extend_from_slice(&reader.parse("an IPv4 address", ipv4)?.octets()),
        Field::Ipv6 => out.extend_from_slice(&reader.parse("an IPv6 address", ipv6)?.octets()),
        Field::CharString if rtype == RecordType::X25 => x25(reader, out)?,
        Field::CharString => reader.char_string(out)?,
        Field::OptionalCharString if reader.is_empty() => {}
        Field::OptionalCharString => reader.char_string(out)?,
        Field::CharStrings => {
            reader.char_string(out)?;
            while !reader.is_empty() {
                reader.char_string(out)?;
            }
        }
        Field::Text => out.extend_from_slice(&reader.text("a string")?),
        Field::Tag => reader.char_string(out)?,
        Field::Base64OrEmpty if reader.is_empty() && rtype == RecordType::SINK => {}
        Field::Base64 | Field::Base64OrEmpty | Field::Base64OrDash if reader.is_empty() => {
            return Err(reader.missing("base64 data"));
        }
        Field::Base64 | Field::Base64OrEmpty => reader.base64_rest(out)?,
        Field::Hex | Field::HexOrEmpty if reader.is_empty() => return Err(reader.missing("hexadecimal data")),
        Field::Hex | Field::HexOrEmpty => reader.hex_rest(out)?,
        Field::Salt => counted(out, &reader.parse("a salt", salt)?)?,
        Field::HashedOwner => counted(out, &reader.parse("a hashed name", base32hex)?)?,
        Field::Type => push_u16(out, reader.parse("a record type", mnemonic::record_type)?.0),
        Field::TypeBitmap => bitmap::read(reader, out)?,
        Field::SvcParams => svcb::read(reader, out)?,
        Field::AplItems => address_prefix::read(reader, out)?,
        Field::Location => location::read(reader, out)?,
        Field::Eui48 => out.extend_from_slice(&reader.parse("an EUI-48 address", |text| eui(text, 6))?),
        Field::Eui64 => out.extend_from_slice(&reader.parse("an EUI-64 address", |text| eui(text, 8))?),
        Field::Groups64 => out.extend_from_slice(&reader.parse("four groups of hexadecimal digits", groups)?),
        Field::CertType => push_u16(out, reader.parse("a certificate type", mnemonic::cert_type)?),
        Field::Algorithm => out.push(reader.parse("an algorithm", mnemonic::algorithm)?),
        Field::IpsecGateway => gateway::read_ipsec(reader, out)?,
        Field::AmtRelay => gateway::read_relay(reader, out)?,
        Field::Hip => hip::read(reader, out)?,
        Field::Base64OrDash if reader.token_if(|token| token.text == b"-").is_some() => {}
        Field::Base64OrDash => reader.base64_rest(out)?,
        Field::Atma => out.extend_from_slice(&reader.parse("an ATM address", historic::read_atma)?),
        Field::Nsap => out.extend_from_slice(&reader.parse("an NSAP address", historic::read_nsap)?),
        Field::Wks => historic::read_wks(reader, out)?,
        Field::A6 => historic::read_a6(reader, out)?,
        Field::Opaque => {
            return Err(TextError {
                at: reader.peek().map(|token| token.at),
                message: format!(r"data of type {rtype} has no text form; write it as \# length hex (RFC 3597)").into(),
            });
        }
    }
    Ok(())
}

pub(super) fn push_u16(out: &mut Vec<u8>, value: u16) {
    out.extend_from_slice(&value.to_be_bytes());
}

pub(super) fn push_u32(out: &mut Vec<u8>, value: u32) {
    out.extend_from_slice(&value.to_be_bytes());
}

/// Bytes after a length byte.
fn counted(out: &mut Vec<u8>, bytes: &[u8]) -> Result<(), TextError> {
    out.push(u8::try_from(bytes.len()).map_err(|_| TextError::new("more than 255 bytes"))?);
    out.extend_from_slice(bytes);
    Ok(())
}

pub(super) fn ipv4(text: &[u8]) -> Result<Ipv4Addr, TextError> {
    ascii(text).parse().map_err(|_| TextError::new("this is no IPv4 address; write it like 192.0.2.1"))
}

pub(super) fn ipv6(text: &[u8]) -> Result<Ipv6Addr, TextError> {
    ascii(text).parse().map_err(|_| TextError::new("this is no IPv6 address; write it like 2001:db8::1"))
}

fn seconds(text: &[u8]) -> Result<u32, TextError> {
    parse_ttl(text).ok_or_else(|| TextError::new("an amount of seconds is a number, or like 1h30m"))
}

fn salt(text: &[u8]) -> Result<Vec<u8>, TextError> {
    if text == b"-" { Ok(Vec::new()) } else { hex(text) }
}

/// A number of the public data network: at least four digits (RFC 1183 §3.1).
fn x25(reader: &mut Reader<'_, '_>, out: &mut Vec<u8>) -> Result<(), TextError> {
    let at = reader.peek().map(|token| token.at);
    let start = out.len();
    reader.char_string(out)?;
    let digits = &out[start + 1..];
    if digits.len() < 4 || !digits.iter().all(u8::is_ascii_digit) {
        return Err(TextError { at, message: "an X25 address has four digits or more and nothing else".into() });
    }
    Ok(())
}

fn base32hex(text: &[u8]) -> Result<Vec<u8>, TextError> {
    if !text.len().is_multiple_of(8) {
        return Err(TextError::new("a hashed name has a multiple of 8 characters, with SHA-1 32 of them"));
    }
    data_encoding::BASE32HEX_NOPAD
        .decode(&text.to_ascii_uppercase())
        .map_err(|error| TextError::new(format!("this is no base32hex: {error}")))
}

fn eui(text: &[u8], octets: usize) -> Result<Vec<u8>, TextError> {
    let pairs: Vec<&[u8]> = text.split(|&byte| byte == b'-').collect();
    if pairs.len() != octets || pairs.iter().any(|pair| !(1..=2).contains(&pair.len())) {
        return Err(TextError::new(format!("this should be {octets} pairs of hexadecimal digits joined by -")));
    }
    let padded = pairs.iter().map(|pair| if pair.len() == 1 { [b'0', pair[0]] } else { [pair[0], pair[1]] });
    hex(&padded.collect::<Vec<_>>().concat())
}

fn groups(text: &[u8]) -> Result<Vec<u8>, TextError> {
    let wrong =
        || TextError::new("this should be four groups of up to four hexadecimal digits, like 14:4fff:ff20:ee64");
    let groups: Vec<&[u8]> = text.split(|&byte| byte == b':').collect();
    if groups.len() != 4 {
        return Err(wrong());
    }
    let mut bytes = Vec::with_capacity(8);
    for group in groups {
        let digits = (1..=4).contains(&group.len()) && group.iter().all(u8::is_ascii_hexdigit);
        let value = u16::from_str_radix(ascii(group), 16).ok().filter(|_| digits).ok_or_else(wrong)?;
        push_u16(&mut bytes, value);
    }
    Ok(bytes)
}

/// The 8-bit number of a token, for the formats that mix tokens freely.
pub(super) fn u8_token(reader: &mut Reader<'_, '_>, what: &str) -> Result<u8, TextError> {
    Ok(reader.parse(what, |text| number(text, what, u8::MAX.into()))? as u8)
}
