//! How what is live at an owner lies in the block of memory from which the owner is served.
//!
//! Nearly every owner serves all that is live there, and all of it under one stamp. Then the RRsets that are served are
//! the live ones, and the stamp is all that is kept beside them; not even that if it is that of the zone's first
//! content. A million names cost a million blocks, and the replica's knowledge of them next to nothing.

use super::owner_state::{LiveRecord, OwnerState, RrsetState};
use super::projection::project;
use super::{ActorId, Dot, Hlc, MAX_TTL, Stamp};
use crate::codec;
use crate::zone::rdata::{check, may_spell_differently};
use crate::zone::{Block, Rdata, RecordType, Rrset};

/// All that is served is live under one stamp, which follows. Without any bytes it is that of the first content.
const UNIFORM: u8 = 1;
/// What is live follows in full.
const FULL: u8 = 2;
/// Bytes of a stamp: time, actor, sequence number.
const STAMP: usize = 32;

/// What is kept beside the RRsets of an owner other than the apex that serves all but `shadowed` records of what is
/// live.
pub(super) fn pack(live: &OwnerState, shadowed: usize, genesis: Stamp) -> Vec<u8> {
    match uniform_stamp(live).filter(|_| shadowed == 0) {
        Some(stamp) if stamp == genesis => Vec::new(),
        Some(stamp) => {
            let mut extra = Vec::with_capacity(1 + STAMP);
            extra.push(UNIFORM);
            extra.extend_from_slice(&stamp.hlc.0.to_be_bytes());
            extra.extend_from_slice(&stamp.dot.actor.0);
            extra.extend_from_slice(&stamp.dot.seq.to_be_bytes());
            extra
        }
        None => pack_in_full(live),
    }
}

/// The same where what is served is not what is live, as at the apex.
pub(super) fn pack_in_full(live: &OwnerState) -> Vec<u8> {
    if live.is_empty() {
        return Vec::new();
    }
    let mut extra = vec![FULL];
    extra.extend_from_slice(&codec::encode(live));
    extra
}

/// The stamp of everything, if every RRset has records, one write of its TTL, and nothing has another stamp.
fn uniform_stamp(live: &OwnerState) -> Option<Stamp> {
    let first = live.stamps().next()?;
    let plain = |rrset: &RrsetState| {
        !rrset.records.is_empty()
            && rrset.ttls.len() == 1
            && rrset.ttls[0].0 == first
            && rrset.records.iter().all(|record| record.stamps[..] == [first])
    };
    live.iter().all(|(_, rrset)| plain(rrset)).then_some(first)
}

/// What is live at the owner of a block.
pub(super) fn unpack(block: &Block, genesis: Stamp) -> OwnerState {
    try_unpack(block, genesis).expect("a block of a state was packed here or checked when it came")
}

fn try_unpack(block: &Block, genesis: Stamp) -> Result<OwnerState, String> {
    let stamp = match block.extra().split_first() {
        None => genesis,
        Some((&UNIFORM, stamp)) => read_stamp(stamp).ok_or("a stamp is cut short")?,
        Some((&FULL, live)) => return codec::decode(live).map_err(|error| error.to_string()),
        Some((kind, _)) => return Err(format!("a node of an unknown kind, {kind}")),
    };
    let mut live = OwnerState::default();
    for rrset in block.rrsets().filter(|rrset| rrset.rtype != RecordType::SOA) {
        let record = |rdata| LiveRecord { rdata: Rdata::new(rdata), stamps: std::iter::once(stamp).collect() };
        let records = rrset.rdatas().map(record).collect();
        let ttls = std::iter::once((stamp, rrset.ttl)).collect();
        live.insert(rrset.rtype, RrsetState { records, ttls });
    }
    Ok(live)
}

fn read_stamp(bytes: &[u8]) -> Option<Stamp> {
    let bytes: &[u8; STAMP] = bytes.try_into().ok()?;
    let (hlc, rest) = bytes.split_first_chunk::<8>()?;
    let (actor, seq) = rest.split_first_chunk::<16>()?;
    let seq = u64::from_be_bytes(seq.try_into().ok()?);
    Some(Stamp { hlc: Hlc(u64::from_be_bytes(*hlc)), dot: Dot { actor: ActorId(*actor), seq } })
}

