//! The configuration file: found, read, and taken apart into settings with their places.

use std::collections::BTreeMap;
use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::{ConfigError, Place, SETTINGS};

/// A file as it was read.
#[derive(Debug)]
pub(super) struct Source {
    pub path: PathBuf,
    pub text: String,
}

/// The settings of a file by key, and what is wrong with the rest of it.
#[derive(Debug)]
pub(super) struct Document<'s> {
    pub source: &'s Source,
    pub values: BTreeMap<String, Spanned<DeValue<'s>>>,
    pub errors: Vec<ConfigError>,
}

impl Source {
    /// Reads the file that was asked for, which must be there, or else the first of the usual ones that is.
    pub(super) fn find(wanted: Option<&Path>, usual: &[&Path]) -> Result<Option<Source>, ConfigError> {
        let candidates = wanted.map_or(usual.to_vec(), |path| vec![path]);
        for path in candidates {
            match std::fs::read_to_string(path) {
                Ok(text) => return Ok(Some(Source { path: path.to_owned(), text })),
                Err(error) if error.kind() == io::ErrorKind::NotFound && wanted.is_none() => {}
                Err(error) => {
                    let place = Place::Flag("--config");
                    let message = format!("cannot read {}: {error}", path.display());
                    return Err(ConfigError { place, message });
                }
            }
        }
        Ok(None)
    }

    /// Takes the file apart. Goes on after errors, so as to find all of them.
    pub(super) fn parse(&self) -> Document<'_> {
        let (root, syntax) = DeTable::parse_recoverable(&self.text);
        let mut document = Document { source: self, values: BTreeMap::new(), errors: Vec::new() };
        document.read_table("", root.into_inner());
        let broken: Vec<ConfigError> = syntax
            .iter()
            .map(|error| ConfigError {
                place: self.place(error.span().unwrap_or_default()),
                message: error.message().to_owned(),
            })
            .collect();
        // What is left of a broken line means nothing: one error for it is enough.
        document.errors.retain(|error| !broken.iter().any(|broken| same_line(&broken.place, &error.place)));
        document.values.retain(|_, value| {
            let place = self.place(value.span());
            !broken.iter().any(|broken| same_line(&broken.place, &place))
        });
        document.errors.extend(broken);
        document
    }

    /// Line and column of a stretch of bytes.
    pub(super) fn place(&self, span: Range<usize>) -> Place {
        let before = self.text.get(..span.start).unwrap_or(&self.text);
        let start = before.rfind('\n').map_or(0, |at| at + 1);
        let line = 1 + before.bytes().filter(|&byte| byte == b'\n').count();
        Place::File { path: self.path.clone(), line, column: 1 + before[start..].chars().count() }
    }

    /// The directory that relative paths in the file start from.
    pub(super) fn directory(&self) -> &Path {
        self.path.parent().unwrap_or(Path::new(""))
    }
}

impl<'s> Document<'s> {
    fn read_table(&mut self, prefix: &str, table: DeTable<'s>) {
        for (key, value) in table {
            let span = key.span();
            let path = match prefix {
                "" => key.get_ref().to_string(),
                prefix => format!("{prefix}.{}", key.get_ref()),
            };
            if SETTINGS.iter().any(|setting| setting.key == path) {
                self.values.insert(path, value);
            } else if is_section(&path) {
                let at = value.span();
                match value.into_inner() {
                    DeValue::Table(table) => self.read_table(&path, table),
                    other => {
                        let message = format!("{path} is a section, not {}; write [{path}]", article(other.type_str()));
                        self.errors.push(ConfigError { place: self.source.place(at), message });
                    }
                }
            } else {
                let place = self.source.place(span);
                self.errors.push(ConfigError { place, message: unknown(&path) });
            }
        }
    }
}

fn same_line(a: &Place, b: &Place) -> bool {
    matches!((a, b), (Place::File { line: a, .. }, Place::File { line: b, .. }) if a == b)
}

fn is_section(path: &str) -> bool {
    SETTINGS.iter().any(|setting| setting.key.strip_prefix(path).is_some_and(|rest| rest.starts_with('.')))
}

/// A TOML type with its article.
pub(super) fn article(kind: &str) -> String {
    match kind {
        "array" | "integer" => format!("an {kind}"),
        "boolean" => "true or false".to_owned(),
        kind => format!("a {kind}"),
    }
}

/// Says that there is no such setting, and which one may have been meant.
fn unknown(path: &str) -> String {
    let last = |key: &str| key.rsplit('.').next().unwrap_or(key).to_owned();
    let (_, best) = SETTINGS
        .iter()
        .map(|setting| {
            let whole = distance(path, setting.key);
            // The right name in the wrong section is one step away, whatever the section's name.
            let part = 1 + distance(&last(path), &last(setting.key));
            (whole.min(part), setting.key)
        })
        .min()
        .expect("there are settings");
    let (section, _) = path.rsplit_once('.').unwrap_or_default();
    let siblings: Vec<String> = SETTINGS
        .iter()
        .filter(|setting| setting.key.rsplit_once('.').unwrap_or_default().0 == section)
        .map(|setting| last(setting.key))
        .collect();
    if distance(&last(path), &last(best)) <= 2 {
        format!("there is no setting {path}; did you mean {best}?")
    } else if siblings.is_empty() || section.is_empty() {
        format!("there is no setting {path}; `grapevine config` lists those that there are")
    } else {
        format!("there is no setting {path}; [{section}] has {}", siblings.join(", "))
    }
}

/// How many letters must be put in, taken out or changed (Levenshtein).
fn distance(a: &str, b: &str) -> usize {
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.bytes().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, y) in b.bytes().enumerate() {
            let change = diagonal + usize::from(x != y && !(b"-_".contains(&x) && b"-_".contains(&y)));
            diagonal = row[j + 1];
            row[j + 1] = change.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}
