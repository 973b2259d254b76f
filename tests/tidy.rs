//! Reads the repository and holds it to its own rules: which module may name which, what the core must not touch, and
//! how a file is laid out. ARCHITECTURE.md draws the same picture; this keeps it true.
//!
//! The rules look at text, not at syntax trees: comments and literals are blanked first, and test code may reach
//! anywhere.

use std::collections::BTreeSet;
use std::fmt;
use std::fs;
use std::path::Path;

/// The modules, and what each may name of the others. A row may name a path inside a module to allow that alone.
const ARROWS: &[(&str, &[&str])] = &[
    ("main", &["cli"]),
    ("cli", &CLI_SEES),
    (
        "daemon",
        &[
            "gossip",
            "serve",
            "files",
            "store",
            "admin",
            "config",
            "decision",
            "metrics",
            "node",
            "answer",
            "replica",
            "membership",
            "zone",
            "published",
            "views",
        ],
    ),
    ("config", &["gossip", "serve", "files", "store", "admin", "zone"]),
    ("metrics", &[]),
    ("account", &[]),
    ("decision", &["zone"]),
    ("views", &["node"]),
    ("published", &["zone"]),
    // `WriteSet` is what the node wants kept: the loop hands it on to the store.
    ("gossip", &["node", "replica::WriteSet", "metrics", "codec", "zone", "published", "views"]),
    ("serve", &["answer", "zone", "metrics", "published"]),
    ("files", &["master", "replica", "node", "zone", "codec", "metrics", "account", "decision"]),
    ("store", &["replica", "zone", "codec", "metrics"]),
    ("admin", &["node", "master", "zone", "metrics", "account", "decision", "published", "views"]),
    ("node", &["membership", "replica", "zone", "codec"]),
    ("membership", &["codec"]),
    ("replica", &["zone", "codec"]),
    ("answer", &["zone"]),
    ("master", &["zone"]),
    ("zone", &[]),
    ("codec", &[]),
];

/// The command line runs the daemon and asks it, checks files, makes keys and prints what it is told of a node. It has no
/// business with the rest of files, of gossip and of the node.
const CLI_SEES: [&str; 20] = [
    "daemon",
    "config",
    "admin",
    "decision",
    "master",
    "zone",
    "files::origin_of",
    "store::Backup",
    "store::BackupError",
    "store::BackupHead",
    "store::BackupZone",
    "store::Snapshot",
    "files::read_text",
    "gossip::ClusterKey",
    "gossip::Keyring",
    "gossip::KeyError",
    "node::View",
    "node::MemberView",
    "node::MemberState",
    "node::ZoneView",
];

/// Modules that are given time, randomness and bytes, and take none themselves.
const CORE: &[&str] = &["zone", "answer", "master", "replica", "membership", "node", "codec"];

/// Names that the core must not utter, and what to do instead.
const IMPURE: &[(&str, &str)] = &[
    ("tokio", "the core has no runtime: return an effect and let the shell act on it"),
    ("UdpSocket", "the core has no sockets: return an effect"),
    ("TcpStream", "the core has no sockets: return an effect"),
    ("TcpListener", "the core has no sockets: return an effect"),
    ("UnixStream", "the core has no sockets: return an effect"),
    ("UnixListener", "the core has no sockets: return an effect"),
    ("std::fs", "the core has no files: take the bytes as an argument"),
    ("std::env", "the core has no environment: take the value as an argument"),
    ("std::thread", "the core has no threads: the shell decides what runs where"),
    ("Instant", "the core has no clock: take `Now` as an argument"),
    ("SystemTime", "the core has no clock: take `Now` as an argument"),
    ("rand::rng", "the core has no global randomness: take a seeded generator as an argument"),
    ("rand::random", "the core has no global randomness: take a seeded generator as an argument"),
    ("thread_rng", "the core has no global randomness: take a seeded generator as an argument"),
    ("OsRng", "the core has no global randomness: take a seeded generator as an argument"),
    ("SysRng", "the core has no global randomness: take a seeded generator as an argument"),
];

