//! Address prefix lists (APL, RFC 3123): `[!]family:address/prefix`.

use std::fmt::Write;
use std::net::{Ipv4Addr, Ipv6Addr};

use super::TextError;
use super::read::{ipv4, ipv6, push_u16};
use super::reader::{Reader, number};

/// Reads the items that are left.
pub(super) fn read(reader: &mut Reader<'_, '_>, out: &mut Vec<u8>) -> Result<(), TextError> {
    while !reader.is_empty() {
        reader.parse("an address prefix", |text| item(text, out))?;
    }
    Ok(())
}

fn item(text: &[u8], out: &mut Vec<u8>) -> Result<(), TextError> {
    let wrong = || TextError::new("an address prefix is written like 1:192.0.2.0/24 or !2:2001:db8::/32");
    let (negated, rest) = text.strip_prefix(b"!").map_or((0, text), |rest| (0x80, rest));
    let colon = rest.iter().position(|&byte| byte == b':').ok_or_else(wrong)?;
    let slash = rest.iter().rposition(|&byte| byte == b'/').filter(|&slash| slash > colon).ok_or_else(wrong)?;
    let family = number(&rest[..colon], "an address family", u16::MAX.into())?;
    let address = &rest[colon + 1..slash];
    let (bytes, most) = match family {
        1 => (ipv4(address)?.octets().to_vec(), 32),
        2 => (ipv6(address)?.octets().to_vec(), 128),
        _ => return Err(TextError::new("the address family should be 1 (IPv4) or 2 (IPv6)")),
    };
    let prefix = number(&rest[slash + 1..], "a prefix length", most)?;
    // Trailing zero bytes are not sent (RFC 3123 §4).
    let length = bytes.iter().rposition(|&byte| byte != 0).map_or(0, |last| last + 1);
    push_u16(out, family as u16);
    out.extend_from_slice(&[prefix as u8, negated | length as u8]);
    out.extend_from_slice(&bytes[..length]);
    Ok(())
}

/// Writes the items with blanks between; `None` if one has no text form.
pub(super) fn write(mut rest: &[u8], out: &mut String) -> Option<()> {
    let mut between = "";
    while let [f0, f1, prefix, flags, tail @ ..] = rest {
        let (bytes, tail) = tail.split_at_checked(usize::from(flags & 0x7f))?;
        rest = tail;
        let negated = if flags & 0x80 == 0 { "" } else { "!" };
        let mut address = [0u8; 16];
        address.get_mut(..bytes.len())?.copy_from_slice(bytes);
        write!(out, "{between}{negated}").ok()?;
        match [*f0, *f1] {
            [0, 1] if bytes.len() <= 4 => {
                write!(out, "1:{}/{prefix}", Ipv4Addr::from([address[0], address[1], address[2], address[3]])).ok()?;
            }
            [0, 2] => write!(out, "2:{}/{prefix}", Ipv6Addr::from(address)).ok()?,
            _ => return None,
        }
        between = " ";
    }
    rest.is_empty().then_some(())
}
