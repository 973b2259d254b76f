//! The one table of differences that the RFCs permit, each with its reason and as narrow as it can be told.

use grapevine::zone::{Name, Record, RecordType};

use crate::judge::Case;
use crate::message::Said;

/// So many bytes from the limit servers decide differently what still fits.
const NEAR: usize = 128;

/// Bytes that the case of a few names can cost.
const NEAR_BY_CASE: usize = 32;
/// BIND's answer to a chain that is too long for it.
const SERVFAIL: u16 = 2;
/// A chain of so many aliases has no end here: the zones have not as many names.
const MOST_HOPS: usize = 10;

/// In so many bytes even the addresses of one name may not fit; some servers then leave out those of others.
const SMALL: usize = 512;

/// A permitted difference.
pub(crate) struct Variant {
    /// What it is called in the figures.
    pub(crate) name: &'static str,
    /// Why it is right.
    pub(crate) reason: &'static str,
    /// Whether a case is one of it.
    pub(crate) applies: fn(&Case) -> bool,
}

/// Every permitted difference.
pub(crate) const VARIANTS: &[Variant] = &[
    Variant {
        name: "any-one-rrset",
        reason: "RFC 8482 §4.1: to ANY one RRset is enough; the others give all of them",
        applies: |case| {
            case.asks(RecordType::ANY)
                && case.stock.iter().any(|said| {
                    said.rcode == case.ours.rcode
                        && said.authoritative == case.ours.authoritative
                        && said.sections[0].is_empty() == case.ours.sections[0].is_empty()
                        && case.ours.sections[0].is_subset(&said.sections[0])
                        && case.ours.sections[1].is_subset(&said.sections[1])
                })
        },
    },
    Variant {
        name: "additional-from-a-wildcard",
        reason: "an address made from a wildcard may go into the additional section (RFC 4592 §3.3.1, RFC 1034 §4.3.2 step \
                 6), as Knot has it; BIND makes none in referrals, NSD none where another zone has a name on the way",
        applies: |case| {
            let [bind, nsd, knot] = &case.stock[..] else { return false };
            case.ours == *knot
                && [bind, nsd]
                    .iter()
                    .all(|said| said.core() == case.ours.core() && said.sections[2].is_subset(&case.ours.sections[2]))
        },
    },
    Variant {
        name: "additional-of-a-naptr-in-512-bytes",
        reason: "what a NAPTR leads to may go into the additional section (RFC 3403 §4.1), as BIND has it, but not for clients \
                 that announce 512 bytes; Knot never does it",
        applies: |case| {
            case.core_agrees_with_two() && case.question.payload == Some(512) && case.answers_with(RecordType::NAPTR)
        },
    },
    Variant {
        name: "additional-of-a-service-binding",
        reason: "addresses and service bindings of the target belong into the additional section (RFC 9460 §4.1), as Knot has \
                 it; BIND adds service bindings for aliases alone, NSD knows nothing of it",
        applies: |case| {
            let less = |said: &Said| said.sections[2].is_subset(&case.ours.sections[2]);
            case.core_agrees_with_two()
                && (case.answers_with(RecordType::SVCB) || case.answers_with(RecordType::HTTPS))
                && case.stock[..2].iter().all(less)
        },
    },
    Variant {
        name: "what-fits",
        reason: "near the limit the name servers of a positive answer and additional records may be left out (RFC 2181 §9); \
                 which fit depends on compression and on room kept for OPT",
        applies: |case| {
            let Some(limit) = case.limit() else { return false };
            // What did not fit at all made others leave out the addresses that come behind it.
            let is_address = |record: &Record| matches!(record.rtype, RecordType::A | RecordType::AAAA);
            let less = |said: &Said| {
                let [.., ours] = &case.ours.sections;
                said.core() != case.ours.core()
                    || said.sections[2].is_subset(ours) && ours.difference(&said.sections[2]).all(is_address)
            };
            if limit <= SMALL && case.core_agrees_with_two() && case.stock.iter().all(less) {
                return true;
            }
            // The name servers of a referral are not spare.
            let positive = !case.ours.sections[0].is_empty();
            let spare = |record: &Record| positive && matches!(record.rtype, RecordType::NS | RecordType::RRSIG);
            let like_ours = |said: &&Said| {
                !said.truncated
                    && (said.rcode, said.authoritative) == (case.ours.rcode, case.ours.authoritative)
                    && said.sections[0] == case.ours.sections[0]
                    && said.sections[1].symmetric_difference(&case.ours.sections[1]).all(spare)
            };
            let longest = case.stock.iter().chain([&case.ours]).map(|said| said.length).max();
            longest.is_some_and(|length| length + NEAR > limit)
                && (case.stock.iter().filter(like_ours).count() >= 2 || case.stock.contains(&case.ours))
        },
    },
    Variant {
        name: "a-chain-in-one-message",
        reason: "BIND and Knot spread a chain across zones over several responses; in one, as NSD and Grapevine give it, it \
                 does not fit into a datagram (RFC 2181 §9)",
        applies: |case| {
            let too_long = |said: &Said| case.limit().is_some_and(|limit| said.joined && said.length > limit);
            let truncated = case.ours.truncated && case.ours.authoritative;
            truncated && case.stock.iter().filter(|said| said.truncated || too_long(said)).count() >= 2
        },
    },
    Variant {
        name: "endless-chain",
        reason: "where DNAMEs make a name grow without end every server stops after hops of its own number (RFC 6672 §3.2, \
                 RFC 1034 §3.6.2 leave it open); as far as it goes the chain is the same",
        applies: |case| {
            let aliases = |said: &Said| said.sections[0].iter().filter(|r| r.rtype == RecordType::CNAME).count();
            let nested = |said: &Said| {
                let (theirs, ours) = (&said.sections[0], &case.ours.sections[0]);
                theirs.is_subset(ours) || ours.is_subset(theirs)
            };
            // In a small datagram BIND and Knot are cut short on the way that NSD does not take.
            let grows = case.ours.sections[0]
                .iter()
                .filter(|record| record.rtype == RecordType::DNAME)
                .any(|dname| Name::from_valid_wire(dname.rdata.as_wire()).is_at_or_below(&dname.owner));
            let gives_up = |said: &Said| said.rcode == SERVFAIL || aliases(said) > MOST_HOPS || grows && said.truncated;
            case.answers_with(RecordType::DNAME)
                && case.ours.sections[1].is_empty()
                && case.stock.iter().all(|said| nested(said) || grows && said.truncated)
                && case.stock.iter().any(gives_up)
        },
    },
    Variant {
        name: "proof-for-a-wildcard-without-records",
        reason: "where the wildcard is an empty non-terminal, RFC 4035 §3.1.3.4 wants the NSEC that shows it to be so, as NSD \
                 gives it; BIND and Knot leave it out, and Unbound finds their answer bogus",
        applies: |case| {
            let proof = |record: &Record| matches!(record.rtype, RecordType::NSEC | RecordType::RRSIG);
            let less = |said: &Said| {
                said.rcode == case.ours.rcode
                    && said.sections[0] == case.ours.sections[0]
                    && said.sections[1].is_subset(&case.ours.sections[1])
                    && case.ours.sections[1].difference(&said.sections[1]).all(proof)
            };
            case.question.dnssec && case.settled(|a, b| a.core() == b.core()).into_iter().any(less)
        },
    },
    Variant {
        name: "case-of-names-in-rdata",
        reason: "names in rdata keep their case, so they cannot point to a question in capitals (RFC 1035 §2.3.3), as with \
                 BIND; without those bytes NSD and Knot fit just below the limit",
        applies: |case| {
            let Some(limit) = case.limit() else { return false };
            let just_fits = |said: &&Said| !said.truncated && said.length + NEAR_BY_CASE > limit;
            let capitals = case.question.qname.bytes().any(|byte| byte.is_ascii_uppercase());
            capitals && case.ours.truncated && case.stock.iter().filter(just_fits).count() >= 2
        },
    },
    Variant {
        name: "ds-at-the-end-of-a-chain",
        reason: "a chain goes on in the nearest zone (RFC 1034 §4.3.2 steps 3a and 2), and only the DS of its apex is the parent's \
                 (RFC 4035 §3.1.4.1), as with BIND; Knot stays in the zone it is in, NSD takes the parent for DS",
        applies: |case| {
            let [bind, nsd, knot] = &case.stock[..] else { return false };
            let refers = |said: &Said| {
                let has = |rtype| said.sections[1].iter().any(|record| record.rtype == rtype);
                has(RecordType::NS) && !has(RecordType::SOA) && said.sections[0] == case.ours.sections[0]
            };
            case.asks(RecordType::DS)
                && case.answers_with(RecordType::CNAME)
                && case.ours.core() == bind.core()
                && refers(nsd)
                && refers(knot)
        },
    },
    Variant {
        name: "any-behind-a-dname",
        reason: "the CNAME that a DNAME makes is followed for ANY too (RFC 6672 §3.2), as NSD and Knot do, and then one RRset is \
                 enough (RFC 8482 §4.1), each server's own choice; BIND stops at the CNAME",
        applies: |case| {
            let bind = &case.stock[0];
            case.asks(RecordType::ANY)
                && case.answers_with(RecordType::DNAME)
                && bind.sections[0].is_subset(&case.ours.sections[0])
                && case.stock.iter().all(|said| said.core() == bind.core() || !case.has_peer(said))
        },
    },
];
