//! What datagrams and streams need of the keyring, derived once, and replaced at once when keys rotate.

use std::sync::Arc;

use arc_swap::ArcSwap;
use chacha20poly1305::{KeyInit, XChaCha20Poly1305};

use super::key::{ClusterKey, KeyId, Keyring};

/// A cluster's name and keys, as the transports use them.
pub struct Secrets {
    cluster: String,
    keys: ArcSwap<Vec<Arc<Derived>>>,
}

/// What comes of one key in one cluster.
pub(super) struct Derived {
    pub(super) id: KeyId,
    /// Seals datagrams.
    pub(super) cipher: XChaCha20Poly1305,
    /// Authenticates streams.
    pub(super) psk: [u8; 32],
    /// The root of the secrets of DNS cookies.
    cookie_root: [u8; 32],
}

impl Secrets {
    /// The secrets of a cluster.
    pub fn new(cluster: &str, keyring: &Keyring) -> Secrets {
        Secrets { cluster: cluster.to_owned(), keys: ArcSwap::from_pointee(derive_all(cluster, keyring)) }
    }

    /// Uses other keys from now on. Streams under keys that are gone end with their next request.
    pub fn rotate(&self, keyring: &Keyring) {
        self.keys.store(Arc::new(derive_all(&self.cluster, keyring)));
    }

    /// The cluster's name.
    pub fn cluster(&self) -> &str {
        &self.cluster
    }

    /// Roots for the secrets of DNS cookies, that of the sealing key first. They tell nothing about the keys.
    pub fn cookie_roots(&self) -> Vec<[u8; 32]> {
        self.keys.load().iter().map(|key| key.cookie_root).collect()
    }

    /// What to seal with.
    pub(super) fn sealing(&self) -> Arc<Derived> {
        self.keys.load()[0].clone()
    }

    /// The key of this id, if it is accepted.
    pub(super) fn find(&self, id: KeyId) -> Option<Arc<Derived>> {
        self.keys.load().iter().find(|key| key.id == id).cloned()
    }
}

fn derive_all(cluster: &str, keyring: &Keyring) -> Vec<Arc<Derived>> {
    keyring.keys().iter().map(|key| Arc::new(derive(cluster, key))).collect()
}

fn derive(cluster: &str, key: &ClusterKey) -> Derived {
    Derived {
        id: key.id(),
        cipher: XChaCha20Poly1305::new(&key.derive("grapevine 2026 datagram key", cluster).into()),
        psk: key.derive("grapevine 2026 stream key", cluster),
        cookie_root: key.derive("grapevine 2026 DNS cookie root", cluster),
    }
}
