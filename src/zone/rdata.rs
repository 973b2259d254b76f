//! The shape of each type's rdata: one table that wire checking, name compression, text parsing and text printing share.
//!
//! A type is a list of [`Field`]s in wire order. A type that the table does not list is opaque (RFC 3597).

use std::ops::Range;

use super::{RecordType, wire_name_len};

/// One field of an rdata, in wire form.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Field {
    /// A name that may be compressed in messages (RFC 3597 §4: the types of RFC 1035).
    CompressibleName,
    /// A name that is never compressed.
    Name,
    /// One byte, decimal.
    U8,
    /// Two bytes, decimal.
    U16,
    /// Four bytes, decimal.
    U32,
    /// Four bytes: an amount of seconds, in text also with units (`1h30m`).
    Seconds,
    /// Four bytes: a moment, `YYYYMMDDHHmmSS` in text (RFC 4034 §3.2).
    Timestamp,
    /// Four bytes: an IPv4 address.
    Ipv4,
    /// Sixteen bytes: an IPv6 address.
    Ipv6,
    /// A length byte and that many bytes: a `<character-string>` (RFC 1035 §3.3).
    CharString,
    /// One or more `<character-string>`s up to the end.
    CharStrings,
    /// A last `<character-string>` that may be missing (ISDN subaddress).
    OptionalCharString,
    /// All bytes up to the end as one quoted string without a length byte (URI target, CAA value).
    Text,
    /// A length byte and a tag of letters and digits (CAA, RFC 8659 §4.1).
    Tag,
    /// All bytes up to the end, base64 in text. May not be empty.
    Base64,
    /// All bytes up to the end, base64 in text, possibly none (`0` in text for DHCID-like emptiness is not used).
    Base64OrEmpty,
    /// All bytes up to the end, base64 in text, a dash if there are none (DOA).
    Base64OrDash,
    /// All bytes up to the end, hexadecimal in text. May not be empty.
    Hex,
    /// All bytes up to the end, hexadecimal in text, possibly none.
    HexOrEmpty,
    /// A length byte and bytes, hexadecimal in text, `-` if none (NSEC3 salt, RFC 5155 §3.3).
    Salt,
    /// A length byte and bytes, base32hex in text (NSEC3 next owner, RFC 5155 §3.3).
    HashedOwner,
    /// Two bytes: a record type by mnemonic.
    Type,
    /// A type bitmap up to the end (RFC 4034 §4.1.2).
    TypeBitmap,
    /// SvcParams up to the end (RFC 9460 §2.1, §2.2).
    SvcParams,
    /// Address prefix items up to the end (RFC 3123).
    AplItems,
    /// A geographical location, 16 bytes (RFC 1876).
    Location,
    /// Six bytes `xx-xx-xx-xx-xx-xx` (RFC 7043).
    Eui48,
    /// Eight bytes `xx-xx-xx-xx-xx-xx-xx-xx` (RFC 7043).
    Eui64,
    /// Eight bytes in four groups `x:x:x:x` (NID and L64, RFC 6742).
    Groups64,
    /// Two bytes: a certificate type by mnemonic or number (CERT, RFC 4398).
    CertType,
    /// One byte: a DNSSEC algorithm by mnemonic or number (RFC 4034 appendix A.1).
    Algorithm,
    /// Gateway type, algorithm, gateway and key after the precedence (IPSECKEY, RFC 4025).
    IpsecGateway,
    /// Discovery bit, relay type and relay after the precedence (AMTRELAY, RFC 8777).
    AmtRelay,
    /// HIT, public key and rendezvous servers (HIP, RFC 8005).
    Hip,
    /// An NSAP address: `0x` and hexadecimal (RFC 1706).
    Nsap,
    /// An ATM address: a format, then hexadecimal, or after a plus sign decimal digits (af-dans-0152.000).
    Atma,
    /// Address, protocol and port bitmap (WKS, RFC 1035 §3.4.2).
    Wks,
    /// Prefix length, address suffix and prefix name (A6, RFC 2874; historic).
    A6,
    /// Bytes that have no text form but `\#` (RFC 3597).
    Opaque,
}

/// Why rdata does not suit its type.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("malformed {rtype} rdata: {reason}")]
pub struct RdataError {
    /// The type.
    pub rtype: RecordType,
    /// What is wrong.
    pub reason: &'static str,
}

