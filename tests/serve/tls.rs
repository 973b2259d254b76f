//! DNS over TLS: the same conversation as over TCP, within the same limits.

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::time::Duration;

use grapevine::serve::{EncryptedConfig, ServeConfig, TcpLimits};
use grapevine::zone::RecordType;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};

use super::*;

type TlsClient = StreamOwned<ClientConnection, TcpStream>;

/// A server of DNS over TLS, and how to be its client.
fn start(tcp: TcpLimits) -> (Running, Arc<ClientConfig>) {
    let directory = tempfile::tempdir().unwrap();
    let (certificate, key) = make_certificate(directory.path(), "server");
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(&certificate).unwrap()).unwrap();
    let client = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()));
    let client = client.with_safe_default_protocol_versions().unwrap().with_root_certificates(roots);
    let mut client = client.with_no_client_auth();
    client.alpn_protocols = vec![b"dot".to_vec()];
    let encrypted = EncryptedConfig { tls: any_port(), quic: Vec::new(), certificate, key };
    let server = Running::start(ServeConfig { tcp, encrypted: Some(encrypted), ..local(false) });
    (server, Arc::new(client))
}

fn connect(server: &Running, config: &Arc<ClientConfig>) -> TlsClient {
    let name = ServerName::try_from("localhost").unwrap();
    let session = ClientConnection::new(Arc::clone(config), name).unwrap();
    StreamOwned::new(session, tcp_client(server.tls[0]))
}

#[test]
fn dns_over_tls_gives_the_same_answers() {
    let (server, _) = start(TcpLimits::default());
    for (name, rtype) in QUESTIONS {
        let over_tls = sections(server.tls[0], "+tls", name, rtype);
        assert!(over_tls.contains(name), "{over_tls}");
        assert_eq!(over_tls, sections(server.address(), "+tcp", name, rtype));
    }
    assert_eq!(server.metrics.queries_tls.get(), 7);
}

#[test]
fn a_malformed_query_over_tls_gets_what_it_gets_over_tcp() {
    let (server, config) = start(TcpLimits::default());
    let (mut tls, mut tcp) = (connect(&server, &config), tcp_client(server.address()));
    let good = query(1, "www.example.", RecordType::A);
    let change = |changes: &[(usize, u8)]| {
        let mut bytes = good.clone();
        changes.iter().for_each(|&(at, byte)| bytes[at] = byte);
        bytes
    };
    let odd = [
        change(&[(5, 0)]),
        change(&[(5, 2)]),
        change(&[(2, 0x28)]),
        change(&[(7, 3)]),
        change(&[(12, 0xc0)]),
        change(&[(good.len() - 1, 3)]),
        [&good[..], b"trailing"].concat(),
        good[..good.len() - 2].to_vec(),
        good[..12].to_vec(),
    ];
    for query in odd {
        assert_eq!(ask_tcp(&mut tls, &query), ask_tcp(&mut tcp, &query), "{query:02x?}");
    }
    // And what gets no answer over TCP gets none over TLS.
    tls.write_all(&framed(&change(&[(2, 0x80)]))).unwrap();
    assert_eq!(id_of(&ask_tcp(&mut tls, &query(9, "www.example.", RecordType::A))), 9);
}

#[test]
fn pipelined_queries_are_all_answered_on_one_tls_connection() {
    let (server, config) = start(TcpLimits::default());
    let mut stream = connect(&server, &config);
    let queries: Vec<u8> = (0..500).flat_map(|id| framed(&query(id, "www.example.", RecordType::A))).collect();
    stream.write_all(&queries).unwrap();
    let ids: Vec<u16> = (0..500).map(|_| id_of(&read_message(&mut stream).unwrap())).collect();
    assert_eq!(ids, (0..500).collect::<Vec<u16>>());
    assert_eq!((server.metrics.queries_tls.get(), server.metrics.queries_tcp.get()), (500, 0));
}

#[test]
fn responses_over_tls_are_padded_for_those_who_pad() {
    let (server, _) = start(TcpLimits::default());
    for (name, length) in [("www.example.", 468), ("large.example.", 10 * 468)] {
        let padded = kdig(server.tls[0], &["+tls", "+padding=128", name, "TXT"]);
        assert!(padded.contains(&format!("Received {length} B")), "{padded}");
    }
    let plain = kdig(server.tls[0], &["+tls", "+nopadding", "+edns", "www.example.", "A"]);
    assert!(plain.contains("NOERROR") && !plain.contains("PADDING"), "{plain}");
}

#[test]
fn one_tls_connection_serves_one_query_after_another() {
    let (server, _) = start(TcpLimits::default());
    let names = ["www.example.", "alias.example.", "www.example."];
    let shown = kdig(server.tls[0], &[&["+tls", "+keepopen", "+short"][..], &names].concat());
    assert_eq!(shown, "192.0.2.1\nwww.example.\n192.0.2.1\n192.0.2.1\n");
}

