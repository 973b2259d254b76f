//! Signing a zone with the tools of NLnet Labs or ISC.

use std::fs;
use std::path::Path;
use std::process::Command;

/// A way to sign a zone.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Signing {
    /// Whether `dnssec-signzone` does it, and not `ldns-signzone`.
    isc: bool,
    /// How it denies.
    pub(crate) denial: Denial,
}

/// How a signed zone proves that something does not exist.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Denial {
    /// Names (RFC 4034 §4).
    Nsec,
    /// Hashes of names (RFC 5155).
    Nsec3,
    /// NSEC3 that leaves insecure delegations out (RFC 5155 §6).
    OptOut,
}

/// When signatures end: later than anybody runs this test.
const EXPIRY: &str = "20371231000000";
/// The salt of NSEC3, which is pointless (RFC 9276 §3.1) but must be understood.
const SALT: &str = "ab01";

impl Signing {
    /// Every way.
    pub(crate) const ALL: [Signing; 6] = [
        Signing { isc: false, denial: Denial::Nsec },
        Signing { isc: false, denial: Denial::Nsec3 },
        Signing { isc: false, denial: Denial::OptOut },
        Signing { isc: true, denial: Denial::Nsec },
        Signing { isc: true, denial: Denial::Nsec3 },
        Signing { isc: true, denial: Denial::OptOut },
    ];

    /// How the zones of this seed are signed, if they are: every second set.
    pub(crate) fn of_seed(seed: u64) -> Option<Signing> {
        let denial = [Denial::Nsec, Denial::Nsec3, Denial::OptOut][(seed / 4 % 3) as usize];
        seed.is_multiple_of(2).then_some(Signing { isc: seed.is_multiple_of(4), denial })
    }

    /// The signed master file.
    pub(crate) fn sign(self, origin: &str, text: &str) -> String {
        let directory = tempfile::Builder::new().prefix("grapevine-sign-").tempdir().expect("a directory");
        self.sign_in(directory.path(), origin, text)
    }

    /// As [`Signing::sign`]; the key stays in a directory.
    pub(crate) fn sign_in(self, directory: &Path, origin: &str, text: &str) -> String {
        fs::write(directory.join("zone"), text).expect("the directory is writable");
        if self.isc {
            let key = run(directory, "dnssec-keygen", &["-q", "-a", "ECDSAP256SHA256", "-f", "KSK", &dotted(origin)]);
            let mut arguments = vec!["-q", "-z", "-P", "-O", "full", "-e", EXPIRY, "-S", "-o", origin, "-f", "signed"];
            match self.denial {
                Denial::Nsec => {}
                Denial::Nsec3 => arguments.extend(["-3", SALT, "-H", "1"]),
                Denial::OptOut => arguments.extend(["-3", SALT, "-H", "1", "-A"]),
            }
            arguments.extend(["zone", key.trim()]);
            run(directory, "dnssec-signzone", &arguments);
        } else {
            let key = run(directory, "ldns-keygen", &["-a", "ECDSAP256SHA256", "-k", origin]);
            let mut arguments = vec!["-e", EXPIRY, "-o", origin, "-f", "signed"];
            match self.denial {
                Denial::Nsec => {}
                Denial::Nsec3 => arguments.extend(["-n", "-s", SALT, "-t", "1"]),
                Denial::OptOut => arguments.extend(["-n", "-s", SALT, "-t", "1", "-p"]),
            }
            arguments.extend(["zone", key.trim()]);
            run(directory, "ldns-signzone", &arguments);
        }
        fs::read_to_string(directory.join("signed")).expect("the zone was signed")
    }
}

/// An origin with its final dot.
fn dotted(origin: &str) -> String {
    format!("{origin}.")
}

/// Runs a program and returns what it prints.
pub(crate) fn run(directory: &Path, program: &str, arguments: &[&str]) -> String {
    let output = Command::new(crate::stock::program(program)).args(arguments).current_dir(directory).output();
    let output = output.unwrap_or_else(|error| panic!("{program}: {error}"));
    let complaint = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{program} {arguments:?}: {complaint}");
    String::from_utf8(output.stdout).expect("names of keys are text")
}
