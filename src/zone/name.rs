//! Domain names in wire form (RFC 1035 §3.1), lower-cased, ordered canonically (RFC 4034 §6.1).

use std::cmp::Ordering;
use std::fmt;
use std::hash::{BuildHasherDefault, Hash, Hasher};
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::labels::{Labels, label_at};

/// The longest name on the wire in bytes, root label included (RFC 1035 §2.3.4).
pub const MAX_NAME: usize = 255;
/// The longest label in bytes (RFC 1035 §2.3.4).
pub const MAX_LABEL: usize = 63;

/// An absolute domain name: uncompressed wire form, ASCII letters lower-cased, the root label last.
///
/// Cloning shares the bytes. `Ord` is the canonical order of RFC 4034 §6.1, in which a name sorts directly before
/// everything below it.
#[derive(Clone, PartialEq, Eq)]
pub struct Name(Arc<[u8]>);

/// A map keyed by name whose iteration order depends on its history alone, so that simulations replay.
pub type NameMap<V> = hashbrown::HashMap<Name, V, BuildHasherDefault<NameHasher>>;

/// Why bytes or text are not a domain name. Nothing was stored.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// Two dots in a row, or a leading dot.
    #[error("empty label")]
    EmptyLabel,
    /// A label beyond [`MAX_LABEL`].
    #[error("label of more than 63 bytes")]
    LabelTooLong,
    /// A name beyond [`MAX_NAME`].
    #[error("name of more than 255 bytes")]
    NameTooLong,
    /// A backslash not followed by a character or by three digits up to 255.
    #[error("bad escape: after \\ comes one character or three digits up to 255")]
    BadEscape,
    /// A relative name where no origin is known.
    #[error("the name is relative and no origin is known; end it with a dot")]
    NoOrigin,
    /// Wire bytes that end early, hold a compression pointer or an unknown label type.
    #[error("malformed wire-form name")]
    BadWire,
}

impl Name {
    /// The root, `.`.
    pub fn root() -> Name {
        Name(Arc::from([0u8].as_slice()))
    }

    /// Takes an uncompressed wire-form name that fills `wire` exactly; letters are lower-cased.
    pub fn from_wire(wire: &[u8]) -> Result<Name, NameError> {
        if wire_name_len(wire)? != wire.len() {
            return Err(NameError::BadWire);
        }
        Ok(Name::from_valid_wire(wire))
    }

    /// As [`Name::from_wire`] for bytes already known to be a whole uncompressed name.
    pub fn from_valid_wire(wire: &[u8]) -> Name {
        debug_assert_eq!(wire_name_len(wire), Ok(wire.len()));
        // Label lengths are below 64 and 'A' is 65: lower-casing every byte never touches a length.
        Name(wire.iter().map(u8::to_ascii_lowercase).collect())
    }

    /// Reads presentation form (RFC 1035 §5.1): `\DDD` and `\X` escapes, `@` for the origin, a relative name completed
    /// by `origin`.
    pub fn parse(text: &[u8], origin: Option<&Name>) -> Result<Name, NameError> {
        let wire = Name::parse_to_wire(text, origin.map(Name::as_wire))?;
        Ok(Name::from_valid_wire(&wire))
    }

    /// As [`Name::parse`], but the case of the text is kept, as rdata wants it.
    pub fn parse_to_wire(text: &[u8], origin: Option<&[u8]>) -> Result<Vec<u8>, NameError> {
        let mut wire = Vec::with_capacity(text.len() + 2);
        Name::parse_onto(text, origin, &mut wire)?;
        Ok(wire)
    }

    /// As [`Name::parse_to_wire`], behind what is there already. After an error some of the name may be.
    pub fn parse_onto(text: &[u8], origin: Option<&[u8]>, wire: &mut Vec<u8>) -> Result<(), NameError> {
        if text == b"@" {
            wire.extend_from_slice(origin.ok_or(NameError::NoOrigin)?);
            return Ok(());
        }
        if text == b"." {
            wire.push(0);
            return Ok(());
        }
        let start = wire.len();
        let mut length_at = start;
        wire.push(0);
        let mut rest = text;
        let mut absolute = false;
        while !rest.is_empty() {
            let plain = rest.iter().position(|byte| matches!(byte, b'.' | b'\\')).unwrap_or(rest.len());
            wire.extend_from_slice(&rest[..plain]);
            match rest[plain..].split_first() {
                None => break,
                Some((b'.', tail)) => {
                    close_label(wire, length_at)?;
                    length_at = wire.len();
                    wire.push(0);
                    absolute = tail.is_empty();
                    rest = tail;
                }
                Some((_, tail)) => {
                    let (value, used) = unescape(tail)?;
                    wire.push(value);
                    rest = &tail[used..];
                }
            }
        }
        if !absolute {
            close_label(wire, length_at)?;
            wire.extend_from_slice(origin.ok_or(NameError::NoOrigin)?);
        }
        if wire.len() - start > MAX_NAME { Err(NameError::NameTooLong) } else { Ok(()) }
    }

