//! The requests about a zone's past: its log, older versions, rollback, and whence its records come.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use serde::Deserialize;
use tokio::sync::oneshot;

use super::caller::Caller;
use super::error::ApiError;
use super::history_report::{
    BlameReport, BlamedRecord, By, DiffReport, LogEntry, LogReport, RollbackReport, VersionReport,
};
use super::server::{Ctx, Shared, ask, parse_origin};
use super::versions::{blocking, delta_lines, difference, versions};
use crate::master::{record_to_text, render};
use crate::node::{
    ActorId, Answer, Cause, Command, CommandError, Dot, Edit, EditOrigin, HistoryEntry, HistoryPage, HistoryQuery,
    Made, Question, Source, Standing,
};
use crate::zone::{Name, Zone, ZoneContent, served_serial};

/// A question about the history, and where its answer goes: entries, or why there are none.
pub type HistoryRequest = (HistoryQuery, oneshot::Sender<Result<HistoryPage, String>>);

/// A question for the node, and where its answer goes.
pub type QuestionRequest = (Question, oneshot::Sender<Result<Answer, CommandError>>);

/// The most entries in one answer; a client asks again from the last one's number.
const MAX_LOG: usize = 1000;
/// How many entries a log shows if the request does not say.
const DEFAULT_LOG: usize = 20;
/// How many entries are read at once to find the edits of records.
const STRIDE: usize = 200;

#[derive(Debug, Deserialize)]
pub(super) struct LogQuery {
    limit: Option<usize>,
    older_than: Option<u64>,
    /// How many records of each entry are listed.
    changes: Option<usize>,
}

pub(super) async fn log(
    State(shared): Ctx,
    Path(origin): Path<String>,
    Query(query): Query<LogQuery>,
) -> Result<Json<LogReport>, ApiError> {
    let origin = parse_origin(&origin)?;
    let limit = query.limit.unwrap_or(DEFAULT_LOG).min(MAX_LOG);
    let page = shared.history(&origin, query.older_than, limit).await?;
    if page.entries.is_empty() && query.older_than.is_none() && shared.admin.zones.load().get(&origin).is_none() {
        return Err(CommandError::NoSuchZone(origin).into());
    }
    let most = query.changes.unwrap_or(usize::MAX);
    let entries = page.entries.into_iter().map(|(number, entry)| log_entry(number, &entry, most)).collect();
    Ok(Json(LogReport { origin, entries, more: page.more }))
}

fn log_entry(number: u64, entry: &HistoryEntry, most: usize) -> LogEntry {
    let all = entry.removed + entry.added;
    let (changes, count) = match &entry.delta {
        Some(delta) => delta_lines(&entry.zone, delta, most),
        None => (Vec::new(), all),
    };
    LogEntry {
        number,
        what: entry.cause.to_string(),
        serial_before: entry.before.map(served_serial),
        serial: entry.after.map(served_serial),
        version: data_encoding::HEXLOWER.encode(&entry.version),
        incarnation: entry.incarnation.map(|id| id.to_string()),
        at_ms: entry.at_ms,
        by: entry.cause.made().map(by),
        removed: entry.removed,
        added: entry.added,
        more_changes: count - changes.len() as u64,
        changes,
        kept: entry.delta.is_some() || all == 0,
    }
}

fn by(made: &Made) -> By {
    let Source { origin, who, node, note, request } = made.source.clone();
    let request = request.map(|request| request.id);
    let (made_ms, via) = (made.hlc.wall_ms(), origin.to_string());
    By { made_ms, via, who, node, note, request, actor: made.dot.actor.to_string(), count: made.dot.seq }
}

#[derive(Debug, Deserialize)]
pub(super) struct DiffQuery {
    from: u32,
    to: Option<u32>,
}

pub(super) async fn diff(
    State(shared): Ctx,
    Path(origin): Path<String>,
    Query(query): Query<DiffQuery>,
) -> Result<Json<DiffReport>, ApiError> {
    let origin = parse_origin(&origin)?;
    let found = versions(&shared, &origin, &[Some(query.from), query.to]).await?;
    blocking(move || {
        let [from, to] = &found[..] else { unreachable!("two were asked for") };
        let changes = difference(from, to);
        Json(DiffReport { origin, from: from.soa.serial, to: to.soa.serial, changes })
    })
    .await
}

