//! The SOA of a replicated zone: one last-writer-wins register a field, and the serial's base.

use serde::{Deserialize, Serialize};

use super::{Dot, Hlc, MAX_TTL, SoaChange, Stamp};
use crate::zone::{Rdata, Soa, served_serial, wire_name_len};

/// A value and the write that set it. The newest write wins.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(super) struct Register<T> {
    value: T,
    stamp: Stamp,
}

impl<T: Clone> Register<T> {
    fn write(&mut self, value: &Option<T>, stamp: Stamp) {
        if let Some(value) = value
            && stamp > self.stamp
        {
            *self = Register { value: value.clone(), stamp };
        }
    }

    fn merge(&mut self, other: &Register<T>) {
        if other.stamp > self.stamp {
            *self = other.clone();
        }
    }
}

/// The SOA fields that people write; the serial is computed.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(super) struct SoaRegisters {
    ttl: Register<u32>,
    mname: Register<Rdata>,
    rname: Register<Rdata>,
    refresh: Register<u32>,
    retry: Register<u32>,
    expire: Register<u32>,
    minimum: Register<u32>,
}

impl SoaRegisters {
    /// The fields of a zone's first content, older than any edit.
    pub(super) fn genesis(soa: &Soa, dot: Dot) -> SoaRegisters {
        let stamp = Stamp { hlc: Hlc(0), dot };
        SoaRegisters {
            ttl: Register { value: soa.ttl, stamp },
            mname: Register { value: soa.mname.clone(), stamp },
            rname: Register { value: soa.rname.clone(), stamp },
            refresh: Register { value: soa.refresh, stamp },
            retry: Register { value: soa.retry, stamp },
            expire: Register { value: soa.expire, stamp },
            minimum: Register { value: soa.minimum, stamp },
        }
    }

    pub(super) fn write(&mut self, change: &SoaChange, stamp: Stamp) {
        self.ttl.write(&change.ttl, stamp);
        self.mname.write(&change.mname, stamp);
        self.rname.write(&change.rname, stamp);
        self.refresh.write(&change.refresh, stamp);
        self.retry.write(&change.retry, stamp);
        self.expire.write(&change.expire, stamp);
        self.minimum.write(&change.minimum, stamp);
    }

    pub(super) fn merge(&mut self, other: &SoaRegisters) {
        self.ttl.merge(&other.ttl);
        self.mname.merge(&other.mname);
        self.rname.merge(&other.rname);
        self.refresh.merge(&other.refresh);
        self.retry.merge(&other.retry);
        self.expire.merge(&other.expire);
        self.minimum.merge(&other.minimum);
    }

    /// The SOA to serve under `serial`.
    pub(super) fn read(&self, serial: u64) -> Soa {
        Soa {
            ttl: self.ttl.value,
            mname: self.mname.value.clone(),
            rname: self.rname.value.clone(),
            serial: served_serial(serial),
            refresh: self.refresh.value,
            retry: self.retry.value,
            expire: self.expire.value,
            minimum: self.minimum.value,
        }
    }

    /// Whether the fields can be served. The reason if not.
    pub(super) fn check(&self) -> Result<(), &'static str> {
        let names = [&self.mname.value, &self.rname.value];
        if names.into_iter().any(|name| wire_name_len(name.as_wire()) != Ok(name.as_wire().len())) {
            return Err("a malformed name in the SOA");
        }
        if self.ttl.value > MAX_TTL {
            return Err("a TTL beyond 2147483647 seconds");
        }
        Ok(())
    }

    /// The latest time of any field's write.
    pub(super) fn newest_hlc(&self) -> Hlc {
        let numbers = [&self.ttl, &self.refresh, &self.retry, &self.expire, &self.minimum].map(|field| field.stamp.hlc);
        let names = [&self.mname, &self.rname].map(|field| field.stamp.hlc);
        numbers.into_iter().chain(names).max().unwrap_or_default()
    }

    /// The fields in which `wanted` differs from what is served now.
    pub(super) fn difference(&self, wanted: &Soa) -> SoaChange {
        fn differs<T: Clone + PartialEq>(now: &Register<T>, wanted: &T) -> Option<T> {
            (now.value != *wanted).then(|| wanted.clone())
        }
        SoaChange {
            ttl: differs(&self.ttl, &wanted.ttl),
            mname: differs(&self.mname, &wanted.mname),
            rname: differs(&self.rname, &wanted.rname),
            refresh: differs(&self.refresh, &wanted.refresh),
            retry: differs(&self.retry, &wanted.retry),
            expire: differs(&self.expire, &wanted.expire),
            minimum: differs(&self.minimum, &wanted.minimum),
        }
    }
}
