//! The requests about what a person must settle: shadowed records and incarnations that are not served.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, Query, State};
use serde::Deserialize;
use tokio::sync::oneshot;

use super::caller::Caller;
use super::error::ApiError;
use super::history::{Edits, dots};
use super::history_report::{ConflictsReport, Dropped, IncarnationReport, ShadowedReport, ZoneConflictsReport};
use super::server::{Ctx, Shared, ask, parse_origin};
use crate::master::rdata_to_text;
use crate::node::{
    Answer, Command, EditOrigin, Incarnation, Question, ShadowRule, Shadowed, Source, Standing, ZoneConflicts,
};
use crate::zone::Name;

pub(super) async fn conflicts(State(shared): Ctx) -> Result<Json<ConflictsReport>, ApiError> {
    let Answer::Conflicts(found) = shared.inspect(Question::Conflicts).await? else {
        return Err(ApiError::stopping());
    };
    let mut zones = Vec::new();
    for conflicts in found {
        zones.push(report(&shared, conflicts).await?);
    }
    Ok(Json(ConflictsReport { zones }))
}

async fn report(shared: &Arc<Shared>, found: ZoneConflicts) -> Result<ZoneConflictsReport, ApiError> {
    let ZoneConflicts { origin, shadowed, shadowed_count, served, others } = found;
    let all = shadowed.iter().flat_map(|shadowed| std::iter::once(&shadowed.standing).chain(&shadowed.instead));
    let edits = Edits::find(shared, &origin, dots(all)).await?;
    Ok(ZoneConflictsReport {
        shadowed_count,
        shadowed: shadowed.iter().map(|shadowed| shadow_report(&origin, shadowed, &edits)).collect(),
        served: served.map(|life| life_report(&origin, &life, true)),
        others: others.iter().map(|life| life_report(&origin, life, false)).collect(),
        origin,
    })
}

fn shadow_report(origin: &Name, shadowed: &Shadowed, edits: &Edits) -> ShadowedReport {
    let Shadowed { standing, rule, instead } = shadowed;
    let why = match rule {
        ShadowRule::CnameAlone => "a CNAME stands alone at its name, and of the two the newest write is served",
        ShadowRule::OnlyOne => "a name has one such record, and the newest write is served",
        ShadowRule::SameButForCase => "it differs from one that is served in letter case alone",
    };
    ShadowedReport {
        record: edits.blame(standing),
        why: why.to_owned(),
        instead: instead.iter().map(|standing| edits.blame(standing)).collect(),
        keep: vec![delete(origin, standing)],
        restore: instead.iter().map(|standing| delete(origin, standing)).collect(),
    }
}

/// The command that deletes a record, ready for a shell.
fn delete(origin: &Name, standing: &Standing) -> String {
    let record = &standing.record;
    let text = format!("{} {} {}", record.owner, record.rtype, rdata_to_text(record.rtype, record.rdata.as_wire()));
    format!("grapevine record delete {origin} '{}'", text.replace('\'', r"'\''"))
}

fn life_report(origin: &Name, life: &Incarnation, served: bool) -> IncarnationReport {
    let id = life.id;
    IncarnationReport {
        incarnation: id.to_string(),
        generation: life.generation,
        serial: life.zone.as_ref().map(|zone| zone.soa().serial),
        records: life.zone.as_ref().map(|zone| zone.record_count()),
        show: format!("grapevine zone show {origin} --incarnation {id}"),
        drop: (!served).then(|| format!("grapevine zone drop {origin} {id}")),
    }
}

#[derive(Debug, Deserialize)]
pub(super) struct DropQuery {
    incarnation: String,
}

pub(super) async fn drop_incarnation(
    State(shared): Ctx,
    caller: Caller,
    Path(origin): Path<String>,
    Query(query): Query<DropQuery>,
) -> Result<Json<Dropped>, ApiError> {
    let origin = parse_origin(&origin)?;
    let question = Question::Incarnation { zone: origin.clone(), id: query.incarnation };
    let Answer::Incarnation(Incarnation { id, .. }) = shared.inspect(question).await? else {
        return Err(ApiError::stopping());
    };
    let source = Source { who: caller.who().to_owned(), ..Source::new(EditOrigin::Api) };
    let (reply, result) = oneshot::channel();
    let command = Command::Drop { zone: origin.clone(), incarnation: id, source };
    ask(shared.admin.commands.send((command, reply)), result).await??;
    tracing::info!(zone = %origin, incarnation = %id, "incarnation dropped by command");
    Ok(Json(Dropped { origin, incarnation: id.to_string() }))
}
