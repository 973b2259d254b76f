//! One setting after another from its three layers: flags over the file over the default.

use toml::Spanned;
use toml::de::DeValue;

use super::file::{Document, article};
use super::value::{Kind, Value};
use super::{ConfigError, Place, Setting};

/// Reads settings, and collects what they turned out to be and what is wrong with them.
#[derive(Debug, Default)]
pub(super) struct Layers<'s> {
    pub document: Option<Document<'s>>,
    pub errors: Vec<ConfigError>,
    pub effective: Vec<Effective>,
}

/// A setting as it is in force.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Effective {
    pub setting: Setting,
    /// As a TOML value; `None` if it is not set and has no default.
    pub value: Option<String>,
    pub place: Place,
}

impl Layers<'_> {
    /// A setting with one value. After an error the default stands in, only to find further errors.
    pub(super) fn one<T: Value>(&mut self, setting: Setting, flag: Option<&str>, default: T) -> T {
        let written = self.written(setting, flag);
        let (value, place) = written.unwrap_or((default, Place::Default));
        self.note(setting, Some(toml_text(&value)), place);
        value
    }

    /// A setting that may be left unset.
    pub(super) fn maybe<T: Value>(&mut self, setting: Setting, flag: Option<&str>) -> Option<T> {
        let written = self.written(setting, flag);
        let place = written.as_ref().map_or(Place::Default, |(_, place)| place.clone());
        let value = written.map(|(value, _)| value);
        self.note(setting, value.as_ref().map(toml_text), place);
        value
    }

    /// A setting with any number of values. Flags replace what the file says, they do not add to it.
    pub(super) fn list<T: Value>(&mut self, setting: Setting, flags: &[String], default: Vec<T>) -> Vec<T> {
        let in_file = self.value_in_file(setting).map(|value| (self.file_list(setting, &value), value.span()));
        let from_flags = || flags.iter().map(String::as_str).collect::<Vec<_>>();
        let (values, place) = match (setting.flag, in_file) {
            (Some(flag), _) if !flags.is_empty() => {
                let values = from_flags().into_iter().filter_map(|text| self.flag_value(flag, text)).collect();
                (values, Place::Flag(flag))
            }
            (_, Some((values, span))) => (values, self.place(span)),
            _ => (default, Place::Default),
        };
        let text = values.iter().map(toml_text).collect::<Vec<_>>().join(", ");
        self.note(setting, Some(format!("[{text}]")), place);
        values
    }

    /// Adds an error about a setting, at the place that its value comes from.
    pub(super) fn blame(&mut self, setting: Setting, message: String) {
        let place = self.effective.iter().find(|entry| entry.setting == setting).map(|entry| entry.place.clone());
        // A default that is wrong beside other settings can be mended with its flag.
        let place = match (place, setting.flag) {
            (Some(place), _) if place != Place::Default => place,
            (_, flag) => Place::Flag(flag.unwrap_or(setting.key)),
        };
        self.errors.push(ConfigError { place, message });
    }

    fn written<T: Value>(&mut self, setting: Setting, flag_text: Option<&str>) -> Option<(T, Place)> {
        let in_file = self
            .value_in_file(setting)
            .and_then(|value| self.file_value(setting, &value).map(|read| (read, self.place(value.span()))));
        match (setting.flag, flag_text) {
            (Some(flag), Some(text)) => self.flag_value(flag, text).map(|value| (value, Place::Flag(flag))),
            _ => in_file,
        }
    }

    fn flag_value<T: Value>(&mut self, flag: &'static str, text: &str) -> Option<T> {
        let value = T::parse(text);
        if value.is_none() {
            let message = format!("\"{text}\" is not {}", T::wanted());
            self.errors.push(ConfigError { place: Place::Flag(flag), message });
        }
        value
    }

    fn file_list<T: Value>(&mut self, setting: Setting, value: &Spanned<DeValue<'_>>) -> Vec<T> {
        match value.get_ref() {
            DeValue::Array(values) => values.iter().filter_map(|value| self.file_value(setting, value)).collect(),
            // One value needs no brackets.
            _ => self.file_value(setting, value).into_iter().collect(),
        }
    }

    fn file_value<T: Value>(&mut self, setting: Setting, value: &Spanned<DeValue<'_>>) -> Option<T> {
        let directory = self.document.as_ref().map(|document| document.source.directory()).unwrap_or("".as_ref());
        let (kind, text) = match value.get_ref() {
            DeValue::String(text) => (Some(Kind::Text), text.to_string()),
            DeValue::Integer(number) => (Some(Kind::Number), decimal(number.as_str(), number.radix())),
            DeValue::Boolean(switch) => (Some(Kind::Switch), switch.to_string()),
            other => (None, article(other.type_str())),
        };
        let key = setting.key;
        let message = match (kind, T::parse(&text)) {
            (Some(kind), Some(read)) if kind == T::KIND => return Some(read.within(directory)),
            (Some(kind), _) if kind == T::KIND => {
                let quoted = if kind == Kind::Text { format!("\"{text}\"") } else { text };
                format!("{key}: {quoted} is not {}", T::wanted())
            }
            (Some(kind), _) => format!("{key} takes {}, not {}: {}", T::KIND.name(), kind.name(), T::wanted()),
            (None, _) => format!("{key} takes {}, not {text}: {}", T::KIND.name(), T::wanted()),
        };
        let place = self.place(value.span());
        self.errors.push(ConfigError { place, message });
        None
    }

    fn note(&mut self, setting: Setting, value: Option<String>, place: Place) {
        self.effective.push(Effective { setting, value, place });
    }

    fn place(&self, span: std::ops::Range<usize>) -> Place {
        self.document.as_ref().map_or(Place::Default, |document| document.source.place(span))
    }
}

impl<'s> Layers<'s> {
    fn value_in_file(&mut self, setting: Setting) -> Option<Spanned<DeValue<'s>>> {
        self.document.as_mut()?.values.remove(setting.key)
    }
}

/// A TOML integer in decimal, which is how values are parsed. What does not fit stays as it is and fails there.
fn decimal(digits: &str, radix: u32) -> String {
    let digits = digits.replace('_', "");
    i64::from_str_radix(&digits, radix).map_or(digits, |number| number.to_string())
}

fn toml_text<T: Value>(value: &T) -> String {
    match T::KIND {
        Kind::Text => toml::Value::String(value.show()).to_string(),
        Kind::Number | Kind::Switch => value.show(),
    }
}
