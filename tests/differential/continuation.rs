//! The rest of chains that a server stops at the border of a zone.
//!
//! RFC 1034 §4.3.2 step 3a goes on with any zone held here, as Grapevine and NSD do. BIND and Knot leave it to the client
//! to ask again. So they are asked again, and what they say is put together: as a client would see it.

use std::collections::BTreeSet;
use std::net::SocketAddr;

use grapevine::zone::{Name, RecordType};

use crate::client::ask_all;
use crate::generate::{Question, absolute};
use crate::message::{Said, decode};

/// How many times a client asks on: as often as Grapevine follows aliases, so that an endless chain is cut no earlier.
const MAX_ROUNDS: usize = 16;

/// Asks for the targets of the chains that `said` breaks off, until there are none.
pub(crate) fn complete(server: SocketAddr, origins: &[Name], questions: &[Question], said: &mut [Said]) {
    for _ in 0..MAX_ROUNDS {
        let open: Vec<(usize, Question)> = (0..said.len())
            .filter_map(|index| {
                let target = open_end(&said[index], &questions[index], origins)?;
                Some((index, Question { qname: target, ..questions[index].clone() }))
            })
            .collect();
        let asked: Vec<Question> = open.iter().map(|(_, question)| question.clone()).collect();
        let mut grew = false;
        for ((index, _), response) in open.iter().zip(ask_all(server, &asked)) {
            grew |= said[*index].go_on(decode(&response));
        }
        if !grew {
            return;
        }
    }
}

/// The name at which a response breaks off a chain of aliases because it leaves a zone, as text.
fn open_end(said: &Said, question: &Question, origins: &[Name]) -> Option<String> {
    let authority_settles = |record: &grapevine::zone::Record| matches!(record.rtype, RecordType::SOA | RecordType::NS);
    // ANY ends at a CNAME of the zone, not at one that a DNAME made; there BIND adds the name servers of the zone it leaves.
    let any = question.qtype == RecordType::ANY;
    let settled = said.sections[1].iter().any(|record| authority_settles(record) && (!any || said.joined));
    if said.rcode != 0 || said.truncated || question.qtype == RecordType::CNAME || settled {
        return None;
    }
    let mut name: Name = absolute(&question.qname).parse().ok()?;
    let zone_of = |name: &Name| origins.iter().filter(|o| name.is_at_or_below(o)).max_by_key(|o| o.label_count());
    let mut seen = BTreeSet::new();
    let mut left = None;
    loop {
        let alias = said.sections[0].iter().find(|record| record.rtype == RecordType::CNAME && record.owner == name);
        let Some(alias) = alias else { break };
        // The question for the DS of an apex goes to the zone above (RFC 4035 §3.1.4.1).
        let first = seen.is_empty() && question.qtype == RecordType::DS;
        let above = origins.contains(&name).then(|| name.parent()).flatten().filter(|_| first);
        left = above.as_ref().and_then(zone_of).or_else(|| zone_of(&name));
        if any && !said.is_substituted(&name) {
            return None;
        }
        if !seen.insert(name) {
            return None;
        }
        name = Name::from_valid_wire(alias.rdata.as_wire());
    }
    let answered =
        said.sections[0].iter().any(|record| record.owner == name && (any || record.rtype == question.qtype));
    (left.is_some() && zone_of(&name) != left && !answered).then(|| name.to_string())
}

impl Said {
    /// Whether the answer has a DNAME above a name.
    fn is_substituted(&self, name: &Name) -> bool {
        let above = |owner: &Name| name.is_at_or_below(owner) && name != owner;
        self.sections[0].iter().any(|record| record.rtype == RecordType::DNAME && above(&record.owner))
    }

    /// Adds what the server says to the question at the end of the chain. Whether that was anything.
    fn go_on(&mut self, rest: Said) -> bool {
        const REFUSED: u16 = 5;
        if rest.rcode == REFUSED {
            return false;
        }
        self.rcode = rest.rcode;
        self.joined = true;
        self.length += rest.length;
        self.truncated |= rest.truncated;
        for (section, more) in self.sections.iter_mut().zip(rest.sections) {
            section.extend(more);
        }
        true
    }
}
