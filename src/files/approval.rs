//! What a person decides about a held file.

use std::fs;
use std::io;
use std::path::Path;
use std::sync::Arc;

use super::directory::ZoneFiles;
use super::held::Cause;
use super::run::{Node, Stopped};
use super::save::marker_of;
use super::write_back::{Composed, Texts, compose, fresh};
use super::{read, write};
use crate::decision::Decision;
use crate::node::{Command, EditOrigin, Source};
use crate::zone::{Name, Zone};

impl ZoneFiles {
    /// Carries a decision out, and tells in words what was done or why not.
    pub(super) async fn decide(
        &mut self,
        node: &Node,
        origin: &Name,
        decision: Decision,
    ) -> Result<Result<String, String>, Stopped> {
        let Some(cause) = self.held.cause(origin).cloned() else {
            return Ok(Err(format!("no file of zone {origin} is held; `grapevine status` lists those that are")));
        };
        match (decision, cause) {
            (Decision::Approve, Cause::Shrunk(hash)) => {
                self.entries.update(origin, |entry| {
                    entry.approved = Some(hash);
                    entry.dealt = None;
                });
                self.approve_text(node, origin).await
            }
            (Decision::Approve, Cause::Missing) => {
                match node.ask(Command::Delete { zone: origin.clone(), source: Source::new(EditOrigin::File) }).await? {
                    Ok(_) => {
                        self.deleted(origin);
                        Ok(Ok("the zone is deleted on every node".to_owned()))
                    }
                    Err(error) => Ok(Err(error.to_string())),
                }
            }
            (Decision::Approve, Cause::Errors) => {
                Ok(Err("a file with errors cannot be approved: mend it and save, or reject it".to_owned()))
            }
            (Decision::Approve, Cause::Refused(why)) | (_, Cause::Disk(why)) => Ok(Err(why)),
            (Decision::Reject, _) => Ok(self.restore(origin).map_err(|error| error.to_string())),
        }
    }

    async fn approve_text(&mut self, node: &Node, origin: &Name) -> Result<Result<String, String>, Stopped> {
        if let Some(ask) = self.look(origin) {
            let answer = node.ask(ask.command.clone()).await?;
            self.conclude(ask, answer);
        }
        Ok(match self.held.watch().borrow().iter().find(|held| held.origin == *origin) {
            Some(held) => Err(format!("the file is still held: {}", held.reason)),
            None => Ok("the file is taken over as it is".to_owned()),
        })
    }

    /// Puts the zone as it is served back into the file; the person's text is kept beside it.
    fn restore(&mut self, origin: &Name) -> io::Result<String> {
        let zone = self.served(origin).ok_or_else(|| {
            io::Error::other(
                "no such zone is served, so there is nothing to restore the file from: mend it, or remove it",
            )
        })?;
        let Some(path) = self.entries.get(origin).map(|entry| entry.path.clone()) else {
            return Err(io::Error::other("the file is not known any more; look at `grapevine status` again"));
        };
        let mut composed = self.compose_restored(origin, &path, &zone)?;
        let mut kept = Vec::new();
        composed.before.clear();
        for name in composed.texts.keys() {
            match fs::read(name) {
                Ok(text) => {
                    kept.push(write::copy_aside(Path::new(name), &text, "rejected")?.display().to_string());
                    composed.before.insert(name.clone(), text.into());
                }
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(error),
            }
        }
        self.held.release(origin);
        self.store(&path, &zone, composed);
        match self.held.cause(origin) {
            Some(Cause::Disk(why)) => Err(io::Error::other(why.clone())),
            _ if kept.is_empty() => Ok("the file is restored".to_owned()),
            _ => Ok(format!("the file is restored, what was in it is kept in {}", kept.join(", "))),
        }
    }

    /// The zone in the last text that was taken over, with its comments; or else written anew.
    fn compose_restored(&self, origin: &Name, path: &Path, zone: &Zone) -> io::Result<Composed> {
        let marker = marker_of(zone);
        if let Some(text) = self.bases.text(origin).and_then(|kept| kept.text()).map(Arc::<[u8]>::from) {
            let name = path.to_string_lossy().into_owned();
            let reading = read::assemble(path, origin, &Texts::from([(name.clone(), text.clone())]), None);
            if let Ok(read::Reading { parsed: Ok(file), .. }) = reading {
                let mut composed = compose(path, &file, zone, marker, None)?;
                composed.texts.entry(name).or_insert(text);
                return Ok(composed);
            }
        }
        match read::read(path, origin, None) {
            Ok(read::Reading { parsed: Ok(file), .. }) => compose(path, &file, zone, marker, None),
            _ => fresh(path, zone, marker),
        }
    }
}
