//! Who is right: what Grapevine said against what the stock servers said.

use grapevine::master::record_to_text;
use grapevine::zone::RecordType;

use crate::generate::Question;
use crate::message::Said;
use crate::stock::KINDS;
use crate::variants::VARIANTS;

/// One question and what everybody said to it; `stock` in the order of [`KINDS`].
pub(crate) struct Case {
    /// The question.
    pub(crate) question: Question,
    /// What Grapevine said.
    pub(crate) ours: Said,
    /// What the others said.
    pub(crate) stock: Vec<Said>,
}

/// What came out.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) enum Verdict {
    /// Two stock servers said the same in every section, and Grapevine too.
    Exact,
    /// Nothing to complain about: no two agree in everything, and Grapevine agrees with those that agree in the rest.
    Agreed,
    /// A difference that the RFCs permit, by its name in the table.
    Variant(&'static str),
    /// Rcode, AA, answer or authority differ.
    Wrong,
    /// Only the additional section differs.
    WrongAdditional,
}

impl Case {
    /// Judges by the rule of two: what two stock servers agree on is right; if no two agree, each of them may be.
    pub(crate) fn judge(&self) -> Verdict {
        let core = self.settled(|a, b| a.core() == b.core());
        let core_agrees = core.iter().any(|said| said.core() == self.ours.core());
        let whole: Vec<&Said> = self.settled(|a, b| a == b);
        if core_agrees && whole.contains(&&self.ours) {
            return Verdict::Exact;
        }
        let two_agree_wholly = whole.len() < self.stock.len() || self.stock.windows(2).all(|pair| pair[0] == pair[1]);
        if core_agrees && !two_agree_wholly {
            return Verdict::Agreed;
        }
        match VARIANTS.iter().find(|variant| (variant.applies)(self)) {
            Some(variant) => Verdict::Variant(variant.name),
            None if core_agrees => Verdict::WrongAdditional,
            None => Verdict::Wrong,
        }
    }

    /// The servers that another one agrees with; all of them if no two agree.
    pub(crate) fn settled(&self, agree: impl Fn(&Said, &Said) -> bool) -> Vec<&Said> {
        let has_peer = |said: &&Said| self.stock.iter().filter(|other| agree(said, other)).count() >= 2;
        let settled: Vec<&Said> = self.stock.iter().filter(has_peer).collect();
        if settled.is_empty() { self.stock.iter().collect() } else { settled }
    }

    /// The case for a person to read.
    pub(crate) fn describe(&self) -> String {
        let mut text = format!("{:?}\n", self.question);
        let names = KINDS.iter().map(|kind| format!("{kind:?}"));
        for (name, said) in names.zip(&self.stock).chain([("Grapevine".to_owned(), &self.ours)]) {
            let (aa, tc) = (said.authoritative, said.truncated);
            text.push_str(&format!("  {name}: rcode {} aa {aa} tc {tc}, {} bytes\n", said.rcode, said.length));
            for (section, records) in ["answer", "authority", "additional"].iter().zip(&said.sections) {
                for record in records {
                    text.push_str(&format!("    {section} {}\n", record_to_text(record)));
                }
            }
        }
        text
    }

    /// Whether the question is of this type.
    pub(crate) fn asks(&self, rtype: RecordType) -> bool {
        self.question.qtype == rtype
    }

    /// Whether Grapevine says what two stock servers say, but for additional records.
    pub(crate) fn core_agrees_with_two(&self) -> bool {
        self.stock.iter().filter(|said| said.core() == self.ours.core()).count() >= 2
    }

    /// Whether another stock server says the same in all but the additional section.
    pub(crate) fn has_peer(&self, said: &Said) -> bool {
        self.stock.iter().filter(|other| other.core() == said.core()).count() >= 2
    }

    /// Whether the answer has records of this type.
    pub(crate) fn answers_with(&self, rtype: RecordType) -> bool {
        self.ours.sections[0].iter().any(|record| record.rtype == rtype)
    }

    /// How long a response may be, unless it is for a stream.
    pub(crate) fn limit(&self) -> Option<usize> {
        (!self.question.tcp).then(|| self.question.payload.unwrap_or(512).into())
    }
}
