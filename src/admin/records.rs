//! Editing records directly: lines in, one atomic edit, and how far it came.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use tokio::sync::oneshot;

use super::caller::Caller;
use super::error::ApiError;
use super::server::{Shared, ask_within, parse_origin};
use super::wait::MAX_WAIT;
use crate::master::{EditLines, Verb, rdata_to_text, record_to_text};
use crate::node::{
    Applied, ClientRequest, Command, Detail, DirectEdit, Edit, EditOrigin, MAX_SOURCE_TEXT, Source, Wait, WaitFor,
};
use crate::zone::{Change, Name, served_serial};

/// The most bytes of a request: about 100,000 records. Whole zones are edited as files.
pub(super) const MAX_BODY: usize = 8 << 20;

/// How long a wait for other members lasts if the request names no time.
const DEFAULT_WAIT: Duration = Duration::from_secs(10);

/// What is to be done with the records of a request's lines.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RecordVerb {
    /// They are put beside those that are there.
    Add,
    /// They are all that is left of their owners and types.
    Replace,
    /// They, or whole RRsets or owners, are taken away.
    Delete,
    /// Each line begins with its own verb.
    #[default]
    Batch,
}

/// On how many live members an edit must be stored before it is answered.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum WaitLevel {
    /// On this node alone.
    #[default]
    Local,
    /// On more than half, this node counted.
    Quorum,
    /// On each.
    All,
}

/// One atomic edit of one zone, as it stands in the body of a request. Only the lines are needed.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RecordsRequest {
    /// What to do.
    pub verb: RecordVerb,
    /// The records, as in a master file.
    pub lines: String,
    /// What errors call the lines.
    pub source: Option<String>,
    /// TTL in seconds of records that state none. Else they take their RRset's, or that of the SOA record.
    pub ttl: Option<u32>,
    /// An id chosen by the client: the edit is done once, however often it is sent under this id.
    pub request: Option<String>,
    /// For whom to wait.
    pub wait: WaitLevel,
    /// How long to wait, as `10s` or `2m`.
    pub timeout: Option<String>,
    /// Whether to tell what would change, and to change nothing.
    pub dry_run: bool,
    /// Who makes the edit, for the zone's history.
    pub who: Option<String>,
    /// Why, for the zone's history.
    pub note: Option<String>,
}

/// What came of an edit of records.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Edited {
    /// Which zone.
    pub origin: Name,
    /// The serial that the edit made; of one that changed nothing the zone's.
    pub serial: u32,
    /// Whether anything changed, or would in a dry run.
    pub changed: bool,
    /// Whether the same request was carried out before and nothing was done now.
    pub repeated: bool,
    /// Whether nothing was to be changed.
    pub dry_run: bool,
    /// The records that came and went: `+` or `-`, then the record.
    pub changes: Vec<String>,
    /// How far the edit came in the time given, if somebody waited for other members.
    pub spread: Option<SpreadReport>,
}

/// How far an edit has come.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct SpreadReport {
    /// Whether that was far enough.
    pub reached: bool,
    /// On how many live members it is known to be on disk, this node counted.
    pub seen: usize,
    /// How many members are alive, this node counted.
    pub live: usize,
    /// How many members are known but down: they get it when they are back.
    pub down: usize,
}

impl fmt::Display for SpreadReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} of {}", self.seen, self.live)?;
        if self.down > 0 { write!(f, " live members ({} more down)", self.down) } else { f.write_str(" members") }
    }
}

pub(super) async fn edit(
    State(shared): State<Arc<Shared>>,
    caller: Caller,
    Path(origin): Path<String>,
    body: Bytes,
) -> Result<(StatusCode, Json<Edited>), ApiError> {
    let origin = parse_origin(&origin)?;
    let bad = |message: String| ApiError::new(StatusCode::BAD_REQUEST, message);
    let request: RecordsRequest =
        serde_json::from_slice(&body).map_err(|error| bad(format!("the request is not as it should be: {error}")))?;
    let wait = request.wait().map_err(bad)?;
    let direct = DirectEdit { edit: request.edit(&origin, caller.who())?, wait, dry_run: request.dry_run };
    let (reply, result) = oneshot::channel();
    let patience = wait.map_or(Duration::ZERO, |wait| wait.timeout);
    let command = Command::Direct(direct);
    let applied = ask_within(patience, shared.commands().send((command, reply)), result).await??;
    let edited = report(&origin, &applied, request.dry_run);
    if edited.changed && !edited.dry_run {
        tracing::info!(zone = %origin, serial = edited.serial, changes = edited.changes.len(), "records were edited");
    }
    let waiting = edited.spread.is_some_and(|spread| !spread.reached);
    Ok((if waiting { StatusCode::ACCEPTED } else { StatusCode::OK }, Json(edited)))
}

