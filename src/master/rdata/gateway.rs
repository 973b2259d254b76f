//! Gateways of IPSECKEY (RFC 4025 §3) and relays of AMTRELAY (RFC 8777 §4.3): nothing, an address or a name.

use std::net::{Ipv4Addr, Ipv6Addr};

use super::read::{ipv4, ipv6, u8_token};
use super::reader::Reader;
use super::{TextError, mnemonic};
use crate::master::name_text::write_name;
use crate::zone::{Name, wire_name_len};

/// Gateway type, algorithm, gateway, key.
pub(super) fn read_ipsec(reader: &mut Reader<'_, '_>, out: &mut Vec<u8>) -> Result<(), TextError> {
    let kind = u8_token(reader, "a gateway type")?;
    out.extend_from_slice(&[kind, reader.parse("an algorithm", mnemonic::algorithm)?]);
    read_gateway(reader, kind, out)?;
    reader.base64_rest(out)
}

/// Discovery bit, relay type, relay.
pub(super) fn read_relay(reader: &mut Reader<'_, '_>, out: &mut Vec<u8>) -> Result<(), TextError> {
    let discovery = reader.number("the discovery bit", 1)? as u8;
    let kind = reader.number("a relay type", 0x7f)? as u8;
    out.push(discovery << 7 | kind);
    read_gateway(reader, kind, out)
}

fn read_gateway(reader: &mut Reader<'_, '_>, kind: u8, out: &mut Vec<u8>) -> Result<(), TextError> {
    match kind {
        0 => reader.parse("a gateway", |text| match text {
            b"." => Ok(()),
            _ => Err(TextError::new("a gateway of type 0 is written as a dot")),
        }),
        1 => reader.parse("a gateway", ipv4).map(|address| out.extend_from_slice(&address.octets())),
        2 => reader.parse("a gateway", ipv6).map(|address| out.extend_from_slice(&address.octets())),
        3 => reader.name(out),
        _ => Err(TextError::new("the gateway type should be 0 (none), 1 (IPv4), 2 (IPv6) or 3 (a name)")),
    }
}

/// Writes gateway type, algorithm, gateway, key.
pub(super) fn write_ipsec(rest: &[u8], origin: Option<&Name>, out: &mut String) -> Option<()> {
    let [kind, algorithm, tail @ ..] = rest else { return None };
    out.push_str(&format!("{kind} {algorithm} "));
    let used = write_gateway(*kind, tail, origin, out)?;
    if used < tail.len() {
        out.push(' ');
        out.push_str(&data_encoding::BASE64.encode(&tail[used..]));
    }
    Some(())
}

/// Writes discovery bit, relay type, relay.
pub(super) fn write_relay(rest: &[u8], origin: Option<&Name>, out: &mut String) -> Option<()> {
    let (first, tail) = rest.split_first()?;
    out.push_str(&format!("{} {} ", first >> 7, first & 0x7f));
    write_gateway(first & 0x7f, tail, origin, out).filter(|&used| used == tail.len()).map(drop)
}

/// Writes a gateway and tells how many bytes it took.
fn write_gateway(kind: u8, rest: &[u8], origin: Option<&Name>, out: &mut String) -> Option<usize> {
    match kind {
        0 => {
            out.push('.');
            Some(0)
        }
        1 => {
            let bytes: [u8; 4] = rest.get(..4)?.try_into().ok()?;
            out.push_str(&Ipv4Addr::from(bytes).to_string());
            Some(4)
        }
        2 => {
            let bytes: [u8; 16] = rest.get(..16)?.try_into().ok()?;
            out.push_str(&Ipv6Addr::from(bytes).to_string());
            Some(16)
        }
        3 => {
            let length = wire_name_len(rest).ok()?;
            write_name(&rest[..length], origin, out);
            Some(length)
        }
        _ => None,
    }
}
