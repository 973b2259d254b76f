//! What may not stand together in a zone, in the words that people are told it with. A zone file that says so is refused,
//! and so is an edit that would make it so.

use super::{Name, RecordType};

/// Why an owner may not have so many records of a type: it has one CNAME and one DNAME (RFC 1034 §3.6.2, RFC 6672 §2.4).
pub fn too_many(owner: &Name, rtype: RecordType, count: usize) -> Option<String> {
    let single = matches!(rtype, RecordType::CNAME | RecordType::DNAME);
    (single && count > 1).then(|| format!("{owner} has {count} {rtype} records; a name has one"))
}

/// Why an owner with a CNAME may not have these types as well: a CNAME stands alone (RFC 1034 §3.6.2, RFC 2181 §10.1).
/// `types` are those of the owner, the CNAME itself among them, the SOA too at the apex.
pub fn beside_cname(owner: &Name, types: impl IntoIterator<Item = RecordType>) -> Option<String> {
    let apart = |rtype: &RecordType| *rtype != RecordType::CNAME && !rtype.may_accompany_cname();
    let mut others: Vec<String> = types.into_iter().filter(apart).map(|rtype| rtype.to_string()).collect();
    others.sort();
    let stand = others.join(", ");
    (!others.is_empty()).then(|| format!("{owner} has a CNAME and other data ({stand}); a CNAME stands alone"))
}

/// Why an owner may not be there: nothing exists below a DNAME (RFC 6672 §2.4).
pub fn below_dname(owner: &Name, dname: &Name) -> String {
    format!("{owner} lies below the DNAME at {dname}, so it cannot exist")
}
