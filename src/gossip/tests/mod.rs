//! The transports and the driver over real sockets on loopback.

mod datagrams;
mod driver;
mod streams;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::key::{ClusterKey, Keyring};
use super::secrets::Secrets;

/// How long any fact may take to come true: far longer than it should, as the machine may be busy.
const DEADLINE: Duration = Duration::from_secs(30);

fn any_port() -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], 0))
}

fn keyring(keys: &[u8]) -> Keyring {
    let key = |&byte: &u8| ClusterKey::parse(&data_encoding::BASE64.encode(&[byte; 32])).unwrap();
    Keyring::new(keys.iter().map(key).collect()).unwrap()
}

fn secrets(cluster: &str, keys: &[u8]) -> Arc<Secrets> {
    Arc::new(Secrets::new(cluster, &keyring(keys)))
}

/// Waits for a fact, with a deadline.
async fn eventually(what: &str, mut fact: impl FnMut() -> bool) {
    let end = Instant::now() + DEADLINE;
    while !fact() {
        assert!(Instant::now() < end, "not within {DEADLINE:?}: {what}");
        sleep(Duration::from_millis(5)).await;
    }
}
