//! Patching: only the lines concerned change, and the result reads back as what was wanted.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;
use crate::master::{parse_rdata, render};
use crate::zone::ZoneContent;

const MAIN: &str = "zones/example.zone";

fn origin() -> Name {
    "example.".parse().expect("a name")
}

fn read_all(files: &BTreeMap<String, String>) -> ZoneFile {
    let mut include =
        |path: &str| files.get(path).map(|text| text.clone().into_bytes()).ok_or_else(|| "not found".to_owned());
    ZoneFile::parse(MAIN, files[MAIN].as_bytes(), &origin(), &mut include).unwrap_or_else(|diagnostics| {
        let lines: Vec<String> = diagnostics.iter().map(|d| d.with_source()).collect();
        panic!("{}\n{}", lines.join("\n"), files[MAIN]);
    })
}

fn files(texts: &[(&str, &str)]) -> BTreeMap<String, String> {
    texts.iter().map(|(path, text)| ((*path).to_owned(), (*text).to_owned())).collect()
}

fn one(text: &str) -> BTreeMap<String, String> {
    files(&[(MAIN, text)])
}

/// The record that a line states, names relative to the zone.
fn record(line: &str) -> Record {
    let mut words = line.splitn(4, ' ');
    let mut word = || words.next().expect("owner, TTL, type and data");
    let (owner, ttl, rtype, rdata) = (word(), word(), word(), word());
    let rtype = rtype.parse().expect("a type");
    let owner = Name::parse(owner.as_bytes(), Some(&origin())).expect("an owner");
    let rdata = parse_rdata(rtype, rdata, &origin()).expect("data");
    Record { owner, rtype, ttl: ttl.parse().expect("a TTL"), rdata }
}

fn remove(content: &mut ZoneContent, line: &str) {
    let gone = record(line);
    let key = (gone.owner, gone.rtype);
    let rrset = content.rrsets.get_mut(&key).expect("the RRset is there");
    assert!(rrset.rdatas.remove(&gone.rdata), "{line}");
    if rrset.rdatas.is_empty() {
        content.rrsets.remove(&key);
    }
}

/// Patches the files to a content and checks the law: read again they say that content, and a further patch changes
/// nothing.
fn patched(files: &BTreeMap<String, String>, edit: impl FnOnce(&mut ZoneContent)) -> BTreeMap<String, String> {
    let file = read_all(files);
    let mut target = file.content().clone();
    edit(&mut target);
    let mut new = files.clone();
    for (path, text) in file.patch(&Zone::from_content(&target), file.marker()) {
        let text = String::from_utf8(text).expect("the test's texts are UTF-8");
        assert_ne!(new.insert(path, text.clone()), Some(text));
    }
    let again = read_all(&new);
    assert_eq!(again.content(), &target, "{}", new[MAIN]);
    assert!(again.patch(&Zone::from_content(&target), again.marker()).is_empty());
    new
}

fn main_of(files: &BTreeMap<String, String>) -> &str {
    &files[MAIN]
}

const ZONE: &str = "\
$TTL 1h ; an hour
@   IN SOA ns hm (
        7          ; serial
        1h 15m     ; refresh, retry
        1w 60 )
    IN NS  ns.else.
; the hosts
ns      A   192.0.2.1   ; first
        A   192.0.2.2
        AAAA 2001:db8::1
www 300 A   192.0.2.3
mail    MX  10 (
            ns ) ; in parentheses
";

#[test]
fn an_unedited_file_is_not_touched() {
    let file = read_all(&one(ZONE));
    assert!(file.patch(file.zone(), None).is_empty());
}

#[test]
fn a_repeated_soa_under_another_ttl_is_not_touched_unless_it_is_edited() {
    let zone = "$TTL 60\n@ SOA ns hm 1 2 3 4 5\n@ NS ns.else.\n$TTL 30\n@ SOA ns hm 1 2 3 4 5\nx A 192.0.2.1\n";
    let file = read_all(&one(zone));
    assert!(file.patch(file.zone(), None).is_empty());
    let new = patched(&one(zone), |content| content.soa.ttl = 90);
    assert!(read_all(&new).patch(read_all(&new).zone(), None).is_empty());
    assert_eq!(read_all(&new).content().soa.ttl, 90);
}

