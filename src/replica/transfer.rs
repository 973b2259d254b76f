//! A zone's whole state as a row of chunks: what goes into a checkpoint and to a node that is too far behind.
//!
//! Each chunk is a compressed, self-contained piece; the first brings the header. Stamps stand once per chunk and are
//! referred to by index, for most records of a chunk share one.

use std::collections::HashMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::digest::Accumulator;
use super::soa::SoaRegisters;
use super::state::{LiveRecord, RrsetState, ZoneState};
use super::{IncarnationId, MAX_TTL, Stamp, VersionVector};
use crate::codec;
use crate::zone::{MAX_NAME, Name, NameMap, Rdata, RecordType, rdata};

/// How many bytes of content go into a chunk before it is closed: large enough to compress well, small enough that a
/// cut connection loses little.
const CHUNK_BYTES: usize = 512 << 10;

#[derive(Serialize, Deserialize)]
struct Chunk {
    header: Option<Header>,
    stamps: Vec<Stamp>,
    rrsets: Vec<EncodedRrset>,
}

#[derive(Serialize, Deserialize)]
struct Header {
    zone: Name,
    incarnation: IncarnationId,
    version: VersionVector,
    soa: SoaRegisters,
    base: i64,
    chunks: u32,
}

#[derive(Serialize, Deserialize)]
struct EncodedRrset {
    owner: Name,
    rtype: RecordType,
    ttls: Vec<(u32, u32)>,
    records: Vec<(Rdata, Vec<u32>)>,
}

/// How far a state's base may lie from zero. Floors and batch counts are below 2^56 each.
const MAX_BASE: i64 = 1 << 57;

/// Chunks that do not make a state. Nothing was changed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a zone's state does not decode: {0}")]
pub struct StateError(String);

impl ZoneState {
    /// Encodes the whole state.
    pub fn encode(&self) -> Vec<Arc<[u8]>> {
        let mut chunks = vec![Chunk { header: None, stamps: Vec::new(), rrsets: Vec::new() }];
        let mut indices: HashMap<Stamp, u32> = HashMap::new();
        let mut bytes = 0;
        for (owner, sets) in &self.owners {
            for (rtype, rrset) in sets.iter() {
                if bytes > CHUNK_BYTES {
                    chunks.push(Chunk { header: None, stamps: Vec::new(), rrsets: Vec::new() });
                    indices.clear();
                    bytes = 0;
                }
                let chunk = chunks.last_mut().expect("there is always a chunk");
                let mut index = |stamp: &Stamp| {
                    *indices.entry(*stamp).or_insert_with(|| {
                        chunk.stamps.push(*stamp);
                        chunk.stamps.len() as u32 - 1
                    })
                };
                let ttls = rrset.ttls.iter().map(|(stamp, ttl)| (index(stamp), *ttl)).collect();
                let records: Vec<(Rdata, Vec<u32>)> = rrset
                    .records
                    .iter()
                    .map(|record| (record.rdata.clone(), record.stamps.iter().map(&mut index).collect()))
                    .collect();
                bytes += owner.as_wire().len() + records.iter().map(|(r, _)| r.as_wire().len() + 4).sum::<usize>();
                chunk.rrsets.push(EncodedRrset { owner: owner.clone(), rtype, ttls, records });
            }
        }
        chunks[0].header = Some(Header {
            zone: self.zone.clone(),
            incarnation: self.incarnation,
            version: self.version.clone(),
            soa: self.soa.clone(),
            base: self.base,
            chunks: chunks.len() as u32,
        });
        chunks.iter().map(|chunk| lz4_flex::compress_prepend_size(&codec::encode(chunk)).into()).collect()
    }