/// The one file that may be `unsafe`: system calls in batches.
const UNSAFE_FILE: &str = "src/serve/sys.rs";

/// A file longer than this holds more than one idea. Tests are not counted.
const MAX_LINES: usize = 700;

/// Lines of code, `mod` and `use` not counted, that a `mod.rs` may hold: constants and small types, no logic.
const MAX_MOD_LINES: usize = 60;

/// Names that say nothing about what is inside.
const EMPTY_NAMES: &[&str] = &["util", "utils", "helper", "helpers", "manager", "misc", "common"];

/// Text that must not stand anywhere in the repository, written here in two parts so that this file passes.
const FOREIGN: &[(&str, &str)] = &[("/wo", "rk/"), ("/ro", "ot/"), ("/ho", "me/"), ("co-authored", "-by")];

/// One broken rule: where, and what to do.
#[derive(PartialEq, Eq, Debug)]
struct Complaint {
    file: String,
    line: usize,
    advice: String,
}

impl fmt::Display for Complaint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", self.file, self.line, self.advice)
    }
}

/// A file of the repository, its path relative to the root with `/` between the parts.
struct Source {
    path: String,
    text: String,
}

#[test]
fn the_repository_keeps_its_own_rules() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut sources = Vec::new();
    read_tree(root, "", &mut sources);
    assert!(sources.iter().any(|source| source.path == "src/lib.rs"), "the sources were not found in {root:?}");
    let complaints = check(&sources);
    let list: String = complaints.iter().map(|complaint| format!("\n  {complaint}")).collect();
    assert!(complaints.is_empty(), "{} rules are broken:{list}\n", complaints.len());
}

#[test]
fn the_architecture_page_names_every_module_and_stays_short() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let page = fs::read_to_string(root.join("ARCHITECTURE.md")).expect("ARCHITECTURE.md is readable");
    for (module, _) in ARROWS {
        assert!(page.contains(module), "ARCHITECTURE.md: the map does not show `{module}`; add it");
    }
    assert!(page.lines().count() <= 130, "ARCHITECTURE.md: over two pages; move detail to the modules' own docs");
}

/// Reads every text file below `directory`, but for what git and cargo keep there.
fn read_tree(root: &Path, directory: &str, into: &mut Vec<Source>) {
    let mut entries: Vec<_> = fs::read_dir(root.join(directory))
        .expect("the repository is readable")
        .map(|entry| entry.expect("the repository is readable"))
        .collect();
    entries.sort_by_key(fs::DirEntry::file_name);
    for entry in entries {
        let name = entry.file_name().into_string().expect("file names are UTF-8");
        let path = if directory.is_empty() { name.clone() } else { format!("{directory}/{name}") };
        let kind = entry.file_type().expect("the repository is readable");
        if matches!(name.as_str(), "target" | ".git" | "data") {
            continue;
        }
        if kind.is_dir() {
            read_tree(root, &path, into);
        } else if kind.is_file()
            && let Ok(text) = fs::read_to_string(entry.path())
        {
            into.push(Source { path, text });
        }
    }
}

/// Everything that is wrong with these files.
fn check(sources: &[Source]) -> Vec<Complaint> {
    let test_files = files_of_test_modules(sources);
    let mut complaints = Vec::new();
    for source in sources {
        let mut complain = |line: usize, advice: String| {
            complaints.push(Complaint { file: source.path.clone(), line, advice });
        };
        foreign_text(source, &mut complain);
        if !source.path.ends_with(".rs") {
            continue;
        }
        let code = blank_comments_and_literals(&source.text);
        let is_test = !source.path.starts_with("src/") || test_files.contains(&source.path);
        let product = if is_test { String::new() } else { blank_test_modules(&code) };
        layout(source, &code, &product, &mut complain);
        if let Some(module) = module_of(&source.path) {
            arrows(module, &source.path, &product, &mut complain);
            if CORE.contains(&module) {
                purity(module, &product, &mut complain);
            }
        }
    }
    complaints
}

