//! The control socket as a file: made for its owner alone, taken over from a dead process, never from a live one.

use std::fs::{self, Permissions};
use std::io::{self, ErrorKind};
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::net::{UnixListener, UnixStream};

/// The longest path the kernel takes for a socket, on Linux less its final zero.
const MAX_PATH: usize = 107;

/// How long a process may take to accept before it counts as alive but busy.
const PROBE_TIMEOUT: Duration = Duration::from_secs(1);

/// Why there is no control socket. Nothing was changed.
#[derive(Debug, thiserror::Error)]
pub enum BindError {
    /// Somebody answers there.
    #[error(
        "another grapevine answers on {}: stop that one, or give this one its own --data or --control", path.display()
    )]
    InUse {
        /// The socket.
        path: PathBuf,
    },
    /// Something else has that name.
    #[error("{} exists and is not a socket: move it away, or choose another --control", path.display())]
    NotASocket {
        /// What is there.
        path: PathBuf,
    },
    /// The kernel takes no path as long as that.
    #[error(
        "{} is longer than the {MAX_PATH} bytes that a socket's path may have: choose a shorter --control",
        path.display()
    )]
    TooLong {
        /// The path asked for.
        path: PathBuf,
    },
    /// The directory is missing or not writable, or the like.
    #[error("cannot make the control socket {}: {source}; its directory must exist and be writable", path.display())]
    Io {
        /// The socket.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

/// A bound control socket; its file goes when this is dropped.
#[derive(Debug)]
pub struct ControlSocket {
    listener: UnixListener,
    file: SocketFile,
}

/// The socket's name in the file system, and the proof that it is still this one.
#[derive(Debug)]
pub(super) struct SocketFile {
    path: PathBuf,
    inode: u64,
}

impl ControlSocket {
    /// Makes the socket, readable and writable for its owner only.
    pub async fn bind(path: &Path) -> Result<ControlSocket, BindError> {
        let failed = |source| BindError::Io { path: path.to_owned(), source };
        // A name of this process's own, until the mode is set.
        let new_path = path.with_file_name(format!(".{}", std::process::id()));
        if path.as_os_str().len().max(new_path.as_os_str().len()) > MAX_PATH {
            return Err(BindError::TooLong { path: path.to_owned() });
        }
        refuse_live(path).await?;
        match fs::remove_file(&new_path) {
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(failed(error)),
            _ => {}
        }
        // Under its own name the socket is never open to others, not even for a moment; the rename replaces the one
        // that a dead process left.
        let listener = UnixListener::bind(&new_path).map_err(failed)?;
        let finish = || {
            fs::set_permissions(&new_path, Permissions::from_mode(0o600))?;
            fs::rename(&new_path, path)?;
            fs::symlink_metadata(path).map(|metadata| metadata.ino())
        };
        let inode = finish().map_err(failed)?;
        Ok(ControlSocket { listener, file: SocketFile { path: path.to_owned(), inode } })
    }

    pub(super) fn into_parts(self) -> (UnixListener, SocketFile) {
        (self.listener, self.file)
    }
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        // If the file is gone already, or is another's by now, there is nothing to clear away.
        if fs::symlink_metadata(&self.path).is_ok_and(|metadata| metadata.ino() == self.inode) {
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// Makes sure that nobody serves under this name.
async fn refuse_live(path: &Path) -> Result<(), BindError> {
    let failed = |source| BindError::Io { path: path.to_owned(), source };
    match fs::symlink_metadata(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(failed(error)),
        Ok(metadata) if !metadata.file_type().is_socket() => {
            return Err(BindError::NotASocket { path: path.to_owned() });
        }
        Ok(_) => {}
    }
    match tokio::time::timeout(PROBE_TIMEOUT, UnixStream::connect(path)).await {
        Ok(Err(error)) if matches!(error.kind(), ErrorKind::ConnectionRefused | ErrorKind::NotFound) => Ok(()),
        Ok(Err(error)) => Err(failed(error)),
        Ok(Ok(_)) | Err(_) => Err(BindError::InUse { path: path.to_owned() }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_socket_is_its_owners_alone_and_goes_with_its_process() {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let path = directory.path().join("control.sock");
        let socket = ControlSocket::bind(&path).await.expect("a socket");
        assert_eq!(fs::metadata(&path).expect("it exists").permissions().mode() & 0o777, 0o600);
        drop(socket);
        assert!(!path.exists());
        assert_eq!(fs::read_dir(directory.path()).expect("readable").count(), 0);
    }

    #[tokio::test]
    async fn a_dead_process_socket_is_replaced_and_a_live_one_is_not() {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let path = directory.path().join("control.sock");
        drop(std::os::unix::net::UnixListener::bind(&path).expect("a socket"));
        assert!(path.exists(), "a dead process leaves its file");
        let live = ControlSocket::bind(&path).await.expect("the dead one's place");
        let error = ControlSocket::bind(&path).await.expect_err("a live one");
        assert!(matches!(&error, BindError::InUse { .. }), "{error}");
        drop(live);
        ControlSocket::bind(&path).await.expect("a free place");
    }

    #[tokio::test]
    async fn what_is_no_socket_is_left_alone() {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let path = directory.path().join("notes");
        fs::write(&path, "mine").expect("writable");
        let error = ControlSocket::bind(&path).await.expect_err("a file");
        assert!(matches!(&error, BindError::NotASocket { .. }), "{error}");
        assert_eq!(fs::read_to_string(&path).expect("still there"), "mine");
        let long = directory.path().join("x".repeat(120));
        assert!(matches!(ControlSocket::bind(&long).await, Err(BindError::TooLong { .. })));
        let lost = directory.path().join("missing").join("x");
        assert!(matches!(ControlSocket::bind(&lost).await, Err(BindError::Io { .. })));
    }
}
