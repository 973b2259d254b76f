//! The commands and what they take, and the way from the arguments to an exit code.

use std::ffi::OsString;
use std::io::Write;
use std::panic::{self, UnwindSafe};

use clap::{CommandFactory, FromArgMatches, Parser, Subcommand};

use super::exit::{Exit, Failure};
use super::{backup, config, conflicts, keygen, members, metrics, record, serve, settings, status, version};
use super::{zone_blame, zone_diff, zone_drop, zone_log, zone_rollback, zone_show};
use super::{zone_check, zone_decide, zone_delete, zone_wait, zones};
use crate::decision::Decision;

/// N equal nodes that answer DNS as one server: edit a zone file on any node, dig any node.
#[derive(Parser, Debug)]
#[command(name = "grapevine", version, after_help = Exit::HELP, disable_help_subcommand = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand, Debug)]
enum Command {
    Serve(Box<serve::ServeArgs>),
    Config(Box<config::ConfigArgs>),
    Keygen(keygen::KeygenArgs),
    Status(status::StatusArgs),
    Members(members::MembersArgs),
    Zones(zones::ZonesArgs),
    /// Checks, awaits or deletes a zone, shows or undoes its past, or decides about its held file
    #[command(subcommand)]
    Zone(ZoneCommand),
    #[command(subcommand)]
    Record(record::RecordCommand),
    Conflicts(conflicts::ConflictsArgs),
    Backup(backup::BackupArgs),
    Restore(backup::RestoreArgs),
    Metrics(metrics::MetricsArgs),
    Version(version::VersionArgs),
}

#[derive(Subcommand, Debug)]
enum ZoneCommand {
    Check(zone_check::ZoneCheckArgs),
    Wait(zone_wait::ZoneWaitArgs),
    Log(zone_log::ZoneLogArgs),
    Diff(zone_diff::ZoneDiffArgs),
    Show(zone_show::ZoneShowArgs),
    Blame(zone_blame::ZoneBlameArgs),
    Rollback(zone_rollback::ZoneRollbackArgs),
    Delete(zone_delete::ZoneDeleteArgs),
    Drop(zone_drop::ZoneDropArgs),
    /// Takes over a held file as it is
    Approve(zone_decide::ZoneDecideArgs),
    /// Puts the zone as it is served back into a held file
    Reject(zone_decide::ZoneDecideArgs),
}

/// Does what the arguments say, and tells how it ended.
pub fn run(args: impl IntoIterator<Item = OsString> + UnwindSafe) -> Exit {
    panic::set_hook(Box::new(|info| {
        let advice = "please report it with the command that led to it";
        let _ = writeln!(std::io::stderr(), "grapevine: a fault of the program, {advice}: {info}");
    }));
    panic::catch_unwind(|| match parse(args) {
        Ok(cli) => dispatch(cli.command).unwrap_or_else(|failure| failure.report()),
        Err(error) => {
            // Help and the version go to standard output and are no errors; clap knows which is which. A closed
            // standard output is none either.
            let _ = error.print();
            if error.use_stderr() { Exit::Usage } else { Exit::Ok }
        }
    })
    .unwrap_or(Exit::Internal)
}

fn command() -> clap::Command {
    ["serve", "config"]
        .into_iter()
        .fold(Cli::command(), |command, name| command.mut_subcommand(name, settings::describe))
}

fn parse(args: impl IntoIterator<Item = OsString>) -> Result<Cli, clap::Error> {
    let mut command = command();
    let matches = command.try_get_matches_from_mut(args)?;
    Cli::from_arg_matches(&matches).map_err(|error| error.format(&mut command))
}

fn dispatch(command: Command) -> Result<Exit, Failure> {
    match command {
        Command::Serve(args) => serve::run(*args),
        Command::Config(args) => config::run(*args),
        Command::Keygen(args) => keygen::run(&args),
        Command::Status(args) => status::run(&args),
        Command::Members(args) => members::run(&args),
        Command::Zones(args) => zones::run(&args),
        Command::Zone(ZoneCommand::Check(args)) => zone_check::run(&args),
        Command::Zone(ZoneCommand::Wait(args)) => zone_wait::run(&args),
        Command::Conflicts(args) => conflicts::run(&args),
        Command::Zone(ZoneCommand::Log(args)) => zone_log::run(&args),
        Command::Zone(ZoneCommand::Diff(args)) => zone_diff::run(&args),
        Command::Zone(ZoneCommand::Show(args)) => zone_show::run(&args),
        Command::Zone(ZoneCommand::Blame(args)) => zone_blame::run(&args),
        Command::Zone(ZoneCommand::Rollback(args)) => zone_rollback::run(&args),
        Command::Zone(ZoneCommand::Drop(args)) => zone_drop::run(&args),
        Command::Zone(ZoneCommand::Delete(args)) => zone_delete::run(&args),
        Command::Zone(ZoneCommand::Approve(args)) => zone_decide::run(&args, Decision::Approve),
        Command::Zone(ZoneCommand::Reject(args)) => zone_decide::run(&args, Decision::Reject),
        Command::Record(command) => record::run(&command),
        Command::Backup(args) => backup::back_up(&args),
        Command::Restore(args) => backup::restore(&args),
        Command::Metrics(args) => metrics::run(&args),
        Command::Version(args) => version::run(&args),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_arguments_are_consistent() {
        command().debug_assert();
    }
}