impl RecordsRequest {
    fn wait(&self) -> Result<Option<Wait>, String> {
        let level = match self.wait {
            WaitLevel::Local => return Ok(None),
            WaitLevel::Quorum => WaitFor::Quorum,
            WaitLevel::All => WaitFor::All,
        };
        let timeout = match &self.timeout {
            None => DEFAULT_WAIT,
            Some(text) => humantime::parse_duration(text)
                .map_err(|error| format!("timeout {text:?}: {error}; write it as 30s or 2m"))?,
        };
        Ok(Some(Wait { level, timeout: timeout.min(MAX_WAIT) }))
    }

    fn edit(&self, zone: &Name, user: &str) -> Result<Edit, ApiError> {
        let verb = match self.verb {
            RecordVerb::Add => Some(Verb::Add),
            RecordVerb::Replace => Some(Verb::Replace),
            RecordVerb::Delete => Some(Verb::Delete),
            RecordVerb::Batch => None,
        };
        let refuse = |message: String| ApiError::new(StatusCode::UNPROCESSABLE_ENTITY, message);
        let path = self.source.as_deref().unwrap_or("lines");
        let lines = EditLines::parse(path, self.lines.as_bytes(), zone, verb, self.ttl).map_err(|found| {
            let found: Vec<String> = found.iter().map(|diagnostic| diagnostic.with_source()).collect();
            refuse(format!("nothing was changed:\n{}", found.join("\n")))
        })?;
        if lines.changes.is_empty() {
            return Err(refuse(format!("{path} holds no record, so there is nothing to do")));
        }
        if let Some(id) = &self.request
            && (id.is_empty() || id.len() > MAX_SOURCE_TEXT)
        {
            return Err(refuse(format!("a request id has 1 to {MAX_SOURCE_TEXT} bytes")));
        }
        let source = Source {
            who: match &self.who {
                Some(said) if said != user => format!("{said} (as {user})"),
                _ => user.to_owned(),
            },
            note: self.note.clone().unwrap_or_default(),
            // The node puts in what was asked for.
            request: self.request.clone().map(|id| ClientRequest { id, hash: [0; 8] }),
            ..Source::new(EditOrigin::Api)
        };
        Ok(Edit { zone: zone.clone(), changes: lines.changes, serial: lines.serial, source })
    }
}

fn report(origin: &Name, applied: &Applied, dry_run: bool) -> Edited {
    let none = Detail::default();
    let detail = applied.detail.as_deref().unwrap_or(&none);
    Edited {
        origin: origin.clone(),
        serial: served_serial(applied.serial),
        changed: applied.changed,
        repeated: detail.repeated,
        dry_run,
        changes: detail.changes.iter().map(change).collect(),
        spread: detail.spread.map(|spread| SpreadReport {
            reached: spread.reached,
            seen: spread.kept,
            live: spread.live,
            down: spread.down,
        }),
    }
}

fn change(change: &Change) -> String {
    match change {
        Change::Add(record) => format!("+ {}", record_to_text(record)),
        Change::Remove(key) | Change::AddDefault(key) => {
            format!("- {} IN {} {}", key.owner, key.rtype, rdata_to_text(key.rtype, key.rdata.as_wire()))
        }
        Change::Ttl { owner, rtype, ttl } => format!("~ {owner} {ttl} IN {rtype}"),
        Change::Soa(soa) => {
            let rdata = soa.to_rdata();
            format!("~ SOA {} {}", soa.ttl, rdata_to_text(crate::zone::RecordType::SOA, rdata.as_wire()))
        }
        Change::RemoveRrset { owner, rtype } => format!("- {owner} IN {rtype}"),
        Change::RemoveOwner { owner } => format!("- {owner}"),
    }
}
