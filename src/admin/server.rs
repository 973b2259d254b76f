//! The HTTP interface on the control socket.

use std::collections::BTreeMap;
use std::future::Future;
use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use axum::extract::{DefaultBodyLimit, Path, Query, Request, State};
use axum::http::{StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde::Deserialize;
use tokio::sync::{Semaphore, mpsc, oneshot, watch};
use tokio_util::sync::CancellationToken;

use super::backup::{self, BackupRequest};
use super::caller::Caller;
use super::error::ApiError;
use super::history::{HistoryRequest, QuestionRequest};
use super::report::{Decided, Deleted, Held, Process, SoaReport, Status, WaitReport, ZoneReport};
use super::socket::ControlSocket;
use super::wait::{Condition, MAX_WAIT};
use super::{conflicts, exposition, history, records};
use crate::decision::{Decision, DecisionRequest};
use crate::metrics::Metrics;
use crate::node::{Applied, Command, CommandError, EditOrigin, MemberView, Source, View, ZoneView};
use crate::published::Published;
use crate::views::Views;
use crate::zone::{Name, Node, served_serial};

/// Requests under way at once, waits included: more are a script gone wrong.
const MAX_REQUESTS: usize = 256;

/// How long the node may take for a command; more than any disk should need.
const COMMAND_TIMEOUT: Duration = Duration::from_secs(30);

/// How long a wait lasts if the request names no timeout.
const DEFAULT_WAIT: Duration = Duration::from_secs(60);

/// A command for the node, and where its result goes.
pub type CommandRequest = (Command, oneshot::Sender<Result<Applied, CommandError>>);

/// The way to the zone files.
#[derive(Clone, Debug)]
pub struct FilesHandle {
    /// The files held at the moment.
    pub held: watch::Receiver<Arc<Vec<Held>>>,
    /// Where decisions go.
    pub requests: mpsc::Sender<DecisionRequest>,
}

/// What the interface shows and whom it asks.
#[derive(Clone, Debug)]
pub struct Admin {
    /// The node as it shows itself.
    pub views: Views,
    /// The zones as they are served.
    pub zones: Arc<Published>,
    /// Where commands for the node go.
    pub commands: mpsc::Sender<CommandRequest>,
    /// Where questions for the node go.
    pub questions: mpsc::Sender<QuestionRequest>,
    /// Where questions about the history go.
    pub history: mpsc::Sender<HistoryRequest>,
    /// The zone files.
    pub files: FilesHandle,
    /// Where wishes for a backup go.
    pub backups: mpsc::Sender<BackupRequest>,
    /// The counters.
    pub metrics: Arc<Metrics>,
    /// The process's facts.
    pub process: Process,
}

/// What every handler sees.
pub(super) struct Shared {
    pub(super) admin: Admin,
    slots: Semaphore,
    started: Instant,
    stop: CancellationToken,
}

pub(super) type Ctx = State<Arc<Shared>>;

/// Serves until `stop` is cancelled, then finishes the requests under way and removes the socket's file.
pub async fn serve(socket: ControlSocket, admin: Admin, stop: CancellationToken) -> io::Result<()> {
    let (listener, _file) = socket.into_parts();
    let since_start = SystemTime::now()
        .duration_since(UNIX_EPOCH + Duration::from_millis(admin.process.started_ms))
        .unwrap_or_default();
    let now = Instant::now();
    let started = now.checked_sub(since_start).unwrap_or(now);
    let shared = Shared { admin, slots: Semaphore::new(MAX_REQUESTS), started, stop: stop.clone() };
    let router = router(Arc::new(shared)).into_make_service_with_connect_info::<Caller>();
    axum::serve(listener, router).with_graceful_shutdown(stop.cancelled_owned()).await
}

fn router(shared: Arc<Shared>) -> Router {
    Router::new()
        .route("/v1/status", get(status))
        .route("/v1/members", get(members))
        .route("/v1/zones", get(zones))
        .route("/v1/zones/{origin}", get(zone))
        .route("/v1/zones/{origin}/wait", get(wait))
        .route("/v1/zones/{origin}/delete", post(delete))
        .route("/v1/zones/{origin}/records", post(records::edit).layer(DefaultBodyLimit::max(records::MAX_BODY)))
        .route("/v1/zones/{origin}/approve", post(approve))
        .route("/v1/zones/{origin}/reject", post(reject))
        .route("/v1/zones/{origin}/log", get(history::log))
        .route("/v1/zones/{origin}/diff", get(history::diff))
        .route("/v1/zones/{origin}/show", get(history::show))
        .route("/v1/zones/{origin}/blame", get(history::blame))
        .route("/v1/zones/{origin}/rollback", post(history::rollback))
        .route("/v1/zones/{origin}/drop", post(conflicts::drop_incarnation))
        .route("/v1/conflicts", get(conflicts::conflicts))
        .route("/v1/backup", get(backup::backup))
        .route("/metrics", get(metrics))
        .fallback(unknown)
        .layer(middleware::from_fn_with_state(Arc::clone(&shared), limit))
        .with_state(shared)
}

async fn limit(State(shared): Ctx, request: Request, next: Next) -> Response {
    match shared.slots.try_acquire() {
        Ok(_slot) => next.run(request).await,
        Err(_) => {
            let message = format!("more than {MAX_REQUESTS} requests at once; try again when some are done");
            ApiError::new(StatusCode::TOO_MANY_REQUESTS, message).into_response()
        }
    }
}

async fn status(State(shared): Ctx) -> Json<Status> {
    Json(shared.status().await)
}

async fn members(State(shared): Ctx) -> Json<Vec<MemberView>> {
    Json(shared.view().await.members.clone())
}

async fn zones(State(shared): Ctx) -> Json<Vec<ZoneView>> {
    Json(shared.view().await.zones.clone())
}

async fn zone(State(shared): Ctx, Path(origin): Path<String>) -> Result<Json<ZoneReport>, ApiError> {
    let origin = parse_origin(&origin)?;
    let view = shared.view().await;
    let summary = view.zones.iter().find(|zone| zone.origin == origin).cloned();
    let served = shared.admin.zones.load().get(&origin).cloned();
    let (Some(summary), Some(served)) = (summary, served) else {
        return Err(CommandError::NoSuchZone(origin).into());
    };
    let mut types = BTreeMap::new();
    for rrset in served.iter().flat_map(Node::rrsets) {
        *types.entry(rrset.rtype.to_string()).or_default() += rrset.count();
    }
    let soa = served.soa();
    let soa = SoaReport {
        serial: soa.serial,
        ttl: soa.ttl,
        refresh: soa.refresh,
        retry: soa.retry,
        expire: soa.expire,
        minimum: soa.minimum,
    };
    let held = shared.admin.files.held.borrow().iter().find(|held| held.origin == origin).cloned();
    Ok(Json(ZoneReport { zone: summary, names: served.name_count(), types, soa, held }))
}

/// The query of a wait. A flag counts as set when it is there at all.
#[derive(Debug, Deserialize)]
struct WaitQuery {
    converged: Option<String>,
    live: Option<usize>,
    serial: Option<u32>,
    timeout: Option<String>,
}

async fn wait(
    State(shared): Ctx,
    Path(origin): Path<String>,
    Query(query): Query<WaitQuery>,
) -> Result<Json<WaitReport>, ApiError> {
    let origin = parse_origin(&origin)?;
    let timeout = match &query.timeout {
        None => DEFAULT_WAIT,
        Some(text) => humantime::parse_duration(text).map_err(|error| {
            ApiError::new(StatusCode::BAD_REQUEST, format!("timeout {text:?}: {error}; write it as 30s or 2m"))
        })?,
    };
    let converged = query.converged.is_some_and(|value| value != "false");
    let condition = Condition { converged, live: query.live, serial: query.serial };
    if condition == Condition::default() {
        let message = "nothing to wait for: say converged, live=N or serial=N";
        return Err(ApiError::new(StatusCode::BAD_REQUEST, message));
    }
    tokio::select! {
        biased;
        () = shared.stop.cancelled() => return Err(ApiError::stopping()),
        () = shared.admin.views.wait_for(|view| condition.look(view, &origin).reached) => {}
        () = tokio::time::sleep(timeout.min(MAX_WAIT)) => {}
    }
    let view = shared.view().await;
    let report = condition.look(&view, &origin);
    Ok(Json(report))
}

async fn delete(State(shared): Ctx, caller: Caller, Path(origin): Path<String>) -> Result<Json<Deleted>, ApiError> {
    let origin = parse_origin(&origin)?;
    let (reply, result) = oneshot::channel();
    let source = Source { who: caller.who().to_owned(), ..Source::new(EditOrigin::Api) };
    let command = Command::Delete { zone: origin.clone(), source };
    let applied = ask(shared.admin.commands.send((command, reply)), result).await??;
    tracing::info!(zone = %origin, serial = applied.serial, "zone deleted by command");
    Ok(Json(Deleted { origin, serial: served_serial(applied.serial) }))
}

async fn approve(state: Ctx, origin: Path<String>) -> Result<Json<Decided>, ApiError> {
    decide(state, origin, Decision::Approve).await
}

async fn reject(state: Ctx, origin: Path<String>) -> Result<Json<Decided>, ApiError> {
    decide(state, origin, Decision::Reject).await
}

async fn decide(State(shared): Ctx, Path(origin): Path<String>, decision: Decision) -> Result<Json<Decided>, ApiError> {
    let origin = parse_origin(&origin)?;
    if !shared.admin.files.held.borrow().iter().any(|held| held.origin == origin) {
        let message = format!("no file of zone {origin} is held; `grapevine status` lists those that are");
        return Err(ApiError::new(StatusCode::NOT_FOUND, message));
    }
    let (reply, result) = oneshot::channel();
    let request = DecisionRequest { origin: origin.clone(), decision, reply };
    let outcome = ask(shared.admin.files.requests.send(request), result)
        .await?
        .map_err(|message| ApiError::new(StatusCode::CONFLICT, message))?;
    Ok(Json(Decided { origin, outcome }))
}

async fn metrics(State(shared): Ctx) -> Response {
    let page = exposition::render(&shared.admin.metrics, &shared.status().await);
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], page).into_response()
}

