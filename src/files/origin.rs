//! From a zone's origin to the name of its file, and back.
//!
//! `example.org.` is in `example.org.zone` and the root in `root.zone`, as with Knot. Classless reverse zones have a
//! slash in their name (RFC 2317), which no file name can have: `0/25.2.0.192.in-addr.arpa.` is in
//! `0_25.2.0.192.in-addr.arpa.zone`, as with Knot again. Any other byte that could make trouble is written as `%` and
//! two hexadecimal digits, and read so for every byte.

use std::fmt::Write;
use std::path::Path;

use crate::zone::Name;

/// The end of the name of every zone file.
pub(super) const EXTENSION: &str = ".zone";

/// What stands for the root zone, whose own name is empty.
const ROOT: &str = "root";

/// The name of the file of a zone.
pub fn file_name(origin: &Name) -> String {
    stem(origin) + EXTENSION
}

/// The name of the file without its extension; different for different zones.
pub(super) fn stem(origin: &Name) -> String {
    let labels: Vec<&[u8]> = origin.labels().collect();
    if labels.is_empty() {
        return ROOT.to_owned();
    }
    let reverse = is_reverse(origin);
    let mut text = String::new();
    for label in &labels {
        if !text.is_empty() {
            text.push('.');
        }
        let slash = label.iter().position(|&byte| byte == b'/').filter(|&at| reverse && classless(label, at));
        let underscore = label.iter().position(|&byte| byte == b'_').filter(|&at| reverse && classless(label, at));
        for (index, &byte) in label.iter().enumerate() {
            if Some(index) == slash {
                text.push('_');
            } else if Some(index) != underscore && (byte.is_ascii_alphanumeric() || b"-_*".contains(&byte)) {
                text.push(char::from(byte));
            } else {
                let _ = write!(text, "%{byte:02x}");
            }
        }
    }
    if text == ROOT { format!("%{:02x}{}", ROOT.as_bytes()[0], &ROOT[1..]) } else { text }
}

/// The zone that a file is of, by its name; `None` if it is no zone file: another extension, hidden, an editor's copy.
pub fn origin_of(path: &Path) -> Option<Result<Name, String>> {
    let name = path.file_name()?;
    let Some(name) = name.to_str() else {
        let shown = name.to_string_lossy();
        return shown.ends_with(EXTENSION).then(|| Err(format!("{shown} is not a name in UTF-8")));
    };
    let stem = name.strip_suffix(EXTENSION)?;
    if stem.is_empty() || stem.starts_with('.') || stem.starts_with('#') {
        return None;
    }
    Some(parse(stem).ok_or_else(|| format!("{name} does not begin with the name of a zone, such as example.org.zone")))
}

fn parse(stem: &str) -> Option<Name> {
    if stem == ROOT {
        return Some(Name::root());
    }
    let mut wire = Vec::new();
    for label in stem.strip_suffix('.').unwrap_or(stem).split('.') {
        let label = unescape(label)?.to_ascii_lowercase();
        wire.push(u8::try_from(label.len()).ok().filter(|&length| length > 0)?);
        wire.extend_from_slice(&label);
    }
    wire.push(0);
    let name = Name::from_wire(&wire).ok()?;
    Some(if is_reverse(&name) { with_slashes(&name, stem) } else { name })
}

/// Puts the slash of a classless reverse zone where its file's name has an underscore of its own.
fn with_slashes(name: &Name, stem: &str) -> Name {
    let mut wire = Vec::new();
    for (label, written) in name.labels().zip(stem.split('.')) {
        wire.push(label.len() as u8);
        let at = label.iter().position(|&byte| byte == b'_').filter(|&at| classless(label, at));
        let start = wire.len();
        wire.extend_from_slice(label);
        // An underscore that was written as %5f is meant as one.
        if let Some(at) = at.filter(|_| written.contains('_')) {
            wire[start + at] = b'/';
        }
    }
    wire.push(0);
    Name::from_wire(&wire).unwrap_or_else(|_| name.clone())
}

/// Whether a label is digits, one separator at `at`, digits: `0/25` or `0_25`.
fn classless(label: &[u8], at: usize) -> bool {
    let digits = |part: &[u8]| !part.is_empty() && part.iter().all(u8::is_ascii_digit);
    digits(&label[..at]) && digits(&label[at + 1..])
}

fn is_reverse(name: &Name) -> bool {
    let labels: Vec<&[u8]> = name.labels().collect();
    matches!(labels[..], [.., b"in-addr" | b"ip6", b"arpa"])
}

fn unescape(label: &str) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(label.len());
    let mut rest = label.as_bytes();
    while let Some((&first, tail)) = rest.split_first() {
        rest = tail;
        if first == b'%' {
            let (digits, tail) = rest.split_at_checked(2)?;
            bytes.push(u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()?);
            rest = tail;
        } else {
            bytes.push(first);
        }
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn origin(file: &str) -> Option<Option<String>> {
        origin_of(Path::new(file)).map(|origin| origin.ok().map(|name| name.to_string()))
    }

    #[test]
    fn names_and_files_stand_for_each_other() {
        for (name, file) in [
            ("example.org.", "example.org.zone"),
            (".", "root.zone"),
            ("root.", "%72oot.zone"),
            ("0/25.2.0.192.in-addr.arpa.", "0_25.2.0.192.in-addr.arpa.zone"),
            ("0_25.2.0.192.in-addr.arpa.", "0%5f25.2.0.192.in-addr.arpa.zone"),
            ("0-25.2.0.192.in-addr.arpa.", "0-25.2.0.192.in-addr.arpa.zone"),
            ("_tcp.example.", "_tcp.example.zone"),
            ("0/1.example.", "0%2f1.example.zone"),
            ("a\\.b.example.", "a%2eb.example.zone"),
            ("\\195\\164.example.", "%c3%a4.example.zone"),
        ] {
            let parsed: Name = name.parse().expect("a name");
            assert_eq!(file_name(&parsed), file);
            assert_eq!(origin_of(Path::new(file)), Some(Ok(parsed)), "{file}");
        }
    }

    #[test]
    fn case_and_a_final_dot_do_not_matter() {
        assert_eq!(origin("zones/Example.ORG.zone"), Some(Some("example.org.".to_owned())));
        assert_eq!(origin("example.org..zone"), Some(Some("example.org.".to_owned())));
    }

    #[test]
    fn copies_of_editors_and_tools_are_no_zone_files() {
        for file in [
            "a.zone~",
            ".a.zone.swp",
            ".#a.zone",
            "#a.zone#",
            ".a.zone.Xyz123",
            "4913",
            "sedAbCdEf",
            ".zone",
            "a.zone.orig",
        ] {
            assert_eq!(origin(file), None, "{file}");
        }
        for file in ["a..b.zone", "a%2.zone", "a%zz.zone"] {
            assert_eq!(origin(file), Some(None), "{file}");
        }
    }
}
