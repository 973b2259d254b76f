//! The kinds of values a setting can have: how each is read, what would be right, and how it is written.

use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use ipnet::IpNet;
use tracing_subscriber::EnvFilter;

use super::{LogFormat, Seed};

/// How a value stands in a TOML file.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Kind {
    Text,
    Number,
    Switch,
}

impl Kind {
    pub(super) fn name(self) -> &'static str {
        match self {
            Kind::Text => "a string",
            Kind::Number => "an integer",
            Kind::Switch => "true or false",
        }
    }
}

/// A value of one setting.
pub(super) trait Value: Sized + Clone {
    /// How it stands in the file.
    const KIND: Kind = Kind::Text;

    /// What would be right, to follow "is not".
    fn wanted() -> String;

    /// Reads it; `None` if it is not what is wanted.
    fn parse(text: &str) -> Option<Self>;

    /// Writes it so that [`Value::parse`] reads it.
    fn show(&self) -> String;

    /// The same value when it was written in a file of this directory: only paths depend on that.
    fn within(self, _directory: &Path) -> Self {
        self
    }
}

/// The name of a node or a cluster: one label, so that it can stand in a domain name, a file name and a log line.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Label(pub String);

impl Value for Label {
    fn wanted() -> String {
        "a label: 1 to 63 letters, digits, hyphens and underscores, such as ns1".to_owned()
    }

    fn parse(text: &str) -> Option<Label> {
        let fits = (1..=63).contains(&text.len())
            && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte))
            && !text.starts_with('-')
            && !text.ends_with('-');
        fits.then(|| Label(text.to_owned()))
    }

    fn show(&self) -> String {
        self.0.clone()
    }
}

impl Value for SocketAddr {
    fn wanted() -> String {
        "an address with a port, such as 192.0.2.1:53 or [2001:db8::1]:53".to_owned()
    }

    fn parse(text: &str) -> Option<SocketAddr> {
        text.parse().ok()
    }

    fn show(&self) -> String {
        self.to_string()
    }
}

impl Value for PathBuf {
    fn wanted() -> String {
        "a path".to_owned()
    }

    fn parse(text: &str) -> Option<PathBuf> {
        (!text.is_empty()).then(|| PathBuf::from(text))
    }

    fn show(&self) -> String {
        self.to_string_lossy().into_owned()
    }

    fn within(self, directory: &Path) -> PathBuf {
        directory.join(self)
    }
}

impl Value for Seed {
    fn wanted() -> String {
        "a member's name or address, with its gossip port if that is not 7946, such as ns1.example.net or 192.0.2.1:7946"
            .to_owned()
    }

    fn parse(text: &str) -> Option<Seed> {
        text.parse().ok()
    }

    fn show(&self) -> String {
        self.to_string()
    }
}

impl Value for IpNet {
    fn wanted() -> String {
        "a network or an address, such as 192.0.2.0/24 or 2001:db8::1".to_owned()
    }

    fn parse(text: &str) -> Option<IpNet> {
        let network: IpNet = text.parse().ok().or_else(|| text.parse::<IpAddr>().ok().map(IpNet::from))?;
        // 192.0.2.1/24 is a slip of the pen for one of two things; asking is better than guessing.
        (network == network.trunc()).then_some(network)
    }

    fn show(&self) -> String {
        self.to_string()
    }
}

impl Value for bool {
    const KIND: Kind = Kind::Switch;

    fn wanted() -> String {
        "true or false".to_owned()
    }

    fn parse(text: &str) -> Option<bool> {
        text.parse().ok()
    }

    fn show(&self) -> String {
        self.to_string()
    }
}

/// A number within bounds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Number<const LEAST: u32, const MOST: u32>(pub u32);

impl<const LEAST: u32, const MOST: u32> Value for Number<LEAST, MOST> {
    const KIND: Kind = Kind::Number;

    fn wanted() -> String {
        format!("a number from {LEAST} to {MOST}")
    }

    fn parse(text: &str) -> Option<Self> {
        text.parse().ok().filter(|number| (LEAST..=MOST).contains(number)).map(Number)
    }

    fn show(&self) -> String {
        self.0.to_string()
    }
}

impl Value for Duration {
    fn wanted() -> String {
        "a time from 100ms to 1h, such as 10s".to_owned()
    }

    fn parse(text: &str) -> Option<Duration> {
        let time = humantime::parse_duration(text).ok()?;
        (Duration::from_millis(100)..=Duration::from_secs(3600)).contains(&time).then_some(time)
    }

    fn show(&self) -> String {
        humantime::format_duration(*self).to_string()
    }
}

/// For how long something is kept.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Age(pub Duration);

impl Value for Age {
    fn wanted() -> String {
        "a time from 1h to 100years, such as 90d".to_owned()
    }

    fn parse(text: &str) -> Option<Age> {
        let time = humantime::parse_duration(text).ok()?;
        let hour = Duration::from_secs(3600);
        (hour..=hour * 24 * 366 * 100).contains(&time).then_some(Age(time))
    }

    fn show(&self) -> String {
        // Days say more than the months and years that humantime would make of them.
        match (self.0.as_secs() / 86_400, self.0.as_secs() % 86_400, self.0.subsec_nanos()) {
            (days @ 1.., 0, 0) => format!("{days}d"),
            _ => humantime::format_duration(self.0).to_string(),
        }
    }
}

/// A number of bytes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Size(pub u64);

const SIZE_UNITS: [(&str, u32); 4] = [("KiB", 10), ("MiB", 20), ("GiB", 30), ("TiB", 40)];

impl Value for Size {
    fn wanted() -> String {
        "a size from 1MiB to 1024TiB, such as 256MiB".to_owned()
    }

    fn parse(text: &str) -> Option<Size> {
        let (digits, shift) = SIZE_UNITS.iter().find_map(|(unit, shift)| Some((text.strip_suffix(unit)?, *shift)))?;
        let number: u64 = digits.trim().parse().ok()?;
        let bytes = number.checked_mul(1 << shift)?;
        (1 << 20..=1 << 50).contains(&bytes).then_some(Size(bytes))
    }

    fn show(&self) -> String {
        let (unit, shift) = SIZE_UNITS
            .iter()
            .rev()
            .find(|(_, shift)| self.0.is_multiple_of(1 << shift))
            .expect("sizes are parsed in units of KiB or larger");
        format!("{}{unit}", self.0 >> shift)
    }
}

/// What is logged: a level, or a filter by module.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct LogFilter(pub String);

impl Value for LogFilter {
    fn wanted() -> String {
        "error, warn, info, debug or trace, or a filter by module such as info,grapevine::gossip=debug".to_owned()
    }

    fn parse(text: &str) -> Option<LogFilter> {
        // A filter takes any other word for the name of a module and then logs nothing at all.
        let level = |word: &str| matches!(word, "error" | "warn" | "info" | "debug" | "trace" | "off");
        let words = text.split(',').all(|part| level(part) || part.contains('='));
        (words && EnvFilter::try_new(text).is_ok()).then(|| LogFilter(text.to_owned()))
    }

    fn show(&self) -> String {
        self.0.clone()
    }
}

impl Value for LogFormat {
    fn wanted() -> String {
        "text or json".to_owned()
    }

    fn parse(text: &str) -> Option<LogFormat> {
        match text {
            "text" => Some(LogFormat::Text),
            "json" => Some(LogFormat::Json),
            _ => None,
        }
    }

    fn show(&self) -> String {
        match self {
            LogFormat::Text => "text".to_owned(),
            LogFormat::Json => "json".to_owned(),
        }
    }
}
