//! The zones that are served and the queries that are asked, the same for every server and every run.
//!
//! A name is h and eight hexadecimal digits in no order. Of twenty names one is a CNAME of another; the others have an A or
//! an AAAA record. Ten wildcards stand below w0 to w9. The mix of queries is that of the issue: 80 % hits, 10 % names that
//! do not exist, 5 % CNAMEs, 5 % names that a wildcard makes.

use std::fmt::Write as _;
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

/// Of so many names one is a CNAME.
const CNAME_EVERY: u32 = 20;
const WILDCARDS: u32 = 10;
const TYPE_A: u16 = 1;
const TYPE_AAAA: u16 = 28;
const TYPE_OPT: u8 = 41;
/// The EDNS payload size of every query (RFC 6891), and the option that asks for the server's name (RFC 5001).
const UDP_PAYLOAD: u16 = 1232;
const NSID: u16 = 3;

/// Zones of one shape.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Model {
    /// How many zones.
    pub(crate) zones: u32,
    /// How many names each has.
    pub(crate) names: u32,
}

/// Queries in wire form, one behind the other.
pub(crate) struct Queries {
    bytes: Vec<u8>,
    ends: Vec<u32>,
}

/// A stream of numbers that only look random (SplitMix64).
pub(crate) struct Numbers(pub(crate) u64);

impl Numbers {
    /// The next number below `bound`.
    pub(crate) fn below(&mut self, bound: u32) -> u32 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        ((u128::from(mixed ^ (mixed >> 31)) * u128::from(bound)) >> 64) as u32
    }
}

impl Model {
    /// A zone's name without the final dot.
    pub(crate) fn origin(self, zone: u32) -> String {
        if self.zones == 1 { "bench.example".to_owned() } else { format!("z{zone:05}.example") }
    }

    /// Writes every zone to `<origin>.zone` and returns origins and paths.
    pub(crate) fn write(self, directory: &Path) -> io::Result<Vec<(String, PathBuf)>> {
        std::fs::create_dir_all(directory)?;
        let write_one = |zone| {
            let origin = self.origin(zone);
            let path = directory.join(format!("{origin}.zone"));
            self.write_zone(&origin, &mut BufWriter::new(File::create(&path)?))?;
            Ok((origin, path))
        };
        (0..self.zones).map(write_one).collect()
    }

    fn write_zone(self, origin: &str, out: &mut impl Write) -> io::Result<()> {
        write!(out, "$ORIGIN {origin}.\n$TTL 3600\n@ IN SOA ns1 hostmaster 1 7200 1800 1209600 300\n")?;
        write!(out, "@ IN NS ns1\n@ IN NS ns2\nns1 IN A 192.0.2.1\nns2 IN A 192.0.2.2\n")?;
        for wildcard in 0..WILDCARDS {
            writeln!(out, "*.w{wildcard} IN A 192.0.2.{}", 10 + wildcard)?;
        }
        for i in 0..self.names {
            let [_, b, c, d] = i.to_be_bytes();
            match rtype_of(i) {
                None => writeln!(out, "{} IN CNAME {}", label(i), label(self.target(i)))?,
                Some(TYPE_A) => writeln!(out, "{} IN A 10.{b}.{c}.{d}", label(i))?,
                Some(_) => writeln!(out, "{} IN AAAA 2001:db8::{b:x}:{c:x}:{d:x}", label(i))?,
            }
        }
        out.flush()
    }

    /// What name a CNAME leads to.
    fn target(self, i: u32) -> u32 {
        if i + 1 < self.names { i + 1 } else { 1 }
    }

    /// So many queries; with `nsid` each asks for the server's name.
    pub(crate) fn queries(self, count: usize, nsid: bool) -> Queries {
        let mut numbers = Numbers(u64::from(self.names));
        let mut queries = Queries { bytes: Vec::new(), ends: Vec::with_capacity(count) };
        let mut name = String::new();
        for _ in 0..count {
            let origin = self.origin(numbers.below(self.zones));
            let i = numbers.below(self.names);
            name.clear();
            let rtype = match numbers.below(100) {
                0..80 => {
                    let hit = if i.is_multiple_of(CNAME_EVERY) { self.target(i) } else { i };
                    name.push_str(&label(hit));
                    rtype_of(hit)
                }
                80..90 => {
                    let _ = write!(name, "n{:08x}", scatter(i));
                    Some(TYPE_A)
                }
                90..95 => {
                    let alias = i - i % CNAME_EVERY;
                    name.push_str(&label(alias));
                    rtype_of(self.target(alias))
                }
                _ => {
                    let _ = write!(name, "q{i:x}.w{}", numbers.below(WILDCARDS));
                    Some(TYPE_A)
                }
            };
            let _ = write!(name, ".{origin}");
            queries.push(&name, rtype.unwrap_or(TYPE_A), nsid);
        }
        queries
    }

    /// A query for the record at the end of the last zone's file, to see that it is served.
    pub(crate) fn last_query(self) -> Vec<u8> {
        let last = (0..self.names).rev().find_map(|i| Some((i, rtype_of(i)?)));
        let (i, rtype) = last.expect("not all names are CNAMEs");
        query(&format!("{}.{}", label(i), self.origin(self.zones - 1)), rtype, false)
    }
}

impl Queries {
    fn push(&mut self, name: &str, rtype: u16, nsid: bool) {
        self.bytes.extend_from_slice(&query(name, rtype, nsid));
        self.ends.push(u32::try_from(self.bytes.len()).expect("less than 4 GiB of queries"));
    }

    /// The query at `at`, counted on from the first behind the last.
    pub(crate) fn get(&self, at: usize) -> &[u8] {
        let at = at % self.ends.len();
        let start = if at == 0 { 0 } else { self.ends[at - 1] };
        &self.bytes[start as usize..self.ends[at] as usize]
    }
}

/// The type of a name's only RRset; `None` for a CNAME.
fn rtype_of(i: u32) -> Option<u16> {
    match i {
        _ if i.is_multiple_of(CNAME_EVERY) => None,
        _ if i.is_multiple_of(2) => Some(TYPE_A),
        _ => Some(TYPE_AAAA),
    }
}

fn label(i: u32) -> String {
    format!("h{:08x}", scatter(i))
}

/// Another number for each number.
fn scatter(i: u32) -> u32 {
    i.wrapping_mul(0x9E37_79B1)
}

/// A query for the address of a name.
pub(crate) fn address_query(name: &str) -> Vec<u8> {
    query(name, TYPE_A, false)
}

fn query(name: &str, rtype: u16, nsid: bool) -> Vec<u8> {
    let mut out = vec![0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 1];
    push_name(&mut out, name);
    out.extend_from_slice(&rtype.to_be_bytes());
    out.extend_from_slice(&[0, 1, 0, 0, TYPE_OPT]);
    out.extend_from_slice(&UDP_PAYLOAD.to_be_bytes());
    out.extend_from_slice(&[0, 0, 0, 0]);
    if nsid {
        out.extend_from_slice(&[0, 4]);
        out.extend_from_slice(&NSID.to_be_bytes());
    }
    out.extend_from_slice(&[0, 0]);
    out
}

/// Adds a name in wire form.
pub(crate) fn push_name(out: &mut Vec<u8>, name: &str) {
    for label in name.split('.') {
        out.push(label.len() as u8);
        out.extend_from_slice(label.as_bytes());
    }
    out.push(0);
}
