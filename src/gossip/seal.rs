//! Sealed datagrams: XChaCha20-Poly1305 under the cluster's key, bound to the cluster's name, each accepted once.
//!
//! ```text
//! magic 1 | version 1 | key id 8 | nonce 24 | sealed: sender 8, counter 8, payload | tag 16
//! ```

use std::sync::Arc;

use chacha20poly1305::XNonce;
use chacha20poly1305::aead::{Aead, Payload};
use rand::rngs::{StdRng, SysRng};
use rand::{RngExt, SeedableRng};

use super::key::KeyId;
use super::replay::ReplayWindows;
use super::secrets::Secrets;

/// First byte of each datagram; tells gossip from what strays in. Not a byte that DNS messages are likely to begin with.
const MAGIC: u8 = 0xd7;

/// The format of datagrams and of what is in them.
const VERSION: u8 = 1;

const HEADER: usize = 1 + 1 + 8 + 24;
const INNER: usize = 8 + 8;
const TAG: usize = 16;

/// The most bytes of a sealed datagram: below what nearly every path carries unfragmented.
pub(super) const MAX_DATAGRAM: usize = 1400;

/// The most bytes of a payload, so that it fits one datagram.
pub const MAX_PAYLOAD: usize = MAX_DATAGRAM - HEADER - INNER - TAG;

/// Why a datagram is dropped.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum OpenError {
    /// Garbage, or cut off.
    #[error("not a gossip datagram")]
    NotGossip,
    /// From a release that seals otherwise.
    #[error("datagram format {0}; this node speaks {VERSION}: run the same release on all nodes")]
    Version(u8),
    /// Under a key that is not in the ring.
    #[error("sealed with key {0}, which is not in this node's key file")]
    UnknownKey(KeyId),
    /// Changed on the way, or of another cluster.
    #[error("not authentic, or of a cluster of another name")]
    Forged,
    /// Seen before, or too old to tell.
    #[error("replayed")]
    Replayed,
}

/// Seals and opens the datagrams of one process.
pub struct Sealer {
    secrets: Arc<Secrets>,
    /// Names this process among senders.
    sender: u64,
    counter: u64,
    /// For nonces: a generator fit for cryptography, seeded by the system.
    rng: StdRng,
    windows: ReplayWindows,
}

impl Sealer {
    /// For a process of its own: no other seals under its name. Fails if the system has no randomness to give.
    pub fn new(secrets: Arc<Secrets>) -> std::io::Result<Sealer> {
        let mut rng = StdRng::try_from_rng(&mut SysRng).map_err(std::io::Error::other)?;
        Ok(Sealer { secrets, sender: rng.random(), counter: 0, rng, windows: ReplayWindows::default() })
    }

    /// A payload as a datagram.
    pub fn seal(&mut self, payload: &[u8]) -> Vec<u8> {
        let key = self.secrets.sealing();
        let nonce: [u8; 24] = self.rng.random();
        self.counter += 1;
        let mut datagram = Vec::with_capacity(HEADER + INNER + payload.len() + TAG);
        datagram.extend_from_slice(&[MAGIC, VERSION]);
        datagram.extend_from_slice(&key.id.0);
        datagram.extend_from_slice(&nonce);
        let mut inner = Vec::with_capacity(INNER + payload.len());
        inner.extend_from_slice(&self.sender.to_be_bytes());
        inner.extend_from_slice(&self.counter.to_be_bytes());
        inner.extend_from_slice(payload);
        let aad = associated(self.secrets.cluster(), &datagram);
        let sealed = key
            .cipher
            .encrypt(&XNonce::from(nonce), Payload { msg: &inner, aad: &aad })
            .expect("a datagram is far below the cipher's limit");
        datagram.extend_from_slice(&sealed);
        datagram
    }

    /// The payload of a datagram, if it is authentic and new.
    pub fn open(&mut self, datagram: &[u8]) -> Result<Vec<u8>, OpenError> {
        let (&[MAGIC, version], _) = datagram.split_first_chunk::<2>().ok_or(OpenError::NotGossip)? else {
            return Err(OpenError::NotGossip);
        };
        if version != VERSION {
            return Err(OpenError::Version(version));
        }
        if datagram.len() < HEADER + INNER + TAG {
            return Err(OpenError::NotGossip);
        }
        let (header, sealed) = datagram.split_at(HEADER);
        let id = KeyId(header[2..10].try_into().expect("8 bytes"));
        let nonce: [u8; 24] = header[10..].try_into().expect("24 bytes");
        let key = self.secrets.find(id).ok_or(OpenError::UnknownKey(id))?;
        let aad = associated(self.secrets.cluster(), header);
        let inner = key
            .cipher
            .decrypt(&XNonce::from(nonce), Payload { msg: sealed, aad: &aad })
            .map_err(|_| OpenError::Forged)?;
        let (sender, rest) = inner.split_first_chunk::<8>().ok_or(OpenError::Forged)?;
        let (counter, payload) = rest.split_first_chunk::<8>().ok_or(OpenError::Forged)?;
        if !self.windows.accept(u64::from_be_bytes(*sender), u64::from_be_bytes(*counter)) {
            return Err(OpenError::Replayed);
        }
        Ok(payload.to_vec())
    }
}

