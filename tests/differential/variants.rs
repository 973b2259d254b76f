//! The one table of differences that the RFCs permit, each with its reason and as narrow as it can be told.

use grapevine::zone::RecordType;

use crate::judge::Case;

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
];