#[test]
fn a_zone_is_transferred_over_tls_while_other_queries_are_answered() {
    let (server, config) = start(TcpLimits::default());
    let mut stream = connect(&server, &config);
    let both = [query(1, "big.example.", RecordType::AXFR), query(2, "www.example.", RecordType::A)];
    stream.write_all(&both.map(|query| framed(&query)).concat()).unwrap();
    stream.conn.send_close_notify();
    stream.flush().unwrap();
    let ids: Vec<u16> = std::iter::from_fn(|| read_message(&mut stream)).map(|message| id_of(&message)).collect();
    assert!(ids.len() > 100, "a transfer of many messages: {}", ids.len());
    assert_eq!(ids.iter().filter(|&&id| id == 2).count(), 1);
    assert_eq!(server.metrics.transfers.get(), 1);
    let shown = kdig(server.tls[0], &["+tls", "+noall", "+answer", "example.", "AXFR"]);
    assert!(shown.contains("MX") && shown.matches("SOA").count() == 2, "{shown}");
}

#[test]
fn tls_connections_without_a_handshake_or_a_query_are_closed() {
    let (server, config) = start(TcpLimits { idle_timeout: Duration::from_millis(200), ..TcpLimits::default() });
    let mut silent = tcp_client(server.tls[0]);
    assert!(matches!(silent.read(&mut [0; 1]), Ok(0) | Err(_)));
    wait_for("it to be counted", || server.metrics.tls_refused.get() == 1);
    assert_eq!(server.metrics.tcp_limited.get(), 0);
    let mut idle = connect(&server, &config);
    assert_eq!(idle.read(&mut [0; 1]).unwrap(), 0, "an end in order");
    assert_eq!((server.metrics.tls_refused.get(), server.metrics.tcp_limited.get()), (1, 1));
}

#[test]
fn garbage_instead_of_tls_is_refused_and_the_next_client_served() {
    let (server, config) = start(TcpLimits::default());
    for garbage in [&b"GET / HTTP/1.0\r\n\r\n"[..], &[0; 40], &framed(&query(1, "www.example.", RecordType::A))] {
        let mut stream = tcp_client(server.tls[0]);
        stream.write_all(garbage).unwrap();
        let mut told = Vec::new();
        let ended = stream.read_to_end(&mut told).map_err(|error| error.kind());
        assert!(ended.is_ok() || ended == Err(ErrorKind::ConnectionReset), "{ended:?}");
    }
    wait_for("all to be counted", || server.metrics.tls_refused.get() == 3);
    // Garbage under the seal: the record that follows the handshake is not authentic.
    let mut stream = connect(&server, &config);
    assert_eq!(id_of(&ask_tcp(&mut stream, &query(1, "www.example.", RecordType::A))), 1);
    stream
        .sock
        .write_all(&[0x17, 3, 3, 0, 20, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20])
        .unwrap();
    assert!(stream.read(&mut [0; 1]).is_err(), "an alert");
    let mut stream = connect(&server, &config);
    assert_eq!(id_of(&ask_tcp(&mut stream, &query(2, "www.example.", RecordType::A))), 2);
}

#[test]
fn tls_and_tcp_connections_of_a_client_count_together() {
    let (server, config) = start(TcpLimits { max_connections_per_client: 2, ..TcpLimits::default() });
    let question = query(1, "www.example.", RecordType::A);
    let (mut tls, mut tcp) = (connect(&server, &config), tcp_client(server.address()));
    assert_eq!((id_of(&ask_tcp(&mut tls, &question)), id_of(&ask_tcp(&mut tcp, &question))), (1, 1));
    let mut third = connect(&server, &config);
    assert_eq!(id_of(&ask_tcp(&mut third, &question)), 1);
    assert_eq!(tls.read(&mut [0; 1]).unwrap(), 0, "the one that has been idle longest ends in order");
    assert_eq!(id_of(&ask_tcp(&mut tcp, &question)), 1);
    // A client that does not greet is in nobody's way.
    let _silent = tcp_client(server.tls[0]);
    wait_for("it to have a place", || server.metrics.tcp_limited.get() == 2);
    assert_eq!(id_of(&ask_tcp(&mut connect(&server, &config), &question)), 1);
}

#[test]
fn a_reader_too_slow_for_its_transfer_over_tls_is_cut_and_counted() {
    let (server, config) = start(TcpLimits { write_timeout: Duration::from_millis(200), ..TcpLimits::default() });
    let mut slow = connect(&server, &config);
    for id in 0..4 {
        slow.write_all(&framed(&query(id, "big.example.", RecordType::AXFR))).unwrap();
    }
    wait_for("the slow reader to be cut", || server.metrics.tcp_limited.get() == 1);
    assert_eq!(id_of(&ask_tcp(&mut connect(&server, &config), &query(7, "www.example.", RecordType::A))), 7);
}

#[test]
fn a_query_that_has_arrived_over_tls_is_answered_before_the_server_stops() {
    let (mut server, config) = start(TcpLimits::default());
    let mut streams: Vec<TlsClient> = (0..5).map(|_| connect(&server, &config)).collect();
    for stream in &mut streams {
        assert_eq!(id_of(&ask_tcp(stream, &query(1, "www.example.", RecordType::A))), 1);
        stream.write_all(&framed(&query(2, "www.example.", RecordType::A))).unwrap();
    }
    server.stop().unwrap();
    for stream in &mut streams {
        assert_eq!(id_of(&read_message(stream).unwrap()), 2);
        assert_eq!(stream.read(&mut [0; 1]).unwrap(), 0, "an end in order");
    }
}
