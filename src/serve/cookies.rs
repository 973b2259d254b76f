//! The secrets of DNS cookies, new every period, from a root that all nodes of a cluster have.
//!
//! A secret is derived from the root and the number of the period, so nodes with the same root have the same secrets
//! without a word between them, however long one was away. Cookies last an hour; with the secret of the period before,
//! those made at a period's end are good until then, and with that of the next one, those of a node whose clock is ahead.

use std::sync::Arc;

use arc_swap::{ArcSwap, Guard};

use crate::answer::CookieSecrets;

/// How long a secret makes cookies. RFC 7873 §7.1 asks for no more than 36 days and recommends a day.
const PERIOD_S: u64 = 24 * 3600;
/// The purpose of the derivation, so that the root is of no use for anything else.
const PURPOSE: &str = "grapevine 2026 DNS cookie secret of a period";

/// Roots of cookie secrets, and the secrets of the current period. Shared by all servers of a process.
pub struct CookieRoots(ArcSwap<Current>);

/// What holds until the period or the roots change.
pub(super) struct Current {
    roots: Vec<[u8; 32]>,
    period: u64,
    pub(super) secrets: CookieSecrets,
}

impl CookieRoots {
    /// From these roots, the first of which makes cookies; the others are accepted, for the time in which a cluster
    /// changes its keys. Nothing if there is none.
    pub fn new(roots: Vec<[u8; 32]>) -> Option<CookieRoots> {
        Some(CookieRoots(ArcSwap::from_pointee(Current::derive(roots, 0)?)))
    }

    /// Uses other roots from now on; without any, the old ones stay.
    pub fn rotate(&self, roots: Vec<[u8; 32]>) {
        if let Some(current) = Current::derive(roots, 0) {
            self.0.store(Arc::new(current));
        }
    }

    /// The secrets of a time in seconds since 1970.
    pub(super) fn at(&self, unix_s: u64) -> Guard<Arc<Current>> {
        let current = self.0.load();
        let period = unix_s / PERIOD_S;
        if current.period == period {
            return current;
        }
        self.0.rcu(|current| Current::derive(current.roots.clone(), period).map_or_else(|| current.clone(), Arc::new));
        self.0.load()
    }
}

impl std::fmt::Debug for CookieRoots {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CookieRoots").finish_non_exhaustive()
    }
}

impl Current {
    fn derive(roots: Vec<[u8; 32]>, period: u64) -> Option<Current> {
        let sealing = secret(roots.first()?, period);
        let periods = [period, period.saturating_sub(1), period + 1];
        let all = roots.iter().flat_map(|root| periods.map(|period| secret(root, period)));
        let accepted = all.skip(1).collect();
        Some(Current { roots, period, secrets: CookieSecrets { sealing, accepted } })
    }
}

fn secret(root: &[u8; 32], period: u64) -> [u8; 16] {
    let mut hasher = blake3::Hasher::new_derive_key(PURPOSE);
    hasher.update(root);
    hasher.update(&period.to_be_bytes());
    let mut secret = [0; 16];
    hasher.finalize_xof().fill(&mut secret);
    secret
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secrets(roots: &CookieRoots, unix_s: u64) -> CookieSecrets {
        roots.at(unix_s).secrets.clone()
    }

    #[test]
    fn nodes_with_the_same_root_have_the_same_secrets_whenever_they_started() {
        let (early, late) = (CookieRoots::new(vec![[7; 32]]), CookieRoots::new(vec![[7; 32]]));
        let (early, late) = (early.expect("a root"), late.expect("a root"));
        let now = 20_000 * PERIOD_S;
        let before = secrets(&early, now - 1);
        assert_ne!(before.sealing, secrets(&early, now).sealing);
        assert_eq!(secrets(&early, now), secrets(&late, now + PERIOD_S - 1));
        assert!(secrets(&late, now).accepted.contains(&before.sealing), "of the period before");
        assert!(before.accepted.contains(&secrets(&late, now).sealing), "of a node whose clock is ahead");
        assert!(!secrets(&late, now + PERIOD_S).accepted.contains(&before.sealing), "no longer");
        assert_ne!(secrets(&CookieRoots::new(vec![[8; 32]]).expect("a root"), now).sealing, before.sealing);
    }

    #[test]
    fn while_keys_change_cookies_of_either_key_are_accepted() {
        let roots = CookieRoots::new(vec![[1; 32]]).expect("a root");
        let old = secrets(&roots, PERIOD_S).sealing;
        roots.rotate(vec![[2; 32], [1; 32]]);
        let both = secrets(&roots, PERIOD_S);
        assert!(both.sealing != old && both.accepted.contains(&old));
        roots.rotate(vec![]);
        assert_eq!(secrets(&roots, PERIOD_S), both, "there is always a root");
        roots.rotate(vec![[2; 32]]);
        assert!(!secrets(&roots, PERIOD_S).accepted.contains(&old));
        assert!(CookieRoots::new(vec![]).is_none());
    }
}
