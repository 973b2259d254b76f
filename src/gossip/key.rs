//! Cluster keys and the file that holds them.
//!
//! One key a line, base64; `#` begins a comment. The first key seals, all are accepted: so a new key is added below the
//! old one on every node, then moved to the top on every node, then the old one is deleted on every node.

use std::fmt;
use std::io::{ErrorKind, Write as _};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use data_encoding::{BASE64, HEXLOWER};
use rand::TryRng;
use rand::rngs::SysRng;

/// How many keys a ring may hold: rotation needs two, and each costs a look at every stream and datagram.
const MAX_KEYS: usize = 16;

/// The largest key file that is read.
const MAX_FILE: u64 = 64 << 10;

/// A secret that all nodes of a cluster share.
#[derive(Clone, PartialEq, Eq)]
pub struct ClusterKey([u8; 32]);

/// Names a key without revealing it.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct KeyId(pub [u8; 8]);

/// The keys of a node: never empty.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Keyring(Vec<ClusterKey>);

/// A ring that was read from a file.
#[derive(Clone, Debug)]
pub struct LoadedKeyring {
    /// The keys.
    pub keyring: Keyring,
    /// Whether other users of the machine can read the file, which calls for a warning.
    pub exposed: bool,
}

/// Why there are no keys.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// There is no such file.
    #[error("key file {0} does not exist; make one with `grapevine keygen` and copy it to every node")]
    Missing(PathBuf),
    /// The file exists already and is not overwritten.
    #[error("key file {0} exists already; it is not overwritten, as the cluster may depend on it")]
    Exists(PathBuf),
    /// The file cannot be read or written.
    #[error("key file {path}: {error}")]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system says.
        error: std::io::Error,
    },
    /// A line is no key.
    #[error("key file {path}, line {line}: not a key; a key is 44 characters of base64, as `grapevine keygen` prints")]
    Malformed {
        /// The file.
        path: PathBuf,
        /// The line, counted from 1.
        line: usize,
    },
    /// No line holds a key.
    #[error("key file {0} holds no key; make one with `grapevine keygen`")]
    Empty(PathBuf),
    /// Too many lines hold keys.
    #[error("key file {0} holds more than {MAX_KEYS} keys; delete those that no node seals with any more")]
    TooMany(PathBuf),
    /// The system has no randomness to give.
    #[error("no key could be made: {0}")]
    Random(String),
}

impl ClusterKey {
    /// A new key.
    pub fn generate() -> Result<ClusterKey, KeyError> {
        let mut key = [0; 32];
        SysRng.try_fill_bytes(&mut key).map_err(|error| KeyError::Random(error.to_string()))?;
        Ok(ClusterKey(key))
    }

    /// A key as its file has it.
    pub fn parse(text: &str) -> Option<ClusterKey> {
        let bytes = BASE64.decode(text.trim().as_bytes()).ok()?;
        Some(ClusterKey(bytes.try_into().ok()?))
    }

    /// The key as its file has it. A secret: for the file and the person only.
    pub fn to_base64(&self) -> String {
        BASE64.encode(&self.0)
    }

    /// What the key is called.
    pub fn id(&self) -> KeyId {
        let mut id = [0; 8];
        id.copy_from_slice(&self.derive("grapevine 2026 key id", "")[..8]);
        KeyId(id)
    }

    /// A key for one purpose in one cluster.
    pub(super) fn derive(&self, purpose: &str, cluster: &str) -> [u8; 32] {
        let mut hasher = blake3::Hasher::new_derive_key(purpose);
        hasher.update(&self.0);
        hasher.update(cluster.as_bytes());
        hasher.finalize().into()
    }
}

impl fmt::Debug for ClusterKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ClusterKey({})", self.id())
    }
}

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&HEXLOWER.encode(&self.0))
    }
}

impl fmt::Debug for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Keyring {
    /// A ring of keys, the first of which seals; nothing if there is none.
    pub fn new(keys: Vec<ClusterKey>) -> Option<Keyring> {
        (!keys.is_empty()).then_some(Keyring(keys))
    }

    /// The ring of a node without a key: everyone knows this key, so it keeps clusters of different names apart and
    /// nothing else. For loopback, or where a person said that it is all right.
    pub fn insecure() -> Keyring {
        Keyring(vec![ClusterKey([0; 32])])
    }

