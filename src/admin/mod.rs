//! Local control: what a node shows of itself and lets a person do, over HTTP on a Unix socket in its data directory.
//!
//! The server reads snapshots and forwards wishes; it holds no state of its own and decides nothing. Access is the
//! socket's file mode (0600): whoever may open it may do everything. The command line is one client; `curl
//! --unix-socket data/grapevine.sock http://localhost/v1/status` is another.
//!
//! | request | answer |
//! |---|---|
//! | `GET /v1/status` | [`Status`] |
//! | `GET /v1/members` | list of [`crate::node::MemberView`] |
//! | `GET /v1/zones` | list of [`crate::node::ZoneView`] |
//! | `GET /v1/zones/{origin}` | [`ZoneReport`] |
//! | `GET /v1/zones/{origin}/wait?converged&live=N&serial=N&timeout=30s` | [`WaitReport`], when it is so or the time is up |
//! | `POST /v1/zones/{origin}/records`, a [`RecordsRequest`] as JSON | [`Edited`]; status 202 if the wait was in vain |
//! | `POST /v1/zones/{origin}/delete` | [`Deleted`] |
//! | `POST /v1/zones/{origin}/approve`, `…/reject` | [`Decided`] |
//! | `GET /v1/zones/{origin}/log?limit=N&older_than=N&changes=N` | [`LogReport`] |
//! | `GET /v1/zones/{origin}/diff?from=N&to=N` | [`DiffReport`] |
//! | `GET /v1/zones/{origin}/show?at=N`, `…/show?incarnation=ID` | [`VersionReport`] |
//! | `GET /v1/zones/{origin}/blame?name=NAME` | [`BlameReport`] |
//! | `POST /v1/zones/{origin}/rollback?serial=N&dry_run` | [`RollbackReport`] |
//! | `POST /v1/zones/{origin}/drop?incarnation=ID` | [`Dropped`] |
//! | `GET /v1/conflicts` | [`ConflictsReport`] |
//! | `GET /v1/backup` | the store as it is at that moment, as `grapevine restore` reads it |
//! | `GET /metrics` | Prometheus text |
//!
//! A refusal is `{"error": "…"}` with a fitting status.

mod backup;
mod caller;
mod client;
mod conflicts;
mod error;
mod exposition;
mod history;
mod history_report;
mod records;
mod report;
mod server;
mod socket;
mod versions;
mod wait;

pub use backup::BackupRequest;
pub use client::{Client, ClientError};
pub use history::{HistoryRequest, QuestionRequest};
pub use history_report::{
    BlameReport, BlamedRecord, By, ConflictsReport, DiffReport, Dropped, IncarnationReport, LogEntry, LogReport,
    RollbackReport, ShadowedReport, VersionReport, ZoneConflictsReport,
};
pub use records::{Edited, RecordVerb, RecordsRequest, SpreadReport, WaitLevel};
pub use report::{Decided, Deleted, Held, HeldDiagnostic, Process, SoaReport, Status, WaitReport, ZoneReport};
pub use server::{Admin, CommandRequest, FilesHandle, serve};
pub use socket::{BindError, ControlSocket};
pub use wait::{Condition, MAX_WAIT};
