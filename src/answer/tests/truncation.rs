//! How large responses may be and what is left out of them (RFC 2181 §9, RFC 6891 §6.2.5, RFC 9471).

use super::fixture::*;

/// A zone with one large RRset, and a cut with many name servers.
fn large() -> crate::zone::ZoneSet {
    let text = "x".repeat(100);
    let mut lines = String::from("big. NS ns1.big.\nns1.big. A 192.0.2.1\n");
    (0..20).for_each(|i| lines.push_str(&format!("txt.big. TXT {i:02}{text}\n")));
    (0..12).for_each(|i| lines.push_str(&format!("mx.big. MX {i} exchange-number-{i}.big.\n")));
    (0..12).for_each(|i| lines.push_str(&format!("exchange-number-{i}.big. AAAA 2001:db8::{i}\n")));
    (0..12).for_each(|i| lines.push_str(&format!("cut.big. NS server-number-{i}.cut.big.\n")));
    (0..12).for_each(|i| lines.push_str(&format!("server-number-{i}.cut.big. AAAA 2001:db8::{i}\n")));
    (0..12).for_each(|i| lines.push_str(&format!("sib.big. NS exchange-number-{i}.big.\n")));
    zones([content("big.", &lines)])
}

#[test]
fn an_rrset_that_does_not_fit_is_left_out_whole_and_tc_is_set() {
    let zones = large();
    for (size, limit) in [(None, 512), (Some(100), 512), (Some(1000), 1000), (Some(4096), 1232)] {
        let ask = Ask { edns: size.map(|size| (size, 0, Vec::new())), ..Ask::new("txt.big.", "TXT") };
        let reply = ask.of(&zones);
        assert_eq!((reply.status().as_str(), reply.answers().len()), ("NOERROR aa tc", 0));
        assert!(reply.bytes.len() <= limit);
        assert_eq!(reply.message.edns.is_some(), size.is_some(), "OPT is kept");
    }
    let reply = Ask::new("txt.big.", "TXT").tcp().of(&zones);
    assert_eq!((reply.status().as_str(), reply.answers().len()), ("NOERROR aa", 20));
}

#[test]
fn additional_data_is_left_out_silently() {
    let reply = Ask::new("mx.big.", "MX").of(&large());
    assert_eq!((reply.status().as_str(), reply.answers().len()), ("NOERROR aa", 12));
    assert!(reply.additional().len() < 13 && reply.bytes.len() <= 512);
    assert_eq!(Ask::new("mx.big.", "MX").tcp().of(&large()).additional().len(), 13);
}

#[test]
fn a_referral_without_room_for_its_own_glue_is_truncated() {
    let reply = Ask::new("www.cut.big.", "A").of(&large());
    assert_eq!((reply.status().as_str(), reply.authority().len()), ("NOERROR tc", 12));
    assert!(!reply.additional().is_empty(), "what fits is there");
    let sibling = Ask::new("www.sib.big.", "A").of(&large());
    assert_eq!(sibling.status(), "NOERROR", "sibling glue can be asked for");
}

#[test]
fn the_cap_of_the_server_is_never_below_512() {
    let zones = large();
    let server = crate::answer::Server { max_udp_payload: 0, ..server() };
    let context =
        crate::answer::Context { server: &server, transport: crate::answer::Transport::Udp, may_transfer: false };
    let mut response = Vec::new();
    let query = Ask::new("mx.big.", "MX").edns(4096).bytes();
    let _ = crate::answer::answer(&zones, &query, &context, &mut response);
    assert_eq!(Reply::read(response).status(), "NOERROR aa");
}

#[test]
fn names_are_compressed_and_keep_their_case() {
    let reply = Ask::new("EXAMPLE.", "MX").of(&zones([example()]));
    let mail = wire("Mail.Example.");
    assert!(reply.bytes.windows(mail.len()).any(|bytes| bytes == mail), "rdata keeps its own case");
    assert!(reply.bytes.len() < 170, "{} bytes", reply.bytes.len());
    let srv = Ask::new("srv.example.", "SRV").of(&zones([example()]));
    let target = wire("mail.example.");
    assert!(srv.bytes.windows(target.len()).any(|bytes| bytes == target), "SRV targets are not compressed");
}