async fn unknown() -> ApiError {
    ApiError::new(StatusCode::NOT_FOUND, "no such request; the interface begins at /v1/status")
}

impl Shared {
    pub(super) fn commands(&self) -> &mpsc::Sender<CommandRequest> {
        &self.admin.commands
    }

    pub(super) fn backups(&self) -> &mpsc::Sender<BackupRequest> {
        &self.admin.backups
    }

    /// The node as it is; of one that does not answer in time, as it was.
    async fn view(&self) -> Arc<View> {
        let now = tokio::time::timeout(COMMAND_TIMEOUT, self.admin.views.now());
        now.await.unwrap_or_else(|_| self.admin.views.last())
    }

    async fn status(&self) -> Status {
        Status {
            view: Arc::unwrap_or_clone(self.view().await),
            process: self.admin.process.clone(),
            uptime_ms: self.started.elapsed().as_millis() as u64,
            held: self.admin.files.held.borrow().to_vec(),
        }
    }
}

/// Hands something to another task and waits for its answer.
pub(super) async fn ask<T, A>(
    send: impl Future<Output = Result<(), mpsc::error::SendError<T>>>,
    answer: oneshot::Receiver<A>,
) -> Result<A, ApiError> {
    ask_within(Duration::ZERO, send, answer).await
}

/// As [`ask`], for something that may take so much longer.
pub(super) async fn ask_within<T, A>(
    longer: Duration,
    send: impl Future<Output = Result<(), mpsc::error::SendError<T>>>,
    answer: oneshot::Receiver<A>,
) -> Result<A, ApiError> {
    let exchange = async {
        send.await.map_err(|_| ApiError::stopping())?;
        answer.await.map_err(|_| ApiError::stopping())
    };
    tokio::time::timeout(COMMAND_TIMEOUT + longer, exchange).await.unwrap_or_else(|_| {
        let message = format!(
            "the node did not answer within {} s; look with `grapevine status` whether it happened",
            COMMAND_TIMEOUT.as_secs()
        );
        Err(ApiError::new(StatusCode::GATEWAY_TIMEOUT, message))
    })
}

pub(super) fn parse_origin(text: &str) -> Result<Name, ApiError> {
    text.parse().map_err(|error| ApiError::new(StatusCode::BAD_REQUEST, format!("{text:?} is no zone name: {error}")))
}