fn foreign_text(source: &Source, complain: &mut impl FnMut(usize, String)) {
    for (index, line) in source.text.lines().enumerate() {
        let lower = line.to_ascii_lowercase();
        for (start, end) in FOREIGN {
            let word = format!("{start}{end}");
            let whole = lower.match_indices(&word).any(|(at, _)| {
                !lower[..at].ends_with(|before: char| before.is_ascii_alphanumeric() || "._-*}".contains(before))
            });
            if whole {
                complain(index + 1, format!("`{word}` is about a machine or a tool; speak of the project alone"));
            }
        }
    }
}

fn layout(source: &Source, code: &str, product: &str, complain: &mut impl FnMut(usize, String)) {
    if !source.text.starts_with("//!") {
        complain(1, "begin with `//!`: what the file is, and what it must not do".to_owned());
    }
    let length = product.trim_end().lines().count();
    if length > MAX_LINES {
        complain(MAX_LINES, format!("{length} lines; split it by idea, {MAX_LINES} is the limit"));
    }
    for part in source.path.trim_end_matches(".rs").split('/') {
        if EMPTY_NAMES.contains(&part) {
            complain(1, format!("`{part}` says nothing; name the file by what it is about"));
        }
    }
    for (line, _) in find_words(code, "unsafe") {
        if source.path != UNSAFE_FILE {
            complain(line, format!("`unsafe` belongs in {UNSAFE_FILE} alone"));
        }
    }
    for (index, line) in code.lines().enumerate() {
        let dense: String = line.chars().filter(|c| !c.is_whitespace()).collect();
        if dense.contains("#[allow(") || dense.contains("#![allow(") {
            complain(index + 1, "use `#[expect(lint, reason = \"…\")]`, which goes stale loudly".to_owned());
        }
    }
    if source.path.ends_with("/mod.rs") {
        let body = product.lines().filter(|line| !line.trim().is_empty()).count() - module_lines(product);
        if body > MAX_MOD_LINES {
            let advice = format!(
                "{body} lines of code; a mod.rs holds docs, `mod` and `pub use`: move the rest to files named after it"
            );
            complain(1, advice);
        }
    }
}

/// How many lines of a `mod.rs` are `mod` and `use`.
fn module_lines(code: &str) -> usize {
    let mut inside = false;
    let mut count = 0;
    for line in code.lines().map(str::trim).filter(|line| !line.is_empty()) {
        let words: Vec<&str> = line.split(|c: char| !(c.is_alphanumeric() || c == '_')).collect();
        inside |= words.iter().take(4).any(|word| matches!(*word, "mod" | "use")) && !line.contains("fn ");
        count += usize::from(inside);
        inside &= !line.ends_with(';');
    }
    count
}

fn arrows(module: &str, path: &str, product: &str, complain: &mut impl FnMut(usize, String)) {
    let Some((_, allowed)) = ARROWS.iter().find(|(name, _)| *name == module) else {
        if module != "lib" {
            complain(1, format!("module `{module}` has no row in ARROWS of tests/tidy.rs; say what it may import"));
        }
        return;
    };
    for (line, target) in crate_paths(product, module) {
        let first = target.split("::").next().unwrap_or_default();
        let known = ARROWS.iter().any(|(name, _)| *name == first);
        let fits = |entry: &str| target == entry || target.starts_with(&format!("{entry}::"));
        if known && first != module && !allowed.iter().any(|entry| fits(entry)) {
            let may = if allowed.is_empty() { "nothing".to_owned() } else { allowed.join(", ") };
            let advice = format!(
                "`{module}` must not name `{target}`; it may name {may}. Pass a value in, or move the code to where \
                 the arrow exists"
            );
            complain(line, advice);
        }
    }
    for (line, _) in find_words(product, "super::super") {
        complain(line, "write `crate::…` instead of `super::super::…`, so that the arrow shows".to_owned());
    }
    let is_root = path.ends_with("/mod.rs") && path.matches('/').count() == 2 || path.matches('/').count() == 1;
    if is_root {
        for (line, _) in find_words(product, "super") {
            complain(line, "write `crate::…` instead of `super::…` here, so that the arrow shows".to_owned());
        }
    }
}

