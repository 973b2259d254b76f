//! A master file held without loss: the texts, and what each line of them means.

use std::ops::Range;

use super::entry::{Entry, Source};
use super::parser::Parser;
use super::{Diagnostic, Marker, patch};
use crate::zone::{Name, ZoneContent};

/// A master file with everything it includes.
#[derive(Clone, Debug)]
pub struct ZoneFile {
    pub(super) sources: Vec<Source>,
    pub(super) entries: Vec<Entry>,
    pub(super) content: ZoneContent,
    pub(super) warnings: Vec<Diagnostic>,
    /// The marker and where its line lies in the main file.
    pub(super) marker: Option<(Marker, Range<usize>)>,
}

impl ZoneFile {
    /// Reads the master file of the zone `origin`. `path` names the file in diagnostics; `include` is asked for the text
    /// of an included file by its path, which is resolved against the directory of the file that includes it.
    ///
    /// On errors all diagnostics are returned at once, warnings too, in the order of the text.
    pub fn parse(
        path: &str,
        text: &[u8],
        origin: &Name,
        include: &mut dyn FnMut(&str) -> Result<Vec<u8>, String>,
    ) -> Result<ZoneFile, Vec<Diagnostic>> {
        Parser::new(origin.clone(), include).run(path, text)
    }

    /// What the file says.
    pub fn content(&self) -> &ZoneContent {
        &self.content
    }

    /// What is probably not as meant, though it can be loaded.
    pub fn warnings(&self) -> &[Diagnostic] {
        &self.warnings
    }

    /// The version that the file says it shows.
    pub fn marker(&self) -> Option<Marker> {
        self.marker.as_ref().map(|found| found.0)
    }

    /// The path and the original text of the main file, which comes first, and of every included file.
    pub fn sources(&self) -> impl Iterator<Item = (&str, &[u8])> {
        self.sources.iter().map(|source| (source.path.as_str(), &source.text[..]))
    }

    /// The texts that have to change so that the file says `target` under `marker`; without a marker an existing one is
    /// taken out. Lines that need no change stay as they are, byte for byte.
    pub fn patch(&self, target: &ZoneContent, marker: Option<Marker>) -> Vec<(String, Vec<u8>)> {
        patch::patch(self, target, marker)
    }
}
