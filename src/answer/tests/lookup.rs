//! The algorithm of RFC 1034 §4.3.2 and what later RFCs say of it, one fact a test.

use super::fixture::*;

fn ask(name: &str, rtype: &str) -> Reply {
    Ask::new(name, rtype).of(&zones([example(), other()]))
}

const SOA: &str = "example. SOA ns1.example. host.example. 7 3600 900 86400 300";

#[test]
fn a_positive_answer_brings_name_servers_and_addresses() {
    let reply = ask("example.", "MX");
    assert_eq!(reply.status(), "NOERROR aa");
    assert_eq!(reply.answers(), ["example. MX 10 Mail.Example."]);
    assert_eq!(reply.authority(), ["example. NS ns.other.", "example. NS ns1.example."]);
    let addresses = ["Mail.Example. A 192.0.2.2", "ns1.example. A 192.0.2.1", "ns1.example. AAAA 2001:db8::1"];
    assert_eq!(reply.additional(), addresses);
}

#[test]
fn negative_answers_carry_the_soa_with_the_negative_ttl() {
    for (name, status) in
        [("no.example.", "NXDOMAIN aa"), ("mail.example.", "NOERROR aa"), ("b.ent.example.", "NOERROR aa")]
    {
        let reply = ask(name, "TXT");
        assert_eq!((reply.status().as_str(), reply.authority()), (status, vec![SOA.to_owned()]), "{name}");
        assert_eq!(reply.message.authorities[0].ttl, 300);
    }
}

#[test]
fn wildcards_stand_in_for_names_that_do_not_exist() {
    assert_eq!(ask("x.y.wild.example.", "A").answers(), ["x.y.wild.example. A 192.0.2.3"]);
    assert_eq!(ask("wild.example.", "A").status(), "NOERROR aa");
    assert_eq!(ask("wild.example.", "A").answers().len(), 0, "not for an empty non-terminal");
    assert_eq!(ask("alias.wild.example.", "A").answers().len(), 0, "nor for one that hides it");
    let chain = ["q.alias.wild.example. CNAME mail.example.", "mail.example. A 192.0.2.2"];
    assert_eq!(ask("q.alias.wild.example.", "A").answers(), chain);
    assert_eq!(ask("q.star.example.", "A").status(), "NOERROR aa", "a wildcard that is an empty non-terminal");
}

#[test]
fn a_referral_is_not_authoritative_and_brings_glue() {
    for (name, rtype) in
        [("www.sub.example.", "A"), ("sub.example.", "NS"), ("below.ns.sub.example.", "TXT"), ("x.sub.example.", "DS")]
    {
        let reply = ask(name, rtype);
        assert_eq!((reply.status().as_str(), reply.answers().len()), ("NOERROR", 0), "{name}");
        assert_eq!(reply.authority().len(), 2);
        assert_eq!(reply.additional()[0], "ns.sub.example. A 192.0.2.5");
        assert_eq!(reply.additional().len(), 3);
    }
}

#[test]
fn the_ds_of_a_cut_is_the_parents_affair() {
    let both = zones([example(), child()]);
    let reply = Ask::new("child.example.", "DS").of(&both);
    assert_eq!((reply.status().as_str(), reply.authority()), ("NOERROR aa", vec![SOA.to_owned()]));
    let reply = Ask::new("child.example.", "DS").of(&zones([child()]));
    assert!(reply.authority()[0].starts_with("child.example. SOA"), "the child alone answers for itself");
    assert_eq!(Ask::new("child.example.", "NS").of(&both).status(), "NOERROR aa");
}

#[test]
fn aliases_are_followed_into_other_zones() {
    let reply = ask("out.example.", "TXT");
    assert_eq!(reply.answers(), ["out.example. CNAME www.other.", "www.other. TXT hello"]);
    assert_eq!(reply.authority(), ["other. NS ns.other."]);
    let alone = Ask::new("out.example.", "TXT").of(&zones([example()]));
    assert_eq!(alone.answers(), ["out.example. CNAME www.other."]);
    assert_eq!(alone.status(), "NOERROR aa");
}

#[test]
fn an_alias_loop_ends() {
    let reply = ask("loop1.example.", "A");
    assert_eq!(reply.answers(), ["loop1.example. CNAME loop2.example.", "loop2.example. CNAME loop1.example."]);
    assert_eq!(reply.status(), "NOERROR aa");
}

#[test]
fn a_chain_of_aliases_is_followed_so_far_and_no_further() {
    let mut lines: String = (0..40).map(|i| format!("c{i}.long. CNAME c{}.long.\n", i + 1)).collect();
    lines.push_str("c40.long. A 192.0.2.9\nlong. NS ns.other.");
    let zones = zones([content("long.", &lines)]);
    let whole = Ask::new("c25.long.", "A").edns(1232).of(&zones);
    assert_eq!(whole.answers().last().map(String::as_str), Some("c40.long. A 192.0.2.9"));
    let cut = Ask::new("c0.long.", "A").edns(1232).of(&zones);
    assert_eq!((cut.answers().len(), cut.status().as_str()), (17, "NOERROR aa"));
}