fn purity(module: &str, product: &str, complain: &mut impl FnMut(usize, String)) {
    for (name, advice) in IMPURE {
        for (line, _) in find_words(product, name) {
            complain(line, format!("`{name}` in core module `{module}`: {advice}"));
        }
    }
    let grouped = [("std", "fs"), ("std", "env"), ("std", "thread"), ("rand", "rng"), ("rand", "random")];
    for (line, path) in use_paths(product) {
        if grouped.iter().any(|(root, item)| path == format!("{root}::{item}") && !product_has(product, line, &path)) {
            complain(line, format!("`{path}` in core module `{module}`: the core takes time, randomness and bytes"));
        }
    }
}

/// Whether a path stands on its line as written, so that another rule has seen it already.
fn product_has(product: &str, line: usize, path: &str) -> bool {
    product.lines().nth(line - 1).is_some_and(|text| text.contains(path))
}

/// The top-level module that a file under `src/` belongs to.
fn module_of(path: &str) -> Option<&str> {
    path.strip_prefix("src/")?.split('/').next().map(|first| first.trim_end_matches(".rs"))
}

/// Every path that starts at the crate's root, with the line it stands on; groups in braces are opened.
fn crate_paths(code: &str, module: &str) -> Vec<(usize, String)> {
    let root = if module == "main" { "grapevine" } else { "crate" };
    find_words(code, root)
        .into_iter()
        .filter_map(|(line, end)| Some((line, code[end..].trim_start().strip_prefix("::")?)))
        .flat_map(|(line, rest)| open_path(rest).into_iter().map(move |path| (line, path)))
        .collect()
}

/// Every path of a `use` declaration, groups opened.
fn use_paths(code: &str) -> Vec<(usize, String)> {
    find_words(code, "use")
        .into_iter()
        .flat_map(|(line, end)| open_path(code[end..].trim_start()).into_iter().map(move |path| (line, path)))
        .collect()
}

/// The paths that `text` starts with: `a::{b, c::d}` is `a::b` and `a::c::d`.
fn open_path(text: &str) -> Vec<String> {
    let text = text.trim_start();
    if let Some(mut rest) = text.strip_prefix('{') {
        let mut paths = Vec::new();
        while let Some(item) = next_group_item(&mut rest) {
            paths.extend(open_path(item));
        }
        return paths;
    }
    let word: String = text.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
    if word.is_empty() {
        return Vec::new();
    }
    match text[word.len()..].trim_start().strip_prefix("::") {
        Some(rest) => {
            let below = open_path(rest);
            if below.is_empty() { vec![word] } else { below.iter().map(|path| format!("{word}::{path}")).collect() }
        }
        None => vec![word],
    }
}

/// Cuts the next item from the inside of a brace group; `None` after its closing brace.
fn next_group_item<'a>(rest: &mut &'a str) -> Option<&'a str> {
    let mut depth = 0;
    for (at, c) in rest.char_indices() {
        match c {
            '{' => depth += 1,
            '}' if depth == 0 => {
                let item = rest[..at].trim();
                *rest = "}";
                return (!item.is_empty()).then_some(item);
            }
            '}' => depth -= 1,
            ',' if depth == 0 => {
                let item = &rest[..at];
                *rest = &rest[at + 1..];
                return Some(item);
            }
            _ => {}
        }
    }
    None
}

/// Each place where `word` stands as a whole: the line, and the offset just behind it.
fn find_words(code: &str, word: &str) -> Vec<(usize, usize)> {
    let is_part = |c: char| c.is_alphanumeric() || c == '_';
    code.match_indices(word)
        .filter(|(at, _)| !code[..*at].ends_with(is_part) && !code[at + word.len()..].starts_with(is_part))
        .map(|(at, _)| (code[..at].matches('\n').count() + 1, at + word.len()))
        .collect()
}

