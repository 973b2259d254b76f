//! What an operator has been told: the same thing is not said again and again.

use std::collections::BTreeMap;
use std::time::Duration;

/// After how long something that still holds is said again.
const SAY_AGAIN: Duration = Duration::from_secs(600);
/// How many different things are remembered; beyond that the oldest may be said again early.
const MAX_SAID: usize = 1024;

/// What was said, and when.
#[derive(Debug, Default)]
pub(super) struct Alarms(BTreeMap<String, Duration>);

impl Alarms {
    /// Whether to say it now.
    pub(super) fn is_due(&mut self, message: &str, now: Duration) -> bool {
        if self.0.get(message).is_some_and(|said| now < *said + SAY_AGAIN) {
            return false;
        }
        if self.0.len() >= MAX_SAID {
            let oldest = self.0.iter().min_by_key(|(_, said)| **said).map(|(message, _)| message.clone());
            oldest.map(|message| self.0.remove(&message));
        }
        self.0.insert(message.to_owned(), now);
        true
    }
}