#[test]
fn dname_makes_aliases() {
    let reply = ask("a.dn.example.", "A");
    assert!(reply.answers()[0].starts_with("dn.example. DNAME"));
    assert_eq!(reply.answers()[1..], ["a.dn.example. CNAME a.target.example.", "a.target.example. A 192.0.2.7"]);
    assert_eq!(ask("b.dn.example.", "A").status(), "NXDOMAIN aa");
    assert_eq!(ask("a.dn.example.", "CNAME").answers().len(), 2, "the alias itself is the answer");
    assert_eq!(ask("dn.example.", "A").answers().len(), 0, "the owner itself is not redirected");
}

#[test]
fn a_dname_to_below_itself_is_applied_once_unless_the_name_is_too_long_soon() {
    assert_eq!(ask("x.grow.example.", "A").answers().len(), 2);
    // 5 bytes more with each substitution: after two of them the next one is too much.
    let long = ["a".repeat(59), "b".repeat(59), "c".repeat(59), "d".repeat(50)].join(".");
    let reply = Ask::new(&format!("{long}.grow.example."), "A").edns(1232).of(&zones([example()]));
    assert_eq!((reply.answers().len(), reply.status().as_str()), (3, "YXDOMAIN aa"));
}

#[test]
fn signatures_and_proofs_of_a_name_with_a_cname_are_asked_of_the_name_itself() {
    for rtype in ["RRSIG", "NSEC"] {
        let reply = ask("alias.example.", rtype);
        assert_eq!((reply.answers().len(), reply.status().as_str()), (0, "NOERROR aa"), "{rtype}");
    }
}

#[test]
fn a_wildcard_below_a_cut_is_glue_for_its_name_servers() {
    let zones = zones([content(
        "example.",
        "example. NS ns.\ncut.example. NS a.ns.cut.example.\n*.ns.cut.example. A 192.0.2.9",
    )]);
    let reply = Ask::new("x.cut.example.", "A").of(&zones);
    assert_eq!(reply.additional(), ["a.ns.cut.example. A 192.0.2.9"]);
}

#[test]
fn a_name_that_a_dname_makes_too_long_is_yxdomain() {
    let long = ["a"; 4].map(|label| label.repeat(59)).join(".");
    let reply = ask(&format!("{long}.dn.example."), "A");
    assert_eq!(reply.status(), "YXDOMAIN aa");
    assert_eq!(reply.answers().len(), 1, "the DNAME alone");
}

#[test]
fn additional_data_follows_services_to_addresses() {
    let additional = |name: &str, rtype: &str| {
        ask(name, rtype).additional().into_iter().filter(|line| !line.starts_with("ns1")).collect::<Vec<_>>()
    };
    assert_eq!(additional("srv.example.", "SRV"), ["mail.example. A 192.0.2.2"]);
    assert_eq!(additional("web.example.", "HTTPS"), ["web.example. A 192.0.2.8"]);
    assert_eq!(
        additional("enum.example.", "NAPTR"),
        ["srv.example. SRV 1 2 3 mail.example.", "mail.example. A 192.0.2.2"]
    );
}

#[test]
fn any_gives_one_rrset() {
    assert_eq!(ask("web.example.", "ANY").answers(), ["web.example. A 192.0.2.8"]);
    assert_eq!(ask("alias.example.", "ANY").answers(), ["alias.example. CNAME mail.example."]);
    assert_eq!(ask("ent.example.", "ANY").authority(), [SOA]);
}

#[test]
fn hidden_zones_answer_only_those_who_may_transfer() {
    let zones = hidden(&example());
    assert_eq!(Ask::new("example.", "SOA").of(&zones).status(), "REFUSED");
    assert_eq!(Ask::new("example.", "SOA").allowed().of(&zones).status(), "NOERROR aa");
}

#[test]
fn the_root_can_be_a_zone() {
    let zones = zones([content(".", ". NS ns.\nns. A 192.0.2.1\ntld. NS ns.tld.\nns.tld. A 192.0.2.2\n*. TXT any")]);
    assert_eq!(Ask::new(".", "NS").of(&zones).answers(), [". NS ns."]);
    assert_eq!(Ask::new("a.tld.", "A").of(&zones).authority(), ["tld. NS ns.tld."]);
    assert_eq!(Ask::new("x.y.", "TXT").of(&zones).answers(), ["x.y. TXT any"]);
    assert_eq!(Ask::new(".", "DS").of(&zones).status(), "NOERROR aa");
}