    /// Reads a key file.
    pub fn load(path: &Path) -> Result<LoadedKeyring, KeyError> {
        let failed = |error: std::io::Error| match error.kind() {
            ErrorKind::NotFound => KeyError::Missing(path.to_owned()),
            _ => KeyError::Io { path: path.to_owned(), error },
        };
        let metadata = std::fs::metadata(path).map_err(failed)?;
        if metadata.len() > MAX_FILE {
            return Err(KeyError::TooMany(path.to_owned()));
        }
        let bytes = std::fs::read(path).map_err(failed)?;
        let keys = parse_lines(&bytes, path)?;
        if keys.len() > MAX_KEYS {
            return Err(KeyError::TooMany(path.to_owned()));
        }
        let keyring = Keyring::new(keys).ok_or_else(|| KeyError::Empty(path.to_owned()))?;
        Ok(LoadedKeyring { keyring, exposed: metadata.permissions().mode() & 0o077 != 0 })
    }

    /// Writes a new key file that only its owner can read.
    pub fn save_new(path: &Path, key: &ClusterKey) -> Result<(), KeyError> {
        let failed = |error: std::io::Error| match error.kind() {
            ErrorKind::AlreadyExists => KeyError::Exists(path.to_owned()),
            _ => KeyError::Io { path: path.to_owned(), error },
        };
        let mut options = std::fs::OpenOptions::new();
        let mut file = options.write(true).create_new(true).mode(0o600).open(path).map_err(failed)?;
        let text =
            format!("# grapevine cluster key {}; the same file belongs on every node\n{}\n", key.id(), key.to_base64());
        file.write_all(text.as_bytes()).and_then(|()| file.sync_all()).map_err(failed)
    }

    /// The keys, the sealing one first.
    pub fn keys(&self) -> &[ClusterKey] {
        &self.0
    }
}

fn parse_lines(bytes: &[u8], path: &Path) -> Result<Vec<ClusterKey>, KeyError> {
    let mut keys = Vec::new();
    for (index, line) in bytes.split(|&byte| byte == b'\n').enumerate() {
        let malformed = || KeyError::Malformed { path: path.to_owned(), line: index + 1 };
        let line = std::str::from_utf8(line).map_err(|_| malformed())?;
        let text = line.split('#').next().unwrap_or_default().trim();
        if !text.is_empty() {
            keys.push(ClusterKey::parse(text).ok_or_else(malformed)?);
        }
    }
    Ok(keys)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn a_key_file_is_read_back_and_not_overwritten() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("cluster.key");
        let key = ClusterKey::generate().unwrap();
        Keyring::save_new(&path, &key).unwrap();
        let loaded = Keyring::load(&path).unwrap();
        assert_eq!((loaded.keyring.keys(), loaded.exposed), (&[key.clone()][..], false));
        assert!(matches!(Keyring::save_new(&path, &key), Err(KeyError::Exists(_))));
        assert_ne!(key, ClusterKey::generate().unwrap());
        assert!(!format!("{key:?}").contains(&key.to_base64()));
    }

    #[test]
    fn comments_blank_lines_and_order_are_kept_apart() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("cluster.key");
        let (new, old) = (ClusterKey::generate().unwrap(), ClusterKey::generate().unwrap());
        let text = format!("# ours\r\n\n  {}  # since May\r\n{}", new.to_base64(), old.to_base64());
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        let loaded = Keyring::load(&path).unwrap();
        assert_eq!((loaded.keyring.keys(), loaded.exposed), (&[new, old][..], true));
    }

    #[test]
    fn errors_name_the_file_and_the_line() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("cluster.key");
        assert!(Keyring::load(&path).unwrap_err().to_string().contains("grapevine keygen"));
        fs::write(&path, "# nothing\n").unwrap();
        assert!(matches!(Keyring::load(&path), Err(KeyError::Empty(_))));
        for bad in ["secret", "AAAA", "\u{fffd}"] {
            fs::write(&path, format!("# one\n{}\n{bad}\n", ClusterKey([7; 32]).to_base64())).unwrap();
            let message = Keyring::load(&path).unwrap_err().to_string();
            assert!(message.contains("cluster.key, line 3") && !message.contains("BwcH"), "{message}");
        }
        fs::write(&path, [0xff, 0xfe]).unwrap();
        assert!(matches!(Keyring::load(&path), Err(KeyError::Malformed { line: 1, .. })));
        fs::write(&path, format!("{}\n", ClusterKey([7; 32]).to_base64()).repeat(17)).unwrap();
        assert!(matches!(Keyring::load(&path), Err(KeyError::TooMany(_))));
        assert!(matches!(Keyring::load(dir.path()), Err(KeyError::Io { .. })));
    }
}