fn associated(cluster: &str, header: &[u8]) -> Vec<u8> {
    [header, cluster.as_bytes()].concat()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::gossip::key::{ClusterKey, Keyring};

    fn key(byte: u8) -> ClusterKey {
        ClusterKey::parse(&data_encoding::BASE64.encode(&[byte; 32])).unwrap()
    }

    fn sealer(cluster: &str, keys: &[u8]) -> Sealer {
        let keyring = Keyring::new(keys.iter().map(|&byte| key(byte)).collect()).unwrap();
        Sealer::new(Arc::new(Secrets::new(cluster, &keyring))).unwrap()
    }

    #[test]
    fn the_largest_payload_fits_a_datagram_and_membership_fits_the_payload() {
        let (mut a, mut b) = (sealer("home", &[1]), sealer("home", &[1]));
        let payload = vec![7; MAX_PAYLOAD];
        let datagram = a.seal(&payload);
        assert_eq!(datagram.len(), MAX_DATAGRAM);
        assert_eq!(b.open(&datagram), Ok(payload));
        assert_eq!(b.open(&a.seal(b"")), Ok(Vec::new()));
        const { assert!(crate::membership::MAX_PAYLOAD + 16 <= MAX_PAYLOAD) };
    }

    #[test]
    fn a_replayed_datagram_is_dropped_and_a_restarted_sender_is_not() {
        let (mut a, mut b) = (sealer("home", &[1]), sealer("home", &[1]));
        let datagrams: Vec<_> = (0..3).map(|_| a.seal(b"x")).collect();
        for datagram in datagrams.iter().rev() {
            assert!(b.open(datagram).is_ok());
        }
        for datagram in &datagrams {
            assert_eq!(b.open(datagram), Err(OpenError::Replayed));
        }
        let mut restarted = sealer("home", &[1]);
        assert!(b.open(&restarted.seal(b"x")).is_ok());
    }

    #[test]
    fn another_key_or_cluster_is_dropped_also_without_a_key() {
        let mut a = sealer("home", &[1]);
        assert_eq!(sealer("home", &[2]).open(&a.seal(b"x")), Err(OpenError::UnknownKey(key(1).id())));
        assert_eq!(sealer("away", &[1]).open(&a.seal(b"x")), Err(OpenError::Forged));
        let open = |cluster| Sealer::new(Arc::new(Secrets::new(cluster, &Keyring::insecure()))).unwrap();
        let datagram = open("home").seal(b"x");
        assert_eq!(open("home").open(&datagram), Ok(b"x".to_vec()));
        assert_eq!(open("away").open(&datagram), Err(OpenError::Forged));
        assert!(matches!(a.open(&datagram), Err(OpenError::UnknownKey(_))));
    }

    #[test]
    fn keys_rotate_without_a_gap() {
        let old = Secrets::new("home", &Keyring::new(vec![key(1)]).unwrap());
        let (mut a, mut b) = (sealer("home", &[1]), Sealer::new(Arc::new(old)).unwrap());
        let ring = |keys: &[u8]| Keyring::new(keys.iter().map(|&byte| key(byte)).collect()).unwrap();
        let steps: [&[u8]; 3] = [&[1, 2], &[2, 1], &[2]];
        for step in steps {
            a.secrets.rotate(&ring(step));
            assert!(b.open(&a.seal(b"x")).is_ok() && a.open(&b.seal(b"x")).is_ok());
            b.secrets.rotate(&ring(step));
            assert!(b.open(&a.seal(b"x")).is_ok() && a.open(&b.seal(b"x")).is_ok());
        }
        assert!(b.open(&sealer("home", &[1]).seal(b"x")).is_err(), "the old key is out");
    }

    #[test]
    fn another_version_is_named() {
        let mut a = sealer("home", &[1]);
        let mut datagram = a.seal(b"x");
        datagram[1] = 9;
        assert_eq!(a.open(&datagram), Err(OpenError::Version(9)));
    }

    proptest! {
        #[test]
        fn no_garbage_opens(bytes in proptest::collection::vec(any::<u8>(), 0..200), header in any::<bool>()) {
            let mut a = sealer("home", &[1]);
            let mut bytes = bytes;
            if header {
                let good = a.seal(b"");
                let len = bytes.len().min(HEADER);
                bytes[..len].copy_from_slice(&good[..len]);
            }
            prop_assert!(sealer("home", &[1]).open(&bytes).is_err());
        }

        #[test]
        fn nothing_cut_off_or_changed_opens(
            payload in proptest::collection::vec(any::<u8>(), 0..100), at in any::<prop::sample::Index>(), bit in 0u8..8,
        ) {
            let (mut a, mut b) = (sealer("home", &[1]), sealer("home", &[1]));
            let datagram = a.seal(&payload);
            prop_assert!(b.open(&datagram[..at.index(datagram.len())]).is_err());
            let mut changed = datagram.clone();
            changed[at.index(datagram.len())] ^= 1 << bit;
            prop_assert!(b.open(&changed).is_err());
            prop_assert_eq!(b.open(&datagram), Ok(payload));
        }
    }
}
