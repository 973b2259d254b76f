//! A backup on its way out: the store's bytes, as they come.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use axum::body::Body;
use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use hyper::body::{Bytes, Frame};
use tokio::sync::mpsc;

use super::error::ApiError;
use super::server::Shared;

/// Pieces of a backup that may wait for a slow reader.
const WAITING: usize = 4;

/// A wish for a backup: where its bytes go. An error ends it; without an end of its own it is not whole.
pub type BackupRequest = mpsc::Sender<io::Result<Bytes>>;

pub(super) async fn backup(State(shared): State<Arc<Shared>>) -> Result<Response, ApiError> {
    let (pieces, body) = mpsc::channel(WAITING);
    shared.backups().send(pieces).await.map_err(|_| ApiError::stopping())?;
    let content_type = (header::CONTENT_TYPE, "application/octet-stream");
    Ok(([content_type], Body::new(Pieces(body))).into_response())
}

/// A body made of what comes.
struct Pieces(mpsc::Receiver<io::Result<Bytes>>);

impl hyper::body::Body for Pieces {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        self.0.poll_recv(context).map(|piece| piece.map(|piece| piece.map(Frame::data)))
    }
}
