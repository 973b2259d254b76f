//! The sample zones from Grapevine by AXFR to each stock server as a secondary, and from there back: the same records.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use grapevine::zone::{Name, Record, RecordType, Zone, ZoneSet};

use crate::client::transfer;
use crate::stock::{KINDS, Stock, Zones};
use crate::{Ours, zone};

/// How long a secondary has to get its zones.
const PATIENCE: Duration = Duration::from_secs(60);

#[test]
fn a_zone_comes_back_the_same_from_every_stock_secondary() {
    let mut origins = Vec::new();
    let mut zones = ZoneSet::default();
    for entry in fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("zones")).expect("zones/ is there") {
        let path = entry.expect("zones/ is readable").path();
        let origin = path.file_stem().and_then(|stem| stem.to_str()).expect("a file name is an origin").to_owned();
        zones.insert(zone(&origin, &fs::read(&path).expect("a zone is readable")));
        origins.push(origin);
    }
    assert!(origins.len() >= 3, "the sample zones were found");
    let ours = Ours::start(zones.clone());
    for kind in KINDS {
        let secondary = Stock::start(kind, &Zones::Primary(ours.address, &origins));
        for held in zones.iter() {
            let expected = records(held);
            let came_back = wait_for_transfer(&secondary, held.origin());
            let (missing, extra): (Vec<_>, Vec<_>) =
                (expected.difference(&came_back).collect(), came_back.difference(&expected).collect());
            assert!(
                missing.is_empty() && extra.is_empty(),
                "{} by way of {kind:?}: missing {missing:#?}, extra {extra:#?}",
                held.origin()
            );
        }
    }
}

/// Every record of a zone, the SOA too, names in lower case.
fn records(zone: &Zone) -> BTreeSet<Record> {
    let soa = zone.soa();
    let soa = Record { owner: zone.origin().clone(), rtype: RecordType::SOA, ttl: soa.ttl, rdata: soa.to_rdata() };
    zone.to_content().records().chain([soa]).collect()
}

/// Transfers a zone from a secondary as soon as it has it.
fn wait_for_transfer(secondary: &Stock, origin: &Name) -> BTreeSet<Record> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        match transfer(secondary.address, origin) {
            Ok(records) => return records.into_iter().collect(),
            Err(error) => {
                assert!(Instant::now() < deadline, "{:?} has no {origin}: {error}\n{}", secondary.kind, secondary.log())
            }
        }
        std::thread::yield_now();
    }
}
