//! Encrypted streams: Noise_NNpsk0 (the Noise Protocol Framework, revision 34) with the cluster's key as the
//! pre-shared one, carrying messages of any size in chunks.
//!
//! ```text
//! initiator: "GV" | version 1 | key id 8 | length 2 | handshake 1
//! responder: "GV" | version 1 | length 2 | handshake 2          length 0: your key is not accepted
//! then:      length 2 | Noise message, again and again; the first of a message begins with its length, 4 bytes
//! ```
//!
//! The prologue is the initiator's first eleven bytes and the cluster's name.

use std::io;
use std::sync::Arc;

use snow::{Builder, HandshakeState, TransportState};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use super::key::KeyId;
use super::secrets::{Derived, Secrets};
use crate::codec::MAX_DECODED;

const PATTERN: &str = "Noise_NNpsk0_25519_ChaChaPoly_BLAKE2s";

const MAGIC: [u8; 2] = *b"GV";

/// The format of streams and of what is in them.
const VERSION: u8 = 1;

/// The longest Noise message (section 3 of the framework).
const MAX_NOISE: usize = 65_535;

/// The most plain bytes in one: the tag takes 16.
const MAX_CHUNK: usize = MAX_NOISE - 16;

/// How much of a stream that is refused is read before it is closed, so that the refusal is not lost to a reset.
const LINGER: u64 = 4096;

/// Why a stream failed. It is of no use afterwards.
#[derive(Debug, thiserror::Error)]
pub enum StreamError {
    /// The other end does not speak this protocol.
    #[error("the other end is no Grapevine node")]
    NotGossip,
    /// It speaks another version.
    #[error("peer speaks stream version {0}, this node {VERSION}: run the same release on all nodes")]
    Version(u8),
    /// It seals with a key that this node does not have.
    #[error("peer uses key {0}, which is not in this node's key file")]
    UnknownKey(KeyId),
    /// It does not accept this node's key.
    #[error("peer does not accept this node's key: the key files differ, or the clusters' names")]
    Refused,
    /// Not authentic.
    #[error("not authentic: the cluster's name differs, or the stream was tampered with")]
    Forged,
    /// A message that is longer than any may be.
    #[error("a message of {0} bytes is more than the {MAX_DECODED} allowed")]
    TooLong(usize),
    /// The connection failed.
    #[error("connection: {0}")]
    Io(#[from] io::Error),
}

impl From<snow::Error> for StreamError {
    fn from(_: snow::Error) -> StreamError {
        StreamError::Forged
    }
}

/// An authenticated stream over a connection of any kind: TCP, or a pipe in memory.
pub struct NoiseStream<S> {
    stream: S,
    noise: TransportState,
    key: KeyId,
    /// One Noise message as it is on the wire.
    sealed: Vec<u8>,
}

impl<S: AsyncRead + AsyncWrite + Unpin> NoiseStream<S> {
    /// Opens a stream to a node that accepted a connection.
    pub async fn connect(mut stream: S, secrets: &Secrets) -> Result<NoiseStream<S>, StreamError> {
        let key = secrets.sealing();
        let preamble = preamble(key.id);
        let mut handshake = builder(&key, &prologue(&preamble, secrets))?.build_initiator()?;
        let mut first = vec![0; 128];
        let len = handshake.write_message(&[], &mut first)?;
        let mut hello = preamble.to_vec();
        hello.extend_from_slice(&(len as u16).to_be_bytes());
        hello.extend_from_slice(&first[..len]);
        stream.write_all(&hello).await?;

        check_version(&mut stream).await?;
        match stream.read_u16().await? {
            0 => return Err(StreamError::Refused),
            len => read_handshake(&mut stream, &mut handshake, len).await?,
        }
        NoiseStream::established(stream, handshake, key.id)
    }

    /// Takes a stream from a node that connected. If it is refused, the other end is told why it can be.
    pub async fn accept(mut stream: S, secrets: &Secrets) -> Result<NoiseStream<S>, StreamError> {
        let mut preamble = [0; 11];
        stream.read_exact(&mut preamble[..3]).await?;
        if preamble[..2] != MAGIC {
            return Err(StreamError::NotGossip);
        }
        if preamble[2] != VERSION {
            refuse(stream, &[MAGIC[0], MAGIC[1], VERSION]).await?;
            return Err(StreamError::Version(preamble[2]));
        }
        stream.read_exact(&mut preamble[3..]).await?;
        let id = KeyId(preamble[3..].try_into().expect("8 bytes"));
        let Some(key) = secrets.find(id) else {
            refuse(stream, &[MAGIC[0], MAGIC[1], VERSION, 0, 0]).await?;
            return Err(StreamError::UnknownKey(id));
        };
        let mut handshake = builder(&key, &prologue(&preamble, secrets))?.build_responder()?;
        let len = stream.read_u16().await?;
        if let Err(error) = read_handshake(&mut stream, &mut handshake, len).await {
            refuse(stream, &[MAGIC[0], MAGIC[1], VERSION, 0, 0]).await?;
            return Err(error);
        }
        let mut second = vec![0; 128];
        let len = handshake.write_message(&[], &mut second)?;
        let mut answer = vec![MAGIC[0], MAGIC[1], VERSION];
        answer.extend_from_slice(&(len as u16).to_be_bytes());
        answer.extend_from_slice(&second[..len]);
        stream.write_all(&answer).await?;
        NoiseStream::established(stream, handshake, id)
    }

