//! Writing several texts of one zone file, so that a crash in between undoes no edit and loses no save.
//!
//! One text is exchanged in one step. Of several, some may be new and others old when the node comes back, which would
//! read as if a person had made half of the edit that was being written, and a save that was swapped out for a moment
//! lies beside its file. So what is about to be written is noted first; a note that is still there at the start is the
//! sign of a crash, and tells what of all this is a person's.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::read::{Hash, SourceFile};
use super::write;
use super::write_back::Texts;

/// One text that is about to be written.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(super) struct Rewrite {
    /// Where it is.
    pub path: PathBuf,
    /// What it says until then.
    pub old: Vec<u8>,
    /// The hash of what it says after that.
    pub new: Hash,
}

/// What is to be noted before these texts are written, in the order in which they are, the main file last.
pub(super) fn rewrites(sources: &[SourceFile], before: &Texts, texts: &Texts) -> Vec<Rewrite> {
    let of: BTreeMap<&str, &Path> = sources.iter().map(|source| (source.name.as_str(), &*source.path)).collect();
    let mut rewrites: Vec<Rewrite> = texts
        .iter()
        .filter_map(|(name, text)| {
            let (path, old) = (of.get(name.as_str())?.to_path_buf(), before.get(name)?.to_vec());
            Some(Rewrite { path, old, new: hash(text) })
        })
        .collect();
    rewrites.sort_by_key(|rewrite| sources.first().is_some_and(|main| main.path == rewrite.path));
    rewrites
}

/// Brings order into what a crash has left of a write-back: saves that were swapped out are put back, and unless all
/// texts are new, those that are become old again. Returns the saves that were found.
pub(super) fn undo(rewrites: &[Rewrite]) -> io::Result<Vec<PathBuf>> {
    let mut saves = Vec::new();
    for rewrite in rewrites {
        let Some(aside) = write::swapped_out(&rewrite.path) else { continue };
        let is_save = !rewrite.is_own(&aside);
        if is_save {
            saves.push(rewrite.path.clone());
            if !rewrite.is_own(&fs::read(&rewrite.path)?) {
                // Somebody has saved again since: neither may be lost.
                write::copy_aside(&rewrite.path, &aside, "orig")?;
                write::end_exchange(&rewrite.path, false)?;
                continue;
            }
        }
        write::end_exchange(&rewrite.path, is_save)?;
    }
    let is_new = |rewrite: &Rewrite| fs::read(&rewrite.path).ok().filter(|text| hash(text) == rewrite.new);
    if rewrites.last().is_some_and(|main| is_new(main).is_some()) {
        return Ok(saves);
    }
    for rewrite in rewrites {
        if let Some(text) = is_new(rewrite) {
            write::exchange(&rewrite.path, Some(&text), &rewrite.old)?;
        }
    }
    Ok(saves)
}

impl Rewrite {
    /// Whether a text is one that this node has read or written there, not a person's save.
    fn is_own(&self, text: &[u8]) -> bool {
        text == self.old || hash(text) == self.new
    }
}

fn hash(text: &[u8]) -> Hash {
    *blake3::hash(text).as_bytes()
}
