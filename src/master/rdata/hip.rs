//! Host identities (HIP, RFC 8005 §6): algorithm, host identity tag, public key, rendezvous servers.

use super::TextError;
use super::read::{push_u16, u8_token};
use super::reader::{Reader, base64, hex};
use crate::master::name_text::write_name;
use crate::zone::{Name, wire_name_len};

/// Reads all fields.
pub(super) fn read(reader: &mut Reader<'_, '_>, out: &mut Vec<u8>) -> Result<(), TextError> {
    let algorithm = u8_token(reader, "a public key algorithm")?;
    let tag = reader.parse("a host identity tag", hex)?;
    let key = reader.parse("a public key", base64)?;
    out.push(u8::try_from(tag.len()).map_err(|_| TextError::new("a host identity tag of more than 255 bytes"))?);
    out.push(algorithm);
    push_u16(out, u16::try_from(key.len()).map_err(|_| TextError::new("a public key of more than 65535 bytes"))?);
    out.extend_from_slice(&tag);
    out.extend_from_slice(&key);
    while !reader.is_empty() {
        reader.name(out)?;
    }
    Ok(())
}

/// Writes all fields; `None` if the bytes end early.
pub(super) fn write(rest: &[u8], origin: Option<&Name>, out: &mut String) -> Option<()> {
    let [tag_len, algorithm, k0, k1, tail @ ..] = rest else { return None };
    let (tag, tail) = tail.split_at_checked(usize::from(*tag_len))?;
    let (key, mut servers) = tail.split_at_checked(usize::from(u16::from_be_bytes([*k0, *k1])))?;
    let (tag, key) = (data_encoding::HEXUPPER.encode(tag), data_encoding::BASE64.encode(key));
    out.push_str(&format!("{algorithm} {tag} {key}"));
    while !servers.is_empty() {
        let (name, more) = servers.split_at(wire_name_len(servers).ok()?);
        out.push(' ');
        write_name(name, origin, out);
        servers = more;
    }
    Some(())
}