/// Files that exist for tests alone: `tests.rs`, and what a `#[cfg(test)] mod …;` brings in.
fn files_of_test_modules(sources: &[Source]) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for source in sources.iter().filter(|source| source.path.starts_with("src/") && source.path.ends_with(".rs")) {
        let stem = source.path.trim_end_matches(".rs");
        let base = stem.strip_suffix("/mod").or(stem.strip_suffix("/lib")).unwrap_or(stem);
        for name in test_module_names(&blank_comments_and_literals(&source.text)) {
            found.insert(format!("{base}/{name}.rs"));
            let below = format!("{base}/{name}/");
            found.extend(sources.iter().map(|s| s.path.clone()).filter(|path| path.starts_with(&below)));
        }
    }
    found
}

/// The names in `#[cfg(test)] mod name;`.
fn test_module_names(code: &str) -> Vec<String> {
    code.match_indices("#[cfg(test)]")
        .filter_map(|(at, attribute)| {
            let item = &code[at + attribute.len()..];
            let (head, _) = item.split_once(';')?;
            let name = head.trim().rsplit_once("mod ")?.1.trim();
            (!head.contains('{')).then(|| name.to_owned())
        })
        .collect()
}

/// Blanks the bodies of `#[cfg(test)]` items, lines kept.
fn blank_test_modules(code: &str) -> String {
    let mut out = code.to_owned();
    while let Some(start) = out.find("#[cfg(test)]") {
        let end = item_end(&out[start..]).map_or(out.len(), |length| start + length);
        let blank: String = out[start..end].chars().map(|c| if c == '\n' { '\n' } else { ' ' }).collect();
        out.replace_range(start..end, &blank);
    }
    out
}

/// How long the item is that `code` starts with: to its `;`, or to the brace that closes it.
fn item_end(code: &str) -> Option<usize> {
    let mut depth = 0;
    for (at, c) in code.char_indices() {
        match c {
            ';' if depth == 0 => return Some(at + 1),
            '{' => depth += 1,
            '}' if depth == 1 => return Some(at + 1),
            '}' => depth -= 1,
            _ => {}
        }
    }
    None
}

/// Replaces comments and the insides of literals by spaces, so that words in them count for nothing. Lines stay.
fn blank_comments_and_literals(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while !rest.is_empty() {
        let length = comment_or_literal(rest, out.ends_with(|c: char| c.is_alphanumeric() || c == '_'));
        match length {
            Some(length) => {
                out.extend(rest[..length].chars().map(|c| if c == '\n' { '\n' } else { ' ' }));
                rest = &rest[length..];
            }
            None => {
                let c = rest.chars().next().unwrap_or_default();
                out.push(c);
                rest = &rest[c.len_utf8()..];
            }
        }
    }
    out
}

/// How long the comment or literal is that `text` starts with, if it starts with one.
fn comment_or_literal(text: &str, in_word: bool) -> Option<usize> {
    if text.starts_with("//") {
        return Some(text.find('\n').unwrap_or(text.len()));
    }
    if text.starts_with("/*") {
        return Some(block_comment(text));
    }
    if let Some(inside) = text.strip_prefix('"') {
        return Some(1 + closing(inside, '"'));
    }
    if text.starts_with('\'') {
        return char_literal(text);
    }
    let prefix = ["br", "cr", "r"].into_iter().find(|prefix| !in_word && text.starts_with(prefix))?;
    let hashes = text[prefix.len()..].bytes().take_while(|b| *b == b'#').count();
    let body = text[prefix.len() + hashes..].strip_prefix('"')?;
    let end = format!("\"{}", "#".repeat(hashes));
    let start = text.len() - body.len();
    Some(body.find(&end).map_or(text.len(), |at| start + at + end.len()))
}

fn block_comment(text: &str) -> usize {
    let (mut depth, mut at) = (0, 0);
    while at < text.len() {
        if text[at..].starts_with("/*") {
            depth += 1;
            at += 2;
        } else if text[at..].starts_with("*/") {
            depth -= 1;
            at += 2;
            if depth == 0 {
                return at;
            }
        } else {
            at += text[at..].chars().next().map_or(1, char::len_utf8);
        }
    }
    text.len()
}