#[derive(Debug, Deserialize)]
pub(super) struct ShowQuery {
    at: Option<u32>,
    incarnation: Option<String>,
}

pub(super) async fn show(
    State(shared): Ctx,
    Path(origin): Path<String>,
    Query(query): Query<ShowQuery>,
) -> Result<Json<VersionReport>, ApiError> {
    let origin = parse_origin(&origin)?;
    let content = match query.incarnation {
        Some(id) => incarnation(&shared, &origin, id).await?,
        None => versions(&shared, &origin, &[query.at]).await?.remove(0),
    };
    blocking(move || {
        let text = String::from_utf8_lossy(&render(&Zone::from_content(&content), None)).into_owned();
        Json(VersionReport { origin, serial: content.soa.serial, records: content.record_count(), text })
    })
    .await
}

async fn incarnation(shared: &Shared, origin: &Name, id: String) -> Result<ZoneContent, ApiError> {
    match shared.inspect(Question::Incarnation { zone: origin.clone(), id }).await? {
        Answer::Incarnation(life) => match life.zone {
            Some(zone) => blocking(move || zone.to_content()).await,
            None => {
                let message = format!("incarnation {} of {origin} has not arrived on this node yet", life.id);
                Err(ApiError::new(StatusCode::NOT_FOUND, message))
            }
        },
        _ => Err(ApiError::stopping()),
    }
}

#[derive(Debug, Deserialize)]
pub(super) struct RollbackQuery {
    serial: u32,
    dry_run: Option<String>,
}

pub(super) async fn rollback(
    State(shared): Ctx,
    caller: Caller,
    Path(origin): Path<String>,
    Query(query): Query<RollbackQuery>,
) -> Result<Json<RollbackReport>, ApiError> {
    let origin = parse_origin(&origin)?;
    if shared.admin.zones.load().get(&origin).is_none() {
        let message = format!(
            "there is no zone {origin} to roll back; to make one of an older version: \
             `grapevine zone show {origin} --at {} > {origin}zone`, and put that file into the zone directory",
            query.serial
        );
        return Err(ApiError::new(StatusCode::NOT_FOUND, message));
    }
    let found = versions(&shared, &origin, &[None, Some(query.serial)]).await?;
    let (from, changes, lines) = blocking(move || {
        let [now, then] = &found[..] else { unreachable!("two were asked for") };
        let changes = Zone::from_content(now).diff(&Zone::from_content(then));
        (now.soa.serial, changes, difference(now, then))
    })
    .await?;
    let mut report = RollbackReport { origin: origin.clone(), to: query.serial, from, changes: lines, serial: None };
    if query.dry_run.is_some_and(|value| value != "false") || changes.is_empty() {
        return Ok(Json(report));
    }
    let note = format!("rollback to serial {}", query.serial);
    let source = Source { note, who: caller.who().to_owned(), ..Source::new(EditOrigin::Api) };
    let command = Command::Edit(Edit { zone: origin.clone(), changes, serial: None, source });
    let (reply, result) = oneshot::channel();
    let applied = ask(shared.admin.commands.send((command, reply)), result).await??;
    tracing::info!(zone = %origin, to = query.serial, serial = applied.serial, "zone rolled back by command");
    report.serial = Some(served_serial(applied.serial));
    Ok(Json(report))
}

#[derive(Debug, Deserialize)]
pub(super) struct BlameQuery {
    name: Option<String>,
}

pub(super) async fn blame(
    State(shared): Ctx,
    Path(origin): Path<String>,
    Query(query): Query<BlameQuery>,
) -> Result<Json<BlameReport>, ApiError> {
    let zone = parse_origin(&origin)?;
    let owner = query.name.as_deref().map(parse_origin).transpose()?;
    let Answer::Standings(standings) = shared.inspect(Question::Standings { zone: zone.clone(), owner }).await? else {
        return Err(ApiError::stopping());
    };
    let edits = Edits::find(&shared, &zone, dots(&standings)).await?;
    let records = standings.iter().map(|standing| edits.blame(standing)).collect();
    Ok(Json(BlameReport { origin: zone, records }))
}