#[test]
fn the_serial_changes_in_its_column_and_comments_stay() {
    let new = patched(&one(ZONE), |content| content.soa.serial = 12345);
    assert_eq!(main_of(&new), ZONE.replace("7          ; serial", "12345      ; serial"));
    let new = patched(&one(ZONE), |content| (content.soa.retry, content.soa.minimum) = (901, 61));
    assert_eq!(main_of(&new), ZONE.replace("1h 15m     ;", "1h 901     ;").replace("1w 60 )", "1w 61 )"));
}

#[test]
fn an_owner_moves_to_the_next_entry_when_its_line_goes() {
    let new = patched(&one(ZONE), |content| remove(content, "ns 0 A 192.0.2.1"));
    let expected = ZONE.replace("ns      A   192.0.2.1   ; first\n        A ", "ns      A ");
    assert_eq!(main_of(&new), expected);
}

#[test]
fn a_changed_record_keeps_its_line() {
    let new = patched(&one(ZONE), |content| {
        remove(content, "ns 0 A 192.0.2.1");
        content.add(record("ns 3600 A 192.0.2.9"));
    });
    assert_eq!(main_of(&new), ZONE.replace("192.0.2.1 ", "192.0.2.9 "));
    let new = patched(&one(ZONE), |content| {
        remove(content, "mail 0 MX 10 ns");
        content.add(record("mail 3600 MX 20 www"));
    });
    assert_eq!(main_of(&new), ZONE.replace("MX  10 (\n            ns ) ; in parentheses", "MX  20 www"));
}

#[test]
fn a_new_record_stands_beside_its_owner_and_looks_alike() {
    let new = patched(&one(ZONE), |content| {
        content.add(record("ns 3600 A 192.0.2.7"));
        content.add(record("www 300 TXT \"hello\""));
        content.add(record("new 60 A 192.0.2.8"));
    });
    let expected = ZONE
        .replace("        A   192.0.2.2\n", "        A   192.0.2.2\n        A   192.0.2.7\n")
        .replace("www 300 A   192.0.2.3\n", "www 300 A   192.0.2.3\nwww 300 TXT \"hello\"\n")
        + "new     60 A   192.0.2.8\n";
    assert_eq!(main_of(&new), expected);
}

#[test]
fn a_ttl_changes_where_it_stands_or_is_put_there() {
    let new = patched(&one(ZONE), |content| {
        for (key, rrset) in &mut content.rrsets {
            if key.1 == RecordType::A {
                rrset.ttl = 120;
            }
        }
    });
    let expected = ZONE
        .replace("ns      A   192.0.2.1", "ns      120 A   192.0.2.1")
        .replace("        A   192.0.2.2", "        120 A   192.0.2.2")
        .replace("www 300 A", "www 120 A");
    assert_eq!(main_of(&new), expected);
}

#[test]
fn without_dollar_ttl_a_removed_ttl_moves_on() {
    let zone = "@ 60 SOA ns hm 1 2 3 4 5\n@ NS ns.else.\nns 30 A 192.0.2.1\nwww A 192.0.2.2\nftp A 192.0.2.3\n";
    let new = patched(&one(zone), |content| remove(content, "ns 0 A 192.0.2.1"));
    let expected = "@ 60 SOA ns hm 1 2 3 4 5\n@ NS ns.else.\nwww 30 A 192.0.2.2\nftp A 192.0.2.3\n";
    assert_eq!(main_of(&new), expected);
}

#[test]
fn a_generate_line_becomes_the_records_that_stay() {
    let zone = "$TTL 60\n@ SOA ns hm 1 2 3 4 5\n@ NS ns.else.\n$GENERATE 1-3 h$ A 192.0.2.$ ; some\nx A 192.0.2.9\n";
    let new = patched(&one(zone), |content| remove(content, "h2 0 A 192.0.2.2"));
    let expected = zone.replace("$GENERATE 1-3 h$ A 192.0.2.$ ; some\n", "h1 IN A 192.0.2.1\nh3 IN A 192.0.2.3\n");
    assert_eq!(main_of(&new), expected);
}

