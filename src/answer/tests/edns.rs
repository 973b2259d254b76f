//! EDNS and its options (RFC 6891, 5001, 7830, 8914, 9660).

use hickory_server::proto::op::Edns;
use hickory_server::proto::rr::rdata::opt::{EdnsCode, EdnsOption};

use super::fixture::*;
use crate::answer::Transport;

fn edns(ask: &Ask) -> Edns {
    ask.of(&zones([example(), child()])).message.edns.expect("an OPT record")
}

fn option(ask: &Ask, code: u16) -> Option<Vec<u8>> {
    let edns = edns(ask);
    edns.option(EdnsCode::from(code)).map(|option| match option {
        EdnsOption::Unknown(_, data) => data.clone(),
        other => Vec::<u8>::try_from(other).expect("bytes"),
    })
}

#[test]
fn opt_comes_back_only_to_those_who_sent_one() {
    let zones = zones([example()]);
    assert!(Ask::new("mail.example.", "A").of(&zones).message.edns.is_none());
    let edns = edns(&Ask::new("mail.example.", "A").edns(4096));
    assert_eq!((edns.version(), edns.max_payload(), edns.flags().dnssec_ok), (0, 1232, false));
    assert!(edns.options().as_ref().is_empty());
}

#[test]
fn the_do_bit_is_copied_and_unknown_flags_are_not() {
    let ask = Ask { edns: Some((4096, 0xffff, Vec::new())), ..Ask::new("mail.example.", "A") };
    assert_eq!((edns(&ask).flags().dnssec_ok, edns(&ask).flags().z), (true, 0));
}

#[test]
fn other_versions_are_badvers_with_version_0() {
    let ask = Ask { edns: Some((4096, 1 << 16, Vec::new())), ..Ask::new("mail.example.", "A") };
    let reply = ask.of(&zones([example()]));
    assert_eq!(u16::from(reply.message.metadata.response_code), 16);
    assert_eq!((edns(&ask).version(), reply.answers().len()), (0, 0));
}

#[test]
fn unknown_options_are_ignored() {
    let ask = Ask::new("mail.example.", "A").option(65001, b"x").option(8, &[0, 1, 0, 0]);
    assert!(edns(&ask).options().as_ref().is_empty());
    assert_eq!(ask.of(&zones([example()])).status(), "NOERROR aa");
}

#[test]
fn a_malformed_opt_record_is_formerr() {
    let zones = zones([example()]);
    let mut ask = Ask::new("mail.example.", "A").option(3, b"");
    ask.edns = Some((1232, 0, vec![0, 3, 0, 9]));
    assert_eq!(ask.of(&zones).status(), "FORMERR");
    let two = Ask::new("mail.example.", "A").edns(1232).bytes();
    let mut two = [&two[..], &two[two.len() - 11..]].concat();
    two[11] = 2;
    let (server, mut response) = (server(), Vec::new());
    let context = crate::answer::Context { server: &server, transport: Transport::Udp, may_transfer: false };
    let _ = crate::answer::answer(&zones, &two, &context, &mut response);
    assert_eq!(Reply::read(response).status(), "FORMERR");
}

#[test]
fn nsid_names_the_node() {
    assert_eq!(option(&Ask::new("mail.example.", "A").option(3, b""), 3).expect("NSID"), b"node-1");
    assert!(option(&Ask::new("mail.example.", "A").option(65001, b""), 3).is_none());
}

#[test]
fn zoneversion_shows_the_serial_of_the_zone_that_answers() {
    let version = |name: &str| option(&Ask::new(name, "A").option(19, b""), 19);
    assert_eq!(version("mail.example.").expect("ZONEVERSION"), [1, 0, 0, 0, 0, 7]);
    assert_eq!(version("ns.child.example.").expect("ZONEVERSION"), [2, 0, 0, 0, 0, 7]);
    assert!(version("www.nowhere.").is_none(), "no zone, no version");
    assert_eq!(Ask::new("mail.example.", "A").option(19, b"x").of(&zones([example()])).status(), "FORMERR");
}

#[test]
fn errors_say_why() {
    let code = |ask: Ask| option(&ask, 15).expect("an extended error");
    assert_eq!(code(Ask::new("www.nowhere.", "A").edns(1232)), [0, 20]);
    assert_eq!(code(Ask::new("example.", "AXFR").edns(1232).tcp()), [0, 18]);
    assert_eq!(code(Ask { class: 4, ..Ask::new("example.", "A").edns(1232) }), [0, 21]);
}

#[test]
fn padding_fills_whole_blocks_on_encrypted_transports_alone() {
    let zones = zones([example()]);
    let padded = Ask { transport: Transport::Encrypted, ..Ask::new("mail.example.", "A").option(12, b"") };
    assert_eq!(padded.of(&zones).bytes.len(), 468);
    assert!(padded.clone().tcp().of(&zones).bytes.len() < 468);
    let unasked = Ask { transport: Transport::Encrypted, ..Ask::new("mail.example.", "A").edns(1232) };
    assert!(unasked.of(&zones).bytes.len() < 468);
}
