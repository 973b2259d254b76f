//! Wire form to presentation form, field by field.

use std::fmt::Write;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::ops::Range;

use super::{address_prefix, bitmap, gateway, hip, historic, location, mnemonic, read, svcb, timestamp};
use crate::master::char_string::write_quoted;
use crate::master::lexer::Lexer;
use crate::master::name_text::write_name;
use crate::zone::rdata::{Field, fields};
use crate::zone::{Name, RecordType};

/// Appends rdata in presentation form; names that lie in `origin` are written relative to it.
pub(in crate::master) fn write(rtype: RecordType, rdata: &[u8], origin: Option<&Name>, out: &mut String) {
    let start = out.len();
    if write_known(rtype, rdata, origin, out).is_some() {
        if is_faithful(rtype) {
            return;
        }
        // A few encodings have more wire forms than texts: whatever would not read back the same is written by bytes.
        let tokens = Lexer::again(out.as_bytes(), start);
        let root = Name::root();
        let again = read::read(rtype, &tokens, origin.unwrap_or(&root));
        if again.is_ok_and(|again| again.as_wire() == rdata) {
            return;
        }
    }
    out.truncate(start);
    write_generic(rdata, out);
}

/// Whether every well-formed rdata of the type has a text of its own.
fn is_faithful(rtype: RecordType) -> bool {
    matches!(
        rtype,
        RecordType::A
            | RecordType::AAAA
            | RecordType::NS
            | RecordType::CNAME
            | RecordType::DNAME
            | RecordType::PTR
            | RecordType::MX
            | RecordType::TXT
            | RecordType::SRV
            | RecordType::SOA
            | RecordType::DS
            | RecordType::RRSIG
    )
}

/// `\# length hex` (RFC 3597 §5).
fn write_generic(rdata: &[u8], out: &mut String) {
    let between = if rdata.is_empty() { "" } else { " " };
    let hex = data_encoding::HEXLOWER.encode(rdata);
    write!(out, r"\# {}{between}{hex}", rdata.len()).expect("writing to a String succeeds");
}

fn write_known(rtype: RecordType, rdata: &[u8], origin: Option<&Name>, out: &mut String) -> Option<()> {
    let parts: Vec<(Field, Range<usize>)> = fields(rtype, rdata).ok()?;
    if rtype == RecordType::NXT {
        return historic::write_nxt(rdata, origin, out);
    }
    for (index, (field, range)) in parts.into_iter().enumerate() {
        let bytes = &rdata[range];
        let last_and_none = bytes.is_empty() && !matches!(field, Field::Text | Field::Opaque | Field::Base64OrDash);
        // Lists of nothing leave no blank behind, and these two put one before each item.
        if index > 0 && !last_and_none && !matches!(field, Field::TypeBitmap | Field::SvcParams) {
            out.push(' ');
        }
        write_field(field, bytes, origin, out)?;
    }
    Some(())
}

fn write_field(field: Field, bytes: &[u8], origin: Option<&Name>, out: &mut String) -> Option<()> {
    match field {
        Field::CompressibleName | Field::Name => write_name(bytes, origin, out),
        Field::U8 | Field::Algorithm => number(bytes.first().copied()?, out),
        Field::U16 => number(u16::from_be_bytes(bytes.try_into().ok()?), out),
        Field::U32 | Field::Seconds => number(u32::from_be_bytes(bytes.try_into().ok()?), out),
        Field::Timestamp => out.push_str(&timestamp::write(u32::from_be_bytes(bytes.try_into().ok()?))),
        Field::Ipv4 => number(Ipv4Addr::from(<[u8; 4]>::try_from(bytes).ok()?), out),
        Field::Ipv6 => number(Ipv6Addr::from(<[u8; 16]>::try_from(bytes).ok()?), out),
        Field::CharString | Field::CharStrings | Field::OptionalCharString => char_strings(bytes, out)?,
        Field::Text => write_quoted(bytes, out),
        Field::Tag => out.push_str(std::str::from_utf8(bytes.get(1..)?).ok()?),
        Field::Base64 | Field::Base64OrEmpty => out.push_str(&data_encoding::BASE64.encode(bytes)),
        Field::Hex | Field::HexOrEmpty => out.push_str(&data_encoding::HEXUPPER.encode(bytes)),
        Field::Salt if bytes.len() == 1 => out.push('-'),
        Field::Salt => out.push_str(&data_encoding::HEXUPPER.encode(bytes.get(1..)?)),
        Field::HashedOwner => out.push_str(&data_encoding::BASE32HEX_NOPAD.encode(bytes.get(1..)?)),
        Field::Type => number(RecordType(u16::from_be_bytes(bytes.try_into().ok()?)), out),
        Field::TypeBitmap => bitmap::write(bytes, out)?,
        Field::SvcParams => svcb::write(bytes, out)?,
        Field::AplItems => address_prefix::write(bytes, out)?,
        Field::Location => location::write(bytes, out)?,
        Field::Eui48 | Field::Eui64 => joined(bytes.iter().map(|byte| format!("{byte:02x}")), "-", out),
        Field::Groups64 => {
            joined(bytes.chunks_exact(2).map(|pair| format!("{:02x}{:02x}", pair[0], pair[1])), ":", out);
        }
        Field::CertType => {
            let value = u16::from_be_bytes(bytes.try_into().ok()?);
            match mnemonic::cert_type_name(value) {
                Some(name) => out.push_str(name),
                None => number(value, out),
            }
        }
        Field::IpsecGateway => gateway::write_ipsec(bytes, origin, out)?,
        Field::AmtRelay => gateway::write_relay(bytes, origin, out)?,
        Field::Hip => hip::write(bytes, origin, out)?,
        Field::Base64OrDash if bytes.is_empty() => out.push('-'),
        Field::Base64OrDash => out.push_str(&data_encoding::BASE64.encode(bytes)),
        Field::Atma => historic::write_atma(bytes, out)?,
        Field::Nsap => out.push_str(&format!("0x{}", data_encoding::HEXUPPER.encode(bytes))),
        Field::Wks => historic::write_wks(bytes, out)?,
        Field::A6 => historic::write_a6(bytes, origin, out)?,
        Field::Opaque => return None,
    }
    Some(())
}

fn number(value: impl std::fmt::Display, out: &mut String) {
    write!(out, "{value}").expect("writing to a String succeeds");
}

fn joined(parts: impl Iterator<Item = String>, separator: &str, out: &mut String) {
    out.push_str(&parts.collect::<Vec<_>>().join(separator));
}

fn char_strings(mut rest: &[u8], out: &mut String) -> Option<()> {
    let mut between = "";
    while let Some((&length, tail)) = rest.split_first() {
        let (text, tail) = tail.split_at_checked(usize::from(length))?;
        rest = tail;
        out.push_str(between);
        write_quoted(text, out);
        between = " ";
    }
    Some(())
}