#[test]
fn a_record_of_an_included_file_is_changed_there() {
    let main = "$TTL 60\n@ SOA ns hm 1 2 3 4 5\n@ NS ns.else.\n$INCLUDE hosts sub\nlast A 192.0.2.9\n";
    let hosts = "a A 192.0.2.1\n$INCLUDE /abs/more\n";
    let all = files(&[(MAIN, main), ("zones/hosts", hosts), ("/abs/more", "b A 192.0.2.2\n  AAAA ::1")]);
    let new = patched(&all, |content| {
        remove(content, "a.sub 0 A 192.0.2.1");
        remove(content, "b.sub 0 A 192.0.2.2");
        content.add(record("b.sub 60 TXT x"));
    });
    assert_eq!(main_of(&new), main);
    assert_eq!(new["zones/hosts"], "$INCLUDE /abs/more\n");
    assert_eq!(new["/abs/more"], "b AAAA ::1\n  TXT  \"x\"\n");
}

#[test]
fn a_file_included_twice_is_written_out_where_one_use_differs() {
    let main = "$TTL 60\n@ SOA ns hm 1 2 3 4 5\n@ NS ns.else.\n$INCLUDE hosts a\n$INCLUDE hosts b\n  TXT last\n";
    let all = files(&[(MAIN, main), ("zones/hosts", "x A 192.0.2.1\ny A 192.0.2.2\n")]);
    let new = patched(&all, |content| remove(content, "x.b 0 A 192.0.2.1"));
    assert_eq!(main_of(&new), main.replace("$INCLUDE hosts b\n ", "y.b.example. 60 IN A 192.0.2.2\n@"));
    assert_eq!(new["zones/hosts"], all["zones/hosts"]);
}

#[test]
fn two_spellings_of_a_record_are_one_and_go_together() {
    let zone = "$TTL 60\n@ SOA ns hm 1 2 3 4 5\n@ NS ns.else.\nm MX 10 Ns\nm MX 10 ns\n";
    let file = read_all(&one(zone));
    assert_eq!(file.content().record_count(), 3);
    assert_eq!(file.warnings().iter().filter(|found| found.line == 5).count(), 1);
    let new = patched(&one(zone), |content| remove(content, "m 0 MX 10 Ns"));
    assert_eq!(main_of(&new), "$TTL 60\n@ SOA ns hm 1 2 3 4 5\n@ NS ns.else.\n");
    let new = patched(&one(zone), |content| {
        remove(content, "m 0 MX 10 Ns");
        content.add(record("m 60 MX 10 ns"));
    });
    assert_eq!(read_all(&new).content().record_count(), 3);
}

#[test]
fn records_outside_the_zone_are_left_out_and_left_alone() {
    let zone = "@ 60 SOA ns hm 1 2 3 4 5\n@ NS ns.else.\nx.test. 30 A 192.0.2.1\n  TXT out\na A 192.0.2.2\n";
    let file = read_all(&one(zone));
    assert_eq!((file.content().record_count(), file.warnings().len()), (3, 1));
    let new = patched(&one(zone), |content| content.soa.serial = 2);
    assert_eq!(main_of(&new), zone.replace("hm 1 2", "hm 2 2"));
}

#[test]
fn the_marker_is_put_first_replaced_and_taken_out() {
    let marker = |serial| Some(Marker { serial, version: [1; 8] });
    let file = read_all(&one(ZONE));
    let text = |patched: Vec<(String, Vec<u8>)>| String::from_utf8(patched[0].1.clone()).expect("UTF-8");
    let first = text(file.patch(file.zone(), marker(7)));
    assert_eq!(first, format!("; grapevine: 7 0101010101010101\n{ZONE}"));
    let file = read_all(&one(&first));
    assert_eq!(file.marker(), marker(7));
    assert!(file.patch(file.zone(), marker(7)).is_empty());
    let second = text(file.patch(file.zone(), marker(8)));
    assert_eq!(second, format!("; grapevine: 8 0101010101010101\n{ZONE}"));
    let file = read_all(&one(&second));
    assert_eq!(file.patch(file.zone(), None), [(MAIN.to_owned(), ZONE.as_bytes().to_vec())]);
}

#[test]
fn line_ends_of_dos_and_a_missing_last_one_are_kept() {
    let zone = "$TTL 60\r\n@ SOA ns hm 1 2 3 4 5\r\n@ NS ns\r\nns A 192.0.2.1";
    let new = patched(&one(zone), |content| {
        content.add(record("ns 60 A 192.0.2.2"));
        content.add(record("zz 60 A 192.0.2.2"));
    });
    assert_eq!(main_of(&new), format!("{zone}\r\nns A 192.0.2.2\r\nzz A 192.0.2.2\r\n"));
}