    /// The wire form, root label included.
    pub fn as_wire(&self) -> &[u8] {
        &self.0
    }

    /// Whether this is `.`.
    pub fn is_root(&self) -> bool {
        self.0.len() == 1
    }

    /// The labels from the leftmost to the one before the root.
    pub fn labels(&self) -> impl Iterator<Item = &[u8]> {
        let mut rest = &self.0[..];
        std::iter::from_fn(move || {
            let length = rest[0] as usize;
            if length == 0 {
                return None;
            }
            let (label, tail) = rest[1..].split_at(length);
            rest = tail;
            Some(label)
        })
    }

    /// How many labels, the root not counted.
    pub fn label_count(&self) -> usize {
        self.labels().count()
    }

    /// The name without its leftmost label; `None` for the root.
    pub fn parent(&self) -> Option<Name> {
        (!self.is_root()).then(|| Name(self.0[1 + self.0[0] as usize..].into()))
    }

    /// Whether `self` equals `other` or lies below it.
    pub fn is_at_or_below(&self, other: &Name) -> bool {
        is_wire_at_or_below(&self.0, &other.0)
    }

    /// Whether the leftmost label is `*` (RFC 4592 §2.1.1).
    pub fn is_wildcard(&self) -> bool {
        self.0.starts_with(b"\x01*")
    }

    /// `label` put before `self`.
    pub fn child(&self, label: &[u8]) -> Result<Name, NameError> {
        if label.is_empty() {
            return Err(NameError::EmptyLabel);
        }
        if label.len() > MAX_LABEL {
            return Err(NameError::LabelTooLong);
        }
        if 1 + label.len() + self.0.len() > MAX_NAME {
            return Err(NameError::NameTooLong);
        }
        let mut wire = Vec::with_capacity(1 + label.len() + self.0.len());
        wire.push(label.len() as u8);
        wire.extend(label.iter().map(u8::to_ascii_lowercase));
        wire.extend_from_slice(&self.0);
        Ok(Name(wire.into()))
    }

    /// Writes a wire-form name of any case in presentation form, ending in a dot.
    pub fn fmt_wire(wire: &[u8], f: &mut impl fmt::Write) -> fmt::Result {
        if wire.len() <= 1 {
            return f.write_char('.');
        }
        let mut rest = wire;
        while let Some((&length, tail)) = rest.split_first() {
            if length == 0 {
                break;
            }
            let (label, tail) = tail.split_at(usize::from(length).min(tail.len()));
            rest = tail;
            for &byte in label {
                match byte {
                    b'.' | b'\\' | b'"' | b';' | b'@' | b'$' | b'(' | b')' => write!(f, "\\{}", byte as char)?,
                    0x21..=0x7e => f.write_char(byte as char)?,
                    _ => write!(f, "\\{byte:03}")?,
                }
            }
            f.write_char('.')?;
        }
        Ok(())
    }
}

/// The length of the uncompressed name that `wire` starts with, root label included.
pub fn wire_name_len(wire: &[u8]) -> Result<usize, NameError> {
    let mut at = 0;
    loop {
        let length = *wire.get(at).ok_or(NameError::BadWire)? as usize;
        if length > MAX_LABEL {
            return Err(NameError::BadWire);
        }
        at += 1 + length;
        if at > MAX_NAME {
            return Err(NameError::NameTooLong);
        }
        if length == 0 {
            return Ok(at);
        }
    }
}

/// Whether one valid, lower-cased wire-form name equals another or lies below it.
pub fn is_wire_at_or_below(name: &[u8], other: &[u8]) -> bool {
    let mut at = 0;
    while name.len() - at > other.len() {
        at += 1 + usize::from(name[at]);
    }
    name[at..] == *other
}

fn close_label(wire: &mut [u8], length_at: usize) -> Result<(), NameError> {
    let length = wire.len() - length_at - 1;
    match length {
        0 => Err(NameError::EmptyLabel),
        1..=MAX_LABEL => {
            wire[length_at] = length as u8;
            Ok(())
        }
        _ => Err(NameError::LabelTooLong),
    }
}

/// Reads what follows a backslash: the byte meant and how many characters it took.
pub(crate) fn unescape(rest: &[u8]) -> Result<(u8, usize), NameError> {
    match rest {
        [a @ b'0'..=b'9', b @ b'0'..=b'9', c @ b'0'..=b'9', ..] => {
            let value = u32::from(a - b'0') * 100 + u32::from(b - b'0') * 10 + u32::from(c - b'0');
            u8::try_from(value).map(|byte| (byte, 3)).map_err(|_| NameError::BadEscape)
        }
        [b'0'..=b'9', ..] | [] => Err(NameError::BadEscape),
        [other, ..] => Ok((*other, 1)),
    }
}

