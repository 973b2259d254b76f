//! The part about the system calls of the UDP loop: what a datagram costs to receive and send back, by how many are
//! taken at once. Everything is on one core in one thread, so that no wake-up and no other work is in it.

use std::io;
use std::net::UdpSocket;
use std::time::{Duration, Instant};

use crate::Options;
use crate::report::Report;
use crate::sys::{BATCH, Batch, Wait};
use crate::zones::address_query;

/// Datagrams in one measurement, and how many are made in a round. The least is what counts: all that disturbs adds.
const DATAGRAMS: usize = 512;
const MEASUREMENTS: usize = 200;

/// What a datagram costs in batches of every size.
pub(crate) fn calls(options: &Options) -> io::Result<()> {
    let server = UdpSocket::bind("127.0.0.1:0")?;
    let client = UdpSocket::bind("127.0.0.1:0")?;
    client.connect(server.local_addr()?)?;
    client.set_nonblocking(true)?;
    let sizes: Vec<usize> = (0..).map(|power| 1 << power).take_while(|size| *size <= BATCH).collect();
    let mut least = vec![Duration::MAX; sizes.len()];
    for _ in 0..MEASUREMENTS * options.rounds as usize {
        for (least, &size) in least.iter_mut().zip(&sizes) {
            *least = (*least).min(measure(&server, &client, size)?);
        }
    }
    let mut report = Report::new("calls", "The system calls of the UDP loop");
    report.say(
        "One core, one thread, the least of many measurements: receiving datagrams and sending as many bytes back to each. \
         Singly is by recvfrom and sendto, the others are by recvmmsg and sendmmsg.",
    );
    let cells = |(size, least): (&usize, &Duration)| {
        let name = if *size == 1 { "singly".to_owned() } else { size.to_string() };
        vec![name, format!("{:.0}", least.as_nanos() as f64 / DATAGRAMS as f64)]
    };
    report.table(&["datagrams at once", "ns a datagram"], &sizes.iter().zip(&least).map(cells).collect::<Vec<_>>());
    report.finish(options.into.as_deref())
}

/// Receives and sends back so many at a time.
fn measure(server: &UdpSocket, client: &UdpSocket, size: usize) -> io::Result<Duration> {
    let (mut batch, query, mut buffer) = (Batch::new(false), address_query("www.bench.example"), [0; 512]);
    let mut took = Duration::ZERO;
    for _ in 0..DATAGRAMS / size {
        for _ in 0..size {
            client.send(&query)?;
        }
        let began = Instant::now();
        let received = batch.receive(server, Wait::No)?;
        batch.reply(
            server,
            &mut (),
            |(), _| (),
            |(), datagram, (), response| {
                response.clear();
                response.extend_from_slice(datagram.bytes);
                true
            },
        );
        took += began.elapsed();
        assert_eq!(received, size, "all were queued");
        while client.recv(&mut buffer).is_ok() {}
    }
    Ok(took)
}
