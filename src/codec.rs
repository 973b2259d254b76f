//! The one encoding of everything that nodes send each other and keep on disk: bincode 2, standard configuration, with
//! a limit on what decoding may allocate.
//!
//! Nothing else names bincode, so replacing it is a change to this file.

use serde::Serialize;
use serde::de::DeserializeOwned;

/// The most bytes that one decoded message may claim: a chunk of zone state with room to spare. Without it a short
/// hostile message could ask for gigabytes.
pub const MAX_DECODED: usize = 64 << 20;

/// The most bytes that a message in one datagram may claim when decoded: several datagrams' worth, and no more.
pub const MAX_DECODED_DATAGRAM: usize = 16 << 10;

/// Bytes that are not the message expected. Nothing was changed.
#[derive(Debug, thiserror::Error)]
#[error("malformed message: {0}")]
pub struct DecodeError(String);

impl DecodeError {
    /// An error for bytes that decode but mean nothing here.
    pub fn new(reason: &str) -> DecodeError {
        DecodeError(reason.to_owned())
    }
}

/// Encodes a message.
pub fn encode<T: Serialize>(message: &T) -> Vec<u8> {
    bincode::serde::encode_to_vec(message, bincode::config::standard())
        .expect("messages hold no maps of unknown length and writing to memory does not fail")
}

/// Bytes in one piece, for `#[serde(with)]`: without it a vector of bytes is encoded item by item, to the same effect.
pub mod bytes {
    use std::fmt;

    use serde::de::{Error, Visitor};
    use serde::{Deserializer, Serializer};

    /// Writes bytes.
    pub fn serialize<S: Serializer>(bytes: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(bytes)
    }

    /// Reads bytes.
    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<u8>, D::Error> {
        deserializer.deserialize_byte_buf(Bytes)
    }

    struct Bytes;

    impl Visitor<'_> for Bytes {
        type Value = Vec<u8>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("bytes")
        }

        fn visit_bytes<E: Error>(self, bytes: &[u8]) -> Result<Vec<u8>, E> {
            Ok(bytes.to_vec())
        }

        fn visit_byte_buf<E: Error>(self, bytes: Vec<u8>) -> Result<Vec<u8>, E> {
            Ok(bytes)
        }
    }
}

/// Decodes a message that fills `bytes` exactly.
pub fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, DecodeError> {
    match decode_prefix(bytes)? {
        (message, used) if used == bytes.len() => Ok(message),
        _ => Err(DecodeError("bytes left over at the end".to_owned())),
    }
}

/// Decodes what this node itself encoded and whose bytes are proved unchanged: of any size.
pub fn decode_own<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, DecodeError> {
    match bincode::serde::decode_from_slice(bytes, bincode::config::standard()) {
        Ok((message, used)) if used == bytes.len() => Ok(message),
        Ok(_) => Err(DecodeError("bytes left over at the end".to_owned())),
        Err(error) => Err(DecodeError(error.to_string())),
    }
}

/// Decodes a message at the start of `bytes` and tells how many bytes it took.
pub fn decode_prefix<T: DeserializeOwned>(bytes: &[u8]) -> Result<(T, usize), DecodeError> {
    let config = bincode::config::standard().with_limit::<MAX_DECODED>();
    bincode::serde::decode_from_slice(bytes, config).map_err(|error| DecodeError(error.to_string()))
}

/// As [`decode_prefix`], for what came in a datagram: it may claim no more than [`MAX_DECODED_DATAGRAM`].
pub fn decode_datagram_prefix<T: DeserializeOwned>(bytes: &[u8]) -> Result<(T, usize), DecodeError> {
    let config = bincode::config::standard().with_limit::<MAX_DECODED_DATAGRAM>();
    bincode::serde::decode_from_slice(bytes, config).map_err(|error| DecodeError(error.to_string()))
}

/// As [`decode_datagram_prefix`], for a message that fills `bytes` exactly.
pub fn decode_datagram<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, DecodeError> {
    match decode_datagram_prefix(bytes)? {
        (message, used) if used == bytes.len() => Ok(message),
        _ => Err(DecodeError::new("bytes left over at the end")),
    }
}