/// The entries of a zone's history that brought certain records.
#[derive(Debug, Default)]
pub(super) struct Edits {
    by_dot: BTreeMap<Dot, Found>,
    /// The entry with which the zone, or the incarnation served, came.
    first: Option<Found>,
    nodes: BTreeMap<ActorId, String>,
}

#[derive(Clone, Debug)]
struct Found {
    what: String,
    serial: Option<u32>,
    made: Option<Made>,
}

impl Edits {
    /// Looks for them, the newest first, until all are found or the history ends.
    pub(super) async fn find(shared: &Arc<Shared>, zone: &Name, mut wanted: BTreeSet<Dot>) -> Result<Edits, ApiError> {
        let mut edits = Edits::default();
        let mut older_than = None;
        while !wanted.is_empty() {
            let page = shared.history(zone, older_than, STRIDE).await?;
            let Some((last, _)) = page.entries.last() else { break };
            older_than = Some(*last);
            for (_, entry) in &page.entries {
                edits.take_in(entry, &mut wanted);
            }
            // What came before the life that is served has nothing of it.
            if edits.first.is_some() || !page.more {
                break;
            }
        }
        Ok(edits)
    }

    fn take_in(&mut self, entry: &HistoryEntry, wanted: &mut BTreeSet<Dot>) {
        let made = entry.cause.made().cloned();
        let found = Found { what: entry.cause.to_string(), serial: entry.after.map(served_serial), made };
        match (&entry.cause, &found.made) {
            (Cause::Edit(_), Some(made)) => {
                self.nodes.insert(made.dot.actor, made.source.node.clone());
                if wanted.remove(&made.dot) {
                    self.by_dot.insert(made.dot, found);
                }
            }
            (Cause::Created(_) | Cause::Switched(_), _) if self.first.is_none() => self.first = Some(found),
            _ => {}
        }
    }

    /// A record with what is known of its edit.
    pub(super) fn blame(&self, standing: &Standing) -> BlamedRecord {
        let (dot, written_ms) = newest(standing).expect("a live record has a write");
        // The zone's first content has no time: it is the same whoever loads it first.
        let first = self.first.as_ref().filter(|_| written_ms == 0);
        let found = self.by_dot.get(&dot).or(first);
        let made = standing.made.as_ref().or_else(|| found.and_then(|found| found.made.as_ref()));
        let edit = made.map(by).or_else(|| self.node_alone(dot, written_ms));
        BlamedRecord {
            record: record_to_text(&standing.record),
            served: standing.served,
            written_ms,
            actor: dot.actor.to_string(),
            count: dot.seq,
            edit,
            what: found.map(|found| found.what.clone()),
            serial: found.and_then(|found| found.serial),
        }
    }

    /// Of an edit that is not kept, the node that it was made on, if another one of the same author is.
    fn node_alone(&self, dot: Dot, made_ms: u64) -> Option<By> {
        let node = self.nodes.get(&dot.actor)?.clone();
        let (via, who, note) = Default::default();
        Some(By { made_ms, via, who, node, note, request: None, actor: dot.actor.to_string(), count: dot.seq })
    }
}

/// The edits that records come from.
pub(super) fn dots<'a>(standings: impl IntoIterator<Item = &'a Standing>) -> BTreeSet<Dot> {
    standings.into_iter().filter_map(newest).map(|(dot, _)| dot).collect()
}

fn newest(standing: &Standing) -> Option<(Dot, u64)> {
    standing.stamps.last().map(|stamp| (stamp.dot, stamp.hlc.wall_ms()))
}

impl Shared {
    /// Asks the store for entries of the history.
    pub(super) async fn history(
        &self,
        zone: &Name,
        older_than: Option<u64>,
        limit: usize,
    ) -> Result<HistoryPage, ApiError> {
        let (reply, answer) = oneshot::channel();
        let query = HistoryQuery { zone: zone.clone(), older_than, limit };
        let page = ask(self.admin.history.send((query, reply)), answer).await?;
        page.map_err(|message| ApiError::new(StatusCode::INTERNAL_SERVER_ERROR, message))
    }

    /// Asks the node.
    pub(super) async fn inspect(&self, question: Question) -> Result<Answer, ApiError> {
        let (reply, answer) = oneshot::channel();
        Ok(ask(self.admin.questions.send((question, reply)), answer).await??)
    }
}
