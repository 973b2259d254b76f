//! The configuration in force, written as a file that would give it again.

use std::fmt::Write;

use super::layers::Effective;
use super::{Config, Place};

impl Config {
    /// A TOML document with every setting, what it is for, and where its value came from. Reading it as the
    /// configuration file gives the same configuration.
    pub fn effective_toml(&self) -> String {
        let mut text = match &self.file {
            Some(path) => format!("# From {}, flags and defaults.\n", path.display()),
            None => "# From flags and defaults; no configuration file was found.\n".to_owned(),
        };
        let mut section = "";
        for Effective { setting, value, place } in &self.effective {
            let (of, key) = setting.key.rsplit_once('.').unwrap_or(("", setting.key));
            if of != section {
                section = of;
                let _ = write!(text, "\n[{section}]");
            }
            let help = setting.help;
            let flag = setting.flag.map(|flag| format!(" [{flag}]")).unwrap_or_default();
            let _ = match value {
                Some(value) => write!(text, "\n# {help}{flag}\n{key} = {value}  # {}\n", origin(place)),
                None => write!(text, "\n# {help}{flag}\n# {key} =  # not set\n"),
            };
        }
        text
    }
}

fn origin(place: &Place) -> String {
    match place {
        Place::Default => "default".to_owned(),
        Place::Flag(flag) => format!("flag {flag}"),
        Place::File { path, line, .. } => format!("{}:{line}", path.display()),
    }
}
