//! `grapevine record`: changes records of a zone on a running node, whichever it is, without touching a file.

use std::fmt::Write;
use std::io::Read;
use std::path::PathBuf;
use std::time::Duration;

use clap::builder::{PossibleValuesParser, TypedValueParser};

use super::control::{ControlArgs, JsonArgs, ask};
use super::exit::{Exit, Failure, OrExit};
use super::output::{print, print_json};
use super::zone_wait::parse_timeout;
use crate::admin::{Edited, RecordVerb, RecordsRequest, WaitLevel};
use crate::master::parse_ttl;
use crate::zone::rdata::{Field, shape};
use crate::zone::{Name, RecordType};

/// How many changed records are shown; JSON has them all.
const SHOWN: usize = 20;

/// Adds, replaces or deletes records
///
/// All records of one command are one atomic edit: all of them or, if one is wrong, none.
#[derive(clap::Subcommand, Debug)]
pub(super) enum RecordCommand {
    /// Adds records beside those that are there
    Add(RecordArgs),
    /// Replaces all records of a name and type by these
    Replace(RecordArgs),
    /// Deletes a record, all of a name and type, or all of a name
    Delete(RecordArgs),
    /// Carries out lines that begin with add, replace or delete, all or none
    Batch(RecordArgs),
}

#[derive(clap::Args, Debug)]
pub(super) struct RecordArgs {
    /// The zone
    origin: Name,
    /// NAME [TTL] TYPE DATA, as one argument or several; names are relative to the zone. `-` reads lines from standard
    /// input
    #[arg(value_name = "RECORD")]
    record: Vec<String>,
    /// Read the lines from a file
    #[arg(long, value_name = "FILE", conflicts_with = "record")]
    file: Option<PathBuf>,
    /// The TTL of records that state none [default: that of their RRset, or of the SOA record]
    #[arg(long, value_name = "TTL", value_parser = ttl)]
    ttl: Option<u32>,
    /// Return when the edit is on the disk of this node, of more than half of the live members, or of all
    #[arg(long, value_name = "WHERE", default_value = "local", value_parser = level())]
    wait: WaitLevel,
    /// How long to wait for other members, as 30s or 2m
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = parse_timeout)]
    timeout: Duration,
    /// An id of your own for this edit: to send it again, to any node that has it, does nothing
    #[arg(long, value_name = "ID")]
    request_id: Option<String>,
    /// Show what would change, and change nothing
    #[arg(long)]
    dry_run: bool,
    /// Why, for the zone's history
    #[arg(long, value_name = "TEXT")]
    note: Option<String>,
    #[command(flatten)]
    control: ControlArgs,
    #[command(flatten)]
    json: JsonArgs,
}

pub(super) fn run(command: &RecordCommand) -> Result<Exit, Failure> {
    let (verb, args) = match command {
        RecordCommand::Add(args) => (RecordVerb::Add, args),
        RecordCommand::Replace(args) => (RecordVerb::Replace, args),
        RecordCommand::Delete(args) => (RecordVerb::Delete, args),
        RecordCommand::Batch(args) => (RecordVerb::Batch, args),
    };
    let (source, lines) = args.lines(verb)?;
    let request = RecordsRequest {
        verb,
        lines,
        source: Some(source),
        ttl: args.ttl,
        request: args.request_id.clone(),
        wait: args.wait,
        timeout: Some(format!("{}ms", args.timeout.as_millis())),
        dry_run: args.dry_run,
        who: person(),
        note: args.note.clone(),
    };
    let edited = ask(args.control.client()?.edit(&args.origin, &request, args.timeout))?;
    let waited_in_vain = edited.spread.is_some_and(|spread| !spread.reached);
    if args.json.json {
        print_json(&edited)?;
        return Ok(if waited_in_vain { Exit::Pending } else { Exit::Ok });
    }
    if !edited.repeated {
        print(&render_changes(&edited))?;
    }
    if waited_in_vain {
        return Err(Failure::say(Exit::Pending, in_vain(&edited, args.timeout)));
    }
    print(&format!("{}\n", outcome(&edited)))?;
    Ok(Exit::Ok)
}

impl RecordArgs {
    /// What to call the lines in errors, and the lines.
    fn lines(&self, verb: RecordVerb) -> Result<(String, String), Failure> {
        if let Some(path) = &self.file {
            let failed = |error| Failure::say(Exit::No, format_args!("cannot read {}: {error}", path.display()));
            return Ok((path.display().to_string(), std::fs::read_to_string(path).map_err(failed)?));
        }
        match &self.record[..] {
            [only] if only == "-" => standard_input(),
            [] if verb == RecordVerb::Batch => standard_input(),
            [] => {
                let message = "say which record, as NAME [TTL] TYPE DATA, or `-` to read lines from standard input";
                Err(Failure::say(Exit::Usage, message))
            }
            [line] => Ok(("record".to_owned(), line.clone())),
            words => Ok(("record".to_owned(), compose(words, verb))),
        }
    }
}

fn standard_input() -> Result<(String, String), Failure> {
    let mut text = String::new();
    std::io::stdin().lock().read_to_string(&mut text).or_exit(Exit::No)?;
    Ok(("-".to_owned(), text))
}

