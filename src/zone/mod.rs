//! DNS data as it is served: names, record types, rdata, RRsets, zones and the set of zones.
//!
//! Pure values without I/O. A [`Zone`] is an immutable snapshot; an edit makes a new one that shares what it did not
//! touch. Terms follow RFC 9499.

mod basis;
mod builder;
mod canonical_order;
mod case;
pub mod coexistence;
mod content;
mod delta;
mod difference;
mod labels;
mod name;
mod name_hash;
mod node;
mod ordered_names;
pub mod rdata;
mod record;
mod rrset;
mod rtype;
mod serial;
mod snapshot;
mod table;
mod zone_set;

pub use basis::{Basis, PLACES, Place};
pub use builder::{Added, ZoneBuilder};
pub use case::copy_lower_case;
pub use content::{Change, RrsetContent, Soa, ZoneContent};
pub use delta::{DeltaRecorder, ZoneDelta};
pub use difference::records_lost;
pub use labels::{Labels, label_at};
pub(crate) use name::unescape;
pub use name::{
    MAX_LABEL, MAX_NAME, Name, NameError, NameHasher, NameMap, canonical_cmp, is_wire_at_or_below, wire_name_len,
};
pub use name_hash::NameHash;
pub(crate) use name_hash::mix;
pub use node::{Block, Node, Rrsets};
pub use record::{Class, Rdata, Record, RecordKey};
pub use rrset::{Rrset, RrsetBuf};
pub use rtype::{RecordType, UnknownType};
pub use serial::{serial_gt, served_serial};
pub(crate) use snapshot::WILDCARD;
pub use snapshot::{Zone, ZoneNodes};
pub use zone_set::ZoneSet;
