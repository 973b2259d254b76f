//! Answering: one pure function from a snapshot of zones and a query's bytes to a response's bytes.
//!
//! Every transport calls [`answer`]; there is no second lookup. Nothing here allocates per query beyond the caller's
//! buffer, reads a clock or touches a socket. RFC 1034 §4.3.2 and what came after it.
//!
//! ```text
//! answer ── query      bytes -> Query: header, question, EDNS           RFC 1035 §4.1, RFC 6891
//!        ├─ cookie     has the client forged its address?                   RFC 7873, RFC 9018
//!        ├─ chaos      class CH: who is it that answers
//!        ├─ transfer   AXFR, IXFR                                       RFC 5936, RFC 1995
//!        └─ resolve    the algorithm of RFC 1034 §4.3.2
//!           ├─ lookup      one name in one zone: exact, wildcard, delegation, DNAME, missing
//!           ├─ denial      NSEC and NSEC3 proofs                        RFC 4035 §3.1.3, RFC 5155 §7.2
//!           ├─ additional  addresses of the names in an RRset
//!           └─ message     sections, compression, truncation
//! ```

mod additional;
mod chaos;
mod compression;
mod cookie;
mod denial;
mod dispatch;
mod edns;
mod interface;
mod lookup;
mod message;
mod name_buf;
mod nsec3;
mod query;
mod rcode;
mod resolve;
mod transfer;

pub use cookie::{CookieSecrets, Cookies};
pub use dispatch::{answer, answer_on_basis, is_repeatable};
pub use interface::{Context, Limited, Outcome, Server, Transport};
pub use transfer::Transfer;

#[cfg(test)]
mod tests;