#[test]
fn a_marker_inside_an_entry_is_none() {
    let zone = "$TTL 60\n@ SOA ns hm 1 2 3 4 5\n@ NS ns.else.\na TXT (\n; grapevine: 1 0000000000000000\n x )\n";
    let file = read_all(&one(zone));
    assert_eq!(file.marker(), None);
    let mut target = file.content().clone();
    remove(&mut target, "a 0 TXT x");
    let marker = Some(Marker { serial: 2, version: [0; 8] });
    let text = String::from_utf8(file.patch(&Zone::from_content(&target), marker).remove(0).1).expect("UTF-8");
    assert_eq!(text, "; grapevine: 2 0000000000000000\n$TTL 60\n@ SOA ns hm 1 2 3 4 5\n@ NS ns.else.\n");
}

/// Lines of a zone in the ways that people write them; the first states an owner.
fn zone_text() -> impl Strategy<Value = BTreeMap<String, String>> {
    let owner = prop::sample::select(vec!["@", "a", "b", "\\097", "c.d", "e.example.", " ", "\t", "    "]);
    let ttl = prop_oneof![Just(""), Just("60 "), Just("1h "), Just("120\t")];
    let class = prop_oneof![Just(""), Just("IN "), Just("in\t")];
    let data = prop_oneof![
        "A   192\\.0\\.2\\.[1-4]",
        "TXT \"[ab] c\" d",
        "TXT \\( \"x\" ; comment\n   y \\)",
        "MX 10 [abc]",
        "MX \\(10 D\\)",
        "AAAA \\(\n  2001:db8::[1-3]\n\\)",
        "TYPE65280 \\\\# 2 0a0[1-3]",
    ];
    let comment = prop_oneof![Just(""), Just(" ; said"), Just("\t;x"), Just("\r")];
    let line = prop_oneof![
        12 => (owner, ttl, class, data, comment).prop_map(|(owner, ttl, class, data, comment)| {
            format!("{owner} {ttl}{class}{data}{comment}\n")
        }),
        1 => Just("$GENERATE 1-3 g$ A 192.0.2.$\n".to_owned()),
        1 => Just("$GENERATE 1-2 g$ 60 TXT \"some $\"\n".to_owned()),
        1 => Just("$ORIGIN sub\n".to_owned()),
        1 => Just("$ORIGIN example.\n".to_owned()),
        1 => Just("$TTL 2m\n".to_owned()),
        1 => Just("\n; a comment\n\n".to_owned()),
        1 => Just("$INCLUDE one\n".to_owned()),
        1 => Just("$INCLUDE one inc\n".to_owned()),
        1 => Just("$INCLUDE two\n".to_owned()),
    ];
    let lines = prop::collection::vec(line, 0..14);
    let heads = prop_oneof![Just("$TTL 1h\n"), Just(""), Just("\u{feff}; grapevine: 3 00112233aabbccdd\n")];
    (
        heads,
        lines,
        prop::collection::vec("[xyz] A 192\\.0\\.2\\.[5-7]\n| TXT inner\n|w 5 A 192.0.2.9\n", 0..4),
        any::<bool>(),
    )
        .prop_map(|(head, lines, included, ends)| {
            let mut main = format!("{head}@ SOA a b ( 1 2 3\n 4 5 )\n NS a.else.\n{}", lines.concat());
            if !ends {
                main.truncate(main.trim_end().len());
            }
            let one = included.concat();
            files(&[(MAIN, &main), ("zones/one", &one), ("zones/two", "q TXT two\n$INCLUDE one q\n$TTL 77\n")])
        })
}

/// One edit; the number chooses what it is made to.
#[derive(Clone, Debug)]
enum Edit {
    Remove(usize),
    Ttl(usize, u32),
    Soa(u32),
    Add(String),
}

fn edits() -> impl Strategy<Value = Vec<Edit>> {
    let edit = prop_oneof![
        4 => any::<usize>().prop_map(Edit::Remove),
        2 => (any::<usize>(), prop_oneof![Just(60u32), Just(7)]).prop_map(|(at, ttl)| Edit::Ttl(at, ttl)),
        1 => any::<u32>().prop_map(Edit::Soa),
        4 => "(@|a|b|c\\.d|new|g2|x\\.inc|q|sub) (60|3600|9) (A 192\\.0\\.2\\.[1-9]|TXT \"[ab] c\" \"d\"|MX 10 [abc])".prop_map(Edit::Add),
    ];
    prop::collection::vec(edit, 0..8)
}

