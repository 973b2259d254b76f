//! The servers over real sockets, asked by `dig`, `kdig` and by hand.

#![expect(clippy::unwrap_used, reason = "a test says what it expects by failing")]

mod quic;
mod tls;

use std::io::{ErrorKind, Read, Write};
use std::net::{IpAddr, SocketAddr, TcpStream, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::{Arc, LazyLock, PoisonError, RwLock, RwLockWriteGuard};
use std::time::{Duration, Instant};

use grapevine::answer::{Context, Outcome, Server, Transport, answer};
use grapevine::metrics::Metrics;
use grapevine::published::Published;
use grapevine::serve::{BindError, EncryptedConfig, Listener, ServeConfig, ServeError, Servers, TcpLimits};
use grapevine::zone::{Name, Rdata, Record, RecordType, Soa, Zone, ZoneContent, ZoneSet};
use tokio::runtime::Runtime;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// How long any fact is waited for.
const DEADLINE: Duration = Duration::from_secs(20);
const BIG_ZONE_RECORDS: u32 = 40_000;

// -- asked with the usual tools --

#[test]
fn dig_gets_its_answers_in_all_the_usual_forms() {
    let server = Running::start(local(false));
    let at = server.address();
    for transport in [["+notcp"].as_slice(), &["+tcp"]] {
        let ask = |arguments: &[&str]| dig(at, &[transport, arguments].concat());
        assert_eq!(ask(&["+short", "www.example.", "A"]), "192.0.2.1\n");
        assert_eq!(ask(&["+short", "alias.example.", "A"]), "www.example.\n192.0.2.1\n");
        assert_eq!(ask(&["+short", "-x", "192.0.2.1"]), "www.example.\n");
        assert_eq!(ask(&["+short", "id.server.", "CH", "TXT"]), "\"ns-one\"\n");
        assert!(ask(&["wWw.ExAmPlE.", "A"]).contains("wWw.ExAmPlE."), "the case of the question comes back");
        assert!(ask(&["+nsid", "www.example.", "A"]).contains("(\"ns-one\")"));
        assert!(ask(&["nothing.example.", "A"]).contains("status: NXDOMAIN"));
        assert!(ask(&["example.org.", "A"]).contains("status: REFUSED"));
        assert!(ask(&["+noedns", "www.example.", "A"]).contains("status: NOERROR"));
    }
    assert!(dig(at, &["+ignore", "+bufsize=512", "large.example.", "TXT"]).contains("flags: qr aa tc"));
    assert!(dig(at, &["+short", "large.example.", "TXT"]).len() > 4000, "dig came again over TCP");
    let metrics = &server.metrics;
    wait_for("truncation to be counted", || metrics.responses_truncated.get() == 2);
    assert!(metrics.queries_udp.get() >= 11 && metrics.queries_tcp.get() >= 10);
}

#[test]
fn a_large_zone_is_transferred_whole() {
    let server = Running::start(local(false));
    let transferred = dig(server.address(), &["+noall", "+answer", "big.example.", "AXFR"]);
    let records = transferred.lines().filter(|line| !line.starts_with(';') && !line.is_empty()).count();
    assert_eq!(records as u32, BIG_ZONE_RECORDS + 3, "the SOA twice, one NS and the rest");
    wait_for("the transfer to be counted", || server.metrics.transfers.get() == 1);
}

#[test]
fn a_client_outside_the_list_gets_no_transfer() {
    let server = Running::start(ServeConfig { allow_transfer: Vec::new(), ..local(false) });
    assert!(dig(server.address(), &["example.", "AXFR"]).contains("Transfer failed"));
    assert_eq!(server.metrics.transfers_refused.get(), 1);
}

// -- UDP --

#[test]
fn a_wildcard_bind_answers_from_the_address_that_was_asked() {
    for (wildcard, asked) in [("0.0.0.0:0", "127.0.0.2"), ("0.0.0.0:0", "127.0.0.1"), ("[::]:0", "::1")] {
        let server = Running::start(listening(&[(wildcard, false)]));
        let asked: IpAddr = asked.parse().unwrap();
        // dig and a connected socket both refuse what comes from elsewhere.
        let client = udp_client((asked, server.address().port()).into());
        client.send(&query(7, "www.example.", RecordType::A)).unwrap();
        assert_eq!(receive(&client)[..2], 7u16.to_be_bytes());
    }
}

#[test]
fn random_bytes_are_survived_and_the_next_query_is_answered() {
    use proptest::prelude::*;
    let server = Running::start(local(false));
    let (at, valid) = (server.address(), query(9, "www.example.", RecordType::A));
    let client = udp_client(at);
    let mangled = (prop::collection::vec(any::<u8>(), 0..600), 0usize..40, any::<bool>());
    proptest!(ProptestConfig { cases: 500, ..ProptestConfig::default() }, |((bytes, at_byte, whole) in mangled)| {
        let mut packet = if whole { bytes } else { [&valid[..], &bytes].concat() };
        if let Some(byte) = packet.get_mut(at_byte) {
            *byte ^= 0x5a;
        }
        client.send(&packet).unwrap();
    });
    for i in 0..50u8 {
        let mut stream = TcpStream::connect(at).unwrap();
        let noise: Vec<u8> = (0..200u8).map(|j| j.wrapping_mul(i).wrapping_add(i)).collect();
        // The server may have closed the connection before all was written.
        let _ = stream.write_all(&noise);
    }
    let client = udp_client(at);
    client.send(&valid).unwrap();
    assert_eq!(receive(&client)[..2], valid[..2]);
    assert_eq!(ask_tcp(&mut tcp_client(at), &valid)[..2], valid[..2]);
    assert_eq!(server.metrics.answers_panicked.get(), 0);
}

#[test]
fn a_response_sent_to_the_server_is_dropped_and_counted() {
    let server = Running::start(local(false));
    let client = udp_client(server.address());
    let (mut response, question) = (query(1, "www.example.", RecordType::A), query(2, "www.example.", RecordType::A));
    response[2] |= 0x80;
    client.send(&response).unwrap();
    client.send(&question).unwrap();
    assert_eq!(id_of(&receive(&client)), 2);
    wait_for("the drop to be counted", || server.metrics.queries_dropped.get() == 1);
}

#[test]
fn a_new_snapshot_is_answered_from_at_once() {
    let server = Running::start(local(false));
    let at = server.address();
    assert_eq!(dig(at, &["+short", "new.example.", "A"]), "");
    let mut content = server.zones.load().get(&name("example.")).unwrap().to_content();
    content.add(record("new.example.", RecordType::A, &[192, 0, 2, 9]));
    server.zones.publish(Arc::new(ZoneSet::new([Arc::new(Zone::from_content(&content))])));
    assert_eq!(dig(at, &["+short", "new.example.", "A"]), "192.0.2.9\n");
}

#[test]
fn what_is_asked_again_is_answered_as_the_first_time_until_the_zones_change() {
    let server = Running::start(local(false));
    // One socket, so one thread.
    let client = udp_client(server.address());
    let said = Server { nsid: "ns-one".into(), version: "test".into(), ..Server::default() };
    let context = Context::new(&said, Transport::Udp, client.local_addr().unwrap().ip());
    let opt = |options: &[u8]| [&[0, 0, 41, 4, 208, 0, 0, 0, 0, 0, options.len() as u8], options].concat();
    let with_opt = |mut query: Vec<u8>, options: &[u8]| {
        query[11] = 1;
        [query, opt(options)].concat()
    };
    let plain = ["www", "alias", "nothing", "WWW", "large", "odd", "new"].map(|label| format!("{label}.example."));
    let ask_all = |round: u16| {
        for (number, qname) in plain.iter().enumerate() {
            for rtype in [RecordType::A, RecordType::TXT, RecordType::SOA] {
                let asked = query(round << 8 | number as u16, qname, rtype);
                for asked in [asked.clone(), with_opt(asked.clone(), &[]), with_opt(asked, &[0, 3, 0, 0])] {
                    client.send(&asked).unwrap();
                    let mut expected = Vec::new();
                    assert!(matches!(answer(&server.zones.load(), &asked, &context, &mut expected), Outcome::Respond));
                    assert_eq!(receive(&client), expected, "{qname} {rtype}, round {round}");
                }
            }
        }
    };
    (0..4).for_each(ask_all);
    for last in 1..20 {
        let mut content = zone("example.");
        content.add(record("new.example.", RecordType::A, &[192, 0, 2, last]));
        server.zones.publish(Arc::new(ZoneSet::new([Arc::new(Zone::from_content(&content))])));
        ask_all(u16::from(last) + 4);
    }
}

// -- TCP --

#[test]
fn pipelined_queries_are_all_answered_on_one_connection() {
    let server = Running::start(local(false));
    let mut stream = tcp_client(server.address());
    let queries: Vec<u8> = (0..3000).flat_map(|id| framed(&query(id, "www.example.", RecordType::A))).collect();
    let mut writer = stream.try_clone().unwrap();
    let written = std::thread::spawn(move || writer.write_all(&queries).unwrap());
    let mut ids: Vec<u16> = (0..3000).map(|_| id_of(&read_message(&mut stream).unwrap())).collect();
    written.join().unwrap();
    ids.sort_unstable();
    assert_eq!(ids, (0..3000).collect::<Vec<u16>>());
}

#[test]
fn a_query_after_a_transfer_is_answered_before_the_transfer_ends() {
    let server = Running::start(local(false));
    let mut stream = tcp_client(server.address());
    let both = [query(1, "big.example.", RecordType::AXFR), query(2, "www.example.", RecordType::A)];
    stream.write_all(&both.map(|query| framed(&query)).concat()).unwrap();
    stream.shutdown(std::net::Shutdown::Write).unwrap();
    let ids: Vec<u16> = std::iter::from_fn(|| read_message(&mut stream)).map(|message| id_of(&message)).collect();
    assert!(ids.len() > 100, "a transfer of many messages: {}", ids.len());
    assert_eq!(ids.iter().filter(|&&id| id == 2).count(), 1);
    assert_ne!(ids.last(), Some(&2));
}

#[test]
fn transfers_beyond_the_cap_are_refused_and_other_queries_are_not() {
    let tcp = TcpLimits { max_transfers: 0, ..TcpLimits::default() };
    let server = Running::start(ServeConfig { tcp, ..local(false) });
    let mut stream = tcp_client(server.address());
    let refused = ask_tcp(&mut stream, &query(1, "example.", RecordType::AXFR));
    assert_eq!(refused[3] & 0x0f, 5, "REFUSED");
    assert_eq!(server.metrics.transfers_refused.get(), 1);
    assert_eq!(ask_tcp(&mut stream, &query(2, "www.example.", RecordType::A))[3] & 0x0f, 0);
}

#[test]
fn a_reader_too_slow_for_its_transfer_is_cut_and_counted_while_others_are_served() {
    let tcp = TcpLimits { write_timeout: Duration::from_millis(200), ..TcpLimits::default() };
    let server = Running::start(ServeConfig { tcp, ..local(false) });
    let mut slow = tcp_client(server.address());
    for id in 0..4 {
        slow.write_all(&framed(&query(id, "big.example.", RecordType::AXFR))).unwrap();
    }
    assert_eq!(dig(server.address(), &["+tcp", "+short", "www.example.", "A"]), "192.0.2.1\n");
    wait_for("the slow reader to be cut", || server.metrics.tcp_limited.get() == 1);
    let mut rest = Vec::new();
    assert_eq!(slow.read_to_end(&mut rest).map_err(|error| error.kind()), Err(ErrorKind::ConnectionReset));
}

#[test]
fn idle_and_dripping_connections_are_closed() {
    let tcp = TcpLimits { idle_timeout: Duration::from_millis(100), ..TcpLimits::default() };
    let server = Running::start(ServeConfig { tcp, ..local(false) });
    let mut idle = tcp_client(server.address());
    assert_eq!(idle.read(&mut [0; 1]).unwrap(), 0);
    let mut dripping = tcp_client(server.address());
    let started = Instant::now();
    // Each byte comes well within the timeout; the query would take hours.
    while dripping.write_all(&[0x10]).is_ok() {
        assert!(started.elapsed() < DEADLINE, "still open");
        dripping.set_read_timeout(Some(Duration::from_millis(10))).unwrap();
        if let Ok(0) = dripping.read(&mut [0; 1]) {
            break;
        }
    }
    wait_for("both to be counted", || server.metrics.tcp_limited.get() == 2);
}

#[test]
fn a_message_too_long_or_too_short_ends_its_connection() {
    let server = Running::start(local(false));
    for length in [u16::MAX, 11] {
        let mut stream = tcp_client(server.address());
        // At once: the length alone may end it.
        stream.write_all(&[&length.to_be_bytes()[..], &[0; 11]].concat()).unwrap();
        assert!(matches!(stream.read(&mut [0; 1]), Ok(0) | Err(_)));
    }
    wait_for("both to be counted", || server.metrics.tcp_limited.get() == 2);
}

#[test]
fn one_client_cannot_take_more_connections_than_its_share() {
    let tcp = TcpLimits { max_connections_per_client: 2, ..TcpLimits::default() };
    let server = Running::start(ServeConfig { tcp, ..local(false) });
    let question = query(1, "www.example.", RecordType::A);
    let mut open: Vec<TcpStream> = (0..2).map(|_| tcp_client(server.address())).collect();
    open.iter_mut().for_each(|stream| assert_eq!(id_of(&ask_tcp(stream, &question)), 1));
    let mut third = tcp_client(server.address());
    assert_eq!(id_of(&ask_tcp(&mut third, &question)), 1);
    assert_eq!(open[0].read(&mut [0; 1]).unwrap(), 0, "the one that has been idle longest ends in order");
    assert_eq!(id_of(&ask_tcp(&mut open[1], &question)), 1);
    assert_eq!(server.metrics.tcp_limited.get(), 1);
    // A transfer that nobody reads keeps its connection busy.
    for stream in [&mut open[1], &mut third] {
        (0..4).for_each(|id| stream.write_all(&framed(&query(id, "big.example.", RecordType::AXFR))).unwrap());
        read_message(stream).expect("the transfers have begun");
    }
    let mut fourth = tcp_client(server.address());
    assert!(matches!(fourth.read(&mut [0; 1]), Ok(0) | Err(_)), "turned away");
    assert_eq!(server.metrics.tcp_limited.get(), 2);
    drop(third);
    wait_for("the place to be free again", || {
        let mut stream = tcp_client(server.address());
        stream.write_all(&framed(&question)).is_ok() && read_message(&mut stream).is_some()
    });
}

#[test]
fn connections_that_ask_nothing_or_drip_keep_nobody_out() {
    let tcp = TcpLimits { max_connections: 40, max_connections_per_client: 20, ..TcpLimits::default() };
    let server = Running::start(ServeConfig { tcp, ..local(false) });
    let mut idle: Vec<TcpStream> = (0..100).map(|_| tcp_client(server.address())).collect();
    for stream in &mut idle {
        // Those that were told to end refuse.
        let _ = stream.write_all(&[0]);
    }
    for transport in ["+tcp", "+notcp"] {
        assert_eq!(dig(server.address(), &[transport, "+short", "www.example.", "A"]), "192.0.2.1\n");
    }
    assert!(server.metrics.tcp_limited.get() >= 80);
}

// -- addresses --

#[test]
fn an_address_that_is_not_shared_has_one_owner() {
    let first = Running::start(local(false));
    let text = first.address().to_string();
    for shared in [false, true] {
        let Err(error) = bind(listening(&[(&text, shared)])) else { panic!("bound twice") };
        assert!(matches!(error, BindError::InUse { .. }), "{error}");
        let message = error.to_string();
        assert!(message.contains(&text) && message.contains("shared service address"), "{message}");
    }
    let sharing = Running::start(local(true));
    let error = bind(listening(&[(&sharing.address().to_string(), false)])).err().unwrap();
    assert!(matches!(error, BindError::InUse { .. }), "{error}");
}

#[test]
fn an_address_of_no_interface_is_named() {
    let error = bind(listening(&[("192.0.2.77:5300", false)])).err().unwrap();
    assert!(matches!(error, BindError::NotLocal { .. }));
    assert!(error.to_string().contains("192.0.2.77:5300/tcp") && error.to_string().contains("ip address add"));
}

#[test]
fn servers_that_share_an_address_all_answer_and_one_can_leave() {
    let mut first = Running::start(local(true));
    let at = first.address();
    let second = Running::with_nsid(listening(&[(&at.to_string(), true)]), "ns-two");
    assert_eq!(second.address(), at);
    for transport in ["+notcp", "+tcp"] {
        let mut seen = [false; 2];
        wait_for("both to answer", || {
            match dig(at, &[transport, "+short", "id.server.", "CH", "TXT"]).trim() {
                "\"ns-one\"" => seen[0] = true,
                "\"ns-two\"" => seen[1] = true,
                other => panic!("unexpected: {other}"),
            }
            seen == [true; 2]
        });
    }
    first.stop().unwrap();
    for _ in 0..20 {
        let client = udp_client(at);
        client.send(&query(5, "www.example.", RecordType::A)).unwrap();
        assert_eq!(id_of(&receive(&client)), 5);
    }
}

#[test]
fn what_was_queued_before_shutdown_is_answered() {
    let runtime = Runtime::new().unwrap();
    let (servers, ..) = bind(local(true)).unwrap();
    let at = servers.addresses()[0];
    // Nothing has been received yet: the kernel holds all of this when the server is told to stop.
    let clients: Vec<UdpSocket> = (0..200).map(|_| udp_client(at)).collect();
    for (id, client) in clients.iter().enumerate() {
        client.send(&query(id as u16, "www.example.", RecordType::A)).unwrap();
    }
    let mut streams: Vec<TcpStream> = (0..5).map(|_| tcp_client(at)).collect();
    for stream in &mut streams {
        stream.write_all(&framed(&query(1, "www.example.", RecordType::A))).unwrap();
    }
    let stop = CancellationToken::new();
    stop.cancel();
    let closing = nothing_starts();
    runtime.block_on(servers.run(stop)).unwrap();
    drop(closing);
    for (id, client) in clients.iter().enumerate() {
        assert_eq!(id_of(&receive(client)), id as u16);
    }
    for stream in &mut streams {
        assert_eq!(id_of(&read_message(stream).unwrap()), 1);
        assert!(read_message(stream).is_none(), "closed");
    }
    UdpSocket::bind(at).expect("every socket was closed");
}

#[test]
fn bad_certificate_files_are_explained() {
    let directory = tempfile::tempdir().unwrap();
    let (certificate, key) = make_certificate(directory.path(), "one");
    let (_, other_key) = make_certificate(directory.path(), "two");
    let garbage = directory.path().join("garbage.pem");
    std::fs::write(&garbage, "garbage").unwrap();
    let missing = directory.path().join("missing.pem");
    for (certificate, key, expected) in [
        (&missing, &key, "missing.pem: cannot be read"),
        (&certificate, &missing, "missing.pem: cannot be read"),
        (&garbage, &key, "garbage.pem: there is no certificate in it"),
        (&certificate, &certificate, "there is no private key in it"),
        (&certificate, &other_key, "two.key: is not the key of the certificate"),
    ] {
        let (certificate, key) = (certificate.clone(), key.clone());
        let encrypted = EncryptedConfig { tls: any_port(), quic: Vec::new(), certificate, key };
        let error = bind(ServeConfig { encrypted: Some(encrypted), ..local(false) }).err().unwrap().to_string();
        assert!(error.contains(expected), "{error}");
    }
}

// -- the server under test --

struct Running {
    addresses: Vec<SocketAddr>,
    tls: Vec<SocketAddr>,
    quic: Vec<SocketAddr>,
    metrics: Arc<Metrics>,
    zones: Arc<Published>,
    stop: CancellationToken,
    task: Option<JoinHandle<Result<(), ServeError>>>,
    runtime: Runtime,
}

impl Running {
    fn start(config: ServeConfig) -> Running {
        Running::with_nsid(config, "ns-one")
    }

    fn with_nsid(config: ServeConfig, nsid: &str) -> Running {
        let (servers, zones, metrics) = bind_with_nsid(config, nsid).unwrap();
        let (addresses, tls, quic) = (servers.addresses(), servers.tls_addresses(), servers.quic_addresses());
        let (runtime, stop) = (Runtime::new().unwrap(), CancellationToken::new());
        let task = Some(runtime.spawn(servers.run(stop.clone())));
        Running { addresses, tls, quic, metrics, zones, stop, task, runtime }
    }

    fn address(&self) -> SocketAddr {
        self.addresses[0]
    }

    fn stop(&mut self) -> Result<(), ServeError> {
        let _closing = nothing_starts();
        self.stop.cancel();
        self.task.take().map_or(Ok(()), |task| self.runtime.block_on(task).unwrap())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let result = self.stop();
        if !std::thread::panicking() {
            result.unwrap();
        }
    }
}

type Bound = (Servers, Arc<Published>, Arc<Metrics>);

fn bind(config: ServeConfig) -> Result<Bound, BindError> {
    bind_with_nsid(config, "ns-one")
}

fn bind_with_nsid(config: ServeConfig, nsid: &str) -> Result<Bound, BindError> {
    let zones = Arc::new(Published::from(zones()));
    let server = Server { nsid: nsid.into(), version: "test".into(), ..Server::default() };
    let metrics = Arc::new(Metrics::default());
    let servers = Servers::bind(config, Arc::clone(&zones), Arc::new(server), Arc::clone(&metrics))?;
    Ok((servers, zones, metrics))
}

fn local(shared: bool) -> ServeConfig {
    listening(&[("127.0.0.1:0", shared)])
}

fn any_port() -> Vec<SocketAddr> {
    vec!["127.0.0.1:0".parse().unwrap()]
}

fn listening(addresses: &[(&str, bool)]) -> ServeConfig {
    let listeners = addresses.iter().map(|&(text, shared)| Listener { address: text.parse().unwrap(), shared });
    ServeConfig { listeners: listeners.collect(), udp_workers: 2, ..ServeConfig::default() }
}

/// The zones, made once: the big one takes a while.
fn zones() -> ZoneSet {
    static ZONES: LazyLock<ZoneSet> = LazyLock::new(make_zones);
    ZONES.clone()
}

fn make_zones() -> ZoneSet {
    let wire = |text: &str| Name::parse_to_wire(text.as_bytes(), None).unwrap();
    let mut example = zone("example.");
    example.add(record("www.example.", RecordType::A, &[192, 0, 2, 1]));
    example.add(record("alias.example.", RecordType::CNAME, &wire("www.example.")));
    example.add(record("example.", RecordType::MX, &[&[0, 10], &wire("Mail.example.")[..]].concat()));
    example.add(record("odd.example.", RecordType(65400), &[1, 2, 3, 0xc0, 0x0c]));
    for i in 0..20u8 {
        example.add(record("large.example.", RecordType::TXT, &[&[200], &[b'a' + i; 200][..]].concat()));
    }
    let mut reverse = zone("2.0.192.in-addr.arpa.");
    reverse.add(record("1.2.0.192.in-addr.arpa.", RecordType::PTR, &wire("www.example.")));
    let mut big = zone("big.example.");
    for i in 0..BIG_ZONE_RECORDS {
        let text = [&[100], &[b'x'; 100][..]].concat();
        big.add(record(&format!("n{i}.big.example."), RecordType::TXT, &text));
    }
    ZoneSet::new([example, reverse, big].map(|content| Arc::new(Zone::from(content))))
}

fn zone(origin: &str) -> ZoneContent {
    let [mname, rname] = ["ns.example.", "hostmaster.example."].map(|text| Rdata::new(name(text).as_wire()));
    let soa = Soa { ttl: 60, mname, rname, serial: 1, refresh: 1, retry: 1, expire: 1, minimum: 60 };
    let mut content = ZoneContent::new(name(origin), soa);
    content.add(record(origin, RecordType::NS, name("ns.example.").as_wire()));
    content
}

fn record(owner: &str, rtype: RecordType, rdata: &[u8]) -> Record {
    Record { owner: name(owner), rtype, ttl: 60, rdata: Rdata::new(rdata) }
}

fn name(text: &str) -> Name {
    text.parse().unwrap()
}

// -- clients --

fn query(id: u16, qname: &str, rtype: RecordType) -> Vec<u8> {
    let header = [id, 0, 1, 0, 0, 0].map(u16::to_be_bytes).concat();
    [&header[..], name(qname).as_wire(), &rtype.0.to_be_bytes(), &1u16.to_be_bytes()].concat()
}

fn id_of(message: &[u8]) -> u16 {
    u16::from_be_bytes([message[0], message[1]])
}

fn udp_client(server: SocketAddr) -> UdpSocket {
    let client = UdpSocket::bind((if server.is_ipv4() { "127.0.0.1" } else { "::1" }, 0)).unwrap();
    client.set_read_timeout(Some(DEADLINE)).unwrap();
    client.connect(server).unwrap();
    client
}

fn receive(client: &UdpSocket) -> Vec<u8> {
    let mut buffer = vec![0; 65536];
    let length = client.recv(&mut buffer).expect("a response");
    buffer.truncate(length);
    buffer
}

fn tcp_client(server: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(server).unwrap();
    stream.set_read_timeout(Some(DEADLINE)).unwrap();
    stream
}

fn framed(message: &[u8]) -> Vec<u8> {
    [&(message.len() as u16).to_be_bytes(), message].concat()
}

/// The next message; `None` at the end of the stream.
fn read_message(stream: &mut impl Read) -> Option<Vec<u8>> {
    let mut length = [0; 2];
    stream.read_exact(&mut length).ok()?;
    let mut message = vec![0; u16::from_be_bytes(length).into()];
    stream.read_exact(&mut message).unwrap();
    Some(message)
}

fn ask_tcp(stream: &mut (impl Read + Write), query: &[u8]) -> Vec<u8> {
    stream.write_all(&framed(query)).unwrap();
    read_message(stream).expect("a response")
}

fn dig(server: SocketAddr, arguments: &[&str]) -> String {
    run(Command::new("dig").args(["+norec", "+tries=1"]).args(at(server)).args(arguments))
}

fn kdig(server: SocketAddr, arguments: &[&str]) -> String {
    run(Command::new("kdig").arg("+norec").args(at(server)).args(arguments))
}

fn at(server: SocketAddr) -> [String; 3] {
    [format!("@{}", server.ip()), "-p".into(), server.port().to_string()]
}

/// Between its fork and its exec a program that is being started holds all sockets that this process has open, and what is sent to
/// them then is lost. So none is started while a server closes its own.
static STARTING: RwLock<()> = RwLock::new(());

fn nothing_starts() -> RwLockWriteGuard<'static, ()> {
    STARTING.write().unwrap_or_else(PoisonError::into_inner)
}

