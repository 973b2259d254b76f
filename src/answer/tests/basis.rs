//! What a response is said to be made from is all that it is made from: as long as that is unchanged, so is the response.

use std::sync::Arc;

use proptest::prelude::*;

use super::fixture::{Ask, CLIENT, child, content, example, other, server, wire};
use crate::answer::{Context, Outcome, Server, answer_on_basis, is_repeatable};
use crate::published::Published;
use crate::zone::{Basis, Name, Rdata, RecordType, RrsetBuf, Zone, ZoneContent, ZoneSet};

/// Edits, each of an owner in one of the zones: what is there of a type goes, or a record takes its place.
#[derive(Clone, Debug)]
struct Step {
    zone: usize,
    owner: String,
    rtype: &'static str,
    target: Option<String>,
}

const ORIGINS: [&str; 3] = ["example.", "sub.example.", "other."];
const RTYPES: [&str; 8] = ["A", "NS", "CNAME", "DNAME", "MX", "SRV", "TXT", "NSEC"];

/// Names that meet often: at, below and beside each other.
fn names() -> impl Strategy<Value = String> {
    let label = prop::sample::select(vec!["a", "b", "*", "ns", "sub"]);
    let labels = prop::collection::vec(label, 0..4);
    (labels, prop::sample::select(ORIGINS.to_vec())).prop_map(|(labels, origin)| {
        labels.iter().map(|label| format!("{label}.")).chain([origin.to_owned()]).collect()
    })
}

fn steps(count: impl Into<prop::collection::SizeRange>) -> impl Strategy<Value = Vec<Step>> {
    let step = (0..ORIGINS.len(), names(), prop::sample::select(RTYPES.to_vec()), prop::option::weighted(0.7, names()));
    let lies_in_zone = step.prop_map(|(zone, owner, rtype, target)| Step { zone, owner, rtype, target });
    prop::collection::vec(lies_in_zone.prop_filter("an owner in the zone", is_in_its_zone), count)
}

fn is_in_its_zone(step: &Step) -> bool {
    let parse = |text: &str| text.parse::<Name>().expect("a name");
    parse(&step.owner).is_at_or_below(&parse(ORIGINS[step.zone]))
}

impl Step {
    /// Carries it out on a version of its zone, whose serial rises.
    fn apply(&self, zone: &mut Zone) {
        let owner: Name = self.owner.parse().expect("a name");
        let rtype: RecordType = self.rtype.parse().expect("a type");
        let known = zone.get(owner.as_wire()).into_iter().flat_map(|node| node.rrsets());
        let others = known.filter(|rrset| rrset.rtype != rtype).map(|rrset| {
            let rdatas: Vec<Rdata> = rrset.rdatas().map(Rdata::new).collect();
            RrsetBuf::new(rrset.rtype, rrset.ttl, &rdatas)
        });
        let mut rrsets: Vec<RrsetBuf> = others.collect();
        if let Some(target) = &self.target {
            let before: &[u8] = match rtype {
                RecordType::MX => &[0, 1],
                RecordType::SRV => &[0, 1, 0, 2, 0, 3],
                _ => &[],
            };
            let rdata = match rtype {
                RecordType::A => vec![192, 0, 2, target.len() as u8],
                RecordType::TXT => [&[target.len() as u8], target.as_bytes()].concat(),
                RecordType::NSEC => [&wire(target)[..], &[0, 1, 0x40]].concat(),
                _ => [before, &wire(target)].concat(),
            };
            rrsets.push(RrsetBuf::new(rtype, 60, [&Rdata::new(rdata)]));
        }
        zone.set(&owner, rrsets);
        zone.set_soa(zone.soa().clone(), zone.serial() + 1);
    }
}

/// A question with a way of asking it.
fn asks() -> impl Strategy<Value = Ask> {
    let rtypes = RTYPES.iter().copied().chain(["ANY", "SOA", "DS", "AAAA"]).collect::<Vec<_>>();
    (names(), prop::sample::select(rtypes), 0..5).prop_map(|(name, rtype, manner)| {
        let ask = Ask::new(&name, rtype);
        match manner {
            0 => ask.edns(1232),
            1 => ask.dnssec(),
            // ZONEVERSION (RFC 9660).
            2 => ask.option(19, b""),
            _ => ask,
        }
    })
}

fn respond(zones: &ZoneSet, ask: &Ask, minimal: bool) -> (Vec<u8>, Basis) {
    let server = Server { minimal_responses: minimal, ..server() };
    let context = Context { may_transfer: ask.may_transfer, ..Context::new(&server, ask.transport, CLIENT) };
    let mut response = Vec::new();
    let (outcome, basis) = answer_on_basis(zones, &ask.bytes(), &context, &mut response);
    assert!(matches!(outcome, Outcome::Respond));
    (response, basis)
}

