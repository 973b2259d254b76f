//! Why a request over the control socket was not done, as a status and a JSON body.

use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};

use crate::node::CommandError;

/// The body of every refusal.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct ErrorBody {
    /// What is wrong and what to do.
    pub(super) error: String,
}

/// A refusal.
#[derive(Debug)]
pub(super) struct ApiError {
    status: StatusCode,
    message: String,
}

impl ApiError {
    pub(super) fn new(status: StatusCode, message: impl Into<String>) -> ApiError {
        ApiError { status, message: message.into() }
    }

    /// The daemon is on its way out.
    pub(super) fn stopping() -> ApiError {
        ApiError::new(StatusCode::SERVICE_UNAVAILABLE, "the node is stopping")
    }
}

impl From<CommandError> for ApiError {
    fn from(error: CommandError) -> ApiError {
        let status = match &error {
            CommandError::NoSuchZone(_) => StatusCode::NOT_FOUND,
            CommandError::ZoneExists(_) | CommandError::Replaced(_) | CommandError::RequestReused { .. } => {
                StatusCode::CONFLICT
            }
            CommandError::NotInitialised | CommandError::Busy | CommandError::Disowned => {
                StatusCode::SERVICE_UNAVAILABLE
            }
            CommandError::NotStored(_) => StatusCode::INSUFFICIENT_STORAGE,
            CommandError::Invalid(_) | CommandError::SerialJump { .. } => StatusCode::UNPROCESSABLE_ENTITY,
        };
        ApiError::new(status, error.to_string())
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        (self.status, Json(ErrorBody { error: self.message })).into_response()
    }
}