/// How far it is to just behind the unescaped `quote`.
fn closing(text: &str, quote: char) -> usize {
    let mut escaped = false;
    for (at, c) in text.char_indices() {
        if c == quote && !escaped {
            return at + 1;
        }
        escaped = c == '\\' && !escaped;
    }
    text.len()
}

/// A character literal; `None` for a lifetime.
fn char_literal(text: &str) -> Option<usize> {
    let mut inside = text[1..].chars();
    let first = inside.next()?;
    if first == '\\' {
        return Some(1 + closing(&text[1..], '\''));
    }
    (inside.next()? == '\'').then_some(2 + first.len_utf8())
}

// ---- The rules, proven on snippets that break them ----

fn complaints_about(path: &str, text: &str) -> Vec<String> {
    check(&[Source { path: path.to_owned(), text: text.to_owned() }]).iter().map(Complaint::to_string).collect()
}

#[track_caller]
fn assert_refused(path: &str, text: &str, place: &str, words: &str) {
    let complaints = complaints_about(path, text);
    let start = format!("{path}:{place}: ");
    let hit = complaints.iter().any(|complaint| complaint.starts_with(&start) && complaint.contains(words));
    assert!(hit, "no complaint at {place} with {words:?} among {complaints:#?}");
}

#[track_caller]
fn assert_clean(path: &str, text: &str) {
    assert_eq!(complaints_about(path, text), Vec::<String>::new());
}

#[test]
fn an_arrow_that_is_not_in_the_table_is_refused() {
    assert_refused("src/zone/name.rs", "//! x\nuse crate::replica::Dot;\n", "2", "must not name `replica::Dot`");
    assert_refused("src/serve/udp.rs", "//! x\n\nfn f() { crate::node::go() }\n", "3", "it may name answer, zone");
    assert_refused(
        "src/answer/mod.rs",
        "//! x\nuse crate::{\n    zone::Name,\n    store::{A, B},\n};\n",
        "2",
        "store::A",
    );
    assert_refused("src/main.rs", "//! x\nuse grapevine::gossip;\n", "2", "`main` must not name `gossip`");
    assert_refused("src/cli/status.rs", "//! x\nuse crate::node::{Command, View};\n", "2", "`node::Command`");
    assert_refused("src/cli/keygen.rs", "//! x\nuse crate::gossip::Driver;\n", "2", "gossip::Driver");
    assert_clean("src/cli/status.rs", "//! x\nuse crate::node::View;\nuse crate::cli::Exit;\n");
    assert_clean("src/node/view.rs", "//! x\nuse crate::zone::{Name, ZoneSet};\nuse crate::codec;\n");
}

#[test]
fn an_arrow_cannot_hide_behind_super() {
    assert_refused("src/zone/a/b.rs", "//! x\nuse super::super::super::store;\n", "2", "write `crate::…`");
    assert_refused("src/zone/mod.rs", "//! x\nuse super::store;\n", "2", "write `crate::…`");
    assert_refused("src/codec.rs", "//! x\nuse super::store;\n", "2", "write `crate::…`");
    assert_clean("src/zone/name.rs", "//! x\nuse super::Name;\n");
}

#[test]
fn a_module_without_a_row_is_refused() {
    assert_refused("src/cache.rs", "//! x\n", "1", "no row in ARROWS");
}

#[test]
fn words_in_comments_and_literals_and_tests_count_for_nothing() {
    assert_clean("src/zone/name.rs", "//! See [`crate::replica`]; no unsafe.\n/* crate::store /* tokio */ */\n");
    assert_clean("src/zone/name.rs", "//! x\nconst A: &str = \"tokio \\\" crate::store\";\nconst B: char = '\"';\n");
    assert_clean(
        "src/zone/name.rs",
        "//! x\nconst A: &str = r#\"unsafe \" crate::store\"#;\nfn f<'a>(_: &'a str) {}\n",
    );
    assert_clean("src/zone/name.rs", "//! x\n#[cfg(test)]\nmod tests {\n    use crate::master;\n}\n");
    let after = "//! x\n#[cfg(test)]\nmod tests {\n    use crate::master;\n}\nuse crate::store;\n";
    assert_refused("src/zone/name.rs", after, "6", "store");
}

