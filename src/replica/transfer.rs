//! A zone's whole state as a row of chunks: what goes into a checkpoint and to a node that is too far behind.
//!
//! Each chunk is a compressed, self-contained piece: the nodes of one part of the state's table as they lie in memory,
//! with what is live beside what is served. The first brings the header. Chunks are made one by one when they are asked
//! for, from a clone of the state that later edits leave alone.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::digest::Accumulator;
use super::owner_state::OwnerState;
use super::soa::SoaRegisters;
use super::state::{Head, ZoneState};
use super::{IncarnationId, Stamp, VersionVector, packed};
use crate::codec;
use crate::zone::{Block, MAX_NAME, Name, ZoneNodes, is_wire_at_or_below};

/// How many bytes of content go into a chunk: large enough to compress well, small enough that a cut connection loses
/// little.
const CHUNK_BYTES: usize = 512 << 10;

#[derive(Serialize, Deserialize)]
struct Chunk {
    header: Option<Header>,
    /// A row of nodes.
    #[serde(with = "codec::bytes")]
    nodes: Vec<u8>,
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

/// How far a state's base may lie from zero. Floors and batch counts are below 2^56 each.
const MAX_BASE: i64 = 1 << 57;

/// Chunks that do not make a state. Nothing was changed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a zone's state does not decode: {0}")]
pub struct StateError(String);

/// A state as a row of chunks: those that it was decoded from, or each encoded when it is asked for.
#[derive(Clone, Debug)]
pub struct StateChunks {
    state: Box<ZoneState>,
    count: u32,
    received: Option<Arc<[Vec<u8>]>>,
}

impl StateChunks {
    /// The chunks that a state was decoded from, in order.
    pub fn received(state: ZoneState, chunks: Vec<Vec<u8>>) -> StateChunks {
        StateChunks { state: Box::new(state), count: chunks.len() as u32, received: Some(chunks.into()) }
    }

    /// How many chunks.
    pub fn count(&self) -> u32 {
        self.count
    }

    /// The state that they make.
    pub fn state(&self) -> &ZoneState {
        &self.state
    }

    /// One chunk, if there are so many.
    pub fn get(&self, index: u32) -> Option<Vec<u8>> {
        if index >= self.count {
            return None;
        }
        if let Some(received) = &self.received {
            return received.get(index as usize).cloned();
        }
        let state = &*self.state;
        let header = (index == 0).then(|| Header {
            zone: state.zone.clone(),
            incarnation: state.incarnation,
            version: state.version.clone(),
            soa: state.soa.clone(),
            base: state.base,
            chunks: self.count,
        });
        let mut nodes = Vec::with_capacity(CHUNK_BYTES + CHUNK_BYTES / 4);
        let part = state.served().blocks_of_part(index as usize, self.count as usize);
        for block in part.filter(|block| state.is_live(block)) {
            block.append_to(&mut nodes);
        }
        Some(lz4_flex::compress_prepend_size(&codec::encode(&Chunk { header, nodes })))
    }

    /// Every chunk in order.
    pub fn iter(&self) -> impl Iterator<Item = Vec<u8>> + '_ {
        (0..self.count).filter_map(|index| self.get(index))
    }
}

impl ZoneState {
    /// The state as it is now, to be encoded whenever it suits.
    pub fn chunks(&self) -> StateChunks {
        let count = self.served().size().div_ceil(CHUNK_BYTES) as u32;
        StateChunks { state: Box::new(self.clone()), count, received: None }
    }

    /// Encodes the whole state.
    pub fn encode(&self) -> Vec<Vec<u8>> {
        self.chunks().iter().collect()
    }

    /// Decodes what [`ZoneState::encode`] made; every record is checked as if it came in a batch.
    pub fn decode<'a>(chunks: impl IntoIterator<Item = &'a [u8]>) -> Result<ZoneState, StateError> {
        let mut decoder = StateDecoder::default();
        for chunk in chunks {
            decoder.push(chunk)?;
        }
        decoder.finish()
    }
}

/// A state of which chunks are coming, in order.
#[derive(Debug, Default)]
pub struct StateDecoder {
    begun: Option<Begun>,
    seen: u32,
}