    fn established(stream: S, handshake: HandshakeState, key: KeyId) -> Result<NoiseStream<S>, StreamError> {
        Ok(NoiseStream { stream, noise: handshake.into_transport_mode()?, key, sealed: vec![0; 2 + MAX_NOISE] })
    }

    /// The key that authenticated the stream.
    pub fn key(&self) -> KeyId {
        self.key
    }

    /// The bare connection, to send on it what no node sends.
    pub fn into_inner(self) -> S {
        self.stream
    }

    /// Sends one message.
    pub async fn write_message(&mut self, message: &[u8]) -> Result<(), StreamError> {
        if message.len() > MAX_DECODED {
            return Err(StreamError::TooLong(message.len()));
        }
        let (first, rest) = message.split_at(message.len().min(MAX_CHUNK - 4));
        let mut begin = (message.len() as u32).to_be_bytes().to_vec();
        begin.extend_from_slice(first);
        self.write_chunk(&begin).await?;
        for chunk in rest.chunks(MAX_CHUNK) {
            self.write_chunk(chunk).await?;
        }
        Ok(())
    }

    /// Receives one message; nothing if the other end closed the stream between messages.
    pub async fn read_message(&mut self) -> Result<Option<Vec<u8>>, StreamError> {
        let mut message = Vec::new();
        let len = match self.stream.read_u16().await {
            Ok(len) => len,
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        self.read_chunk(len, &mut message).await?;
        let (begin, _) = message.split_first_chunk::<4>().ok_or(StreamError::Forged)?;
        let total = u32::from_be_bytes(*begin) as usize;
        if total > MAX_DECODED {
            return Err(StreamError::TooLong(total));
        }
        message.drain(..4);
        // Memory grows with what arrives, not with what is promised.
        while message.len() < total {
            let len = self.stream.read_u16().await?;
            let before = message.len();
            self.read_chunk(len, &mut message).await?;
            if message.len() == before {
                return Err(StreamError::Forged);
            }
        }
        if message.len() > total {
            return Err(StreamError::Forged);
        }
        Ok(Some(message))
    }

    async fn write_chunk(&mut self, chunk: &[u8]) -> Result<(), StreamError> {
        let len = self.noise.write_message(chunk, &mut self.sealed[2..])?;
        self.sealed[..2].copy_from_slice(&(len as u16).to_be_bytes());
        self.stream.write_all(&self.sealed[..2 + len]).await?;
        Ok(())
    }

    /// Appends the next chunk, whose sealed length is `len`.
    async fn read_chunk(&mut self, len: u16, message: &mut Vec<u8>) -> Result<(), StreamError> {
        let len = usize::from(len);
        self.stream.read_exact(&mut self.sealed[..len]).await?;
        let before = message.len();
        message.resize(before + len, 0);
        let plain = self.noise.read_message(&self.sealed[..len], &mut message[before..])?;
        message.truncate(before + plain);
        Ok(())
    }
}

fn preamble(key: KeyId) -> [u8; 11] {
    let mut preamble = [0; 11];
    preamble[..2].copy_from_slice(&MAGIC);
    preamble[2] = VERSION;
    preamble[3..].copy_from_slice(&key.0);
    preamble
}

fn prologue(preamble: &[u8; 11], secrets: &Secrets) -> Vec<u8> {
    [&preamble[..], secrets.cluster().as_bytes()].concat()
}

fn builder<'a>(key: &'a Arc<Derived>, prologue: &'a [u8]) -> Result<Builder<'a>, StreamError> {
    let params = PATTERN.parse().expect("a pattern that snow knows");
    Ok(Builder::new(params).psk(0, &key.psk)?.prologue(prologue)?)
}

async fn check_version(stream: &mut (impl AsyncRead + Unpin)) -> Result<(), StreamError> {
    let mut answer = [0; 3];
    stream.read_exact(&mut answer).await?;
    match answer {
        [b'G', b'V', VERSION] => Ok(()),
        [b'G', b'V', other] => Err(StreamError::Version(other)),
        _ => Err(StreamError::NotGossip),
    }
}

async fn read_handshake(
    stream: &mut (impl AsyncRead + Unpin),
    handshake: &mut HandshakeState,
    len: u16,
) -> Result<(), StreamError> {
    let mut message = [0; 128];
    let message = message.get_mut(..usize::from(len)).ok_or(StreamError::NotGossip)?;
    stream.read_exact(message).await?;
    handshake.read_message(message, &mut [0; 128])?;
    Ok(())
}

/// Says why not, and closes without a reset that would take the words back.
async fn refuse(mut stream: impl AsyncRead + AsyncWrite + Unpin, words: &[u8]) -> Result<(), StreamError> {
    stream.write_all(words).await?;
    stream.shutdown().await?;
    tokio::io::copy(&mut stream.take(LINGER), &mut tokio::io::sink()).await?;
    Ok(())
}
