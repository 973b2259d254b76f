//! Record types by number and mnemonic (IANA DNS parameters; unknown types per RFC 3597 §5).

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// A record type (RFC 1035 §3.2.2), or a query type in a question.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct RecordType(pub u16);

/// Text that names no record type.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unknown record type {0:?}; a type without a mnemonic is written TYPE<number>")]
pub struct UnknownType(pub String);

macro_rules! record_types {
    ($($name:ident = $number:literal $(as $text:literal)?),* $(,)?) => {
        #[expect(missing_docs, reason = "each constant is the mnemonic of the IANA registry")]
        impl RecordType {
            $(pub const $name: RecordType = RecordType($number);)*
        }

        const MNEMONICS: &[(u16, &str)] = &[$(($number, record_types!(@text $name $($text)?))),*];
    };
    (@text $name:ident) => { stringify!($name) };
    (@text $name:ident $text:literal) => { $text };
}

record_types! {
    A = 1, NS = 2, MD = 3, MF = 4, CNAME = 5, SOA = 6, MB = 7, MG = 8, MR = 9, NULL = 10, WKS = 11, PTR = 12,
    HINFO = 13, MINFO = 14, MX = 15, TXT = 16, RP = 17, AFSDB = 18, X25 = 19, ISDN = 20, RT = 21, NSAP = 22,
    NSAP_PTR = 23 as "NSAP-PTR", SIG = 24, KEY = 25, PX = 26, GPOS = 27, AAAA = 28, LOC = 29, NXT = 30, EID = 31,
    NIMLOC = 32, SRV = 33, ATMA = 34, NAPTR = 35, KX = 36, CERT = 37, A6 = 38, DNAME = 39, SINK = 40, OPT = 41,
    APL = 42, DS = 43, SSHFP = 44, IPSECKEY = 45, RRSIG = 46, NSEC = 47, DNSKEY = 48, DHCID = 49, NSEC3 = 50,
    NSEC3PARAM = 51, TLSA = 52, SMIMEA = 53, HIP = 55, NINFO = 56, RKEY = 57, TALINK = 58, CDS = 59, CDNSKEY = 60, OPENPGPKEY = 61, CSYNC = 62,
    ZONEMD = 63, SVCB = 64, HTTPS = 65, DSYNC = 66, SPF = 99, UINFO = 100, UID = 101,
    GID = 102, UNSPEC = 103, NID = 104, L32 = 105, L64 = 106, LP = 107,
    EUI48 = 108, EUI64 = 109, TKEY = 249, TSIG = 250, IXFR = 251, AXFR = 252, MAILB = 253, MAILA = 254, ANY = 255,
    URI = 256, CAA = 257, AVC = 258, DOA = 259, AMTRELAY = 260, RESINFO = 261, WALLET = 262, TA = 32768, DLV = 32769,
}

impl RecordType {
    /// Whether the type exists only in messages and never in a zone: OPT, TSIG, and the query types 128 to 255
    /// (RFC 6895 §3.1).
    pub fn is_meta(self) -> bool {
        self == RecordType::OPT || (128..=255).contains(&self.0) || self.0 == 0
    }

    /// Whether a CNAME may stand beside this type (RFC 4034 §3, §4; RFC 2181 §10.1; not KEY, as NSD and Knot have it).
    pub fn may_accompany_cname(self) -> bool {
        matches!(self, RecordType::RRSIG | RecordType::NSEC | RecordType::NSEC3 | RecordType::SIG)
    }
}

impl fmt::Display for RecordType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match MNEMONICS.binary_search_by_key(&self.0, |entry| entry.0) {
            Ok(index) => f.pad(MNEMONICS[index].1),
            Err(_) => f.pad(&format!("TYPE{}", self.0)),
        }
    }
}

impl fmt::Debug for RecordType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for RecordType {
    type Err = UnknownType;

    fn from_str(text: &str) -> Result<RecordType, UnknownType> {
        let numbered =
            text.get(..4).filter(|prefix| prefix.eq_ignore_ascii_case("TYPE")).and_then(|_| text[4..].parse().ok());
        MNEMONICS
            .iter()
            .find(|entry| entry.1.eq_ignore_ascii_case(text))
            .map(|entry| entry.0)
            .or(numbered)
            .map(RecordType)
            .ok_or_else(|| UnknownType(text.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mnemonics_are_sorted_and_round_trip() {
        assert!(MNEMONICS.is_sorted_by(|a, b| a.0 < b.0));
        for &(number, text) in MNEMONICS {
            assert_eq!(text.to_lowercase().parse(), Ok(RecordType(number)));
            assert_eq!(RecordType(number).to_string(), text);
        }
        assert_eq!("type65280".parse(), Ok(RecordType(65280)));
        assert_eq!(RecordType(65280).to_string(), "TYPE65280");
        assert!("TYPE65536".parse::<RecordType>().is_err());
    }
}
