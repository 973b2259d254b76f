//! `$ORIGIN`, `$INCLUDE` (RFC 1035 §5.1), `$TTL` (RFC 2308 §4) and the way to `$GENERATE`.

use super::entry::{EntryKind, Source};
use super::lexer::{Extent, Token};
use super::parser::{Parser, Place, name};
use super::rdata::TextError;
use super::ttl::{MAX_TTL, parse_ttl};

/// How deep files may include files, as in NSD: no one nests deeper on purpose.
pub(super) const MAX_INCLUDE_DEPTH: usize = 10;

/// How many `$INCLUDE`s a zone may run through, so that few files that include each other widely cannot grow without end.
pub(super) const MAX_INCLUDES: u32 = 10_000;

impl Parser<'_> {
    pub(super) fn directive(
        &mut self,
        place: &mut Place,
        extent: Extent,
        tokens: &[Token<'_>],
    ) -> Result<(), TextError> {
        let (keyword, arguments) = (&tokens[0], &tokens[1..]);
        match keyword.text.to_ascii_uppercase().as_slice() {
            b"$ORIGIN" => {
                let [argument] = exactly::<1>(keyword, arguments, "$ORIGIN takes one name")?;
                argument.unquoted()?;
                place.origin = name(&argument, &place.origin)?;
                self.push(place, extent, || EntryKind::Origin(place.origin.clone()));
                Ok(())
            }
            b"$TTL" => {
                let [argument] = exactly::<1>(keyword, arguments, "$TTL takes one TTL")?;
                argument.unquoted()?;
                let wrong = || format!("a TTL is a number of seconds up to {MAX_TTL}, or like 1h30m");
                let ttl = parse_ttl(argument.text).ok_or_else(|| TextError::new(wrong()).or_at(argument.at))?;
                let ttl = self.legal_ttl(ttl, place, extent, argument.at);
                self.ttl.set_default(ttl);
                self.push(place, extent, || EntryKind::Ttl(ttl));
                Ok(())
            }
            b"$INCLUDE" => self.include(place, extent, keyword, arguments),
            b"$GENERATE" => self.generate(place, extent, tokens),
            _ => Err(TextError::new("unknown directive; there are $ORIGIN, $TTL, $INCLUDE and $GENERATE")),
        }
    }

    fn include(
        &mut self,
        place: &mut Place,
        extent: Extent,
        keyword: &Token<'_>,
        arguments: &[Token<'_>],
    ) -> Result<(), TextError> {
        let (file, origin) = match arguments {
            [file] => (file, place.origin.clone()),
            [file, origin] => (file, name(origin, &place.origin)?),
            [] => return Err(TextError::new("$INCLUDE takes a file and perhaps an origin").or_at(keyword.end())),
            [_, _, more, ..] => return Err(TextError::new("text after $INCLUDE file origin").or_at(more.at)),
        };
        let fail = |message: String| Err(TextError::new(message).or_at(file.at));
        // A backslash is one of the name's own, as BIND and NSD have it.
        let Ok(named) = std::str::from_utf8(file.text) else { return fail("the file name is not UTF-8".to_owned()) };
        let path = resolve(&self.sources[place.source as usize].path, named);
        if self.open.iter().any(|&open| self.sources[open as usize].path == path) {
            return fail(format!("{path} includes itself"));
        }
        if self.open.len() > MAX_INCLUDE_DEPTH {
            return fail(format!("files include files more than {MAX_INCLUDE_DEPTH} deep"));
        }
        if self.sources.iter().map(|source| source.uses).sum::<u32>() > MAX_INCLUDES {
            return fail(format!("more than {MAX_INCLUDES} files are included"));
        }
        let included = match self.sources.iter().position(|source| source.path == path) {
            Some(known) => known,
            None => match (self.include)(&path) {
                Ok(text) => {
                    self.sources.push(Source { path, text: text.into(), uses: 0 });
                    self.sources.len() - 1
                }
                Err(error) => return fail(format!("cannot include {path}: {error}")),
            },
        };
        self.sources[included].uses += 1;
        let index = self.entries.as_ref().map_or(0, Vec::len);
        let included = included as u32;
        self.push(place, extent, || EntryKind::Include { origin: origin.clone(), included, end: 0 });
        self.read_source(included, origin, place.owner.clone());
        if let Some(entries) = &mut self.entries {
            let last = entries.len() as u32;
            if let EntryKind::Include { end, .. } = &mut entries[index].kind {
                *end = last;
            }
        }
        self.push(place, extent, || EntryKind::IncludeEnd);
        Ok(())
    }
}

fn exactly<'a, const N: usize>(
    keyword: &Token<'a>,
    arguments: &[Token<'a>],
    usage: &'static str,
) -> Result<[Token<'a>; N], TextError> {
    let at = arguments.get(N).map_or_else(|| arguments.last().unwrap_or(keyword).end(), |more| more.at);
    arguments.try_into().map_err(|_| TextError::new(usage).or_at(at))
}

/// A path as seen from the directory of the file that names it.
fn resolve(including: &str, path: &str) -> String {
    match including.rfind('/') {
        Some(slash) if !path.starts_with('/') => format!("{}{path}", &including[..=slash]),
        _ => path.to_owned(),
    }
}
