//! DNS over QUIC: the same answers, through the transport of hickory-server.

use grapevine::serve::{EncryptedConfig, ServeConfig};

use super::*;

fn start() -> Running {
    let directory = tempfile::tempdir().unwrap();
    let (certificate, key) = make_certificate(directory.path(), "server");
    let encrypted = EncryptedConfig { tls: Vec::new(), quic: any_port(), certificate, key };
    Running::start(ServeConfig { encrypted: Some(encrypted), ..local(false) })
}

#[test]
fn dns_over_quic_gives_the_same_answers() {
    let server = start();
    for (name, rtype) in QUESTIONS {
        let over_quic = sections(server.quic[0], "+quic", name, rtype);
        assert!(over_quic.contains(name), "{over_quic}");
        assert_eq!(over_quic, sections(server.address(), "+tcp", name, rtype));
    }
    assert_eq!(server.metrics.queries_quic.get(), 7);
}

#[test]
fn datagrams_that_are_no_quic_are_survived_and_transfers_are_refused() {
    let server = start();
    let client = udp_client(server.quic[0]);
    for length in [0, 1, 20, 1200] {
        client.send(&vec![0xff; length]).unwrap();
        client.send(&vec![0; length]).unwrap();
    }
    let refused = kdig(server.quic[0], &["+quic", "example.", "AXFR"]);
    assert!(!refused.contains("MX"), "{refused}");
    assert!(sections(server.quic[0], "+quic", "www.example.", "A").contains("192.0.2.1"));
}
