//! Master files (RFC 1035 §5): read without loss, checked, patched line by line, and written.
//!
//! [`ZoneFile::parse`] keeps the source texts and where each entry lies in them, so that [`ZoneFile::patch`] changes the
//! lines of the records that differ and leaves every other byte alone. The module is pure: the text of included files is
//! asked of the caller, and nothing here touches a disk. What a type's rdata looks like comes from the table in
//! [`crate::zone::rdata`]; unknown types are written as in RFC 3597.

mod changes;
mod char_string;
mod check;
mod diagnostic;
mod directive;
mod edit_lines;
mod entry;
mod generate;
mod lexer;
mod marker;
mod name_text;
mod parser;
mod patch;
mod rdata;
mod render;
mod splice;
mod ttl;
mod zone_file;

pub use diagnostic::{Diagnostic, Level};
pub use edit_lines::{EditLines, Verb};
pub use marker::Marker;
pub use rdata::{RdataTextError, parse_rdata, rdata_to_text, record_to_text};
pub use render::render;
pub use ttl::{MAX_TTL, parse_ttl};
pub use zone_file::{Hunk, ZoneFile};