fn published(zones: &[Arc<Zone>]) -> Published {
    Published::from(ZoneSet::new(zones.iter().cloned()))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]
    #[test]
    fn a_response_is_the_same_as_long_as_what_it_was_made_from_is(
        begin in steps(0..25),
        edits in steps(1..12),
        asks in prop::collection::vec(asks(), 1..40),
        minimal in any::<bool>(),
    ) {
        let mut zones: Vec<Zone> = ORIGINS.iter().map(|origin| Zone::from_content(&content(origin, ""))).collect();
        begin.iter().for_each(|step| step.apply(&mut zones[step.zone]));
        let mut zones: Vec<Arc<Zone>> = zones.into_iter().map(Arc::new).collect();
        let published = published(&zones);
        let mut kept: Vec<Option<(Vec<u8>, Basis, u64)>> = vec![None; asks.len()];
        for step in [None].into_iter().chain(edits.iter().map(Some)) {
            if let Some(step) = step {
                step.apply(Arc::make_mut(&mut zones[step.zone]));
                let mut set = published.load().zones().clone();
                Arc::make_mut(&mut set).insert(Arc::clone(&zones[step.zone]));
                published.publish(set);
            }
            let now = published.load();
            for (ask, kept) in asks.iter().zip(&mut kept) {
                prop_assert!(is_repeatable(&ask.bytes()));
                let (response, basis) = respond(&now, ask, minimal);
                match kept {
                    Some((known, basis, since)) if published.is_unchanged(basis, *since) => {
                        prop_assert_eq!(&*known, &response, "{:?} after {:?}", ask.bytes(), step);
                        *since = now.generation();
                    }
                    _ => *kept = Some((response, basis, now.generation())),
                }
            }
        }
    }
}

/// Which of these questions are answered from what an edit of the zone `example.` leaves alone, if responses are minimal.
fn survivors(questions: &[(&str, &str)], edit: impl Fn(&mut ZoneContent)) -> Vec<String> {
    let mut parent = example();
    let mut zones = [&parent, &other(), &child()].map(|content| Arc::new(Zone::from_content(content)));
    let published = published(&zones);
    let since = published.load().generation();
    let asked: Vec<_> = questions.iter().map(|(name, rtype)| Ask::new(name, rtype)).collect();
    let bases: Vec<Basis> = asked.iter().map(|ask| respond(&published.load(), ask, true).1).collect();
    edit(&mut parent);
    parent.soa.serial += 1;
    zones[0] = Arc::new(Zone::from_content(&parent));
    published.publish(Arc::new(ZoneSet::new(zones)));
    let kept = questions.iter().zip(&bases).filter(|(_, basis)| published.is_unchanged(basis, since));
    kept.map(|((name, rtype), _)| format!("{name} {rtype}")).collect()
}

#[test]
fn an_edit_of_one_name_leaves_the_responses_about_others_alone() {
    let questions = [
        ("mail.example.", "A"),
        ("alias.example.", "A"),
        ("x.wild.example.", "A"),
        ("www.child.example.", "A"),
        ("a.dn.example.", "A"),
        ("nothing.example.", "A"),
        ("mail.example.", "TXT"),
        ("example.", "SOA"),
        ("example.", "NS"),
        ("www.other.", "TXT"),
        ("elsewhere.", "A"),
    ];
    let all_but = |gone: &[usize]| -> Vec<String> {
        let kept = questions.iter().enumerate().filter(|(index, _)| !gone.contains(index));
        kept.map(|(_, (name, rtype))| format!("{name} {rtype}")).collect()
    };
    let key = |owner: &str, rtype| (owner.parse::<Name>().expect("a name"), rtype);
    let ttl = |content: &mut ZoneContent, owner: &str| {
        content.rrsets.get_mut(&key(owner, RecordType::A)).expect("it is there").ttl = 1;
    };
    // What tells the serial goes with every edit.
    let gone = [5, 6, 7, 8];
    assert_eq!(survivors(&questions, |content| ttl(content, "a.b.ent.example.")), all_but(&gone));
    assert_eq!(survivors(&questions, |content| ttl(content, "mail.example.")), all_but(&[&gone[..], &[0, 1]].concat()));
    assert_eq!(survivors(&questions, |content| ttl(content, "*.wild.example.")), all_but(&[&gone[..], &[2]].concat()));
    let add = |content: &mut ZoneContent, owner: &str, rtype, rdata: &[u8]| {
        let record = crate::zone::Record { owner: key(owner, rtype).0, rtype, ttl: 60, rdata: Rdata::new(rdata) };
        assert!(content.add(record));
    };
    let hidden = survivors(&questions, |content| add(content, "y.x.wild.example.", RecordType::A, &[192, 0, 2, 9]));
    assert_eq!(hidden, all_but(&[&gone[..], &[2]].concat()), "an empty non-terminal has come between");
    // The zone's first NSEC record, and its last cut and DNAME, are felt everywhere.
    let nsec = [&wire("example.")[..], &[0, 1, 0x40]].concat();
    assert_eq!(survivors(&questions, |content| add(content, "mail.example.", RecordType::NSEC, &nsec)), [""; 0]);
    let no_cuts = |content: &mut ZoneContent| {
        content.rrsets.retain(|(owner, rtype), _| {
            *rtype != RecordType::DNAME && (*rtype != RecordType::NS || owner.as_wire() == wire("example."))
        });
    };
    assert_eq!(survivors(&questions, no_cuts), [""; 0]);
}
