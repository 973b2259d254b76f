//! Names as people write them: short where the origin in force completes them.

use std::fmt::Write;

use crate::zone::{Name, wire_name_len};

/// Writes a wire-form name, relative to `origin` if it lies in it, else absolute. Bytes that the reader would not give
/// back unchanged (a suffix in another case than the origin's) are written out in full.
pub(super) fn write_name(wire: &[u8], origin: Option<&Name>, out: &mut String) {
    let prefix = origin.and_then(|origin| prefix_len(wire, origin.as_wire()));
    match prefix {
        Some(0) => out.push('@'),
        Some(length) => {
            write_labels(&wire[..length], out);
            out.pop();
        }
        None => write_labels(wire, out),
    }
}

/// A name in text, relative to `origin` if it lies in it.
pub(super) fn name_text(name: &Name, origin: Option<&Name>) -> String {
    let mut out = String::new();
    write_name(name.as_wire(), origin, &mut out);
    out
}

fn write_labels(wire: &[u8], out: &mut String) {
    if Name::fmt_wire(wire, out).is_err() {
        // fmt_wire passes on the errors of its writer, and a String has none.
        let _ = out.write_char('.');
    }
}

/// How many bytes of `wire` come before `origin`, if it ends in `origin` at a label's start.
fn prefix_len(wire: &[u8], origin: &[u8]) -> Option<usize> {
    debug_assert_eq!(wire_name_len(wire), Ok(wire.len()));
    let mut at = 0;
    while wire.len() - at > origin.len() {
        at += 1 + usize::from(wire[at]);
    }
    (wire.get(at..) == Some(origin)).then_some(at)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_short_below_the_origin_and_absolute_elsewhere() {
        let origin: Name = "corp.example.".parse().expect("a name");
        let text = |wire: &[u8]| {
            let mut out = String::new();
            write_name(wire, Some(&origin), &mut out);
            out
        };
        assert_eq!(text(origin.as_wire()), "@");
        assert_eq!(text(b"\x03www\x04corp\x07example\0"), "www");
        assert_eq!(text(b"\x03www\x04Corp\x07example\0"), "www.Corp.example.");
        assert_eq!(text(b"\x05xcorp\x07example\0"), "xcorp.example.");
        assert_eq!(text(b"\0"), ".");
        assert_eq!(name_text(&"a.b.".parse().expect("a name"), Some(&Name::root())), "a.b");
    }
}
