//! Edits written as lines: records as a master file has them, to be added, replaced or deleted.
//!
//! A line names an owner, and TTL, class, type and rdata as far as they are needed. What a line deletes may be a record,
//! an RRset (no rdata) or all of an owner (no type). In a batch each line begins with what it does:
//!
//! ```text
//! add     www 300 A 192.0.2.7
//! replace mail A 192.0.2.25
//! delete  old
//! ```

use std::collections::BTreeSet;

use super::lexer::{Extent, Lexer, Token};
use super::parser::{Header, header, name};
use super::rdata::{self, TextError};
use super::{Diagnostic, Level, MAX_TTL, parse_ttl};
use crate::zone::{Change, Name, Record, RecordKey, RecordType, Soa};

/// How many errors are reported before reading stops.
const MAX_REPORTED: usize = 100;

/// What is to be done with the records of a line.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Verb {
    /// Put the record beside those that its RRset has.
    Add,
    /// Let the lines of an owner and type be all that there is of them.
    Replace,
    /// Take away a record, an RRset or all of an owner.
    Delete,
}

/// An edit, read.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct EditLines {
    /// The steps, in order.
    pub changes: Vec<Change>,
    /// The serial of a SOA that is replaced.
    pub serial: Option<u32>,
}

impl EditLines {
    /// Reads the lines of an edit of the zone `origin`. Without a `verb` each line begins with its own. `path` names the
    /// text in diagnostics; `ttl` is for records without one of their own. All errors are returned at once.
    pub fn parse(
        path: &str,
        text: &[u8],
        origin: &Name,
        verb: Option<Verb>,
        ttl: Option<u32>,
    ) -> Result<EditLines, Vec<Diagnostic>> {
        let mut reader = Reader {
            zone: origin,
            origin: origin.clone(),
            verb,
            ttl,
            owner: None,
            replaced: BTreeSet::new(),
            edit: EditLines::default(),
        };
        let (mut lexer, mut tokens, mut found) = (Lexer::new(text), Vec::new(), Vec::new());
        while let Some(entry) = lexer.next_entry(&mut tokens) {
            let failed = match entry {
                Err(error) => {
                    let start = text[..error.at].iter().rposition(|&byte| byte == b'\n').map_or(0, |n| n + 1);
                    Some((start, error.line, error.at, error.message.into()))
                }
                Ok(extent) => reader
                    .line(extent, &tokens)
                    .err()
                    .map(|error| (extent.start, extent.line, error.at.unwrap_or(tokens[0].at), error.message)),
            };
            if let Some((start, line, at, message)) = failed {
                found.push(Diagnostic::new(path, text, (start, line), at, Level::Error, message.into_owned()));
            }
            if found.len() >= MAX_REPORTED {
                break;
            }
        }
        if found.is_empty() { Ok(reader.edit) } else { Err(found) }
    }
}

struct Reader<'z> {
    zone: &'z Name,
    /// What completes relative names.
    origin: Name,
    verb: Option<Verb>,
    ttl: Option<u32>,
    /// The owner stated last, for lines that begin with a blank.
    owner: Option<Name>,
    /// What `replace` has emptied already.
    replaced: BTreeSet<(Name, RecordType)>,
    edit: EditLines,
}