/// What the header tells, and what has come since. All that can be done with a node is done when it comes, for a peer
/// takes its time to make the next chunk.
#[derive(Debug)]
struct Begun {
    head: Head,
    genesis: Stamp,
    chunks: u32,
    nodes: ZoneNodes,
    /// The digest's sum over the nodes with nothing beside their RRsets.
    sum: Accumulator,
    apex: OwnerState,
}

impl StateDecoder {
    /// How many chunks have been taken in.
    pub fn seen(&self) -> u32 {
        self.seen
    }

    /// Takes in the next chunk. After an error no more of it is of use.
    pub fn push(&mut self, bytes: &[u8]) -> Result<(), StateError> {
        let chunk = open(bytes)?;
        if let Some(header) = chunk.header {
            if self.begun.is_some() {
                return Err(StateError("there are two headers".to_owned()));
            }
            self.begun = Some(read_header(header)?);
        }
        let Begun { head, genesis, nodes, sum, apex: at_apex, .. } =
            self.begun.as_mut().ok_or_else(|| StateError("the first chunk has no header".to_owned()))?;
        for block in Block::of_row(&chunk.nodes) {
            let block = block.map_err(|reason| StateError(reason.to_owned()))?;
            let name = || Name::from_valid_wire(block.owner());
            if !is_wire_at_or_below(block.owner(), head.zone.as_wire()) {
                return Err(StateError(format!("{} is not in zone {}", name(), head.zone)));
            }
            let apex = block.owner() == head.zone.as_wire();
            packed::check_block(&block, apex, *genesis)
                .map_err(|reason| StateError(format!("{}: {reason}", name())))?;
            if apex {
                *at_apex = packed::unpack(&block, *genesis);
            } else {
                if block.extra().is_empty() {
                    sum.add(packed::entry(&block));
                }
                nodes.push(block);
            }
        }
        self.seen += 1;
        Ok(())
    }

    /// The state, if all of it has come.
    pub fn finish(self) -> Result<ZoneState, StateError> {
        let Some(Begun { head, nodes, sum, apex, .. }) = self.begun.filter(|begun| begun.chunks == self.seen) else {
            return Err(StateError("chunks are missing".to_owned()));
        };
        let served = nodes.finish();
        if served.has_duplicates() {
            return Err(StateError(format!("zone {} has two nodes of one name", head.zone)));
        }
        Ok(ZoneState::from_zone(head, served, &apex, sum))
    }
}

