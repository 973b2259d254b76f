//! Questions that the view does not answer, for it would be too large: asked one by one, answered from the state as it is.

use std::sync::Arc;

use super::node::Node;
use super::{CommandError, IncarnationId};
use crate::replica::{Shadowed, Standing};
use crate::zone::{Name, Zone};

/// The most records that one answer about a whole zone lists; a larger zone is asked about name by name.
const MAX_STANDINGS: usize = 100_000;
/// The most shadowed records listed of one zone: more are a script gone wrong, and the first ones show which.
const MAX_SHADOWED: usize = 1000;

/// A question about what the node holds.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Question {
    /// The live records of a zone, or of one owner in it, and the writes that they come from.
    Standings {
        /// The zone.
        zone: Name,
        /// The owner; all if none is given.
        owner: Option<Name>,
    },
    /// All that waits for a person to settle it.
    Conflicts,
    /// An incarnation of a zone, whether it is served or not.
    Incarnation {
        /// The zone.
        zone: Name,
        /// The incarnation, in hex; its first digits do if only one begins with them.
        id: String,
    },
}

/// What it holds.
#[derive(Clone, Debug)]
pub enum Answer {
    /// Live records.
    Standings(Vec<Standing>),
    /// Conflicts, by zone.
    Conflicts(Vec<ZoneConflicts>),
    /// An incarnation.
    Incarnation(Incarnation),
}

/// What waits to be settled in one zone.
#[derive(Clone, Debug)]
pub struct ZoneConflicts {
    /// The zone.
    pub origin: Name,
    /// Records that are live but not served; not all, if there are very many.
    pub shadowed: Vec<Shadowed>,
    /// How many there are.
    pub shadowed_count: usize,
    /// The incarnation that is served, if there are others.
    pub served: Option<Incarnation>,
    /// The others.
    pub others: Vec<Incarnation>,
}

/// One life of a zone.
#[derive(Clone, Debug)]
pub struct Incarnation {
    /// Its id.
    pub id: IncarnationId,
    /// How many lives of the name came before, plus one.
    pub generation: u64,
    /// What it says; `None` if it has not arrived here yet.
    pub zone: Option<Arc<Zone>>,
}

impl Node {
    /// Answers a question. Nothing changes.
    pub fn inspect(&self, question: &Question) -> Result<Answer, CommandError> {
        match question {
            Question::Standings { zone, owner } => self.standings(zone, owner.as_ref()),
            Question::Conflicts => Ok(Answer::Conflicts(self.conflicts())),
            Question::Incarnation { zone, id } => self.incarnation(zone, id),
        }
    }

    fn standings(&self, origin: &Name, owner: Option<&Name>) -> Result<Answer, CommandError> {
        let zone = self.replica().serving(origin).ok_or_else(|| CommandError::NoSuchZone(origin.clone()))?;
        let standings = zone.standings(owner, MAX_STANDINGS).ok_or_else(|| {
            CommandError::Invalid(format!(
                "zone {origin} has more than {MAX_STANDINGS} records; name one of its owners"
            ))
        })?;
        Ok(Answer::Standings(standings))
    }

    fn conflicts(&self) -> Vec<ZoneConflicts> {
        let mut found = Vec::new();
        for (origin, _) in self.replica().catalog().origins() {
            let Some(serving) = self.replica().serving(origin) else { continue };
            let (mut lives, id) = (self.lives(origin), serving.state().incarnation());
            let conflicts = ZoneConflicts {
                origin: origin.clone(),
                shadowed: serving.shadowed_records(if serving.shadowed() > 0 { MAX_SHADOWED } else { 0 }),
                shadowed_count: serving.shadowed(),
                served: lives.iter().find(|life| life.id == id).cloned().filter(|_| lives.len() > 1),
                others: lives.extract_if(.., |life| life.id != id).collect(),
            };
            if conflicts.shadowed_count > 0 || !conflicts.others.is_empty() {
                found.push(conflicts);
            }
        }
        found
    }

    fn lives(&self, origin: &Name) -> Vec<Incarnation> {
        let members = self.replica().catalog().of(origin);
        let life = |id, generation| Incarnation {
            id,
            generation,
            zone: self.replica().get(id).map(|zone| zone.snapshot().clone()),
        };
        members.map(|member| life(member.incarnation, member.generation)).collect()
    }

    fn incarnation(&self, origin: &Name, id: &str) -> Result<Answer, CommandError> {
        let mut lives = self.lives(origin);
        if lives.is_empty() {
            return Err(CommandError::NoSuchZone(origin.clone()));
        }
        lives.retain(|life| !id.is_empty() && life.id.to_string().starts_with(&id.to_ascii_lowercase()));
        match lives.len() {
            1 => Ok(Answer::Incarnation(lives.remove(0))),
            0 => Err(CommandError::Invalid(format!(
                "zone {origin} has no incarnation {id:?}; `grapevine conflicts` lists those that are not served"
            ))),
            count => {
                Err(CommandError::Invalid(format!("{count} incarnations of {origin} begin with {id}; say more of it")))
            }
        }
    }
}
