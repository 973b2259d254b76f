//! Who is at the other end of the control socket: its user, as the kernel tells it.

use std::convert::Infallible;

use axum::extract::connect_info::Connected;
use axum::extract::{ConnectInfo, FromRequestParts};
use axum::http::request::Parts;
use axum::serve::IncomingStream;
use tokio::net::UnixListener;

use crate::account;

/// The user behind a request; unknown if the system does not tell.
#[derive(Clone, Copy, Debug)]
pub(super) struct Caller(Option<u32>);

impl Caller {
    /// The user's name, for the history.
    pub(super) fn who(self) -> String {
        self.0.map_or_else(String::new, account::name_of)
    }
}

impl Connected<IncomingStream<'_, UnixListener>> for Caller {
    fn connect_info(stream: IncomingStream<'_, UnixListener>) -> Caller {
        Caller(stream.io().peer_cred().ok().map(|peer| peer.uid()))
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Caller {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Caller, Infallible> {
        Ok(parts.extensions.get::<ConnectInfo<Caller>>().map_or(Caller(None), |info| info.0))
    }
}