/// The fields of a type in wire order; [`Field::Opaque`] alone for a type without a known shape.
pub fn shape(rtype: RecordType) -> &'static [Field] {
    use Field::*;
    use RecordType as T;
    match rtype {
        T::A => &[Ipv4],
        T::NS | T::MD | T::MF | T::CNAME | T::MB | T::MG | T::MR | T::PTR => &[CompressibleName],
        T::SOA => &[CompressibleName, CompressibleName, U32, Seconds, Seconds, Seconds, Seconds],
        T::WKS => &[Wks],
        T::HINFO => &[CharString, CharString],
        T::MINFO => &[CompressibleName, CompressibleName],
        T::TALINK => &[Name, Name],
        T::EID | T::NIMLOC => &[Hex],
        T::ATMA => &[Atma],
        T::SINK => &[U8, U8, U8, Base64OrEmpty],
        T::DOA => &[U32, U32, U8, CharString, Base64OrDash],
        T::MX => &[U16, CompressibleName],
        T::TXT | T::SPF | T::NINFO | T::AVC | T::RESINFO | T::WALLET => &[CharStrings],
        T::RP => &[Name, Name],
        T::AFSDB | T::RT | T::KX | T::LP => &[U16, Name],
        T::X25 => &[CharString],
        T::ISDN => &[CharString, OptionalCharString],
        T::NSAP => &[Nsap],
        T::NSAP_PTR | T::DNAME => &[Name],
        T::SIG | T::RRSIG => &[Type, Algorithm, U8, U32, Timestamp, Timestamp, U16, Name, Base64],
        T::KEY | T::DNSKEY | T::CDNSKEY | T::RKEY => &[U16, U8, Algorithm, Base64OrEmpty],
        T::PX => &[U16, Name, Name],
        T::GPOS => &[CharString, CharString, CharString],
        T::AAAA => &[Ipv6],
        T::LOC => &[Location],
        T::SRV => &[U16, U16, U16, Name],
        T::NAPTR => &[U16, U16, CharString, CharString, CharString, Name],
        T::CERT => &[CertType, U16, Algorithm, Base64],
        T::A6 => &[A6],
        T::APL => &[AplItems],
        T::DS | T::CDS | T::TA | T::DLV => &[U16, Algorithm, U8, Hex],
        T::SSHFP => &[U8, U8, Hex],
        T::IPSECKEY => &[U8, IpsecGateway],
        T::NSEC => &[Name, TypeBitmap],
        T::NXT => &[Name, Opaque],
        T::DHCID | T::OPENPGPKEY => &[Base64],
        T::NSEC3 => &[U8, U8, U16, Salt, HashedOwner, TypeBitmap],
        T::NSEC3PARAM => &[U8, U8, U16, Salt],
        T::TLSA | T::SMIMEA => &[U8, U8, U8, Hex],
        T::HIP => &[Hip],
        T::CSYNC => &[U32, U16, TypeBitmap],
        T::ZONEMD => &[U32, U8, U8, Hex],
        T::SVCB | T::HTTPS => &[U16, Name, SvcParams],
        T::DSYNC => &[Type, U8, U16, Name],
        T::NID | T::L64 => &[U16, Groups64],
        T::L32 => &[U16, Ipv4],
        T::EUI48 => &[Eui48],
        T::EUI64 => &[Eui64],
        T::URI => &[U16, U16, Text],
        T::CAA => &[U8, Tag, Text],
        T::AMTRELAY => &[U8, AmtRelay],
        _ => &[Opaque],
    }
}

/// Whether names in rdata of this type may be compressed in messages (RFC 3597 §4): whether its shape has such.
pub fn is_compressible(rtype: RecordType) -> bool {
    use RecordType as T;
    matches!(rtype, T::NS | T::MD | T::MF | T::CNAME | T::SOA | T::MB | T::MG | T::MR | T::PTR | T::MINFO | T::MX)
}

/// Splits uncompressed rdata into its fields and checks each, the whole filled exactly.
pub fn fields(rtype: RecordType, rdata: &[u8]) -> Result<Vec<(Field, Range<usize>)>, RdataError> {
    let mut found = Vec::with_capacity(shape(rtype).len());
    split(rtype, rdata, |field, range| found.push((field, range)))?;
    Ok(found)
}

/// Tells of each field in turn where it lies.
fn split(rtype: RecordType, rdata: &[u8], mut found: impl FnMut(Field, Range<usize>)) -> Result<(), RdataError> {
    let mut at = 0;
    for &field in shape(rtype) {
        let length = field_len(field, &rdata[at..]).map_err(|reason| RdataError { rtype, reason })?;
        if rdata.len() - at < length {
            return Err(RdataError { rtype, reason: "too short" });
        }
        found(field, at..at + length);
        at += length;
    }
    if at == rdata.len() { Ok(()) } else { Err(RdataError { rtype, reason: "bytes left over at the end" }) }
}

