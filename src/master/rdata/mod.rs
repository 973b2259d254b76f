//! Rdata in presentation form, read and written by the field table of [`crate::zone::rdata`].
//!
//! Every type can also be written as `\# length hex` (RFC 3597 §5); a known type is then checked against its shape.
//! What cannot be written in a type's own form so that it reads back the same is written that way.

mod address_prefix;
mod bitmap;
mod gateway;
mod hip;
mod historic;
mod location;
mod mnemonic;
mod print;
mod read;
mod reader;
mod svcb;
mod timestamp;

use std::borrow::Cow;

pub(super) use print::write;
pub(super) use read::{read, read_into};
pub(super) use reader::number;

use super::lexer::Lexer;
use super::name_text::name_text;
use crate::zone::{Name, Rdata, Record, RecordType};

/// What is wrong with a token, and where it starts in the text if that is known yet.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct TextError {
    pub(super) at: Option<usize>,
    pub(super) message: Cow<'static, str>,
}

impl TextError {
    pub(super) fn new(message: impl Into<Cow<'static, str>>) -> TextError {
        TextError { at: None, message: message.into() }
    }

    /// Says where, unless it was said before.
    pub(super) fn or_at(self, at: usize) -> TextError {
        TextError { at: self.at.or(Some(at)), ..self }
    }
}

/// Text that is no rdata of its type.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct RdataTextError {
    /// The byte of the text at which the trouble is.
    pub at: usize,
    /// What is wrong and what would be right.
    pub message: String,
}

/// Reads rdata in presentation form as a master file has it after the type; relative names are completed by `origin`.
pub fn parse_rdata(rtype: RecordType, text: &str, origin: &Name) -> Result<Rdata, RdataTextError> {
    let failed = |at: usize, message: &str| RdataTextError { at, message: message.to_owned() };
    let mut tokens = Vec::new();
    let mut lexer = Lexer::new(text.as_bytes());
    if let Some(Err(error)) = lexer.next_entry(&mut tokens) {
        return Err(failed(error.at, error.message));
    }
    if let Some(more) = lexer.next_entry(&mut Vec::new()) {
        return Err(failed(more.map_or_else(|error| error.at, |entry| entry.start), "text after the end of the line"));
    }
    read(rtype, &tokens, origin).map_err(|error| failed(error.at.unwrap_or(text.len()), &error.message))
}

/// Rdata in presentation form, names absolute; `\#` form for what its type cannot express.
pub fn rdata_to_text(rtype: RecordType, rdata: &[u8]) -> String {
    let mut out = String::new();
    write(rtype, rdata, None, &mut out);
    out
}

/// A record on one line: owner, TTL, class, type and rdata, names absolute.
pub fn record_to_text(record: &Record) -> String {
    let mut out = format!("{} {} IN {} ", name_text(&record.owner, None), record.ttl, record.rtype);
    write(record.rtype, record.rdata.as_wire(), None, &mut out);
    out
}

#[cfg(test)]
mod tests;