fn read_header(header: Header) -> Result<Begun, StateError> {
    let Header { zone, incarnation, version, soa, base, chunks } = header;
    if !(-MAX_BASE..=MAX_BASE).contains(&base) {
        return Err(StateError(format!("a serial out of range in zone {zone}")));
    }
    soa.check().map_err(|reason| StateError(format!("zone {zone}: {reason}")))?;
    let nodes = ZoneNodes::new(zone.clone(), soa.read(0), 0);
    let (head, genesis) = (Head { zone, incarnation, version, soa, base }, incarnation.genesis_stamp());
    Ok(Begun { head, genesis, chunks, nodes, sum: Accumulator::default(), apex: OwnerState::default() })
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
    use super::super::{ActorId, EditOrigin, Replica, Saved, SavedZone, Source, Write};
    use super::*;
    use crate::zone::{Rdata, Record, RecordType, Soa, Zone, ZoneContent};

    fn content() -> ZoneContent {
        let origin: Name = "corp.example.".parse().expect("a name");
        let name = Rdata::new(origin.as_wire());
        let (mname, rname) = (name.clone(), name);
        let soa = Soa { ttl: 60, mname, rname, serial: 1, refresh: 1, retry: 1, expire: 1, minimum: 1 };
        ZoneContent::new(origin, soa)
    }

    fn state() -> ZoneState {
        ZoneState::genesis(&Zone::from_content(&content()), 1, 1)
    }

    fn put(chunk: &Chunk) -> Vec<u8> {
        lz4_flex::compress_prepend_size(&codec::encode(chunk))
    }

    fn decode(state: &ZoneState) -> Result<ZoneState, StateError> {
        let chunks = state.encode();
        ZoneState::decode(chunks.iter().map(|chunk| &**chunk))
    }

    #[test]
    fn a_state_with_a_serial_out_of_range_is_refused() {
        assert_eq!(decode(&state()).expect("a sane state"), state());
        for base in [i64::MAX, i64::MIN, MAX_BASE + 1] {
            let mut state = state();
            state.base = base;
            assert!(decode(&state).is_err(), "{base}");
        }
    }

    #[test]
    fn a_state_with_a_malformed_soa_is_refused() {
        let bad = Rdata::new([63_u8, b'x'].as_slice());
        let name = Rdata::new([0_u8].as_slice());
        let soa = Soa { ttl: 1, mname: bad, rname: name, serial: 1, refresh: 1, retry: 1, expire: 1, minimum: 1 };
        let dot = super::super::Dot { actor: ActorId([1; 16]), seq: 1 };
        let mut state = state();
        state.soa = SoaRegisters::genesis(&soa, dot);
        assert!(decode(&state).is_err());
    }

    #[test]
    fn a_state_that_is_new_here_is_kept_in_the_chunks_in_which_it_came() {
        let mut content = content();
        let (owner, rdata) = (content.origin.clone(), Rdata::new(content.origin.as_wire()));
        content.add(Record { owner, rtype: RecordType::NS, ttl: 60, rdata });
        let (mut giver, mut taker) = (Replica::load(Saved::default()).0, Replica::load(Saved::default()).0);
        let source = Source::new(EditOrigin::File);
        let made = giver.stage_create(&[Zone::from_content(&content)], &source, ActorId([1; 16]), 1);
        giver.commit(made.expect("it is new"));
        taker.merge(giver.get(giver.catalog_id()).expect("the catalog").state().chunks());
        let state = giver.serving(&content.origin).expect("the zone").state();
        // As another version might cut it: the nodes apart from the header.
        let Chunk { header, nodes } = open(&state.encode()[0]).expect("a chunk");
        let header = header.map(|header| Header { chunks: 2, ..header });
        let came = vec![put(&Chunk { header, nodes: Vec::new() }), put(&Chunk { header: None, nodes })];
        let decoded = ZoneState::decode(came.iter().map(|chunk| &**chunk)).expect("a state");
        let writes = taker.merge(StateChunks::received(decoded, came.clone())).writes;
        let kept = writes.iter().find_map(|write| match write {
            Write::Checkpoint { incarnation, position, state, .. } => Some((*incarnation, *position, state)),
            _ => None,
        });
        let (incarnation, position, chunks) = kept.expect("a checkpoint");
        assert!(chunks.iter().eq(came) && chunks.count() == 2);
        let forgets = |write: &Write| matches!(write, Write::Forget { incarnation: gone } if *gone == incarnation);
        assert!(
            writes.iter().position(forgets) < writes.iter().position(|write| matches!(write, Write::Checkpoint { .. }))
        );
        assert!(writes.iter().any(forgets), "what a failing disk kept of it without a state is not to come back");
        let checkpoint = Some((position, chunks.iter().map(Arc::from).collect()));
        let zones = vec![SavedZone { incarnation, checkpoint, journal: Vec::new() }];
        let (again, alarms) = Replica::load(Saved { zones, ..Saved::default() });
        assert_eq!(alarms, Vec::<String>::new());
        assert_eq!(
            again.zones.get(&incarnation).or(again.retired.get(&incarnation)).map(|zone| zone.state()),
            Some(state)
        );
    }

    #[test]
    fn a_state_of_many_chunks_arrives_and_a_repeated_or_missing_chunk_is_refused() {
        let mut content = content();
        for i in 0..40_000 {
            let owner = format!("host-with-a-long-name-{i}.corp.example.").parse().expect("a name");
            let rdata = Rdata::new([10, 0, (i / 256) as u8, i as u8].as_slice());
            content.add(Record { owner, rtype: RecordType::A, ttl: 60, rdata });
        }
        let state = ZoneState::genesis(&Zone::from_content(&content), 1, 1);
        let chunks = state.encode();
        assert!(chunks.len() > 3, "{}", chunks.len());
        assert_eq!(decode(&state), Ok(state));
        let refused = |order: &[usize]| ZoneState::decode(order.iter().map(|&at| &*chunks[at])).is_err();
        let all: Vec<usize> = (0..chunks.len()).collect();
        assert!(refused(&all[1..]) && refused(&all[..all.len() - 1]));
        assert!(refused(&[&all[..all.len() - 1], &[1]].concat()));
    }
}