fn apply(content: &mut ZoneContent, edits: &[Edit]) {
    for edit in edits {
        match edit {
            Edit::Remove(at) if !content.rrsets.is_empty() => {
                let key = content.rrsets.keys().nth(at % content.rrsets.len()).expect("within the length").clone();
                let rrset = content.rrsets.get_mut(&key).expect("it is there");
                let nth = rrset.rdatas.iter().nth(at / 7 % rrset.rdatas.len()).expect("within the length").clone();
                // The zone keeps its apex NS, so that it still loads.
                if key.1 != RecordType::NS {
                    rrset.rdatas.remove(&nth);
                }
                if rrset.rdatas.is_empty() {
                    content.rrsets.remove(&key);
                }
            }
            Edit::Remove(_) => {}
            Edit::Ttl(at, ttl) => {
                if let Some(rrset) = content.rrsets.values_mut().nth(at % 5) {
                    rrset.ttl = *ttl;
                }
            }
            Edit::Soa(value) => {
                (content.soa.serial, content.soa.minimum) = (*value, value % 5);
                content.soa.ttl = if value % 2 == 0 { content.soa.ttl } else { value % 11 };
            }
            Edit::Add(line) => {
                content.add(record(line));
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    #[test]
    fn a_patched_file_says_what_was_wanted(files in zone_text(), edits in edits()) {
        // Not every mixture loads: without $TTL a record may have none.
        let mut include = |path: &str| files.get(path).map(|text| text.clone().into_bytes()).ok_or_else(|| "not found".to_owned());
        prop_assume!(ZoneFile::parse(MAIN, files[MAIN].as_bytes(), &origin(), &mut include).is_ok());
        patched(&files, |content| apply(content, &edits));
        patched(&files, |_| ());
    }

    #[test]
    fn lines_of_other_owners_stay_as_they_are(edits in edits()) {
        let new = patched(&one(ZONE), |content| apply(content, &edits));
        let text = main_of(&new);
        for line in ["$TTL 1h ; an hour\n", "; the hosts\n", "    IN NS  ns.else.\n", "; serial\n"] {
            prop_assert!(text.contains(line) || edits.iter().any(|edit| matches!(edit, Edit::Ttl(..))), "{}", text);
        }
    }

    #[test]
    fn a_rendered_zone_reads_back(files in zone_text(), edits in edits()) {
        let mut include = |path: &str| files.get(path).map(|text| text.clone().into_bytes()).ok_or_else(|| "not found".to_owned());
        let parsed = ZoneFile::parse(MAIN, files[MAIN].as_bytes(), &origin(), &mut include);
        prop_assume!(parsed.is_ok());
        let mut content = parsed.expect("assumed").content().clone();
        apply(&mut content, &edits);
        let marker = Some(Marker { serial: content.soa.serial, version: *b"abcdefgh" });
        let text = render(&Zone::from_content(&content), marker);
        let again = read_all(&one(&String::from_utf8(text).expect("UTF-8")));
        prop_assert_eq!(again.content(), &content);
        prop_assert_eq!(again.marker(), marker);
    }

    #[test]
    fn no_bytes_make_the_reader_panic(text in prop::collection::vec(any::<u8>(), 0..300)) {
        let mut include = |_: &str| Err("none".to_owned());
        drop(ZoneFile::parse(MAIN, &text, &origin(), &mut include));
    }

    #[test]
    fn no_mixture_of_tokens_makes_the_reader_panic(
        words in prop::collection::vec("[@a$ \t\n\"();\\\\]|A|\\$TTL|\\$INCLUDE|\\$GENERATE|1-3|\\$\\{1,2|SVCB|alpn=|LOC|[0-9]{1,3}|IN|\\\\#|SOA|NAPTR|APL|1:|/|!", 0..60)
    ) {
        let mut include = |_: &str| Ok(b"x A 192.0.2.1\n".to_vec());
        drop(ZoneFile::parse(MAIN, words.concat().as_bytes(), &origin(), &mut include));
    }
}