/// Whether the rdata suits its type and may be stored and served.
pub fn check(rtype: RecordType, rdata: &[u8]) -> Result<(), RdataError> {
    if rdata.len() > usize::from(u16::MAX) {
        return Err(RdataError { rtype, reason: "more than 65535 bytes" });
    }
    split(rtype, rdata, |_, _| {})
}

/// Whether two spellings of one rdata of this type are possible: names in any case (RFC 4034 §6.2).
pub fn may_spell_differently(rtype: RecordType) -> bool {
    shape(rtype).iter().any(|field| matches!(field, Field::CompressibleName | Field::Name))
}

/// The bytes that count when two rdata are compared: embedded names lower-cased for the types of RFC 4034 §6.2
/// (as updated by RFC 6840 §5.1), everything else as it is.
pub fn canonical(rtype: RecordType, rdata: &[u8]) -> Vec<u8> {
    let mut bytes = rdata.to_vec();
    for (field, range) in fields(rtype, rdata).unwrap_or_default() {
        if matches!(field, Field::CompressibleName | Field::Name) && rtype != RecordType::NSEC {
            bytes[range].make_ascii_lowercase();
        }
    }
    bytes
}

/// How many bytes `field` takes at the start of `rest`; more than there are means too short.
fn field_len(field: Field, rest: &[u8]) -> Result<usize, &'static str> {
    use Field::*;
    let counted = |at: usize| rest.get(at).map(|&n| at + 1 + n as usize).ok_or("too short");
    match field {
        CompressibleName | Name => wire_name_len(rest).map_err(|_| "bad name"),
        U8 | Algorithm => Ok(1),
        U16 | Type | CertType => Ok(2),
        U32 | Seconds | Timestamp | Ipv4 => Ok(4),
        Ipv6 => Ok(16),
        Eui48 => Ok(6),
        Eui64 | Groups64 => Ok(8),
        CharString | Salt | HashedOwner => counted(0),
        Tag => match rest.split_first() {
            Some((&n, tail)) if n > 0 && tail.iter().take(n.into()).all(u8::is_ascii_alphanumeric) => {
                Ok(1 + n as usize)
            }
            _ => Err("the tag is empty or has other than letters and digits"),
        },
        CharStrings => char_strings(rest).map(|()| rest.len()),
        OptionalCharString if rest.is_empty() => Ok(0),
        OptionalCharString => counted(0),
        Base64 | Hex | Nsap if rest.is_empty() => Err("a field is empty"),
        Base64 | Hex | Nsap | Base64OrEmpty | Base64OrDash | HexOrEmpty | Text | Opaque => Ok(rest.len()),
        Atma => match rest {
            [0, _, ..] => Ok(rest.len()),
            [1, digits @ ..] if !digits.is_empty() && digits.iter().all(u8::is_ascii_digit) => Ok(rest.len()),
            _ => Err("no ATM address of a known format"),
        },
        TypeBitmap => type_bitmap(rest).map(|()| rest.len()),
        SvcParams => svc_params(rest).map(|()| rest.len()),
        AplItems => apl_items(rest).map(|()| rest.len()),
        // Other versions than 0 look as they like (RFC 1876 §2).
        Location if rest.first().is_some_and(|&version| version > 0) => Ok(rest.len()),
        Location => Ok(16),
        IpsecGateway => gateway(rest, 2, rest.first().copied()).map(|_| rest.len()),
        AmtRelay => match gateway(rest, 1, rest.first().map(|byte| byte & 0x7f))? {
            end if end == rest.len() => Ok(end),
            _ => Err("bytes left over at the end"),
        },
        Hip => hip(rest).map(|()| rest.len()),
        Wks if rest.len() < 5 => Err("too short"),
        Wks => Ok(rest.len()),
        A6 => a6(rest),
    }
}

fn char_strings(mut rest: &[u8]) -> Result<(), &'static str> {
    if rest.is_empty() {
        return Err("no character-string");
    }
    while let Some((&length, tail)) = rest.split_first() {
        rest = tail.get(length as usize..).ok_or("a character-string is cut short")?;
    }
    Ok(())
}