#[test]
fn files_of_test_modules_may_reach_anywhere() {
    let parent = Source { path: "src/zone/mod.rs".to_owned(), text: "//! x\n#[cfg(test)]\nmod tests;\n".to_owned() };
    let child =
        Source { path: "src/zone/tests.rs".to_owned(), text: "//! x\nuse crate::master;\nuse std::fs;\n".to_owned() };
    assert_eq!(check(&[parent, child]), Vec::new());
}

#[test]
fn the_core_takes_no_time_randomness_or_io_by_itself() {
    assert_refused("src/node/mod.rs", "//! x\nuse std::time::Instant;\n", "2", "take `Now`");
    assert_refused("src/replica/hlc.rs", "//! x\nfn f() { std::time::SystemTime::now(); }\n", "2", "no clock");
    assert_refused("src/membership/swim.rs", "//! x\nfn f() { rand::rng(); }\n", "2", "seeded generator");
    assert_refused("src/membership/swim.rs", "//! x\nuse rand::{Rng, rng};\n", "2", "rand::rng");
    assert_refused("src/master/include.rs", "//! x\nuse std::{fmt, fs};\n", "2", "std::fs");
    assert_refused("src/master/include.rs", "//! x\nfn f() { std::fs::read(p); }\n", "2", "no files");
    assert_refused("src/node/mod.rs", "//! x\nuse std::net::{SocketAddr, UdpSocket};\n", "2", "no sockets");
    assert_refused("src/node/mod.rs", "//! x\nuse tokio::sync::mpsc;\n", "2", "no runtime");
    assert_clean(
        "src/node/mod.rs",
        "//! x\nuse std::net::SocketAddr;\nuse std::time::Duration;\nuse rand::SeedableRng;\n",
    );
    assert_clean("src/gossip/driver.rs", "//! x\nuse tokio::net::UdpSocket;\nuse std::time::Instant;\n");
}

#[test]
fn the_layout_of_files_is_kept() {
    assert_refused("src/zone/name.rs", "use std::fmt;\n", "1", "begin with `//!`");
    assert_refused("tests/dns.rs", "// x\n", "1", "begin with `//!`");
    assert_refused("src/zone/util.rs", "//! x\n", "1", "says nothing");
    assert_refused("src/serve/udp.rs", "//! x\nfn f() { unsafe { g() } }\n", "2", "src/serve/sys.rs alone");
    assert_refused("src/serve/udp.rs", "//! x\n#[allow(dead_code)]\nfn f() {}\n", "2", "#[expect(");
    assert_refused("tests/dns.rs", "//! x\n#![allow(unused)]\n", "2", "#[expect(");
    assert_clean(UNSAFE_FILE, "//! x\n#![expect(unsafe_code, reason = \"calls\")]\nfn f() { unsafe { g() } }\n");
    let long = format!("//! x\n{}", "fn f() {}\n".repeat(MAX_LINES));
    assert_refused("src/zone/name.rs", &long, &MAX_LINES.to_string(), "701 lines");
    let tested = format!("//! x\n#[cfg(test)]\nmod tests {{\n{}}}\n", "fn f() {}\n".repeat(MAX_LINES));
    assert_clean("src/zone/name.rs", &tested);
    let logic =
        format!("//! x\nmod a;\npub use a::{{\n    A,\n    B,\n}};\n{}", "fn f() {}\n".repeat(MAX_MOD_LINES + 1));
    assert_refused("src/zone/mod.rs", &logic, "1", "61 lines of code");
}

#[test]
fn the_text_speaks_of_the_project_alone() {
    let path = FOREIGN[0].0.to_owned() + FOREIGN[0].1;
    assert_refused("README.md", &format!("# Hello\n\nrun `{path}main/x`\n"), "3", "about a machine");
    assert_clean("README.md", &format!("see net{path}x\n"));
}
