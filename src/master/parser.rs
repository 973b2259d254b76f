//! Reads the entries of a master file and of the files it includes (RFC 1035 §5.1).

use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;

use super::entry::{Entry, EntryKind, RecordEntry, Source};
use super::lexer::{BOM, Extent, Lexer, Token};
use super::rdata::{self, TextError};
use super::ttl::{MAX_TTL, TtlState, parse_ttl};
use super::zone_file::Form;
use super::{Diagnostic, Level, Marker, ZoneFile, check};
use crate::zone::{Name, Rdata, RecordType, Soa, Zone, ZoneBuilder, is_wire_at_or_below};

/// How many errors are reported before reading stops, and how many warnings are kept: enough to repair a file by, and a
/// bound for binary garbage.
const MAX_REPORTED: usize = 1000;

/// The reading of one zone.
pub(super) struct Parser<'i> {
    /// The zone's apex.
    pub(super) origin: Name,
    pub(super) include: &'i mut dyn FnMut(&str) -> Result<Vec<u8>, String>,
    pub(super) sources: Vec<Source>,
    /// The sources being read, the innermost last.
    pub(super) open: Vec<u32>,
    /// What each entry means, if that is wanted: of a large file it takes far more memory than the zone.
    pub(super) entries: Option<Vec<Entry>>,
    /// Where in the main file the entries lie that go over several lines.
    long_entries: Vec<Range<usize>>,
    /// Behind the last entry of the main file that is a directive, the SOA, or goes over several lines.
    pub(super) plain_from: usize,
    /// Whether a carriage return alone has ended a line.
    has_bare_return: bool,
    pub(super) ttl: TtlState,
    /// How many records `$GENERATE` made so far.
    pub(super) generated: usize,
    pub(super) records: ZoneBuilder,
    pub(super) soa: Option<Soa>,
    /// Whether the SOA stands there more than once.
    soa_repeats: bool,
    /// Whether nothing behind the SOA is of interest.
    only_to_soa: bool,
    /// The data of the record at hand; its memory is used again.
    rdata: Vec<u8>,
    pub(super) diagnostics: Vec<Diagnostic>,
    pub(super) errors: usize,
    warnings: usize,
}

/// Where reading stands within one source.
pub(super) struct Place {
    pub(super) source: u32,
    pub(super) text: Arc<[u8]>,
    pub(super) origin: Name,
    pub(super) owner: Owner,
}

/// The owner that an entry without one has.
#[derive(Clone, PartialEq, Eq)]
pub(super) enum Owner {
    /// No entry stated one yet.
    None,
    /// The one stated last could not be used and was reported.
    Unusable,
    /// The one stated last, in wire form.
    Known(Vec<u8>),
}

/// TTL, class and type in any order that RFC 1035 §5.1 permits, and how many tokens they took.
pub(super) struct Header {
    pub(super) ttl: Option<u32>,
    pub(super) rtype: RecordType,
    pub(super) used: usize,
}