    /// Decodes what [`ZoneState::encode`] made; every record is checked as if it came in a batch.
    pub fn decode<'a>(chunks: impl IntoIterator<Item = &'a [u8]>) -> Result<ZoneState, StateError> {
        let mut state: Option<(ZoneState, u32)> = None;
        let mut seen = 0;
        for bytes in chunks {
            let chunk = open(bytes)?;
            if let Some(header) = chunk.header {
                state = Some((ZoneState::from_header(&header)?, header.chunks));
            }
            let (state, _) = state.as_mut().ok_or_else(|| StateError("the first chunk has no header".to_owned()))?;
            for rrset in chunk.rrsets {
                state.take_in(rrset, &chunk.stamps)?;
            }
            seen += 1;
        }
        match state {
            Some((state, chunks)) if chunks == seen => Ok(state),
            _ => Err(StateError("chunks are missing".to_owned())),
        }
    }

    fn from_header(header: &Header) -> Result<ZoneState, StateError> {
        if !(-MAX_BASE..=MAX_BASE).contains(&header.base) {
            return Err(StateError(format!("a serial out of range in zone {}", header.zone)));
        }
        header.soa.check().map_err(|reason| StateError(format!("zone {}: {reason}", header.zone)))?;
        Ok(ZoneState {
            zone: header.zone.clone(),
            incarnation: header.incarnation,
            version: header.version.clone(),
            owners: NameMap::default(),
            soa: header.soa.clone(),
            base: header.base,
            accumulator: Accumulator::default(),
            records: 0,
        })
    }

    fn take_in(&mut self, encoded: EncodedRrset, stamps: &[Stamp]) -> Result<(), StateError> {
        let EncodedRrset { owner, rtype, ttls, records } = encoded;
        if !owner.is_at_or_below(&self.zone) || rtype.is_meta() || rtype == RecordType::SOA {
            return Err(StateError(format!("a record of type {rtype} at {owner}")));
        }
        let stamp =
            |index: u32| stamps.get(index as usize).copied().ok_or_else(|| StateError("a stamp is missing".to_owned()));
        let mut live = RrsetState::default();
        for (index, ttl) in ttls {
            if ttl > MAX_TTL {
                return Err(StateError(format!("{owner} {rtype} has a TTL out of range")));
            }
            live.ttls.push((stamp(index)?, ttl));
        }
        for (data, indices) in records {
            rdata::check(rtype, data.as_wire()).map_err(|error| StateError(format!("{owner}: {error}")))?;
            let stamps = indices.into_iter().map(stamp).collect::<Result<_, _>>()?;
            live.records.push(LiveRecord { rdata: data, stamps });
        }
        if live.records.iter().any(|record| record.stamps.is_empty())
            || !live.records.is_sorted_by(|a, b| a.rdata < b.rdata)
            || self.rrset(&owner, rtype).is_some()
        {
            return Err(StateError(format!("{owner} {rtype} is out of order")));
        }
        self.insert(&owner, rtype, live);
        Ok(())
    }
}

fn open(bytes: &[u8]) -> Result<Chunk, StateError> {
    // The size that a chunk claims is checked before memory is taken for it.
    let claimed = bytes.first_chunk::<4>().map_or(0, |size| u32::from_le_bytes(*size) as usize);
    if claimed > codec::MAX_DECODED || claimed / 255 > bytes.len() + MAX_NAME {
        return Err(StateError("a chunk claims to be larger than any is".to_owned()));
    }
    let plain = lz4_flex::decompress_size_prepended(bytes).map_err(|error| StateError(error.to_string()))?;
    codec::decode(&plain).map_err(|error| StateError(error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::zone::{Soa, ZoneContent};

    fn state() -> ZoneState {
        let origin: Name = "corp.example.".parse().expect("a name");
        let name = Rdata::new(origin.as_wire());
        let (mname, rname) = (name.clone(), name);
        let soa = Soa { ttl: 60, mname, rname, serial: 1, refresh: 1, retry: 1, expire: 1, minimum: 1 };
        ZoneState::genesis(&ZoneContent::new(origin, soa), 1, 1)
    }

    fn decode(state: &ZoneState) -> Result<ZoneState, StateError> {
        let chunks = state.encode();
        ZoneState::decode(chunks.iter().map(|chunk| &**chunk))
    }

    #[test]
    fn a_state_with_a_serial_out_of_range_is_refused() {
        assert_eq!(decode(&state()).expect("a sane state"), state());
        for base in [i64::MAX, i64::MIN, MAX_BASE + 1] {
            assert!(decode(&ZoneState { base, ..state() }).is_err(), "{base}");
        }
    }

    #[test]
    fn a_state_with_a_malformed_soa_is_refused() {
        let bad = Rdata::new([63_u8, b'x'].as_slice());
        let name = Rdata::new([0_u8].as_slice());
        let soa = Soa { ttl: 1, mname: bad, rname: name, serial: 1, refresh: 1, retry: 1, expire: 1, minimum: 1 };
        let dot = super::super::Dot { actor: super::super::ActorId([1; 16]), seq: 1 };
        assert!(decode(&ZoneState { soa: SoaRegisters::genesis(&soa, dot), ..state() }).is_err());
    }
}