impl Ord for Name {
    fn cmp(&self, other: &Name) -> Ordering {
        canonical_cmp(&self.0, &other.0)
    }
}

/// The canonical order (RFC 4034 §6.1) of two valid, lower-cased wire-form names.
pub fn canonical_cmp(a: &[u8], b: &[u8]) -> Ordering {
    let (mine, theirs) = (Labels::of(a), Labels::of(b));
    let mut pairs = mine.rev().zip(theirs.rev());
    pairs
        .find_map(|(i, j)| Some(label_at(a, i)[1..].cmp(&label_at(b, j)[1..])).filter(|order| order.is_ne()))
        .unwrap_or_else(|| mine.count().cmp(&theirs.count()))
}

impl PartialOrd for Name {
    fn partial_cmp(&self, other: &Name) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Hash for Name {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write(&self.0);
    }
}

/// FxHash over eight bytes at a time: fast on short keys and the same in every run. Zone content is trusted data, so
/// resistance against chosen collisions is not needed here.
#[derive(Default, Clone, Copy)]
pub struct NameHasher(u64);

impl Hasher for NameHasher {
    fn write(&mut self, bytes: &[u8]) {
        for chunk in bytes.chunks(8) {
            let mut word = [0u8; 8];
            word[..chunk.len()].copy_from_slice(chunk);
            self.0 = (self.0.rotate_left(5) ^ u64::from_le_bytes(word)).wrapping_mul(0x517c_c1b7_2722_0a95);
        }
    }

    fn finish(&self) -> u64 {
        // hashbrown takes the top seven bits as a tag and the low ones as the bucket: spread the product over both.
        self.0 ^ (self.0 >> 32)
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Name::fmt_wire(&self.0, f)
    }
}

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Name::fmt_wire(&self.0, f)
    }
}

impl FromStr for Name {
    type Err = NameError;

    /// Reads a name that a person typed; the final dot may be left out.
    fn from_str(text: &str) -> Result<Name, NameError> {
        Name::parse(text.as_bytes(), Some(&Name::root()))
    }
}

/// Text for people (JSON), wire bytes between machines.
impl Serialize for Name {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() { serializer.collect_str(self) } else { serializer.serialize_bytes(&self.0) }
    }
}

impl<'de> Deserialize<'de> for Name {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Name, D::Error> {
        use serde::de::Error;
        if deserializer.is_human_readable() {
            String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
        } else {
            Name::from_wire(&Vec::<u8>::deserialize(deserializer)?).map_err(D::Error::custom)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> Name {
        text.parse().expect("a valid name")
    }

    #[test]
    fn escapes_survive_a_round_trip() {
        for text in [".", "a.b.", r"a\.b.c.", r"\065\000\255x.", r#"q\"uote."#, "*.x.", r"\@.x."] {
            let parsed = name(text);
            assert_eq!(name(&parsed.to_string()), parsed, "{text}");
        }
        assert_eq!(name(r"\065.").to_string(), "a.");
    }

    #[test]
    fn order_is_that_of_rfc_4034() {
        let sorted = [
            "example.",
            "a.example.",
            "yljkjljk.a.example.",
            "z.a.example.",
            "zabc.a.example.",
            "z.example.",
            r"\001.z.example.",
            "*.z.example.",
            r"\200.z.example.",
        ];
        for pair in sorted.windows(2) {
            assert!(name(pair[0]) < name(pair[1]), "{} before {}", pair[0], pair[1]);
        }
    }

    #[test]
    fn bad_names_are_refused() {
        let long = format!("{}.", "a".repeat(64));
        assert_eq!(Name::from_str(&long), Err(NameError::LabelTooLong));
        assert_eq!(Name::from_str(&"abc.".repeat(64)), Err(NameError::NameTooLong));
        assert_eq!(Name::from_str("a..b."), Err(NameError::EmptyLabel));
        assert_eq!(Name::from_str(r"a\256."), Err(NameError::BadEscape));
        assert_eq!(Name::parse(b"a", None), Err(NameError::NoOrigin));
        assert_eq!(Name::from_wire(&[3, b'a']), Err(NameError::BadWire));
        assert_eq!(Name::from_wire(&[0xc0, 0]), Err(NameError::BadWire));
    }

    #[test]
    fn below_means_whole_labels() {
        assert!(name("a.b.c.").is_at_or_below(&name("b.c.")));
        assert!(name("b.c.").is_at_or_below(&name("b.c.")));
        assert!(!name("ab.c.").is_at_or_below(&name("b.c.")));
        assert!(!name("c.").is_at_or_below(&name("b.c.")));
        assert!(name("c.").is_at_or_below(&Name::root()));
    }
}