/// What the digest of a state is made of: bytes that depend on nothing but what is live at the owner.
pub(super) fn entry(block: &Block) -> [&[u8]; 2] {
    match block.extra() {
        full @ [FULL, ..] => [block.owner(), full],
        _ => [block.as_bytes(), b""],
    }
}

/// The latest time of what is live at the owner of a block.
pub(super) fn newest_hlc(block: &Block, genesis: Stamp) -> Hlc {
    match block.extra() {
        [] => genesis.hlc,
        _ => unpack(block, genesis).stamps().map(|stamp| stamp.hlc).max().unwrap_or_default(),
    }
}

/// Whether all that a block without anything beside its RRsets serves is what would be served of it: nothing in it
/// rules out anything else.
pub(super) fn serves_all(block: &Block, genesis: Stamp) -> bool {
    // Alone, or beside others of which none rules out another.
    let peaceful = |rrset: Rrset<'_>| !matches!(rrset.rtype, RecordType::CNAME | RecordType::SOA);
    let simple = (block.rrset_count() == 1 || block.rrsets().all(peaceful))
        && block.rrsets().all(|rrset| {
            let mut pairs = rrset.rdatas().zip(rrset.rdatas().skip(1));
            rrset.count() == 1 || (!may_spell_differently(rrset.rtype) && pairs.all(|(a, b)| a < b))
        });
    simple || {
        let live = unpack(block, genesis);
        let projected = project(&live, None);
        projected.shadowed == 0 && projected.rrsets.iter().map(|rrset| rrset.view()).eq(block.rrsets())
    }
}

/// Checks what a peer or the disk says is live at an owner other than the apex, or, in full, at the apex. The reason if
/// it cannot be.
pub(super) fn check_block(block: &Block, apex: bool, genesis: Stamp) -> Result<(), String> {
    match block.extra().split_first() {
        Some((&FULL, live)) => check_in_full(&codec::decode(live).map_err(|error| error.to_string())?),
        _ if apex => Err("the apex is not told in full".to_owned()),
        None => check_served(block, genesis),
        Some((&UNIFORM, stamp)) => {
            read_stamp(stamp).ok_or("a stamp is cut short")?;
            check_served(block, genesis)
        }
        Some((kind, _)) => Err(format!("a node of an unknown kind, {kind}")),
    }
}

/// Checks a block of which all that is live is served, where it lies: a large zone has a million of them.
fn check_served(block: &Block, genesis: Stamp) -> Result<(), String> {
    for rrset in block.rrsets() {
        check_write(rrset.rtype, rrset.ttl)?;
        for rdata in rrset.rdatas() {
            check(rrset.rtype, rdata).map_err(|error| error.to_string())?;
        }
        if !rrset.rdatas().zip(rrset.rdatas().skip(1)).all(|(one, next)| one < next) {
            return Err(format!("{} is out of order", rrset.rtype));
        }
    }
    if block.rrset_count() == 0 || !serves_all(block, genesis) {
        return Err("what is served there is not what is live".to_owned());
    }
    Ok(())
}

/// Checks what is told to be live with a stamp at each record.
fn check_in_full(live: &OwnerState) -> Result<(), String> {
    for (rtype, rrset) in live.iter() {
        rrset.ttls.iter().try_for_each(|(_, ttl)| check_write(rtype, *ttl))?;
        for record in &rrset.records {
            check_write(rtype, 0)?;
            check(rtype, record.rdata.as_wire()).map_err(|error| error.to_string())?;
        }
        let in_order = rrset.records.is_sorted_by(|a, b| a.rdata < b.rdata)
            && rrset.records.iter().all(|record| !record.stamps.is_empty() && record.stamps.is_sorted())
            && rrset.ttls.is_sorted();
        if rrset.is_empty() || !in_order {
            return Err(format!("{rtype} is out of order"));
        }
    }
    if live.is_empty() {
        return Err("what is served there is not what is live".to_owned());
    }
    if !live.iter().is_sorted_by(|a, b| a.0 < b.0) {
        return Err("types are out of order".to_owned());
    }
    Ok(())
}

/// Whether records may have this type, and this TTL.
fn check_write(rtype: RecordType, ttl: u32) -> Result<(), String> {
    if rtype.is_meta() || rtype == RecordType::SOA {
        return Err(format!("a record of type {rtype}"));
    }
    if ttl > MAX_TTL {
        return Err(format!("a TTL of {rtype} out of range"));
    }
    Ok(())
}
