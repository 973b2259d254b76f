//! The algorithm of RFC 1034 §4.3.2 over the zones held here: answer, authority, additional.

use std::sync::Arc;

use smallvec::SmallVec;

use super::additional;
use super::denial;
use super::edns::ExtendedError;
use super::lookup::{self, Found};
use super::message::{Full, Message, Section, Source};
use super::name_buf::{NameBuf, is_at_or_below};
use super::query::Question;
use super::rcode::Rcode;
use crate::zone::{MAX_NAME, Node, Place, RecordType, Zone, ZoneSet};

/// How many CNAMEs and DNAMEs are followed for one query: more than stock servers that have a limit (Knot 5, BIND 11),
/// few enough that a chain cannot make one query expensive.
const MAX_HOPS: usize = 16;

/// By which hop a name that a DNAME makes longer and longer must be too long, or the chain is not followed: Knot's limit.
const GROWTH_HOPS: usize = 4;

/// One question on its way through the zones.
pub(super) struct Resolution<'a, 'z, 'q> {
    /// The zones held here.
    pub(super) zones: &'z ZoneSet,
    /// The response.
    pub(super) message: &'a mut Message<'z, 'q>,
    /// The type asked for.
    pub(super) rtype: RecordType,
    /// Whether hidden zones may be seen.
    pub(super) see_hidden: bool,
    /// From which wildcards the answers so far were made: by zone, name and closest encloser. Their proofs go into the
    /// authority section once the answers stand.
    pub(super) wildcards: SmallVec<[(&'z Zone, NameBuf<'q>, usize); 1]>,
    /// Whether the class asked for is ANY: then no answer is authoritative (RFC 1035 §6.2) nor proves anything.
    pub(super) any_class: bool,
}

/// Whether there is more to look up.
enum Step {
    Done,
    /// The name was replaced by the target of the CNAME, real or synthesised, that starts at `alias_at`. It is `endless`
    /// if it stays below the DNAME it came from, so that more substitutions would only make it grow.
    Follow {
        alias_at: usize,
        endless: bool,
    },
}

impl<'z: 'q, 'q> Resolution<'_, 'z, 'q> {
    /// Fills the response.
    pub(super) fn run(&mut self, question: Question<'q>) {
        let mut name = NameBuf::of_question(question.name);
        let Some(zone) = self.zone_of_question(&name) else {
            return self.message.set_error(Rcode::REFUSED, ExtendedError::NotAuthoritative);
        };
        self.message.set_zone(zone);
        if self.fill(zone, &mut name).is_err() {
            self.message.set_truncated();
        }
    }

    /// Section by section, in their order.
    fn fill(&mut self, zone: &'z Zone, name: &mut NameBuf<'q>) -> Result<(), Full> {
        self.follow(zone, name)?;
        for (zone, name, encloser) in &self.wildcards {
            denial::of_closer_name(self.message, zone, name.lower(), *encloser)?;
        }
        additional::add_glue(self.message)?;
        additional::add(self.message);
        Ok(())
    }

