//! Types of the DNS's past that people still hold in files: WKS, NSAP, ATMA, A6, NXT.

use std::collections::BTreeSet;
use std::net::{Ipv4Addr, Ipv6Addr};

use super::read::{ipv4, ipv6};
use super::reader::{Reader, hex, number};
use super::{TextError, mnemonic};
use crate::master::name_text::write_name;
use crate::zone::{Name, RecordType, wire_name_len};

/// Protocols and services that RFC 1010 names and files still use; others are written as numbers.
const PROTOCOLS: &[(u8, &str)] = &[(1, "icmp"), (6, "tcp"), (17, "udp")];
const SERVICES: &[(u16, &str)] = &[
    (7, "echo"),
    (9, "discard"),
    (13, "daytime"),
    (20, "ftp-data"),
    (21, "ftp"),
    (22, "ssh"),
    (23, "telnet"),
    (25, "smtp"),
    (37, "time"),
    (43, "whois"),
    (53, "domain"),
    (69, "tftp"),
    (79, "finger"),
    (80, "http"),
    (110, "pop3"),
    (111, "sunrpc"),
    (119, "nntp"),
    (123, "ntp"),
    (143, "imap"),
    (161, "snmp"),
    (443, "https"),
];

/// Address, protocol, services (RFC 1035 §3.4.2).
pub(super) fn read_wks(reader: &mut Reader<'_, '_>, out: &mut Vec<u8>) -> Result<(), TextError> {
    out.extend_from_slice(&reader.parse("an IPv4 address", ipv4)?.octets());
    out.push(reader.parse("a protocol", |text| named(PROTOCOLS, text, u8::MAX.into()).map(|value| value as u8))?);
    let mut bits: Vec<u8> = Vec::new();
    while bits.is_empty() || !reader.is_empty() {
        let port = reader.parse("a service", |text| named(SERVICES, text, u16::MAX.into()))? as usize;
        bits.resize(bits.len().max(port / 8 + 1), 0);
        bits[port / 8] |= 0x80 >> (port % 8);
    }
    out.extend_from_slice(&bits);
    Ok(())
}

fn named<T: Copy + Into<u32>>(table: &[(T, &str)], text: &[u8], most: u32) -> Result<u32, TextError> {
    let found = table.iter().find(|entry| entry.1.as_bytes().eq_ignore_ascii_case(text));
    found.map_or_else(|| number(text, "this field", most), |entry| Ok(entry.0.into()))
}

/// Writes address, protocol and the ports as numbers.
pub(super) fn write_wks(rest: &[u8], out: &mut String) -> Option<()> {
    let [a, b, c, d, protocol, bits @ ..] = rest else { return None };
    out.push_str(&format!("{} {protocol}", Ipv4Addr::new(*a, *b, *c, *d)));
    for (index, byte) in bits.iter().enumerate() {
        for bit in (0..8).filter(|bit| byte & (0x80 >> bit) != 0) {
            out.push_str(&format!(" {}", index * 8 + bit));
        }
    }
    Some(())
}

/// `0x` and hexadecimal digits with dots anywhere between (RFC 1706 §5).
pub(super) fn read_nsap(text: &[u8]) -> Result<Vec<u8>, TextError> {
    let digits = text.strip_prefix(b"0x").or(text.strip_prefix(b"0X"));
    let digits = digits.ok_or_else(|| TextError::new("an NSAP address starts with 0x"))?;
    hex(&digits.iter().copied().filter(|&byte| byte != b'.').collect::<Vec<_>>())
}

/// `+` and decimal digits, or hexadecimal digits, with dots between (af-dans-0152.000 §3).
pub(super) fn read_atma(text: &[u8]) -> Result<Vec<u8>, TextError> {
    let dotless = |text: &[u8]| text.iter().copied().filter(|&byte| byte != b'.').collect::<Vec<_>>();
    let Some(digits) = text.strip_prefix(b"+") else { return Ok([vec![0], hex(&dotless(text))?].concat()) };
    let digits = dotless(digits);
    if !digits.iter().all(u8::is_ascii_digit) {
        return Err(TextError::new("after the plus sign of an ATM address come decimal digits"));
    }
    Ok([vec![1], digits].concat())
}

/// Writes an ATM address; `None` for one of another format.
pub(super) fn write_atma(bytes: &[u8], out: &mut String) -> Option<()> {
    match bytes {
        [0, octets @ ..] => out.push_str(&data_encoding::HEXLOWER.encode(octets)),
        [1, digits @ ..] => {
            out.push('+');
            out.push_str(std::str::from_utf8(digits).ok()?);
        }
        _ => return None,
    }
    Some(())
}

/// Prefix length, address suffix, prefix name (RFC 2874 §3.2).
pub(super) fn read_a6(reader: &mut Reader<'_, '_>, out: &mut Vec<u8>) -> Result<(), TextError> {
    let prefix = reader.number("a prefix length", 128)? as u8;
    out.push(prefix);
    if prefix < 128 {
        let mut octets = reader.parse("an address suffix", ipv6)?.octets();
        let from = usize::from(prefix / 8);
        octets[from] &= 0xff >> (prefix % 8);
        out.extend_from_slice(&octets[from..]);
    }
    if prefix > 0 { reader.name(out) } else { Ok(()) }
}

/// Writes prefix length, address suffix, prefix name.
pub(super) fn write_a6(rest: &[u8], origin: Option<&Name>, out: &mut String) -> Option<()> {
    let (&prefix, tail) = rest.split_first().filter(|(prefix, _)| **prefix <= 128)?;
    let (suffix, name) = tail.split_at_checked((128 - usize::from(prefix)).div_ceil(8))?;
    out.push_str(&prefix.to_string());
    if prefix < 128 {
        let mut octets = [0u8; 16];
        octets[16 - suffix.len()..].copy_from_slice(suffix);
        out.push_str(&format!(" {}", Ipv6Addr::from(octets)));
    }
    if prefix > 0 {
        out.push(' ');
        write_name(name, origin, out);
    }
    Some(())
}

/// Next name and the types below 128 as a plain bitmap (RFC 2535 §5.2).
pub(super) fn read_nxt(reader: &mut Reader<'_, '_>, out: &mut Vec<u8>) -> Result<(), TextError> {
    reader.name(out)?;
    let mut types = BTreeSet::new();
    while !reader.is_empty() {
        let rtype = reader.parse("a record type", |text| {
            let below = |rtype: &RecordType| (1..128).contains(&rtype.0);
            let wrong = || TextError::new("NXT lists types below 128 only");
            Some(mnemonic::record_type(text)?).filter(below).ok_or_else(wrong)
        })?;
        types.insert(usize::from(rtype.0));
    }
    let mut bits = vec![0u8; types.last().map_or(0, |last| last / 8 + 1)];
    for rtype in types {
        bits[rtype / 8] |= 0x80 >> (rtype % 8);
    }
    out.extend_from_slice(&bits);
    Ok(())
}

/// Writes next name and types.
pub(super) fn write_nxt(rest: &[u8], origin: Option<&Name>, out: &mut String) -> Option<()> {
    let (name, bits) = rest.split_at_checked(wire_name_len(rest).ok()?)?;
    write_name(name, origin, out);
    for (index, byte) in bits.iter().enumerate().take(16) {
        for bit in (0..8).filter(|bit| byte & (0x80 >> bit) != 0) {
            out.push_str(&format!(" {}", RecordType((index * 8 + bit) as u16)));
        }
    }
    (bits.len() <= 16).then_some(())
}
