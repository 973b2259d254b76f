//! `grapevine backup` and `grapevine restore`: a node's zones in one file, and back.

use std::fmt::Write as _;
use std::fs::{self, File, OpenOptions};
use std::io::{self, BufWriter, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, UNIX_EPOCH};

use serde::Serialize;

use super::age::now_ms;
use super::control::{ControlArgs, JsonArgs, ask};
use super::exit::{Exit, Failure};
use super::output::{print, print_json};
use crate::store::{Backup, BackupError, BackupHead, BackupZone, Snapshot};

/// How many zones are listed; JSON has them all.
const SHOWN: usize = 20;

/// Writes all zones of a node to one file, while it runs
///
/// The file appears once it is complete and has been read back. It holds everything that the node has, of one moment.
#[derive(clap::Args, Debug)]
pub(super) struct BackupArgs {
    /// The file to write; an earlier one of that name is replaced
    file: PathBuf,
    /// Take it from this data directory, which no daemon runs on
    #[arg(long, value_name = "DIR", conflicts_with_all = ["control", "config"])]
    data: Option<PathBuf>,
    #[command(flatten)]
    control: ControlArgs,
    #[command(flatten)]
    json: JsonArgs,
}

/// Makes a data directory of a backup
///
/// The node that is started on it has the zones as they were, edits as an author of its own, and joins only whom it is
/// told to join.
#[derive(clap::Args, Debug)]
pub(super) struct RestoreArgs {
    /// The backup
    file: PathBuf,
    /// The data directory to make; it must be new or empty
    #[arg(long, value_name = "DIR", required_unless_present = "list")]
    data: Option<PathBuf>,
    /// Check the backup and show what is in it, and restore nothing
    #[arg(long, conflicts_with = "data")]
    list: bool,
    #[command(flatten)]
    json: JsonArgs,
}

/// What a backup is and holds.
#[derive(Serialize)]
struct Shown<'b> {
    file: &'b Path,
    bytes: u64,
    taken_ms: u64,
    node: &'b str,
    cluster: &'b str,
    zones: &'b [BackupZone],
}

pub(super) fn back_up(args: &BackupArgs) -> Result<Exit, Failure> {
    let part = with_suffix(&args.file, ".part");
    let written = write(args, &part).and_then(|()| Ok(Backup::read(&part)?));
    let backup = written.inspect_err(|_| {
        // It is of no use; an earlier backup stays as it is.
        let _ = fs::remove_file(&part);
    })?;
    let renamed = fs::rename(&part, &args.file).and_then(|()| {
        let directory = args.file.parent().filter(|parent| !parent.as_os_str().is_empty());
        File::open(directory.unwrap_or(Path::new(".")))?.sync_all()
    });
    renamed.map_err(|error| cannot_write(&args.file, &error))?;
    show(&args.file, &backup, args.json.json, "written and read back")
}

pub(super) fn restore(args: &RestoreArgs) -> Result<Exit, Failure> {
    let backup = Backup::read(&args.file)?;
    let Some(data) = &args.data else { return show(&args.file, &backup, args.json.json, "whole") };
    backup.restore(data)?;
    show(&args.file, &backup, args.json.json, &format!("restored into {}", data.display()))
}

fn write(args: &BackupArgs, part: &Path) -> Result<(), Failure> {
    let failed = |error: io::Error| cannot_write(part, &error);
    // Zones may be internal: the file is for its owner alone.
    let file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(part).map_err(failed)?;
    let mut out = BufWriter::new(file);
    match &args.data {
        Some(data) => Snapshot::of_directory(data)?.write(&BackupHead::new(now_ms(), "", ""), &mut out)?,
        None => ask(args.control.client()?.backup(&mut |bytes| out.write_all(bytes)))?,
    }
    let file = out.into_inner().map_err(|error| failed(error.into_error()))?;
    file.sync_all().map_err(failed)
}

fn cannot_write(path: &Path, error: &io::Error) -> Failure {
    Failure::say(Exit::No, format_args!("cannot write {}: {error}", path.display()))
}

fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

fn show(file: &Path, backup: &Backup, json: bool, done: &str) -> Result<Exit, Failure> {
    let bytes = fs::metadata(file).map_or(0, |metadata| metadata.len());
    let Backup { head: BackupHead { taken_ms, node, cluster, .. }, zones, .. } = backup;
    if json {
        print_json(&Shown { file, bytes, taken_ms: *taken_ms, node, cluster, zones })?;
        return Ok(Exit::Ok);
    }
    let moment = humantime::format_rfc3339_seconds(UNIX_EPOCH + Duration::from_millis(*taken_ms));
    let whose = if node.is_empty() { "a stopped node".to_owned() } else { format!("{node} of cluster {cluster}") };
    let mut text = String::new();
    for zone in zones.iter().take(SHOWN) {
        writeln!(text, "{} serial {}, {} records", zone.origin, zone.serial, zone.records)
            .expect("writing to a string does not fail");
    }
    if zones.len() > SHOWN {
        writeln!(text, "… and {} more zones", zones.len() - SHOWN).expect("writing to a string does not fail");
    }
    let count = if zones.len() == 1 { "1 zone".to_owned() } else { format!("{} zones", zones.len()) };
    let file = file.display();
    print(&format!("{text}{file}: {count}, {bytes} bytes, taken {moment} from {whose}: {done}\n"))?;
    Ok(Exit::Ok)
}

impl From<BackupError> for Failure {
    fn from(error: BackupError) -> Failure {
        Failure::new(Exit::No, error)
    }
}