    /// The zone that answers a question: the nearest one that encloses the name, but for DS the one above an apex, if it is
    /// here (RFC 4035 §3.1.4.1).
    fn zone_of_question(&self, name: &NameBuf<'q>) -> Option<&'z Zone> {
        let zone = self.zone_of(name)?;
        let lower = name.lower();
        if self.rtype == RecordType::DS && lower.len() > 1 && zone.origin().as_wire() == lower {
            let above = self.zones.find(&lower[1 + usize::from(lower[0])..]);
            return Some(self.if_seen(above).unwrap_or(zone));
        }
        Some(zone)
    }

    /// The nearest zone that encloses a name.
    fn zone_of(&self, name: &NameBuf<'q>) -> Option<&'z Zone> {
        self.if_seen(self.zones.find_by(name.lower(), name.labels()))
    }

    fn if_seen(&self, zone: Option<&'z Arc<Zone>>) -> Option<&'z Zone> {
        zone.map(|zone| &**zone).filter(|zone| self.see_hidden || !zone.is_hidden())
    }

    /// Looks up the name and what it is an alias of, until there is an answer, a loop or no zone to go on in.
    fn follow(&mut self, mut zone: &'z Zone, name: &mut NameBuf<'q>) -> Result<(), Full> {
        let mut aliases = [0_u16; MAX_HOPS];
        for hop in 0..=MAX_HOPS {
            let Step::Follow { alias_at, endless } = self.step(zone, name, hop)? else { return Ok(()) };
            let Some(place) = aliases.get_mut(hop) else { return Ok(()) };
            *place = alias_at as u16;
            // A name that owns an alias of this chain already makes it a loop.
            if aliases[..=hop].iter().any(|&owner_at| self.message.has_name_at(owner_at.into(), name.lower())) {
                return Ok(());
            }
            // A chain that comes to the apex of the zone it is in does not leave it, for a DS neither.
            let stays = self.zone_of(name).is_some_and(|nearest| std::ptr::eq(nearest, zone));
            match if stays { Some(zone) } else { self.zone_of_question(name) } {
                Some(next) if endless && std::ptr::eq(next, zone) => return Ok(()),
                Some(next) => zone = next,
                None => return Ok(()),
            }
        }
        Ok(())
    }

    /// One round: steps 3 a to c of the algorithm.
    fn step(&mut self, zone: &'z Zone, name: &mut NameBuf<'q>, hop: usize) -> Result<Step, Full> {
        let found = lookup::find(zone, name, self.rtype, self.message.basis());
        if hop == 0 && !self.any_class && !matches!(found, Found::Delegation { .. }) {
            self.message.set_authoritative();
        }
        match found {
            Found::Exact(node) => self.at_node(zone, node, name, None),
            Found::Wildcard { node, encloser } => self.at_node(zone, node, name, Some(encloser)),
            Found::Delegation { node, cut } => self.refer(zone, node, &name.lower()[cut..]),
            Found::Dname { node, owner } => self.substitute(zone, node, name, owner, hop),
            Found::Missing { encloser } => {
                self.message.set_rcode(Rcode::NXDOMAIN);
                self.deny(zone)?;
                denial::of_name(self.message, zone, name.lower(), encloser)?;
                Ok(Step::Done)
            }
        }
    }

    /// The name has a node, its own or that of the wildcard below `encloser`.
    fn at_node(
        &mut self,
        zone: &'z Zone,
        node: Node<'z>,
        name: &mut NameBuf<'q>,
        encloser: Option<usize>,
    ) -> Result<Step, Full> {
        if self.rtype == RecordType::ANY {
            if self.any(zone, node, name)? {
                self.after_answer(zone, name, encloser)?;
                return Ok(Step::Done);
            }
        } else if let Some(rrset) = node.get(self.rtype) {
            self.message.push(Section::Answer, name.owner(), Source::new(zone, node, rrset))?;
            self.after_answer(zone, name, encloser)?;
            return Ok(Step::Done);
        } else if !beside_cname(self.rtype)
            && let Some(cname) = node.get(RecordType::CNAME)
            && let Some(target) = cname.rdatas().next()
        {
            let alias_at = self.message.len();
            self.message.push(Section::Answer, name.owner(), Source::new(zone, node, cname))?;
            self.note_wildcard(zone, name, encloser);
            name.set(target, self.message.rdata_of(alias_at));
            return Ok(Step::Follow { alias_at, endless: false });
        }
        self.deny(zone)?;
        denial::of_type(self.message, zone, name.lower(), encloser)?;
        Ok(Step::Done)
    }

    /// One RRset of a node for ANY, the first that is not DNSSEC's own: an answer that is true and stays small (RFC 8482
    /// §4.1). Whether there was one.
    fn any(&mut self, zone: &'z Zone, node: Node<'z>, name: &NameBuf<'q>) -> Result<bool, Full> {
        let of_dnssec = |rtype| matches!(rtype, RecordType::RRSIG | RecordType::NSEC | RecordType::NSEC3);
        let ordinary = node.rrsets().find(|rrset| !of_dnssec(rrset.rtype));
        let Some(rrset) = ordinary.or(node.rrsets().next()) else { return Ok(false) };
        self.message.push(Section::Answer, name.owner(), Source::new(zone, node, rrset))?;
        Ok(true)
    }

    /// What a positive answer brings along: the proof that a wildcard was in place, and the zone's name servers.
    fn after_answer(&mut self, zone: &'z Zone, name: &NameBuf<'q>, encloser: Option<usize>) -> Result<(), Full> {
        self.note_wildcard(zone, name, encloser);
        // DNSKEY RRsets are large, an answer to ANY is to stay small, and who asks for a DS is after another zone.
        let spare = matches!(self.rtype, RecordType::DNSKEY | RecordType::ANY | RecordType::DS) || self.any_class;
        if !spare && !self.message.is_minimal() && !self.message.is_small() {
            self.message.basis().note(Place::of_name(zone.origin_hash()));
            let Some(ns) = zone.apex().get(RecordType::NS) else { return Ok(()) };
            // Nobody needs them for the answer: without room they are left out, and the answer is still whole.
            let source = Source::new(zone, zone.apex(), ns);
            let _left_out = self.message.push(Section::Authority, zone.origin().as_wire().into(), source);
        }
        Ok(())
    }

    /// Notes that an answer was made from the wildcard below `encloser`, if there is one.
    fn note_wildcard(&mut self, zone: &'z Zone, name: &NameBuf<'q>, encloser: Option<usize>) {
        if let Some(encloser) = encloser.filter(|_| self.message.signatures()) {
            self.wildcards.push((zone, *name, encloser));
        }
    }

    /// A referral: not authoritative, unless an alias in front of it was.
    fn refer(&mut self, zone: &'z Zone, node: Node<'z>, cut: &[u8]) -> Result<Step, Full> {
        if let Some(ns) = node.get(RecordType::NS) {
            self.message.push(Section::Authority, cut.into(), Source::new(zone, node, ns))?;
            match node.get(RecordType::DS).filter(|_| self.message.signatures()) {
                Some(ds) if node.signatures(RecordType::DS).next().is_some() => {
                    self.message.push(Section::Authority, cut.into(), Source::new(zone, node, ds))?;
                }
                // A DS that is not signed secures nothing (RFC 4035 §3.1.4 speaks of signed zones).
                Some(_) => {}
                None => denial::of_ds(self.message, zone, cut)?,
            }
        }
        Ok(Step::Done)
    }

    /// The name lies below a DNAME: the DNAME, a CNAME made from it, and on with the new name (RFC 6672 §3.2).
    fn substitute(
        &mut self,
        zone: &'z Zone,
        node: Node<'z>,
        name: &mut NameBuf<'q>,
        owner: usize,
        hop: usize,
    ) -> Result<Step, Full> {
        let dname = node.get(RecordType::DNAME).expect("the lookup found a DNAME here");
        let target = dname.rdatas().next().expect("an RRset has a record");
        self.message.push(Section::Answer, name.written()[owner..].into(), Source::new(zone, node, dname))?;
        let alias = *name;
        if name.replace_suffix(owner, target).is_err() {
            self.message.set_rcode(Rcode::YXDOMAIN);
            return Ok(Step::Done);
        }
        let alias_at = self.message.len();
        let cname = (RecordType::CNAME, dname.ttl, name.written());
        self.message.push_records(Section::Answer, alias.owner(), [cname])?;
        if self.rtype == RecordType::CNAME {
            return Ok(Step::Done);
        }
        // Where the target lies below the owner each substitution makes the name longer. A client learns more from the end
        // if that is near, as BIND and Knot follow to it, but not from steps on a long way, as NSD takes none.
        let grows = is_at_or_below(&name.lower()[owner..], &alias.lower()[owner..]);
        let growth = name.lower().len().saturating_sub(alias.lower().len());
        let endless = grows && name.lower().len() + GROWTH_HOPS.saturating_sub(hop) * growth <= MAX_NAME;
        Ok(Step::Follow { alias_at, endless })
    }

    /// The SOA of a negative answer, with the TTL for which the denial may be kept (RFC 2308 §3, §5).
    fn deny(&mut self, zone: &'z Zone) -> Result<(), Full> {
        if self.any_class {
            return Ok(());
        }
        self.message.basis().note(Place::of_zone(zone.origin_hash()));
        let apex = zone.apex();
        let soa = apex.get(RecordType::SOA).expect("a zone is made with its SOA at the apex");
        let source = Source::new(zone, apex, soa).with_ttl_at_most(zone.soa().minimum);
        self.message.push(Section::Authority, zone.origin().as_wire().into(), source)
    }
}

/// Whether a type is asked of the owner of a CNAME itself, which every signed one has (RFC 4035 §2.5, §3.2.3).
fn beside_cname(rtype: RecordType) -> bool {
    matches!(rtype, RecordType::RRSIG | RecordType::NSEC)
}