impl Reader<'_> {
    fn line(&mut self, extent: Extent, tokens: &[Token<'_>]) -> Result<(), TextError> {
        if !tokens[0].quoted && tokens[0].text.starts_with(b"$") {
            return self.directive(tokens);
        }
        let (verb, rest) = match self.verb {
            Some(verb) => (verb, tokens),
            None => (verb_of(&tokens[0])?, &tokens[1..]),
        };
        let (owner, rest) = match (rest.split_first(), &self.owner) {
            (_, Some(owner)) if extent.indented && self.verb.is_some() => (owner.clone(), rest),
            (Some((first, rest)), _) => (self.in_zone(first)?, rest),
            (None, _) => return Err(at_end(tokens, "the owner is missing")),
        };
        self.owner = Some(owner.clone());
        if verb == Verb::Delete && rest.is_empty() {
            self.edit.changes.push(Change::RemoveOwner { owner });
            return Ok(());
        }
        let header = header(rest, tokens)?;
        let type_at = rest[header.used - 1].at;
        let data = &rest[header.used..];
        match (verb, header.rtype) {
            (Verb::Replace, RecordType::SOA) if !data.is_empty() => {
                self.soa(&owner, &header, data).map_err(|error| error.or_at(type_at))
            }
            (_, RecordType::SOA) => {
                let message = "a zone has one SOA: `replace` changes its fields, nothing adds or deletes it";
                Err(TextError::new(message).or_at(type_at))
            }
            (Verb::Delete, rtype) if data.is_empty() => {
                self.edit.changes.push(Change::RemoveRrset { owner, rtype });
                Ok(())
            }
            (Verb::Delete, rtype) => {
                let key = self.record(owner, rtype, data, type_at)?;
                self.edit.changes.push(Change::Remove(key));
                Ok(())
            }
            (Verb::Add | Verb::Replace, rtype) => {
                let key = self.record(owner, rtype, data, type_at)?;
                if verb == Verb::Replace && self.replaced.insert((key.owner.clone(), rtype)) {
                    self.edit.changes.push(Change::RemoveRrset { owner: key.owner.clone(), rtype });
                }
                let ttl = self.stated(&header, type_at)?;
                self.edit.changes.push(match ttl {
                    Some(ttl) => Change::Add(Record { owner: key.owner, rtype, ttl, rdata: key.rdata }),
                    None => Change::AddDefault(key),
                });
                Ok(())
            }
        }
    }

    fn directive(&mut self, tokens: &[Token<'_>]) -> Result<(), TextError> {
        let [directive, value] = tokens else {
            return Err(TextError::new("an edit takes $ORIGIN NAME and $TTL TIME, and no other directive"));
        };
        match directive.text.to_ascii_uppercase().as_slice() {
            b"$ORIGIN" => self.origin = name(value, &self.origin)?,
            b"$TTL" => {
                let ttl = parse_ttl(value.text).filter(|ttl| *ttl <= MAX_TTL);
                let wrong = || TextError::new("a TTL is a number of seconds, or like 1h30m").or_at(value.at);
                self.ttl = Some(ttl.ok_or_else(wrong)?);
            }
            _ => return Err(TextError::new("an edit takes $ORIGIN NAME and $TTL TIME, and no other directive")),
        }
        Ok(())
    }

    fn in_zone(&self, token: &Token<'_>) -> Result<Name, TextError> {
        let owner = name(token, &self.origin)?;
        if !owner.is_at_or_below(self.zone) {
            return Err(TextError::new(format!("{owner} is not in the zone {}", self.zone)).or_at(token.at));
        }
        Ok(owner)
    }

    fn record(&self, owner: Name, rtype: RecordType, data: &[Token<'_>], at: usize) -> Result<RecordKey, TextError> {
        if data.is_empty() {
            return Err(TextError::new(format!("the data of the {rtype} record is missing")).or_at(at));
        }
        let rdata = rdata::read(rtype, data, &self.origin).map_err(|error| error.or_at(data[0].at))?;
        Ok(RecordKey { owner, rtype, rdata })
    }

    fn stated(&self, header: &Header, at: usize) -> Result<Option<u32>, TextError> {
        if header.ttl.is_some_and(|ttl| ttl > MAX_TTL) {
            return Err(TextError::new(format!("a TTL is at most {MAX_TTL} seconds")).or_at(at));
        }
        Ok(header.ttl.or(self.ttl))
    }

    /// The SOA is replaced whole. Its serial counts if it is newer than the zone's, as in a zone file.
    fn soa(&mut self, owner: &Name, header: &Header, data: &[Token<'_>]) -> Result<(), TextError> {
        if owner != self.zone {
            let message = format!("the SOA stands at {owner}, not at the zone's apex {}", self.zone);
            return Err(TextError::new(message));
        }
        let Some(ttl) = header.ttl.or(self.ttl) else {
            return Err(TextError::new("state the TTL of the SOA; it is the one that new records get"));
        };
        let rdata = rdata::read(RecordType::SOA, data, &self.origin)?;
        let soa = Soa::from_rdata(ttl, rdata.as_wire()).ok_or_else(|| TextError::new("malformed SOA data"))?;
        self.edit.serial = Some(soa.serial);
        self.edit.changes.push(Change::Soa(soa));
        Ok(())
    }
}

fn verb_of(token: &Token<'_>) -> Result<Verb, TextError> {
    match token.text.to_ascii_lowercase().as_slice() {
        b"add" => Ok(Verb::Add),
        b"replace" => Ok(Verb::Replace),
        b"delete" | b"del" => Ok(Verb::Delete),
        _ => Err(TextError::new("a line of a batch begins with add, replace or delete").or_at(token.at)),
    }
}

fn at_end(tokens: &[Token<'_>], message: &'static str) -> TextError {
    TextError::new(message).or_at(tokens.last().map_or(0, Token::end))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str, verb: Option<Verb>) -> Result<EditLines, Vec<Diagnostic>> {
        EditLines::parse("-", text.as_bytes(), &"corp.example.".parse().expect("a name"), verb, None)
    }

    fn steps(text: &str, verb: Option<Verb>) -> Vec<String> {
        let edit = parse(text, verb).unwrap_or_else(|found| panic!("{text}: {found:?}"));
        edit.changes.iter().map(step).collect()
    }

    fn step(change: &Change) -> String {
        match change {
            Change::Add(record) => format!("+ {} {} {}", record.owner, record.ttl, record.rtype),
            Change::AddDefault(key) => format!("+ {} {}", key.owner, key.rtype),
            Change::Remove(key) => format!("- {} {} {:?}", key.owner, key.rtype, key.rdata),
            Change::RemoveRrset { owner, rtype } => format!("- {owner} {rtype}"),
            Change::RemoveOwner { owner } => format!("- {owner}"),
            other => format!("{other:?}"),
        }
    }

    #[test]
    fn a_line_says_as_much_as_its_verb_needs() {
        assert_eq!(steps("www 300 IN A 192.0.2.7", Some(Verb::Add)), ["+ www.corp.example. 300 A"]);
        assert_eq!(steps("@ MX 10 mail\n  TXT x\n", Some(Verb::Add)), ["+ corp.example. MX", "+ corp.example. TXT"]);
        assert_eq!(steps("www", Some(Verb::Delete)), ["- www.corp.example."]);
        assert_eq!(steps("www AAAA", Some(Verb::Delete)), ["- www.corp.example. AAAA"]);
        assert_eq!(steps("www 5 A 192.0.2.7", Some(Verb::Delete)), ["- www.corp.example. A c0000207"]);
        assert_eq!(steps("$ORIGIN a\n$TTL 1m\nb A 192.0.2.7", Some(Verb::Add)), ["+ b.a.corp.example. 60 A"]);
    }

    #[test]
    fn replacing_empties_each_rrset_once() {
        let text = "a A 192.0.2.1\nb A 192.0.2.2\na 5 A 192.0.2.3\n";
        let expected = [
            "- a.corp.example. A",
            "+ a.corp.example. A",
            "- b.corp.example. A",
            "+ b.corp.example. A",
            "+ a.corp.example. 5 A",
        ];
        assert_eq!(steps(text, Some(Verb::Replace)), expected);
    }

    #[test]
    fn a_batch_mixes_verbs() {
        let text = "; move it\ndelete old\nAdd new 60 A 192.0.2.1\nreplace add A 192.0.2.2\n";
        let expected =
            ["- old.corp.example.", "+ new.corp.example. 60 A", "- add.corp.example. A", "+ add.corp.example. A"];
        assert_eq!(steps(text, None), expected);
    }

    #[test]
    fn a_soa_is_replaced_with_its_serial() {
        let edit = parse("@ 60 SOA ns hm 9 2 3 4 5", Some(Verb::Replace)).expect("it is legal");
        assert_eq!(edit.serial, Some(9));
        assert!(matches!(&edit.changes[..], [Change::Soa(soa)] if soa.minimum == 5 && soa.ttl == 60));
    }

    #[test]
    fn every_error_is_told_with_its_place() {
        for (text, verb, place, part) in [
            ("www 300 A 192.0.2", Some(Verb::Add), (1, 11), "address"),
            ("\nwww A", Some(Verb::Add), (2, 5), "missing"),
            ("www", Some(Verb::Add), (1, 4), "type is missing"),
            ("a.test. A 192.0.2.1", Some(Verb::Add), (1, 1), "not in the zone"),
            ("www A 192.0.2.1", None, (1, 1), "begins with add"),
            ("add", None, (1, 4), "owner is missing"),
            ("@ SOA", Some(Verb::Delete), (1, 3), "one SOA"),
            ("@ SOA a b 1 2 3 4 5", Some(Verb::Replace), (1, 3), "TTL"),
            ("www ANY", Some(Verb::Delete), (1, 5), "ANY"),
            ("$INCLUDE x", Some(Verb::Add), (1, 1), "$ORIGIN"),
            ("www TXT \"a", Some(Verb::Add), (1, 9), "quot"),
        ] {
            let found = parse(text, verb).expect_err(text);
            assert_eq!((found[0].line, found[0].column), place, "{text}: {}", found[0]);
            assert!(found[0].message.contains(part), "{text}: {}", found[0]);
        }
        assert_eq!(parse("a A x\nb A y\nc A 192.0.2.1\n", Some(Verb::Add)).expect_err("two errors").len(), 2);
    }
}
