//! Rdata as text: every type is read, written, and read back the same.

use super::*;

fn origin() -> Name {
    "example.".parse().expect("a name")
}

fn rtype(text: &str) -> RecordType {
    text.parse().expect("a record type")
}

/// Text, and the text that it is written back as.
const GOOD: &[(&str, &str, &str)] = &[
    ("A", "192.0.2.1", "192.0.2.1"),
    ("AAAA", "2001:DB8:0::1", "2001:db8::1"),
    ("NS", "ns", "ns.example."),
    ("CNAME", "@", "example."),
    ("MX", "10 Mail.Example.", "10 Mail.Example."),
    ("SOA", "ns hm 1 1h 15m 1w 60", "ns.example. hm.example. 1 3600 900 604800 60"),
    ("TXT", r#"a "b c" d\065\"e"#, r#""a" "b c" "dA\"e""#),
    ("TXT", "\"\u{e4}\"", r#""\195\164""#),
    ("HINFO", "PC Linux", r#""PC" "Linux""#),
    ("ISDN", "150862028003217", r#""150862028003217""#),
    ("ISDN", "1508 004", r#""1508" "004""#),
    ("SRV", "0 5 5060 sip", "0 5 5060 sip.example."),
    ("NAPTR", r#"100 10 "u" "E2U+sip" "!^.*$!sip:a@b!" ."#, r#"100 10 "u" "E2U+sip" "!^.*$!sip:a@b!" ."#),
    ("CAA", r#"0 issue "ca.example; x=y""#, r#"0 issue "ca.example; x=y""#),
    ("CAA", r#"128 iodef """#, r#"128 iodef """#),
    ("SSHFP", "4 2 123456789ABCDEF6 7890", "4 2 123456789ABCDEF67890"),
    ("TLSA", "3 1 1 d2abde24", "3 1 1 D2ABDE24"),
    ("DS", "60485 RSASHA256 2 2BB183AF", "60485 8 2 2BB183AF"),
    ("DNSKEY", "257 3 ECDSAP256SHA256 AQ ID BA==", "257 3 13 AQIDBA=="),
    ("CDNSKEY", "0 3 0 AA==", "0 3 0 AA=="),
    ("KEY", r"\# 4 c0000300", r"\# 4 c0000300"),
    ("DNSKEY", r"\# 4 01000308", r"\# 4 01000308"),
    (
        "RRSIG",
        "A 5 3 86400 20030322173103 20030220173103 2642 example. AAAA",
        "A 5 3 86400 20030322173103 20030220173103 2642 example. AAAA",
    ),
    ("NSEC", "host A MX RRSIG NSEC TYPE1234", "host.example. A MX RRSIG NSEC TYPE1234"),
    ("NSEC", "host", "host.example."),
    (
        "NSEC3",
        "1 1 12 aabbccdd 2vptu5timamqttgl4luu9kg21e0aor3s A RRSIG",
        "1 1 12 AABBCCDD 2VPTU5TIMAMQTTGL4LUU9KG21E0AOR3S A RRSIG",
    ),
    ("NSEC3PARAM", "1 0 0 -", "1 0 0 -"),
    ("LOC", "42 21 54 N 71 06 18 W -24m 30m", "42 21 54.000 N 71 6 18.000 W -24.00m 30m 10000m 10m"),
    ("LOC", "52 N 0 0 0.001 E 0.5m 0.10m 20m 0m", "52 0 0.000 N 0 0 0.001 E 0.50m 0.10m 20m 0m"),
    ("APL", "1:192.0.2.0/24 !2:2001:db8::/32 1:0.0.0.0/0", "1:192.0.2.0/24 !2:2001:db8::/32 1:0.0.0.0/0"),
    ("APL", "", ""),
    ("CERT", "PGP 0 0 AAAA", "PGP 0 0 AAAA"),
    ("CERT", "65000 1 RSASHA1 AAAA", "65000 1 5 AAAA"),
    ("IPSECKEY", "10 1 2 192.0.2.38 AQNRU3mG", "10 1 2 192.0.2.38 AQNRU3mG"),
    ("IPSECKEY", "10 0 2 . AQNRU3mG", "10 0 2 . AQNRU3mG"),
    ("IPSECKEY", "10 3 2 gw AQNRU3mG", "10 3 2 gw.example. AQNRU3mG"),
    ("IPSECKEY", "10 2 0 2001:db8::1", "10 2 0 2001:db8::1"),
    ("AMTRELAY", "10 0 0 .", "10 0 0 ."),
    ("AMTRELAY", "10 1 3 relay", "10 1 3 relay.example."),
    (
        "HIP",
        "2 200100107B1A74DF365639CC39F1D578 AwEAAQ== rvs1 rvs2",
        "2 200100107B1A74DF365639CC39F1D578 AwEAAQ== rvs1.example. rvs2.example.",
    ),
    ("SVCB", "0 svc", "0 svc.example."),
    ("SVCB", "1 .", "1 ."),
    (
        "HTTPS",
        r#"1 . port=8443 alpn="h2,h3" ipv4hint=192.0.2.1,192.0.2.2"#,
        r#"1 . alpn="h2,h3" port=8443 ipv4hint=192.0.2.1,192.0.2.2"#,
    ),
    ("SVCB", r"16 foo alpn=f\\\092oo\092,bar,h2", r#"16 foo.example. alpn="f\\\\oo\\,bar,h2""#),
    ("SVCB", r#"16 foo alpn="f\\\\oo\\,bar,h2""#, r#"16 foo.example. alpn="f\\\\oo\\,bar,h2""#),
    (
        "SVCB",
        "1 foo mandatory=ipv4hint,alpn ipv4hint=192.0.2.1 alpn=h2",
        r#"1 foo.example. mandatory=alpn,ipv4hint alpn="h2" ipv4hint=192.0.2.1"#,
    ),
    ("SVCB", "1 foo ipv6hint=2001:db8::1,2001:db8::53:1", "1 foo.example. ipv6hint=2001:db8::1,2001:db8::53:1"),
    ("SVCB", "1 foo alpn=h2 no-default-alpn", r#"1 foo.example. alpn="h2" no-default-alpn"#),
    ("SVCB", r#"1 foo key667="hello\210qoo""#, r#"1 foo.example. key667="hello\210qoo""#),
    ("SVCB", "1 foo ech=AEj+DQ==", r#"1 foo.example. ech="AEj+DQ==""#),
    (
        "SVCB",
        "1 foo alpn=dot dohpath=/dns-query{?dns} ohttp",
        r#"1 foo.example. alpn="dot" dohpath="/dns-query{?dns}" ohttp"#,
    ),
    ("SVCB", r#"1 foo key1="\002h2""#, r#"1 foo.example. alpn="h2""#),
    ("DSYNC", "CDS NOTIFY 5359 cds", "CDS 1 5359 cds.example."),
    ("DSYNC", "CDS 1 5359 cds", "CDS 1 5359 cds.example."),
    ("CSYNC", "66 3 A NS AAAA", "66 3 A NS AAAA"),
    ("ZONEMD", "2018031500 1 1 FEBE3D4C", "2018031500 1 1 FEBE3D4C"),
    ("NID", "10 14:4fff:ff20:ee64", "10 0014:4fff:ff20:ee64"),
    ("L32", "10 192.0.2.1", "10 192.0.2.1"),
    ("L64", "10 2001:0DB8:1140:1000", "10 2001:0db8:1140:1000"),
    ("LP", "10 l64", "10 l64.example."),
    ("EUI48", "00-00-5e-00-53-2a", "00-00-5e-00-53-2a"),
    ("EUI64", "00-00-5e-ef-10-00-00-2A", "00-00-5e-ef-10-00-00-2a"),
    ("URI", r#"10 1 "ftp://ftp.example/public""#, r#"10 1 "ftp://ftp.example/public""#),
    ("RP", "admin txt", "admin.example. txt.example."),
    ("NSAP", "0x47.0005.80.005a00", "0x47000580005A00"),
    ("WKS", "192.0.2.1 tcp smtp 80", "192.0.2.1 6 25 80"),
    ("A6", "64 ::1234:5678:1:2 subnet1", "64 ::1234:5678:1:2 subnet1.example."),
    ("A6", "0 2001:db8::1", "0 2001:db8::1"),
    ("NXT", "host A MX NXT", "host.example. A MX NXT"),
    ("EID", "AB cd", "ABCD"),
    ("NIMLOC", "abcd", "ABCD"),
    ("ATMA", "47.0005", "470005"),
    ("ATMA", "+61.2.0000", "+6120000"),
    ("SINK", "1 2 3 AAAA", "1 2 3 AAAA"),
    ("SINK", "1 2 3", "1 2 3"),
    ("NINFO", "a b", r#""a" "b""#),
    ("RKEY", "0 3 8 AwEAAQ==", "0 3 8 AwEAAQ=="),
    ("TALINK", "a .", "a.example. ."),
    ("DOA", r#"0 1 2 "text/plain" AAAA"#, r#"0 1 2 "text/plain" AAAA"#),
    ("DOA", r#"0 1 2 "" -"#, r#"0 1 2 "" -"#),
    ("OPENPGPKEY", "AAAA BBBB", "AAAABBBB"),
    ("DHCID", "AAIBY2/AuCccgoJbsaxcQc9TUapptP69lOjxfNuVAA2kjEA=", "AAIBY2/AuCccgoJbsaxcQc9TUapptP69lOjxfNuVAA2kjEA="),
    ("TYPE65280", r"\# 3 0A0b 0c", r"\# 3 0a0b0c"),
    ("TYPE65280", r"\# 0", r"\# 0"),
    ("A", r"\# 4 C0000201", "192.0.2.1"),
    ("MX", r"\# 5 000a 014100", "10 A."),
];

#[test]
fn every_type_is_read_and_written_in_its_own_form() {
    for &(mnemonic, text, expected) in GOOD {
        let wire = parse_rdata(rtype(mnemonic), text, &origin()).unwrap_or_else(|e| panic!("{mnemonic} {text}: {e}"));
        let written = rdata_to_text(rtype(mnemonic), wire.as_wire());
        assert_eq!(written, expected, "{mnemonic} {text}");
        assert_eq!(parse_rdata(rtype(mnemonic), &written, &origin()), Ok(wire), "{mnemonic} {written}");
    }
}

#[test]
fn bad_rdata_is_refused() {
    for (mnemonic, text) in [
        ("A", ""),
        ("A", "192.0.2"),
        ("A", "192.0.2.256"),
        ("A", "192.0.2.1 x"),
        ("A", r"\# 3 C00002"),
        ("A", r"\# 4 C000"),
        ("AAAA", "2001:db8::1::"),
        ("MX", "mail"),
        ("MX", "65536 mail"),
        ("MX", "10"),
        ("TXT", ""),
        ("CAA", r#"0 is-sue "x""#),
        ("CAA", "256 issue x"),
        ("NAPTR", "1 2 u x y"),
        ("LOC", "91 N 0 E 0m"),
        ("LOC", "1 60 N 0 E 0m"),
        ("SVCB", "1 foo alpn"),
        ("SVCB", "1 foo port=1 port=2"),
        ("SVCB", "1 foo key3=x"),
        ("SVCB", "1 foo alpn=\"h2\"port=1"),
        ("SVCB", "1 foo mandatory=alpn"),
        ("SVCB", "1 foo nonsense=1"),
        ("A", r#""192.0.2.1""#),
        ("NS", r#""ns""#),
        ("PTR", "$x"),
        ("X25", "311"),
        ("NSEC", "x ANY"),
        ("NSEC3", "1 0 0 - 0000 A"),
        ("DS", "1 8 2 xyz"),
        ("DS", "1 8 2"),
        ("DNSKEY", "256 3 8 A"),
        ("DNSKEY", "256 3 8"),
        ("DNSKEY", "256 3 8 AA== AA=="),
        ("TYPE65280", "something"),
        ("CNAME", "a..b"),
        ("CNAME", "a b"),
    ] {
        assert!(parse_rdata(rtype(mnemonic), text, &origin()).is_err(), "{mnemonic} {text}");
    }
    let long = format!("\"{}\"", "x".repeat(256));
    assert!(parse_rdata(RecordType::TXT, &long, &origin()).is_err());
    assert!(parse_rdata(RecordType::A, "192.0.2.1\n192.0.2.2", &origin()).is_err());
}

#[test]
fn an_error_names_the_place() {
    let error = parse_rdata(RecordType::MX, "10x mail", &origin()).expect_err("no number");
    assert_eq!((error.at, error.to_string().as_str()), (0, "this field should be a number from 0 to 65535"));
    assert_eq!(parse_rdata(RecordType::SRV, "0 0 y mail", &origin()).expect_err("no number").at, 4);
}

#[test]
fn what_has_no_text_of_its_own_is_written_by_bytes() {
    // An empty bitmap octet at the end, an APL item of an unknown family, a LOC precision beyond nine.
    for (mnemonic, wire) in [("NSEC", &[0, 0, 2, 0x40, 0][..]), ("APL", &[0, 9, 0, 0]), ("A", &[1, 2, 3])] {
        let text = rdata_to_text(rtype(mnemonic), wire);
        assert!(text.starts_with(r"\# "), "{text}");
    }
}

#[test]
fn a_record_is_written_on_one_line() {
    let record = Record {
        owner: "www.example.".parse().expect("a name"),
        rtype: RecordType::A,
        ttl: 60,
        rdata: Rdata::new([192, 0, 2, 1].as_slice()),
    };
    assert_eq!(record_to_text(&record), "www.example. 60 IN A 192.0.2.1");
}

proptest::proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig::with_cases(4000))]

    /// Whatever may be stored can be written in a file and read again, odd encodings too.
    #[test]
    fn all_rdata_that_is_sound_reads_back_the_same(
        which in 0..GOOD.len(),
        changes in proptest::collection::vec((proptest::prelude::any::<usize>(), proptest::prelude::any::<u8>()), 0..4),
        cut in 0usize..4,
        more in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..4),
    ) {
        let (mnemonic, text, _) = GOOD[which];
        let rtype = rtype(mnemonic);
        let mut wire = parse_rdata(rtype, text, &origin()).expect("a good example").as_wire().to_vec();
        for (at, byte) in changes {
            let length = wire.len().max(1);
            if let Some(place) = wire.get_mut(at % length) {
                *place = byte;
            }
        }
        wire.truncate(wire.len().saturating_sub(cut));
        wire.extend(more);
        if crate::zone::rdata::check(rtype, &wire).is_ok() {
            let written = rdata_to_text(rtype, &wire);
            let again = parse_rdata(rtype, &written, &origin());
            proptest::prop_assert_eq!(again, Ok(Rdata::new(wire)), "{} {}", mnemonic, written);
        } else {
            proptest::prop_assert!(rdata_to_text(rtype, &wire).starts_with("\\# "));
        }
    }
}