fn output_of(command: &mut Command) -> std::io::Result<Output> {
    let starting = STARTING.read().unwrap_or_else(PoisonError::into_inner);
    let child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
    drop(starting);
    child.and_then(Child::wait_with_output)
}

fn run(command: &mut Command) -> String {
    let output = output_of(command).unwrap_or_else(|error| panic!("{command:?}: {error}; is it installed?"));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// Questions with answers of every kind.
const QUESTIONS: [(&str, &str); 7] = [
    ("www.example.", "A"),
    ("alias.example.", "A"),
    ("example.", "SOA"),
    ("example.", "MX"),
    ("large.example.", "TXT"),
    ("odd.example.", "TYPE65400"),
    ("nothing.example.", "A"),
];

/// A response as kdig shows it, all but the random id and what is about the transport.
fn sections(at: SocketAddr, transport: &str, name: &str, rtype: &str) -> String {
    let shown = ["+noall", "+header", "+question", "+answer", "+authority", "+additional"];
    let text = kdig(at, &[&[transport, "+edns", name, rtype], &shown[..]].concat());
    let of_message = |line: &&str| !["id:", "TLS session", "QUIC session"].iter().any(|word| line.contains(word));
    text.lines().filter(of_message).map(|line| format!("{line}\n")).collect()
}

/// A self-signed certificate and its key.
fn make_certificate(directory: &Path, name: &str) -> (PathBuf, PathBuf) {
    let (certificate, key) = (directory.join(format!("{name}.pem")), directory.join(format!("{name}.key")));
    let mut openssl = Command::new("openssl");
    openssl.args(["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]);
    openssl.args(["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"]);
    openssl
        .args(["-addext", "basicConstraints=critical,CA:FALSE", "-days", "2", "-out"])
        .arg(&certificate)
        .arg("-keyout")
        .arg(&key);
    let output = output_of(&mut openssl).expect("openssl is installed");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    (certificate, key)
}

fn wait_for(fact: &str, mut holds: impl FnMut() -> bool) {
    let started = Instant::now();
    while !holds() {
        assert!(started.elapsed() < DEADLINE, "waited in vain for {fact}");
        std::thread::yield_now();
    }
}
