//! Where the majority is not followed, and why. In all of these BIND's checker says what Grapevine says.

use super::Judged;
use super::lines::HEAD;
use super::stock::ask;

/// In how many bytes of a file a second fault is looked for.
const MOST_PLACES: usize = 200;

/// A kind of file that is judged otherwise than by the majority.
pub(crate) struct Exception {
    /// What it is about.
    pub(crate) name: &'static str,
    /// Why.
    pub(crate) reason: &'static str,
    /// Whether a file on which Grapevine and the majority differ is of this kind.
    applies: fn(&Judged) -> bool,
}

/// All of them.
pub(crate) const EXCEPTIONS: &[Exception] = &[
    Exception {
        name: "$GENERATE",
        reason: "BIND alone has it; files that use it are to be read as BIND reads them",
        applies: |file| has_word(file, &["$GENERATE"]),
    },
    Exception {
        name: "types that BIND alone knows by name",
        reason: "the others take the mnemonic for a mistake, or the type had none yet when they were released",
        applies: |file| file.ours.accepts && has_word(file, BIND_TYPES),
    },
    Exception {
        name: "relative origins",
        reason: "RFC 1035 section 5.1 lets a domain name be relative everywhere; $ORIGIN sub is common in files for BIND",
        applies: |file| file.ours.accepts && has_word(file, &["$ORIGIN", "$INCLUDE"]),
    },
    Exception {
        name: "escapes beyond 255 and at the end of a line",
        reason: "RFC 1035 section 5.1: \\DDD is an octet; NSD and Knot take \\256 for another byte, or a line end for part \
                 of a name",
        applies: |file| said(file, &["error: bad escape", "error: a backslash at the end"]),
    },
    Exception {
        name: "types of questions as data",
        reason: "RFC 6895 section 3.1: OPT, TKEY, ANY and the like are never in a zone, under no name",
        applies: |file| said(file, &["is no type that a zone can hold"]),
    },
    Exception {
        name: "unknown directives",
        reason: "RFC 1035 section 5.1 lists the directives; NSD passes over others, Knot over one that no line end follows",
        applies: |file| said(file, &["error: unknown directive"]),
    },
    Exception {
        name: "malformed data of a known type as \\# bytes",
        reason: "RFC 3597 section 5: such data is of the type as if written in its own form; NSD and Knot serve it as it is",
        applies: |file| said(file, &["error: malformed "]),
    },
];

/// Types that BIND alone can read.
const BIND_TYPES: &[&str] = &[
    "NSAP-PTR", "GPOS", "EID", "NIMLOC", "ATMA", "A6", "SINK", "HIP", "NINFO", "RKEY", "TALINK", "AVC", "DOA",
    "AMTRELAY", "RESINFO", "WALLET", "DSYNC", "UINFO", "UID", "GID", "UNSPEC", "NXT", "TA",
];

/// The exception that a file falls under on which Grapevine and the majority differ.
pub(crate) fn exception(file: &Judged) -> Option<&'static Exception> {
    let with_bind = file.ours.accepts == file.theirs[0].accepts;
    EXCEPTIONS.iter().find(|exception| with_bind && (exception.applies)(file))
}

fn has_word(file: &Judged, wanted: &[&str]) -> bool {
    let text = String::from_utf8_lossy(&file.text).to_ascii_uppercase();
    text.split(|c: char| c.is_ascii_whitespace() || "()".contains(c)).any(|word| wanted.contains(&word))
}

fn said(file: &Judged, words: &[&str]) -> bool {
    !file.ours.accepts && words.iter().any(|words| file.ours.words.contains(words))
}

/// Whether the two checkers that reject a file do so for different faults, each of which the other two accept: the file can
/// be changed in one place so that one of the two accepts it and the other does not, and in another so that it is the other
/// way round.
pub(crate) fn rejected_for_different_faults(directory: &std::path::Path, file: &Judged) -> bool {
    let rejecting: Vec<usize> = (0..3).filter(|&checker| !file.theirs[checker].accepts).collect();
    let [one, other] = rejecting[..] else { return false };
    if !file.ours.accepts {
        return false;
    }
    let (mut only_one, mut only_other) = (false, false);
    for text in neighbours(&file.text) {
        std::fs::write(directory.join(super::FILE), text).expect("the directory is writable");
        let said = ask(directory, super::FILE, super::stock::ORIGIN);
        only_one |= said[one].accepts && !said[other].accepts;
        only_other |= said[other].accepts && !said[one].accepts;
        if only_one && only_other {
            return true;
        }
    }
    false
}

/// The file without each of its lines, and with each byte replaced by a letter or parted from the one before; the head stays.
fn neighbours(text: &[u8]) -> Vec<Vec<u8>> {
    let head = if text.starts_with(HEAD.as_bytes()) { HEAD.len() } else { 0 };
    let (head, tail) = text.split_at(head);
    let lines: Vec<&[u8]> = tail.split_inclusive(|&byte| byte == b'\n').collect();
    let without = (0..lines.len()).map(|at| [head, &lines[..at].concat(), &lines[at + 1..].concat()].concat());
    let places = 0..tail.len().min(MOST_PLACES);
    let changed = places.flat_map(|at| {
        let (before, after) = tail.split_at(at);
        [[head, before, b"b", &after[1..]].concat(), [head, before, b" ", after].concat()]
    });
    without.chain(changed).collect()
}