/// Makes lines of the arguments: one line, or one for each datum where the type tells them apart.
fn compose(words: &[String], verb: RecordVerb) -> String {
    let is_type = |word: &String| !word.starts_with(|c: char| c.is_ascii_digit()) && !word.eq_ignore_ascii_case("IN");
    let at = words.iter().skip(1).position(is_type).map(|index| index + 1);
    let Some((at, rtype)) = at.and_then(|at| Some((at, words[at].parse::<RecordType>().ok()?))) else {
        return words.join(" ");
    };
    let (head, data) = words.split_at(at + 1);
    let head = head.join(" ");
    let fields = shape(rtype);
    let strings = [Field::CharString, Field::CharStrings, Field::Text];
    let has_text = fields.iter().any(|field| strings.contains(field));
    let is_one_word = fields.len() == 1 && !has_text;
    let each_whole = !has_text && data.iter().all(|datum| datum.contains(' '));
    if verb != RecordVerb::Batch && data.len() > 1 && (is_one_word || each_whole) {
        return data.iter().map(|datum| format!("{head} {datum}\n")).collect();
    }
    let data: Vec<String> = data.iter().map(|datum| if has_text { quoted(datum) } else { datum.clone() }).collect();
    format!("{head} {}", data.join(" "))
}

/// The shell has taken the quotes from a string; a master file needs them where the string has blanks and the like.
fn quoted(word: &str) -> String {
    let special = |c: char| c.is_whitespace() || matches!(c, ';' | '(' | ')');
    if word.starts_with('"') || !(word.is_empty() || word.contains(special)) {
        return word.to_owned();
    }
    format!("\"{}\"", word.replace('\\', "\\\\").replace('"', "\\\""))
}

/// Who runs this, for the zone's history.
fn person() -> Option<String> {
    ["SUDO_USER", "USER", "LOGNAME"].iter().find_map(|name| std::env::var(name).ok()).filter(|name| !name.is_empty())
}

fn render_changes(edited: &Edited) -> String {
    let mut text: String = edited.changes.iter().take(SHOWN).map(|change| format!("{change}\n")).collect();
    if edited.changes.len() > SHOWN {
        writeln!(text, "… and {} more", edited.changes.len() - SHOWN).expect("writing to a string does not fail");
    }
    text
}

fn outcome(edited: &Edited) -> String {
    let Edited { origin, serial, .. } = edited;
    let state = match (edited.dry_run, edited.repeated, edited.changed) {
        (_, true, _) => format!("already done as serial {serial}"),
        (true, _, true) => return format!("{origin}: nothing was changed, for this is a dry run (serial {serial})"),
        (_, _, false) => format!("nothing to change, the zone is so already (serial {serial})"),
        (false, false, true) => format!("serial {serial}"),
    };
    match &edited.spread {
        Some(spread) => format!("{origin}: {state}, stored on {spread}"),
        None if edited.changed => format!("{origin}: {state}, stored here; the other members follow"),
        None => format!("{origin}: {state}"),
    }
}

fn in_vain(edited: &Edited, waited: Duration) -> String {
    let Edited { origin, serial, .. } = edited;
    let spread = edited.spread.map(|spread| spread.to_string()).unwrap_or_default();
    let waited = humantime::format_duration(waited);
    format!(
        "{origin}: serial {serial} is stored here, seen on {spread} after {waited}; the others get it as soon as they \
         can, so there is no need to repeat the edit"
    )
}

fn ttl(text: &str) -> Result<u32, String> {
    let ttl = parse_ttl(text.as_bytes()).filter(|ttl| *ttl <= crate::master::MAX_TTL);
    ttl.ok_or_else(|| "a TTL is a number of seconds, or like 1h30m".to_owned())
}

fn level() -> impl TypedValueParser<Value = WaitLevel> {
    PossibleValuesParser::new(["local", "quorum", "all"]).map(|level| match level.as_str() {
        "quorum" => WaitLevel::Quorum,
        "all" => WaitLevel::All,
        _ => WaitLevel::Local,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn composed(words: &[&str]) -> String {
        let words: Vec<String> = words.iter().map(|word| (*word).to_owned()).collect();
        compose(&words, RecordVerb::Replace)
    }

    #[test]
    fn arguments_make_the_lines_that_a_person_means() {
        assert_eq!(composed(&["www", "300", "A", "192.0.2.7"]), "www 300 A 192.0.2.7");
        assert_eq!(composed(&["www", "A", "192.0.2.8", "192.0.2.9"]), "www A 192.0.2.8\nwww A 192.0.2.9\n");
        assert_eq!(composed(&["@", "1h", "IN", "MX", "10", "mail"]), "@ 1h IN MX 10 mail");
        assert_eq!(composed(&["@", "MX", "10 mail"]), "@ MX 10 mail");
        assert_eq!(composed(&["@", "MX", "10 a", "20 b"]), "@ MX 10 a\n@ MX 20 b\n");
        assert_eq!(composed(&["x", "TXT", "v=spf1 -all"]), "x TXT \"v=spf1 -all\"");
        assert_eq!(composed(&["x", "TXT", "say \"a\"", "b"]), "x TXT \"say \\\"a\\\"\" b");
        assert_eq!(composed(&["x", "TXT", "\"a b\""]), "x TXT \"a b\"");
        assert_eq!(composed(&["www", "A"]), "www A ");
        assert_eq!(composed(&["www", "FROB", "x"]), "www FROB x");
    }
}
