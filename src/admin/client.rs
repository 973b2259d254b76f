//! The other end of the control socket: one request on one connection, with a deadline.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Bytes;
use hyper::{Method, Request, StatusCode, header};
use hyper_util::rt::TokioIo;
use serde::de::DeserializeOwned;
use tokio::net::UnixStream;

use super::error::ErrorBody;
use super::history_report::{
    BlameReport, ConflictsReport, DiffReport, Dropped, LogReport, RollbackReport, VersionReport,
};
use super::records::{Edited, RecordsRequest};
use super::report::{Decided, Deleted, Status, WaitReport, ZoneReport};
use super::wait::Condition;
use crate::decision::Decision;
use crate::zone::Name;

/// How long a daemon may take for anything but a wait: more than it gives itself for a command.
const TIMEOUT: Duration = Duration::from_secs(40);

/// The largest answer that is read: the list of some hundred thousand zones.
const MAX_ANSWER: usize = 256 << 20;

/// Why a request has no answer.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// Nobody listens.
    #[error(
        "no grapevine listens on {}: start one with `grapevine serve`, or name the socket of a running one with \
         --control PATH (or GRAPEVINE_CONTROL)", path.display()
    )]
    Absent {
        /// The socket.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The socket is there but may not be opened.
    #[error("the control socket {} cannot be opened: run this as the user that runs the daemon", path.display())]
    Closed {
        /// The socket.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The daemon does not answer, or what answers is no grapevine of this version.
    #[error("{} gave no proper answer ({reason}): the daemon may be stopping, hung, or of another version", path.display())]
    Broken {
        /// The socket.
        path: PathBuf,
        /// What was wrong.
        reason: String,
    },
    /// The daemon understood and declined.
    #[error("{message}")]
    Refused {
        /// The HTTP status.
        status: u16,
        /// The daemon's words.
        message: String,
    },
}

/// A client of one control socket.
#[derive(Clone, Debug)]
pub struct Client {
    path: PathBuf,
}

impl Client {
    /// A client of the socket at `path`; nothing is opened yet.
    pub fn new(path: &Path) -> Client {
        Client { path: path.to_owned() }
    }

    /// Everything about the node.
    pub async fn status(&self) -> Result<Status, ClientError> {
        self.json(Method::GET, "/v1/status", TIMEOUT).await
    }

    /// One zone in detail.
    pub async fn zone(&self, origin: &Name) -> Result<ZoneReport, ClientError> {
        self.json(Method::GET, &zone_path(origin, ""), TIMEOUT).await
    }

    /// Waits until the zone is as wanted, or until the time is up.
    pub async fn wait(
        &self,
        origin: &Name,
        condition: Condition,
        timeout: Duration,
    ) -> Result<WaitReport, ClientError> {
        let mut path = zone_path(origin, &format!("/wait?timeout={}ms", timeout.as_millis()));
        if condition.converged {
            path.push_str("&converged");
        }
        for (key, value) in [("live", condition.live.map(|n| n as u64)), ("serial", condition.serial.map(u64::from))] {
            if let Some(value) = value {
                path.push_str(&format!("&{key}={value}"));
            }
        }
        self.json(Method::GET, &path, timeout + TIMEOUT).await
    }

    /// Edits records; `timeout` is what the request gives other members.
    pub async fn edit(
        &self,
        origin: &Name,
        request: &RecordsRequest,
        timeout: Duration,
    ) -> Result<Edited, ClientError> {
        let body = serde_json::to_vec(request).map_err(|error| self.broken(error))?;
        let path = zone_path(origin, "/records");
        let answer = self.send(Method::POST, &path, body.into(), timeout + TIMEOUT).await?;
        serde_json::from_slice(&answer).map_err(|error| self.broken(error))
    }

    /// Deletes the zone on every node.
    pub async fn delete(&self, origin: &Name) -> Result<Deleted, ClientError> {
        self.json(Method::POST, &zone_path(origin, "/delete"), TIMEOUT).await
    }

    /// Decides about the zone's held file.
    pub async fn decide(&self, origin: &Name, decision: Decision) -> Result<Decided, ClientError> {
        let verb = match decision {
            Decision::Approve => "/approve",
            Decision::Reject => "/reject",
        };
        self.json(Method::POST, &zone_path(origin, verb), TIMEOUT).await
    }

    /// The newest entries of the zone's history, or those older than a number, each with at most so many records.
    pub async fn log(
        &self,
        origin: &Name,
        limit: usize,
        older_than: Option<u64>,
        changes: Option<usize>,
    ) -> Result<LogReport, ClientError> {
        let mut path = zone_path(origin, &format!("/log?limit={limit}"));
        for (key, value) in [("older_than", older_than), ("changes", changes.map(|most| most as u64))] {
            if let Some(value) = value {
                path.push_str(&format!("&{key}={value}"));
            }
        }
        self.json(Method::GET, &path, TIMEOUT).await
    }

    /// In what two versions of the zone differ; the second one is the one served if none is named.
    pub async fn diff(&self, origin: &Name, from: u32, to: Option<u32>) -> Result<DiffReport, ClientError> {
        let to = to.map_or_else(String::new, |to| format!("&to={to}"));
        self.json(Method::GET, &zone_path(origin, &format!("/diff?from={from}{to}")), TIMEOUT).await
    }

    /// A version of the zone: of a serial, of an incarnation, or the one served.
    pub async fn show(
        &self,
        origin: &Name,
        at: Option<u32>,
        incarnation: Option<&str>,
    ) -> Result<VersionReport, ClientError> {
        let at = at.map(|at| format!("?at={at}"));
        let query = incarnation.map(|id| format!("?incarnation={}", escaped(id))).or(at).unwrap_or_default();
        self.json(Method::GET, &zone_path(origin, &format!("/show{query}")), TIMEOUT).await
    }

    /// Whence the records of the zone, or of one name in it, come.
    pub async fn blame(&self, origin: &Name, owner: Option<&Name>) -> Result<BlameReport, ClientError> {
        let query = owner.map_or_else(String::new, |owner| format!("?name={}", escaped(&owner.to_string())));
        self.json(Method::GET, &zone_path(origin, &format!("/blame{query}")), TIMEOUT).await
    }

    /// Makes the zone say what it said under a serial, or tells what that would change.
    pub async fn rollback(&self, origin: &Name, serial: u32, dry_run: bool) -> Result<RollbackReport, ClientError> {
        let path = format!("/rollback?serial={serial}{}", if dry_run { "&dry_run" } else { "" });
        self.json(Method::POST, &zone_path(origin, &path), TIMEOUT).await
    }

    /// What waits for a person.
    pub async fn conflicts(&self) -> Result<ConflictsReport, ClientError> {
        self.json(Method::GET, "/v1/conflicts", TIMEOUT).await
    }

    /// Drops an incarnation that is not served.
    pub async fn drop_incarnation(&self, origin: &Name, id: &str) -> Result<Dropped, ClientError> {
        let path = format!("/drop?incarnation={}", escaped(id));
        self.json(Method::POST, &zone_path(origin, &path), TIMEOUT).await
    }

    /// Takes a backup; `take` is given its bytes as they come.
    pub async fn backup(&self, take: &mut dyn FnMut(&[u8]) -> io::Result<()>) -> Result<(), ClientError> {
        let stream = UnixStream::connect(&self.path).await.map_err(|source| self.unreachable(source))?;
        let handshake = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await;
        let (mut sender, connection) = handshake.map_err(|error| self.broken(error))?;
        let request = Request::builder().uri("/v1/backup").header(header::HOST, "localhost").body(Full::default());
        let request: Request<Full<Bytes>> = request.map_err(|error| self.broken(error))?;
        let late = || format!("nothing within {} s", TIMEOUT.as_secs());
        let talk = async move {
            let response = tokio::time::timeout(TIMEOUT, sender.send_request(request)).await.map_err(|_| late())?;
            let mut response = response.map_err(|error| error.to_string())?;
            if !response.status().is_success() {
                return Err(format!("status {}", response.status()));
            }
            while let Some(frame) = tokio::time::timeout(TIMEOUT, response.frame()).await.map_err(|_| late())? {
                let frame = frame.map_err(|error| error.to_string())?;
                if let Some(bytes) = frame.data_ref() {
                    take(bytes).map_err(|error| error.to_string())?;
                }
            }
            Ok(())
        };
        let (answer, _) = tokio::join!(talk, connection);
        answer.map_err(|reason: String| self.broken(reason))
    }

    /// The metrics as Prometheus reads them.
    pub async fn metrics(&self) -> Result<String, ClientError> {
        let body = self.bytes(Method::GET, "/metrics", TIMEOUT).await?;
        String::from_utf8(body.into()).map_err(|error| self.broken(error))
    }

    async fn json<T: DeserializeOwned>(&self, method: Method, path: &str, limit: Duration) -> Result<T, ClientError> {
        let body = self.bytes(method, path, limit).await?;
        serde_json::from_slice(&body).map_err(|error| self.broken(error))
    }

    async fn bytes(&self, method: Method, path: &str, limit: Duration) -> Result<Bytes, ClientError> {
        self.send(method, path, Bytes::new(), limit).await
    }

    async fn send(&self, method: Method, path: &str, body: Bytes, limit: Duration) -> Result<Bytes, ClientError> {
        let answer = tokio::time::timeout(limit, self.exchange(method, path, body)).await;
        let (status, body) =
            answer.unwrap_or_else(|_| Err(self.broken(format!("nothing within {} s", limit.as_secs()))))?;
        if status.is_success() {
            return Ok(body);
        }
        let body: ErrorBody = serde_json::from_slice(&body).map_err(|_| self.broken(format!("status {status}")))?;
        Err(ClientError::Refused { status: status.as_u16(), message: body.error })
    }

    async fn exchange(&self, method: Method, path: &str, body: Bytes) -> Result<(StatusCode, Bytes), ClientError> {
        let stream = UnixStream::connect(&self.path).await.map_err(|source| self.unreachable(source))?;
        let handshake = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await;
        let (mut sender, connection) = handshake.map_err(|error| self.broken(error))?;
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header(header::HOST, "localhost")
            .body(Full::new(body))
            .map_err(|error| self.broken(error))?;
        // The sender goes with this block, and with it the connection ends.
        let talk = async move {
            let response = sender.send_request(request).await.map_err(|error| error.to_string())?;
            let status = response.status();
            let body = Limited::new(response.into_body(), MAX_ANSWER).collect().await;
            Ok((status, body.map_err(|error| error.to_string())?.to_bytes()))
        };
        let (answer, _) = tokio::join!(talk, connection);
        answer.map_err(|reason: String| self.broken(reason))
    }

    fn unreachable(&self, source: io::Error) -> ClientError {
        let path = self.path.clone();
        match source.kind() {
            io::ErrorKind::PermissionDenied => ClientError::Closed { path, source },
            _ => ClientError::Absent { path, source },
        }
    }

    fn broken(&self, reason: impl ToString) -> ClientError {
        ClientError::Broken { path: self.path.clone(), reason: reason.to_string() }
    }
}

/// The path of a request about a zone. Names may hold any byte (RFC 2317 puts slashes into them).
fn zone_path(origin: &Name, rest: &str) -> String {
    format!("/v1/zones/{}{rest}", escaped(&origin.to_string()))
}

/// Text as it may stand in a path or a query.
fn escaped(text: &str) -> String {
    let mut path = String::new();
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b".-_".contains(&byte) {
            path.push(char::from(byte));
        } else {
            path.push_str(&format!("%{byte:02X}"));
        }
    }
    path
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_zone_name_makes_a_path() {
        let path = |text: &str| zone_path(&text.parse().expect("a name"), "/wait?x");
        assert_eq!(path("Example.ORG"), "/v1/zones/example.org./wait?x");
        assert_eq!(path("0/25.2.0.192.in-addr.arpa"), "/v1/zones/0%2F25.2.0.192.in-addr.arpa./wait?x");
        assert_eq!(path("."), "/v1/zones/./wait?x");
    }
}
