//! A master file held without loss: the texts, and what each line of them means.

use std::ops::Range;
use std::sync::{Arc, OnceLock};

use super::entry::{Entry, Source};
use super::parser::Parser;
use super::{Diagnostic, Marker, changes, patch};
use crate::zone::{Name, Zone, ZoneContent};

/// A master file with everything it includes.
#[derive(Clone, Debug)]
pub struct ZoneFile {
    pub(super) sources: Vec<Source>,
    /// What each line means, made when it is first needed.
    entries: OnceLock<Vec<Entry>>,
    pub(super) form: Form,
    zone: Zone,
    content: OnceLock<ZoneContent>,
    warnings: Vec<Diagnostic>,
    /// The marker and where its line lies in the main file.
    pub(super) marker: Option<(Marker, Range<usize>)>,
}

/// How a file is written, beyond what it says.
#[derive(Clone, Copy, Debug)]
pub(super) struct Form {
    /// Whether the SOA stands there more than once.
    pub(super) soa_repeats: bool,
    /// See [`ZoneFile::plain_from`].
    pub(super) plain_from: Option<usize>,
}

/// Lines in which a text differs from an earlier version of it.
#[derive(Debug)]
pub struct Hunk {
    /// What stood there before.
    pub old: Arc<[u8]>,
    /// Where in the text lies what stands there now.
    pub new: Range<usize>,
}

impl ZoneFile {
    pub(super) fn new(
        marker: Option<(Marker, Range<usize>)>,
        sources: Vec<Source>,
        zone: Zone,
        form: Form,
        warnings: Vec<Diagnostic>,
    ) -> ZoneFile {
        ZoneFile { sources, entries: OnceLock::new(), form, zone, content: OnceLock::new(), warnings, marker }
    }

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
        ZoneFile::parse_shared(path, text.into(), origin, include)
    }

    /// As [`ZoneFile::parse`], with a text that is shared: a large one is then in memory once.
    pub fn parse_shared(
        path: &str,
        text: Arc<[u8]>,
        origin: &Name,
        include: &mut dyn FnMut(&str) -> Result<Vec<u8>, String>,
    ) -> Result<ZoneFile, Vec<Diagnostic>> {
        Parser::new(origin.clone(), include).run(path, text)
    }

    /// Reads another version of a text that was plain and said `before`, by the lines alone that differ: these hunks, in the
    /// order of the text, of which the first covers all before [`ZoneFile::plain_from`] in both. `None` if that does not do
    /// and the text has to be read as a whole: whenever there is anything to point out, and after changes of what other
    /// lines mean.
    pub fn parse_changes(path: &str, text: Arc<[u8]>, before: &Zone, hunks: &[Hunk]) -> Option<ZoneFile> {
        changes::parse(path, text, before, hunks)
    }

    /// What the file says.
    pub fn zone(&self) -> &Zone {
        &self.zone
    }

    /// What the file says, as a value to work with. Of a large zone it takes far more time and memory than the zone.
    pub fn content(&self) -> &ZoneContent {
        self.content.get_or_init(|| self.zone.to_content())
    }

    /// What each line means, in the order in which the lines take effect.
    pub(super) fn entries(&self) -> &[Entry] {
        self.entries.get_or_init(|| Parser::entries_of(&self.sources, self.zone.origin(), false))
    }

    /// The same up to the SOA, of which a large file has few.
    pub(super) fn entries_to_soa(&self) -> Vec<Entry> {
        Parser::entries_of(&self.sources, self.zone.origin(), true)
    }

    /// What is probably not as meant, though it can be loaded.
    pub fn warnings(&self) -> &[Diagnostic] {
        &self.warnings
    }

    /// From which byte on the file's text is plain: each line is one record or none, and all that it takes from the lines
    /// before is its owner. `None` if the zone has several texts, or if there was something to point out.
    pub fn plain_from(&self) -> Option<usize> {
        self.form.plain_from
    }

    /// The version that the file says it shows.
    pub fn marker(&self) -> Option<Marker> {
        self.marker.as_ref().map(|found| found.0)
    }

    /// The path and the original text of the main file, which comes first, and of every included file.
    pub fn sources(&self) -> impl Iterator<Item = (&str, &[u8])> {
        self.sources.iter().map(|source| (source.path.as_str(), &source.text[..]))
    }

    /// The same as texts to share.
    pub fn texts(&self) -> impl Iterator<Item = (&str, Arc<[u8]>)> {
        self.sources.iter().map(|source| (source.path.as_str(), Arc::clone(&source.text)))
    }

    /// The texts that have to change so that the file says `target` under `marker`; without a marker an existing one is
    /// taken out. Lines that need no change stay as they are, byte for byte.
    pub fn patch(&self, target: &Zone, marker: Option<Marker>) -> Vec<(String, Vec<u8>)> {
        patch::patch(self, target, marker)
    }
}
