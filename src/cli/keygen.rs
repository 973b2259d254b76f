//! `grapevine keygen`: makes the key that the nodes of a cluster share.

use std::path::PathBuf;

use serde::Serialize;

use super::control::JsonArgs;
use super::exit::{Exit, Failure, OrExit};
use super::output::{print, print_json};
use crate::gossip::{ClusterKey, Keyring};

/// Makes a new cluster key
///
/// Whoever has the key can join the cluster and change its zones. Copy the file to every node and name it there with
/// --key-file.
#[derive(clap::Args, Debug)]
pub(super) struct KeygenArgs {
    /// Write it here, readable for you alone; an existing file is never overwritten. Without a file it is printed
    file: Option<PathBuf>,
    #[command(flatten)]
    json: JsonArgs,
}

/// What was made. The key itself is told only if it is in no file.
#[derive(Serialize)]
struct Made {
    id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    file: Option<PathBuf>,
    #[serde(skip_serializing_if = "Option::is_none")]
    key: Option<String>,
}

pub(super) fn run(args: &KeygenArgs) -> Result<Exit, Failure> {
    let key = ClusterKey::generate().or_exit(Exit::Internal)?;
    if let Some(path) = &args.file {
        Keyring::save_new(path, &key).or_exit(Exit::No)?;
    }
    let id = key.id().to_string();
    match (&args.file, args.json.json) {
        (Some(path), true) => print_json(&Made { id, file: Some(path.clone()), key: None })?,
        (None, true) => print_json(&Made { id, file: None, key: Some(key.to_base64()) })?,
        (Some(path), false) => {
            let path = path.display();
            print(&format!("key {id} is in {path}; copy it to every node and start each with --key-file {path}\n"))?;
        }
        (None, false) => print(&format!("{}\n", key.to_base64()))?,
    }
    Ok(Exit::Ok)
}
