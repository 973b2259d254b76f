//! `grapevine zone check`: reads master files as a daemon would and tells everything that is wrong with them.

use std::fmt::Write;
use std::fs;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use serde::Serialize;

use super::control::JsonArgs;
use super::exit::{Exit, Failure};
use super::output::{print, print_json};
use crate::files::{origin_of, read_text};
use crate::master::{Diagnostic, Level, ZoneFile};
use crate::zone::Name;

/// Checks zone files without a daemon and shows everything that is wrong with them
#[derive(clap::Args, Debug)]
pub(super) struct ZoneCheckArgs {
    /// The files; a directory stands for the *.zone files in it, - for standard input. Before one file its origin may
    /// stand, as with named-checkzone and nsd-checkzone
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// The zone's origin [default: from the file's name, <origin>.zone]
    #[arg(long, value_name = "NAME")]
    origin: Option<Name>,
    #[command(flatten)]
    json: JsonArgs,
}

/// What came of one file.
#[derive(Serialize)]
struct Checked {
    path: PathBuf,
    ok: bool,
    origin: Option<Name>,
    serial: Option<u32>,
    records: Option<usize>,
    /// Why the file could not be read at all.
    unreadable: Option<String>,
    diagnostics: Vec<Diagnostic>,
}

pub(super) fn run(args: &ZoneCheckArgs) -> Result<Exit, Failure> {
    let (origin, paths) = origin_first(&args.files).unwrap_or((args.origin.clone(), &args.files));
    if origin.is_some() && args.origin.as_ref().is_some_and(|stated| origin.as_ref() != Some(stated)) {
        return Err(Failure::say(Exit::Usage, "two origins are given: one before the file and one with --origin"));
    }
    let files = expand(paths)?;
    if origin.is_some() && files.len() > 1 {
        return Err(Failure::say(Exit::Usage, "--origin is for one file; the names of several give their origins"));
    }
    let checked: Vec<Checked> = files.iter().map(|path| check(path, origin.as_ref())).collect();
    if args.json.json {
        print_json(&checked)?;
    } else {
        print(&checked.iter().map(render).collect::<String>())?;
    }
    Ok(if checked.iter().all(|file| file.ok) { Exit::Ok } else { Exit::No })
}

/// `ORIGIN FILE`, the form of the stock checkers: the first is no file, but a name, and the second is a file.
fn origin_first(paths: &[PathBuf]) -> Option<(Option<Name>, &[PathBuf])> {
    let [first, file] = paths else { return None };
    let is_file = is_stdin(file) || fs::metadata(file).is_ok_and(|metadata| !metadata.is_dir());
    if !is_file || first.exists() || is_stdin(first) || origin_of(first).is_some() {
        return None;
    }
    let text = first.to_str()?;
    let origin = Name::parse(text.as_bytes(), Some(&Name::root())).ok()?;
    Some((Some(origin), std::slice::from_ref(&paths[1])))
}

fn is_stdin(path: &Path) -> bool {
    path.as_os_str() == "-"
}

/// The text of a file that is to be checked. Other than an included one it may be a pipe.
fn read(path: &Path) -> io::Result<Vec<u8>> {
    if !is_stdin(path) {
        return fs::read(path);
    }
    let mut text = Vec::new();
    io::stdin().lock().read_to_end(&mut text)?;
    Ok(text)
}

/// The files themselves: each directory is replaced by the zone files in it.
fn expand(paths: &[PathBuf]) -> Result<Vec<PathBuf>, Failure> {
    let mut files = Vec::new();
    for path in paths {
        if !path.is_dir() {
            files.push(path.clone());
            continue;
        }
        let entries = fs::read_dir(path).and_then(Iterator::collect::<Result<Vec<_>, _>>).map_err(|error| {
            Failure::say(Exit::No, format_args!("cannot read the directory {}: {error}", path.display()))
        })?;
        let mut found: Vec<PathBuf> =
            entries.into_iter().map(|entry| entry.path()).filter(|path| origin_of(path).is_some()).collect();
        if found.is_empty() {
            let message = format!("{} has no *.zone files", path.display());
            return Err(Failure::say(Exit::No, message));
        }
        found.sort();
        files.append(&mut found);
    }
    Ok(files)
}

fn check(path: &Path, origin: Option<&Name>) -> Checked {
    let mut checked = Checked {
        path: path.to_owned(),
        ok: false,
        origin: origin.cloned(),
        serial: None,
        records: None,
        unreadable: None,
        diagnostics: Vec::new(),
    };
    let origin = match origin.map_or_else(|| origin_by_name(path), |origin| Ok(origin.clone())) {
        Ok(origin) => origin,
        Err(reason) => return Checked { unreadable: Some(reason), ..checked },
    };
    checked.origin = Some(origin.clone());
    let text = match read(path) {
        Ok(text) => text,
        Err(error) => return Checked { unreadable: Some(format!("cannot read it: {error}")), ..checked },
    };
    let mut include = |path: &str| read_text(Path::new(path)).map_err(|error| error.to_string());
    match ZoneFile::parse(&path.to_string_lossy(), &text, &origin, &mut include) {
        Ok(file) => {
            checked.ok = file.warnings().iter().all(|found| found.level != Level::Fault);
            if checked.ok {
                checked.serial = Some(file.zone().soa().serial);
                checked.records = Some(file.zone().record_count());
            }
            checked.diagnostics = file.warnings().to_vec();
        }
        Err(diagnostics) => checked.diagnostics = diagnostics,
    }
    checked
}

fn origin_by_name(path: &Path) -> Result<Name, String> {
    let advice = "name it <origin>.zone, or say --origin NAME";
    if is_stdin(path) {
        return Err("standard input has no name: say --origin NAME".to_owned());
    }
    match origin_of(path) {
        Some(Ok(origin)) => Ok(origin),
        Some(Err(reason)) => Err(format!("{reason}: {advice}")),
        None => Err(format!("its name gives no origin: {advice}")),
    }
}

fn render(file: &Checked) -> String {
    let mut text: String = file.diagnostics.iter().map(|found| format!("{}\n", found.with_source())).collect();
    let count = |level| file.diagnostics.iter().filter(|found| found.level == level).count();
    let (errors, warnings) = (count(Level::Error) + count(Level::Fault), count(Level::Warning));
    let path = file.path.display();
    let line = match (&file.unreadable, &file.origin, file.serial, file.records) {
        (None, Some(origin), Some(serial), Some(records)) => {
            let warned = if warnings > 0 { format!(", {}", plural(warnings, "warning")) } else { String::new() };
            format!("{path}: ok: {origin} serial {serial}, {}{warned}", plural(records, "record"))
        }
        (Some(reason), ..) => format!("{path}: error: {reason}"),
        _ if warnings > 0 => format!("{path}: {}, {}", plural(errors, "error"), plural(warnings, "warning")),
        _ => format!("{path}: {}", plural(errors, "error")),
    };
    writeln!(text, "{line}").expect("writing to a string does not fail");
    text
}

fn plural(count: usize, noun: &str) -> String {
    if count == 1 { format!("1 {noun}") } else { format!("{count} {noun}s") }
}
