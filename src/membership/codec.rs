//! foca's packets in the project's wire codec, and a look into one before foca gets it.

use bytes::{Buf, BufMut};
use foca::{Header, Member, Message};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::Identity;
use crate::codec::{DecodeError, decode_datagram_prefix, encode};

/// A payload that is not one of this module's. Nothing was changed.
#[derive(Debug, thiserror::Error)]
#[error("malformed membership message: {0}")]
pub struct Malformed(pub(super) String);

impl From<DecodeError> for Malformed {
    fn from(error: DecodeError) -> Malformed {
        Malformed(error.to_string())
    }
}

/// Why foca's codec failed.
#[derive(Debug, thiserror::Error)]
pub(super) enum CodecError {
    /// The packet is full; foca goes on without the item.
    #[error("no room left in the packet")]
    Full,
    /// Not an item.
    #[error(transparent)]
    Decode(#[from] DecodeError),
}

/// The codec of foca's packets.
#[derive(Clone, Copy, Debug)]
pub(super) struct PacketCodec;

impl PacketCodec {
    fn put<T: Serialize>(item: &T, mut buf: impl BufMut) -> Result<(), CodecError> {
        let bytes = encode(item);
        if buf.remaining_mut() < bytes.len() {
            return Err(CodecError::Full);
        }
        buf.put_slice(&bytes);
        Ok(())
    }

    /// foca hands in contiguous buffers: slices of a datagram.
    fn take<T: DeserializeOwned>(mut buf: impl Buf) -> Result<T, CodecError> {
        let (item, used) = decode_datagram_prefix(buf.chunk())?;
        buf.advance(used);
        Ok(item)
    }
}

impl foca::Codec<Identity> for PacketCodec {
    type Error = CodecError;

    fn encode_header(&mut self, header: &Header<Identity>, buf: impl BufMut) -> Result<(), CodecError> {
        PacketCodec::put(header, buf)
    }

    fn decode_header(&mut self, buf: impl Buf) -> Result<Header<Identity>, CodecError> {
        PacketCodec::take(buf)
    }

    fn encode_member(&mut self, member: &Member<Identity>, buf: impl BufMut) -> Result<(), CodecError> {
        PacketCodec::put(member, buf)
    }

    fn decode_member(&mut self, buf: impl Buf) -> Result<Member<Identity>, CodecError> {
        PacketCodec::take(buf)
    }
}

/// A packet of foca's, taken apart.
#[derive(Debug)]
pub(super) struct Packet {
    pub(super) header: Header<Identity>,
    /// The members that it has news of.
    pub(super) updates: Vec<Member<Identity>>,
    /// Where the header ends.
    pub(super) header_len: usize,
}

impl Packet {
    /// Takes a packet apart: header, two bytes of count, members.
    pub(super) fn parse(bytes: &[u8]) -> Result<Packet, Malformed> {
        let (header, header_len) = decode_datagram_prefix::<Header<Identity>>(bytes)?;
        let mut updates = Vec::new();
        let mut rest = &bytes[header_len..];
        if rest.len() >= 2 && header.message != Message::Broadcast {
            for _ in 0..rest.get_u16() {
                let (member, used) = decode_datagram_prefix::<Member<Identity>>(rest)?;
                rest = &rest[used..];
                updates.push(member);
            }
        }
        if header.src.is_unknown() || updates.iter().any(|member| member.id().is_unknown()) {
            return Err(Malformed("a member without a name".to_owned()));
        }
        Ok(Packet { header, updates, header_len })
    }
}
