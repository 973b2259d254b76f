//! The flags that set how a node runs; `serve` obeys them and `config` shows what comes of them.
//!
//! What each is for stands in [`SETTINGS`], from where [`describe`] takes it into `--help`.

use std::path::PathBuf;

use super::exit::{Exit, Failure};
use crate::config::{Config, Overrides, SETTINGS};

/// How the node runs. A flag counts more than the configuration file, and that more than the default.
#[derive(clap::Args, Debug)]
pub(super) struct SettingsArgs {
    /// The configuration file [default: grapevine.toml here, or /etc/grapevine/grapevine.toml]
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
    #[arg(long, value_name = "NAME")]
    cluster: Option<String>,
    #[arg(long, value_name = "DIR")]
    zones: Option<String>,
    #[arg(long, value_name = "DIR")]
    data: Option<String>,
    #[arg(long, value_name = "PATH", env = "GRAPEVINE_CONTROL", hide_env_values = true)]
    control: Option<String>,
    #[arg(long, value_name = "ADDR:PORT")]
    dns: Vec<String>,
    #[arg(long, value_name = "ADDR:PORT")]
    anycast: Vec<String>,
    #[arg(long, value_name = "NETWORK")]
    allow_transfer: Vec<String>,
    #[arg(long, value_name = "N")]
    workers: Option<String>,
    #[arg(long, value_name = "ADDR:PORT")]
    gossip: Option<String>,
    #[arg(long, value_name = "ADDR:PORT")]
    advertise: Option<String>,
    #[arg(long, value_name = "HOST:PORT")]
    join: Vec<String>,
    #[arg(long, value_name = "FILE")]
    key_file: Option<String>,
    #[arg(long)]
    insecure: bool,
    #[arg(long, value_name = "LEVEL")]
    log_level: Option<String>,
    #[arg(long, value_name = "FORMAT")]
    log_format: Option<String>,
}

impl SettingsArgs {
    /// The configuration in force, or everything that is wrong with it.
    pub(super) fn load(self) -> Result<Config, Failure> {
        load(&Overrides {
            config: self.config,
            name: self.name,
            cluster: self.cluster,
            zones: self.zones,
            data: self.data,
            control: self.control,
            dns: self.dns,
            anycast: self.anycast,
            allow_transfer: self.allow_transfer,
            workers: self.workers,
            gossip: self.gossip,
            advertise: self.advertise,
            join: self.join,
            key_file: self.key_file,
            insecure: self.insecure,
            log_level: self.log_level,
            log_format: self.log_format,
        })
    }
}

/// Reads the configuration.
pub(super) fn load(overrides: &Overrides) -> Result<Config, Failure> {
    Config::load(overrides).map_err(|errors| {
        let list: String = errors.0.iter().map(|error| format!("\n  {error}")).collect();
        Failure::say(Exit::Usage, format_args!("the configuration is wrong:{list}"))
    })
}

/// Puts the help of each setting to its flag.
pub(super) fn describe(command: clap::Command) -> clap::Command {
    command.mut_args(|arg| {
        let flag = arg.get_long().map(|long| format!("--{long}"));
        let setting = SETTINGS.iter().find(|setting| setting.flag.is_some() && setting.flag == flag.as_deref());
        let Some(setting) = setting else { return arg };
        let repeat = if matches!(arg.get_action(), clap::ArgAction::Append) { "; may be repeated" } else { "" };
        arg.help(format!("{}{repeat}", setting.help.trim_end_matches('.')))
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use clap::Args;

    use super::*;

    #[test]
    fn every_setting_with_a_flag_has_one_here_and_no_flag_is_without_help() {
        let command = describe(SettingsArgs::augment_args(clap::Command::new("serve")));
        let flags: BTreeSet<String> =
            command.get_arguments().filter_map(|arg| Some(format!("--{}", arg.get_long()?))).collect();
        let mut expected: BTreeSet<String> = SETTINGS.iter().filter_map(|s| s.flag.map(str::to_owned)).collect();
        expected.insert("--config".to_owned());
        assert_eq!(flags, expected);
        assert!(command.get_arguments().all(|arg| arg.get_help().is_some()));
    }
}
