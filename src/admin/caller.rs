//! Who is at the other end of the control socket: its user, as the kernel tells it.

use std::convert::Infallible;
use std::sync::Arc;

use axum::extract::connect_info::Connected;
use axum::extract::{ConnectInfo, FromRequestParts};
use axum::http::request::Parts;
use axum::serve::IncomingStream;
use tokio::net::UnixListener;

use crate::account;

/// The user behind the requests of one connection.
#[derive(Clone, Debug, Default)]
pub(super) struct Caller {
    name: Arc<str>,
}

impl Caller {
    /// The user's name, for the history; empty if the system does not tell.
    pub(super) fn who(&self) -> &str {
        &self.name
    }
}

impl Connected<IncomingStream<'_, UnixListener>> for Caller {
    fn connect_info(stream: IncomingStream<'_, UnixListener>) -> Caller {
        let name = stream.io().peer_cred().map_or_else(|_| String::new(), |peer| account::name_of(peer.uid()));
        Caller { name: name.into() }
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Caller {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Caller, Infallible> {
        Ok(parts.extensions.get::<ConnectInfo<Caller>>().map_or_else(Caller::default, |info| info.0.clone()))
    }
}
