//! Whatever comes in: no panic, and what goes out can be read and is not too long.

use std::sync::LazyLock;

use proptest::prelude::*;

use super::fixture::*;
use crate::answer::{Context, Outcome, Transport, answer};
use crate::zone::ZoneSet;

static EVERYTHING: LazyLock<ZoneSet> =
    LazyLock::new(|| zones([example(), other(), child(), content(".", ". NS ns.\n*. CNAME a.dn.example.")]));

/// Answers and checks what comes out.
fn check(zones: &ZoneSet, query: &[u8], transport: Transport) {
    let (server, mut response) = (server(), Vec::new());
    let context = Context { server: &server, transport, may_transfer: true };
    match answer(zones, query, &context, &mut response) {
        Outcome::Drop => {}
        Outcome::Respond => {
            assert!(transport != Transport::Udp || response.len() <= 1232);
            let reply = Reply::read(response);
            assert_eq!(reply.bytes[..2], query[..2]);
        }
        Outcome::Transfer(mut transfer) => {
            while transfer.next_message(&mut response) {
                assert!(response.len() <= usize::from(u16::MAX));
                Reply::read(response.clone());
            }
        }
    }
}

fn transport() -> impl Strategy<Value = Transport> {
    prop_oneof![Just(Transport::Udp), Just(Transport::Tcp), Just(Transport::Encrypted)]
}

/// Names in and around the zones.
fn name() -> impl Strategy<Value = String> {
    let label = prop_oneof![
        Just("mail"),
        Just("alias"),
        Just("wild"),
        Just("*"),
        Just("sub"),
        Just("dn"),
        Just("child"),
        Just("loop1"),
        Just("ns"),
        Just("x"),
        Just("grow"),
        Just("ent"),
        Just("b"),
        Just("star"),
        Just("EXAMPLE"),
        Just("web"),
    ];
    let origin = prop_oneof![Just("example."), Just("other."), Just("child.example."), Just("nowhere."), Just("")];
    (proptest::collection::vec(label, 0..5), origin).prop_map(|(labels, origin)| {
        let name = labels.join(".") + "." + origin;
        if labels.is_empty() && !origin.is_empty() { origin.to_owned() } else { name }
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, ..ProptestConfig::default() })]

    #[test]
    fn random_bytes_do_no_harm(bytes in proptest::collection::vec(any::<u8>(), 0..300), transport in transport()) {
        check(&EVERYTHING, &bytes, transport);
    }

    #[test]
    fn mutated_queries_do_no_harm(
        name in name(),
        rtype in prop_oneof![0..260u16, any::<u16>()],
        edns in any::<Option<(u16, bool)>>(),
        changes in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..4),
        cut in any::<Option<prop::sample::Index>>(),
        transport in transport(),
    ) {
        let mut ask = Ask { rtype, ..Ask::new(&name, "A") };
        if let Some((size, dnssec)) = edns {
            ask = Ask { edns: Some((size, if dnssec { 0x8000 } else { 0 }, Vec::new())), ..ask }.option(3, b"").option(19, b"");
        }
        let mut bytes = ask.bytes();
        for (index, value) in changes {
            let index = index.index(bytes.len());
            bytes[index] = value;
        }
        if let Some(cut) = cut {
            bytes.truncate(cut.index(bytes.len()));
        }
        check(&EVERYTHING, &bytes, transport);
    }

    #[test]
    fn a_well_formed_question_is_always_answered(name in name(), rtype in 1..70u16, transport in transport()) {
        let ask = Ask { rtype, transport, ..Ask::new(&name, "A") };
        prop_assert!(matches!(ask.outcome(&EVERYTHING, &mut Vec::new()), Outcome::Respond));
    }
}