fn type_bitmap(mut rest: &[u8]) -> Result<(), &'static str> {
    let mut last = None;
    while let [window, length, tail @ ..] = rest {
        if last.is_some_and(|last| last >= *window) || !(1..=32).contains(length) {
            return Err("bad type bitmap");
        }
        last = Some(*window);
        rest = tail.get(*length as usize..).ok_or("the type bitmap is cut short")?;
    }
    if rest.is_empty() { Ok(()) } else { Err("the type bitmap is cut short") }
}

fn svc_params(mut rest: &[u8]) -> Result<(), &'static str> {
    let mut last = None;
    while let [k0, k1, l0, l1, tail @ ..] = rest {
        let key = u16::from_be_bytes([*k0, *k1]);
        if last.is_some_and(|last| last >= key) {
            return Err("SvcParams are not in ascending order of keys");
        }
        last = Some(key);
        rest = tail.get(usize::from(u16::from_be_bytes([*l0, *l1]))..).ok_or("a SvcParam is cut short")?;
    }
    if rest.is_empty() { Ok(()) } else { Err("a SvcParam is cut short") }
}

fn apl_items(mut rest: &[u8]) -> Result<(), &'static str> {
    while let [_, _, _, length, tail @ ..] = rest {
        rest = tail.get(usize::from(length & 0x7f)..).ok_or("an address prefix is cut short")?;
    }
    if rest.is_empty() { Ok(()) } else { Err("an address prefix is cut short") }
}

/// Where the gateway that starts at `at` ends, by its type: none, IPv4, IPv6, name (RFC 4025 §2.5, RFC 8777 §4.2.3).
fn gateway(rest: &[u8], at: usize, kind: Option<u8>) -> Result<usize, &'static str> {
    let tail = rest.get(at..).ok_or("too short")?;
    let length = match kind {
        Some(0) => 0,
        Some(1) => 4,
        Some(2) => 16,
        Some(3) => wire_name_len(tail).map_err(|_| "bad gateway name")?,
        _ => return Err("unknown gateway type"),
    };
    if tail.len() < length { Err("too short") } else { Ok(at + length) }
}

fn hip(rest: &[u8]) -> Result<(), &'static str> {
    let [hit_len, _, k0, k1, tail @ ..] = rest else { return Err("too short") };
    let fixed = usize::from(*hit_len) + usize::from(u16::from_be_bytes([*k0, *k1]));
    let mut servers = tail.get(fixed..).ok_or("too short")?;
    while !servers.is_empty() {
        servers = &servers[wire_name_len(servers).map_err(|_| "bad rendezvous server name")?..];
    }
    Ok(())
}

fn a6(rest: &[u8]) -> Result<usize, &'static str> {
    let prefix = *rest.first().ok_or("too short")?;
    if prefix > 128 {
        return Err("prefix length beyond 128");
    }
    let name_at = 1 + (128 - usize::from(prefix)).div_ceil(8);
    let name = rest.get(name_at..).ok_or("too short")?;
    if prefix == 0 { Ok(name_at) } else { wire_name_len(name).map(|n| name_at + n).map_err(|_| "bad prefix name") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_compressible_is_so_by_its_shape() {
        for rtype in (0..=u16::MAX).map(RecordType) {
            assert_eq!(is_compressible(rtype), shape(rtype).contains(&Field::CompressibleName), "{rtype}");
        }
    }

    #[test]
    fn good_rdata_passes_and_bad_is_named() {
        let ok = |rtype, bytes: &[u8]| check(rtype, bytes).is_ok();
        assert!(ok(RecordType::A, &[1, 2, 3, 4]));
        assert!(!ok(RecordType::A, &[1, 2, 3]));
        assert!(!ok(RecordType::A, &[1, 2, 3, 4, 5]));
        assert!(ok(RecordType::MX, &[0, 10, 1, b'a', 0]));
        assert!(!ok(RecordType::MX, &[0, 10, 0xc0, 12]));
        assert!(ok(RecordType::TXT, &[1, b'x', 0]));
        assert!(!ok(RecordType::TXT, &[]));
        assert!(!ok(RecordType::TXT, &[5, b'x']));
        assert!(ok(RecordType(65280), &[]));
        assert!(ok(RecordType::CAA, b"\x00\x05issueca.example"));
        assert!(!ok(RecordType::HTTPS, &[0, 1, 0, 0, 3, 0, 0, 0, 1, 0, 0]));
        assert_eq!(canonical(RecordType::MX, &[0, 10, 1, b'A', 0]), [0, 10, 1, b'a', 0]);
        assert_eq!(canonical(RecordType::TXT, &[1, b'A']), [1, b'A']);
    }
}
