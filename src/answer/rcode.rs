//! Response codes (RFC 1035 §4.1.1, RFC 6895 §2.3).

/// A response code of up to twelve bits; what exceeds four travels in the OPT record (RFC 6891 §6.1.3).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Rcode(pub(super) u16);

impl Rcode {
    pub(super) const NOERROR: Rcode = Rcode(0);
    pub(super) const FORMERR: Rcode = Rcode(1);
    pub(super) const NXDOMAIN: Rcode = Rcode(3);
    pub(super) const NOTIMP: Rcode = Rcode(4);
    pub(super) const REFUSED: Rcode = Rcode(5);
    pub(super) const YXDOMAIN: Rcode = Rcode(6);
    pub(super) const NOTAUTH: Rcode = Rcode(9);
    pub(super) const BADVERS: Rcode = Rcode(16);
    pub(super) const BADCOOKIE: Rcode = Rcode(23);
}
