//! Rdata: every well-formed rdata has a text that reads back the same, and every text that is read makes such rdata.
//!
//! The first two bytes are the type, the rest is taken as rdata and as text.

use grapevine::master::{parse_rdata, rdata_to_text};
use grapevine::zone::{Name, RecordType, rdata};

/// The most bytes that rdata has.
const MAX_RDATA: usize = u16::MAX as usize;

/// Checks one type with some bytes.
pub fn check(data: &[u8]) {
    let Some((&[high, low], bytes)) = data.split_first_chunk::<2>() else { return };
    let rtype = RecordType(u16::from_be_bytes([high, low]));
    if bytes.len() <= MAX_RDATA && rdata::check(rtype, bytes).is_ok() {
        round_trip(rtype, bytes);
        let canonical = rdata::canonical(rtype, bytes);
        rdata::check(rtype, &canonical).expect("the canonical form is well-formed too");
        assert_eq!(rdata::canonical(rtype, &canonical), canonical, "it is its own canonical form");
    }
    if let Ok(text) = std::str::from_utf8(bytes)
        && let Ok(read) = parse_rdata(rtype, text, &origin())
    {
        assert!(read.as_wire().len() <= MAX_RDATA, "{} bytes of rdata", read.as_wire().len());
        rdata::check(rtype, read.as_wire()).unwrap_or_else(|error| panic!("{text:?} was read as {rtype}: {error}"));
        round_trip(rtype, read.as_wire());
    }
}

fn origin() -> Name {
    "example.".parse().expect("a name")
}

fn round_trip(rtype: RecordType, wire: &[u8]) {
    let text = rdata_to_text(rtype, wire);
    let line = text.bytes().all(|byte| byte >= b' ' && byte != 0x7f);
    assert!(line, "{text:?} is not one line of plain text");
    match parse_rdata(rtype, &text, &Name::root()) {
        Ok(again) => assert_eq!(again.as_wire(), wire, "{rtype} {text}"),
        Err(error) => panic!("{rtype} {text}: {error}"),
    }
}
