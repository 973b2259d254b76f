//! Numbers that have names in presentation form: record types, DNSSEC algorithms, certificate types.

use super::TextError;
use super::reader::{ascii, number};
use crate::zone::RecordType;

/// DNSSEC algorithm mnemonics (IANA DNSSEC algorithm numbers; the spellings of BIND beside those of the registry).
const ALGORITHMS: &[(u8, &str)] = &[
    (1, "RSAMD5"),
    (2, "DH"),
    (3, "DSA"),
    (4, "ECC"),
    (5, "RSASHA1"),
    (6, "DSA-NSEC3-SHA1"),
    (6, "NSEC3DSA"),
    (7, "RSASHA1-NSEC3-SHA1"),
    (7, "NSEC3RSASHA1"),
    (8, "RSASHA256"),
    (10, "RSASHA512"),
    (12, "ECC-GOST"),
    (12, "ECCGOST"),
    (13, "ECDSAP256SHA256"),
    (14, "ECDSAP384SHA384"),
    (15, "ED25519"),
    (16, "ED448"),
    (17, "SM2SM3"),
    (23, "ECC-GOST12"),
    (252, "INDIRECT"),
    (253, "PRIVATEDNS"),
    (254, "PRIVATEOID"),
];

/// Certificate types (RFC 4398 §2.1).
const CERT_TYPES: &[(u16, &str)] = &[
    (1, "PKIX"),
    (2, "SPKI"),
    (3, "PGP"),
    (4, "IPKIX"),
    (5, "ISPKI"),
    (6, "IPGP"),
    (7, "ACPKIX"),
    (8, "IACPKIX"),
    (253, "URI"),
    (254, "OID"),
];

fn find<T: Copy>(table: &[(T, &str)], text: &[u8]) -> Option<T> {
    table.iter().find(|entry| entry.1.as_bytes().eq_ignore_ascii_case(text)).map(|entry| entry.0)
}

pub(super) fn record_type(text: &[u8]) -> Result<RecordType, TextError> {
    ascii(text).parse().map_err(|error: crate::zone::UnknownType| TextError::new(error.to_string()))
}

pub(super) fn algorithm(text: &[u8]) -> Result<u8, TextError> {
    let numbered = || number(text, "an algorithm", u8::MAX.into()).map(|value| value as u8);
    find(ALGORITHMS, text).map_or_else(numbered, Ok)
}

pub(super) fn cert_type(text: &[u8]) -> Result<u16, TextError> {
    let numbered = || number(text, "a certificate type", u16::MAX.into()).map(|value| value as u16);
    find(CERT_TYPES, text).map_or_else(numbered, Ok)
}

/// A type in a bitmap: not one that is asked for in questions alone, unless by number.
pub(super) fn listed_type(text: &[u8]) -> Result<RecordType, TextError> {
    let rtype = record_type(text)?;
    if (249..=255).contains(&rtype.0) && !text.to_ascii_uppercase().starts_with(b"TYPE") {
        return Err(TextError::new(format!("{rtype} is no type that a zone can hold")));
    }
    Ok(rtype)
}

/// A scheme of DSYNC (RFC 9859 §2.1).
pub(super) fn dsync_scheme(text: &[u8]) -> Result<u8, TextError> {
    let numbered = || number(text, "a scheme", u8::MAX.into()).map(|value| value as u8);
    find(&[(1, "NOTIFY")], text).map_or_else(numbered, Ok)
}

/// The mnemonic of a certificate type.
pub(super) fn cert_type_name(value: u16) -> Option<&'static str> {
    CERT_TYPES.iter().find(|entry| entry.0 == value).map(|entry| entry.1)
}