impl<'i> Parser<'i> {
    pub(super) fn new(origin: Name, include: &'i mut dyn FnMut(&str) -> Result<Vec<u8>, String>) -> Parser<'i> {
        Parser {
            origin,
            include,
            sources: Vec::new(),
            open: Vec::new(),
            entries: None,
            long_entries: Vec::new(),
            plain_from: 0,
            has_bare_return: false,
            ttl: TtlState::default(),
            generated: 0,
            records: ZoneBuilder::default(),
            soa: None,
            soa_repeats: false,
            only_to_soa: false,
            rdata: Vec::new(),
            diagnostics: Vec::new(),
            errors: 0,
            warnings: 0,
        }
    }

    pub(super) fn run(mut self, path: &str, text: Arc<[u8]>) -> Result<ZoneFile, Vec<Diagnostic>> {
        if text.starts_with(BOM) {
            let message = "the file starts with a byte order mark; save it as UTF-8 without one".to_owned();
            self.keep(Diagnostic::new(path, &text, (0, 1), 0, Level::Error, message));
        }
        self.read(path, text);
        let soa = self.soa.clone().unwrap_or_else(no_soa);
        let zone = std::mem::take(&mut self.records).finish(self.origin.clone(), soa);
        check::check(&mut self, &zone);
        let diagnostics = self.sorted();
        if self.soa.is_none() || self.errors > 0 {
            return Err(diagnostics);
        }
        Ok(self.finish(zone, diagnostics))
    }

    /// The file as it was read, with what it says and what was pointed out.
    pub(super) fn finish(self, zone: Zone, warnings: Vec<Diagnostic>) -> ZoneFile {
        let plain_from = (warnings.is_empty() && self.is_plain()).then_some(self.plain_from);
        // A comment between the parentheses of an entry goes with the entry, so it marks nothing.
        let inside = |at: usize| self.long_entries.iter().any(|range| range.contains(&at));
        let marker = Marker::find(&self.sources[0].text).filter(|(_, range)| !inside(range.start));
        ZoneFile::new(marker, self.sources, zone, Form { soa_repeats: self.soa_repeats, plain_from }, warnings)
    }

    /// Whether all behind [`Parser::plain_from`] is lines that are one record each, and mean the same in any order but for
    /// the owners that they take from the line before.
    pub(super) fn is_plain(&self) -> bool {
        self.sources.len() == 1
            && self.generated == 0
            && !self.soa_repeats
            && !self.has_bare_return
            && self.ttl.in_force().is_some()
    }

    fn read(&mut self, path: &str, text: Arc<[u8]>) {
        if !self.only_to_soa {
            // Most records are on one line, and few are longer in wire form than there.
            self.records.reserve(text.iter().filter(|&&byte| byte == b'\n').count(), text.len());
        }
        self.sources.push(Source { path: path.to_owned(), text, uses: 1 });
        self.read_source(0, self.origin.clone(), Owner::None);
    }

    /// What each entry of texts that have been read before means; `only_to_soa` leaves out those behind the SOA.
    pub(super) fn entries_of(sources: &[Source], origin: &Name, only_to_soa: bool) -> Vec<Entry> {
        let mut include = |path: &str| -> Result<Vec<u8>, String> {
            let known = sources.iter().find(|source| source.path == path);
            known.map(|source| source.text.to_vec()).ok_or_else(|| "it could not be read before".to_owned())
        };
        let mut parser = Parser::new(origin.clone(), &mut include);
        parser.entries = Some(Vec::new());
        parser.only_to_soa = only_to_soa;
        parser.read(&sources[0].path, Arc::clone(&sources[0].text));
        parser.entries.unwrap_or_default()
    }

    pub(super) fn read_source(&mut self, source: u32, origin: Name, owner: Owner) {
        let text = Arc::clone(&self.sources[source as usize].text);
        let mut place = Place { source, text: Arc::clone(&text), origin, owner };
        self.open.push(source);
        self.read_entries(&mut place, Lexer::new(&text));
        self.open.pop();
    }

    /// Reads what a lexer finds in the text of a place.
    pub(super) fn read_entries(&mut self, place: &mut Place, mut lexer: Lexer<'_>) {
        let text = Arc::clone(&place.text);
        let mut tokens = Vec::new();
        while let Some(entry) = lexer.next_entry(&mut tokens) {
            match entry {
                Ok(extent) => self.entry(place, extent, &tokens),
                Err(error) => {
                    let line_start = text[..error.at].iter().rposition(|&byte| byte == b'\n').map_or(0, |n| n + 1);
                    self.report(place, (line_start, error.line), error.at, Level::Error, error.message.to_owned());
                }
            }
            if self.errors >= MAX_REPORTED || (self.only_to_soa && self.soa.is_some()) {
                break;
            }
        }
        self.has_bare_return |= lexer.has_bare_return;
    }

    fn entry(&mut self, place: &mut Place, extent: Extent, tokens: &[Token<'_>]) {
        let first = &tokens[0];
        let result = if !extent.indented && !first.quoted && first.text.starts_with(b"$") {
            self.plain_from = extent.end;
            self.directive(place, extent, tokens)
        } else {
            self.record(place, extent, tokens)
        };
        if let Err(error) = result {
            let at = error.at.unwrap_or(first.at);
            self.report(place, (extent.start, extent.line), at, Level::Error, error.message.into_owned());
        }
    }

    fn record(&mut self, place: &mut Place, extent: Extent, tokens: &[Token<'_>]) -> Result<(), TextError> {
        let rest = if extent.indented { tokens } else { &tokens[1..] };
        if !extent.indented {
            let before = place.text[..tokens[0].at].last();
            if tokens[0].at > extent.start && before.is_some_and(|byte| !b"\r\n".contains(byte)) {
                return Err(TextError::new("the owner has to stand at the start of its line, before any parenthesis"));
            }
            let mut owner = match std::mem::replace(&mut place.owner, Owner::Unusable) {
                Owner::Known(before) => before,
                Owner::None | Owner::Unusable => Vec::new(),
            };
            read_owner(&tokens[0], &place.origin, &mut owner)?;
            place.owner = Owner::Known(owner);
        }
        let mut rdata = std::mem::take(&mut self.rdata);
        let result = self.record_of_owner(place, extent, tokens, rest, &mut rdata);
        self.rdata = rdata;
        result
    }

    /// Reads the rest of a record behind its owner.
    fn record_of_owner(
        &mut self,
        place: &Place,
        extent: Extent,
        tokens: &[Token<'_>],
        rest: &[Token<'_>],
        rdata: &mut Vec<u8>,
    ) -> Result<(), TextError> {
        let owner = match &place.owner {
            Owner::Known(owner) => &owner[..],
            Owner::Unusable => return Ok(()),
            Owner::None => return Err(TextError::new("the first record of a file has to state its owner")),
        };
        let in_zone = is_wire_at_or_below(owner, self.origin.as_wire());
        if !in_zone && !extent.indented {
            let owner = Name::from_valid_wire(owner);
            let message = format!("{owner} is not in the zone {} and is left out", self.origin);
            self.report(place, (extent.start, extent.line), tokens[0].at, Level::Warning, message);
        }
        let header = header(rest, tokens)?;
        let rtype = header.rtype;
        rdata::read_into(rtype, &rest[header.used..], &place.origin, rdata)
            .map_err(|error| error.or_at(rest.get(header.used).or(tokens.last()).map_or(extent.start, |t| t.at)))?;
        if !in_zone {
            let stated_ttl = header.ttl.map(|ttl| self.legal_ttl(ttl, place, extent, tokens[0].at));
            stated_ttl.iter().for_each(|&ttl| self.ttl.stated(ttl));
            self.push(place, extent, || EntryKind::OutOfZone { stated_ttl });
            return Ok(());
        }
        let soa = (rtype == RecordType::SOA).then(|| Soa::from_rdata(0, rdata)).flatten();
        let at = rest[header.used - 1].at;
        let ttl = self.ttl_of(&header, soa.as_ref(), place, extent, at);
        let repeats = match soa {
            Some(soa) => {
                self.plain_from = extent.end;
                let again = self.add_soa(owner, Soa { ttl, ..soa }).map_err(|error| error.or_at(at))?;
                again.then(|| Rdata::new(&rdata[..]))
            }
            None => self.add(place, (extent.start, extent.line), at, owner, (rtype, ttl), rdata),
        };
        let (owner_stated, ttl_stated) = (!extent.indented, header.ttl.is_some());
        self.push(place, extent, || {
            let (owner, rdata) = (Name::from_valid_wire(owner), Rdata::new(&rdata[..]));
            EntryKind::Record(RecordEntry { owner, rtype, ttl, rdata, owner_stated, ttl_stated, repeats })
        });
        Ok(())
    }

    /// The TTL of a record, stated or implied; `at` is the place to point at.
    pub(super) fn ttl_of(
        &mut self,
        header: &Header,
        soa: Option<&Soa>,
        place: &Place,
        extent: Extent,
        at: usize,
    ) -> u32 {
        let entry = (extent.start, extent.line);
        if let Some(ttl) = header.ttl {
            let ttl = self.legal_ttl(ttl, place, extent, at);
            self.ttl.stated(ttl);
            return ttl;
        }
        let was_known = self.ttl.is_known();
        let implied = self.ttl.implied(soa.map(|soa| soa.minimum));
        if !was_known {
            let source = if soa.is_some() { ", the minimum of the SOA," } else { "" };
            let message = format!("no TTL is stated; {implied}{source} is used. Put a $TTL line first");
            self.report(place, entry, at, Level::Warning, message);
        }
        implied
    }

    /// A TTL as it counts: with the highest bit set as zero (RFC 2181 §8), which is pointed out at `at`.
    pub(super) fn legal_ttl(&mut self, ttl: u32, place: &Place, extent: Extent, at: usize) -> u32 {
        if ttl <= MAX_TTL {
            return ttl;
        }
        let message = format!("a TTL is at most {MAX_TTL} seconds; a larger one counts as 0 (RFC 2181 section 8)");
        self.report(place, (extent.start, extent.line), at, Level::Warning, message);
        0
    }

    /// Takes the SOA; tells whether it was there before.
    fn add_soa(&mut self, owner: &[u8], soa: Soa) -> Result<bool, TextError> {
        if *owner != *self.origin.as_wire() {
            let owner = Name::from_valid_wire(owner);
            return Err(TextError::new(format!("the SOA stands at {owner}, not at the zone's apex {}", self.origin)));
        }
        match &self.soa {
            Some(known) if known.to_rdata() == soa.to_rdata() => {
                self.soa_repeats = true;
                Ok(true)
            }
            Some(_) => Err(TextError::new("a second SOA; a zone has one")),
            None => {
                self.soa = Some(soa);
                Ok(false)
            }
        }
    }

    /// Takes a record, or returns what repeats it. `entry` is where its entry starts, `at` the place to point at.
    pub(super) fn add(
        &mut self,
        place: &Place,
        entry: (usize, u32),
        at: usize,
        owner: &[u8],
        (rtype, ttl): (RecordType, u32),
        rdata: &[u8],
    ) -> Option<Rdata> {
        let added = self.records.add(owner, rtype, ttl, rdata);
        let (prior, known) = (added.ttl, added.repeats.map(Rdata::new));
        if known.is_some() {
            let owner = Name::from_valid_wire(owner);
            self.report(place, entry, at, Level::Warning, format!("{owner} {rtype} stands here a second time"));
        }
        // Signatures keep the TTLs of what they sign, so theirs may differ (RFC 4034 §3).
        if prior != ttl && rtype != RecordType::RRSIG {
            let message = format!("the TTL {ttl} differs from the {prior} of the records before it; {prior} is used");
            self.report(place, entry, at, Level::Warning, message);
        }
        known
    }

    /// Takes note of an entry, and of what it means, if that is wanted.
    pub(super) fn push(&mut self, place: &Place, extent: Extent, kind: impl FnOnce() -> EntryKind) {
        if place.source == 0 && place.text[extent.start..extent.end].trim_ascii_end().contains(&b'\n') {
            self.long_entries.push(extent.start..extent.end);
            self.plain_from = extent.end;
        }
        if let Some(entries) = &mut self.entries {
            let (start, end) = (extent.start as u32, extent.end as u32);
            entries.push(Entry { source: place.source, start, end, line: extent.line, kind: kind() });
        }
    }

    pub(super) fn report(&mut self, place: &Place, entry: (usize, u32), at: usize, level: Level, message: String) {
        let path = &self.sources[place.source as usize].path;
        let known = if level == Level::Error { self.errors } else { self.warnings };
        if known < MAX_REPORTED {
            self.keep(Diagnostic::new(path, &place.text, entry, at, level, message));
        }
    }

    /// Adds a diagnostic and counts it.
    pub(super) fn keep(&mut self, diagnostic: Diagnostic) {
        let count = if diagnostic.level == Level::Error { &mut self.errors } else { &mut self.warnings };
        *count += 1;
        self.diagnostics.push(diagnostic);
    }

    /// The diagnostics in the order of the text, the main file first.
    fn sorted(&mut self) -> Vec<Diagnostic> {
        let order: HashMap<&str, usize> =
            self.sources.iter().enumerate().map(|(index, source)| (source.path.as_str(), index)).collect();
        let mut sorted = std::mem::take(&mut self.diagnostics);
        sorted.sort_by_key(|found| (order.get(found.path.as_str()).copied(), found.line, found.column));
        sorted
    }
}

/// What stands for the SOA of a zone without one, so that it can be looked at. Such a zone is refused.
fn no_soa() -> Soa {
    let root = Rdata::new([0_u8].as_slice());
    let (mname, rname) = (root.clone(), root);
    Soa { ttl: 0, mname, rname, serial: 0, refresh: 0, retry: 0, expire: 0, minimum: 0 }
}

/// An owner completed by the origin, in lower-cased wire form, in place of what is in `wire`.
pub(super) fn read_owner(token: &Token<'_>, origin: &Name, wire: &mut Vec<u8>) -> Result<(), TextError> {
    wire.clear();
    let result = Name::parse_onto(token.text, Some(origin.as_wire()), wire);
    result.map_err(|error| TextError::new(error.to_string()).or_at(token.at))?;
    // No length is an upper-case letter.
    wire.make_ascii_lowercase();
    Ok(())
}

/// A name completed by the origin.
pub(super) fn name(token: &Token<'_>, origin: &Name) -> Result<Name, TextError> {
    let result = Name::parse(token.text, Some(origin));
    result.map_err(|error| TextError::new(error.to_string()).or_at(token.at))
}

/// Reads TTL, class and type from the tokens after the owner; `all` places the error if there is none.
pub(super) fn header(rest: &[Token<'_>], all: &[Token<'_>]) -> Result<Header, TextError> {
    let (mut ttl, mut class) = (None, false);
    for (index, token) in rest.iter().enumerate() {
        let fail = |message: String| Err(TextError::new(message).or_at(token.at));
        token.unquoted()?;
        let starts_with_digit = token.text.first().is_some_and(u8::is_ascii_digit);
        if starts_with_digit && ttl.is_none() {
            let Some(value) = parse_ttl(token.text) else {
                return fail("a TTL is a number of seconds, or like 1h30m".to_owned());
            };
            ttl = Some(value);
        } else if let Some(number) = class_number(token.text).filter(|_| !class) {
            if number != 1 {
                return fail("only class IN is served".to_owned());
            }
            class = true;
        } else {
            let text = std::str::from_utf8(token.text).unwrap_or("\u{fffd}");
            return match text.parse::<RecordType>() {
                Ok(rtype) if rtype.is_meta() => fail(format!("{rtype} is no type that a zone can hold")),
                Ok(rtype @ (RecordType::MD | RecordType::MF)) => {
                    fail(format!("{rtype} is obsolete (RFC 973); write an MX"))
                }
                Ok(rtype) => Ok(Header { ttl, rtype, used: index + 1 }),
                Err(error) => fail(error.to_string()),
            };
        }
    }
    let at = all.last().map_or(0, Token::end);
    Err(TextError::new("the record type is missing").or_at(at))
}

/// The number of a class by mnemonic or as `CLASSnnn` (RFC 3597 §5).
fn class_number(text: &[u8]) -> Option<u16> {
    let known: [(&[u8], u16); 6] = [(b"IN", 1), (b"CS", 2), (b"CH", 3), (b"CHAOS", 3), (b"HS", 4), (b"HESIOD", 4)];
    let named = known.iter().find(|entry| entry.0.eq_ignore_ascii_case(text)).map(|entry| entry.1);
    let numbered = || {
        let (prefix, digits) = text.split_at_checked(5).filter(|(prefix, _)| prefix.eq_ignore_ascii_case(b"CLASS"))?;
        debug_assert_eq!(prefix.len(), 5);
        std::str::from_utf8(digits).ok()?.parse().ok()
    };
    named.or_else(numbered)
}
