//! Batches of datagrams through recvmmsg(2) and sendmmsg(2), the socket options that have no safe wrapper, and the one
//! setting of the allocator.
//!
//! The only unsafe code of the crate. Must not know what a datagram means. Linux alone: the calls, `IP_PKTINFO` and
//! `SO_RCVBUFFORCE` are its own.
#![expect(unsafe_code, reason = "system calls over whole batches and ancillary data have no safe wrapper")]

use std::alloc::{Layout, alloc_zeroed, handle_alloc_error};
use std::io;
use std::mem::size_of;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6};
use std::os::fd::{AsFd, AsRawFd};
use std::ptr::{self, NonNull};

use libc::{c_int, c_long};
// The allocator, of which one function is called by its name in C.
use mimalloc as _;

/// Datagrams in one system call; see the measurement in [`super::udp`].
pub(super) const BATCH: usize = 32;
/// How many receives that follow one which found a single datagram take just one: that costs less, in a call of its own
/// that does not look for a second. The next looks for more again. See the measurement in [`super::udp`].
const LONE_RECEIVES: u8 = 7;
/// The longest query taken over UDP; more is cut off and marked. One cache line more than a page, so that the starts of
/// the buffers do not all compete for the same lines of the cache.
const MAX_DATAGRAM: usize = 4096 + 64;
/// Room for the ancillary data of one datagram: IPV6_PKTINFO, the larger of the two.
// SAFETY: CMSG_SPACE only computes.
const CONTROL: usize = unsafe { libc::CMSG_SPACE(size_of::<libc::in6_pktinfo>() as u32) } as usize;

/// Bytes that a processor fetches together.
#[cfg(target_arch = "x86_64")]
const CACHE_LINE: usize = 64;

/// `mi_option_purge_delay` of mimalloc 3: for how many milliseconds memory that was freed is kept for later.
const PURGE_DELAY: c_int = 15;

unsafe extern "C" {
    fn mi_option_set(option: c_int, value: c_long);
}

/// Has memory that is freed in large pieces given back to the system at once. By itself the allocator keeps it for a
/// second and then looks at it at some later call, which in a node at rest does not come: what it took to read a large
/// zone would stay.
pub(crate) fn give_back_memory_at_once() {
    // SAFETY: the function takes any option and value, and may be called at any time.
    unsafe { mi_option_set(PURGE_DELAY, 0) }
}

/// Datagrams received together, each with room for its response. Nothing is allocated after the first responses.
pub(super) struct Batch {
    slots: NonNull<Slots>,
    responses: [Vec<u8>; BATCH],
    received: usize,
    /// How many receives to come take just one.
    lone: u8,
    control_length: usize,
}

/// A received datagram.
#[derive(Clone, Copy, Debug)]
pub(super) struct Datagram<'a> {
    pub(super) bytes: &'a [u8],
    /// Who sent it.
    pub(super) source: SocketAddr,
    /// The address it was sent to, where [`receive_destination`] was called.
    pub(super) destination: Option<IpAddr>,
}

/// Whether to wait for a datagram.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Wait {
    /// Until there is one, the socket is shut down or its receive timeout ends.
    ForOne,
    /// Not at all.
    No,
}

/// What became of the responses of a batch.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) struct Sent {
    pub(super) sent: usize,
    /// Responses that the kernel refused: no route, a full queue, a firewall.
    pub(super) failed: usize,
}

/// What the kernel reads and writes. Lives on the heap and is reached through a raw pointer alone, because the headers
/// hold pointers to their neighbours.
struct Slots {
    inbound: [libc::mmsghdr; BATCH],
    outbound: [libc::mmsghdr; BATCH],
    inbound_data: [libc::iovec; BATCH],
    outbound_data: [libc::iovec; BATCH],
    addresses: [Address; BATCH],
    controls: [Control; BATCH],
    datagrams: [[u8; MAX_DATAGRAM]; BATCH],
}

#[derive(Clone, Copy)]
#[repr(C)]
union Address {
    family: libc::sa_family_t,
    v4: libc::sockaddr_in,
    v6: libc::sockaddr_in6,
}

/// Aligned for `cmsghdr`.
#[derive(Clone, Copy)]
#[repr(C, align(8))]
struct Control([u8; CONTROL]);

impl Batch {
    /// An empty batch; `destinations` if [`receive_destination`] was called on the socket.
    pub(super) fn new(destinations: bool) -> Batch {
        let layout = Layout::new::<Slots>();
        // SAFETY: the layout is not empty.
        let slots = unsafe { alloc_zeroed(layout) }.cast::<Slots>();
        let Some(slots) = NonNull::new(slots) else { handle_alloc_error(layout) };
        let control_length = if destinations { CONTROL } else { 0 };
        let all = slots.as_ptr();
        for i in 0..BATCH {
            // SAFETY: `all` points to a Slots of our own, valid because all its fields are plain data for which zeros
            // are a value; `i` is within every array; no reference to the allocation exists.
            unsafe {
                let data = &raw mut (*all).inbound_data[i];
                (*data).iov_base = (&raw mut (*all).datagrams[i]).cast();
                (*data).iov_len = MAX_DATAGRAM;
                let header = &raw mut (*all).inbound[i].msg_hdr;
                (*header).msg_iov = data;
                (*header).msg_iovlen = 1;
                (*header).msg_name = (&raw mut (*all).addresses[i]).cast();
                (*header).msg_namelen = size_of::<Address>() as u32;
                if destinations {
                    (*header).msg_control = (&raw mut (*all).controls[i]).cast();
                    (*header).msg_controllen = control_length as _;
                }
            }
        }
        Batch { slots, responses: [const { Vec::new() }; BATCH], received: 0, lone: 0, control_length }
    }

    /// Receives up to [`BATCH`] datagrams in place of those held. Zero is no error: the wait ended, a signal came, or an
    /// ICMP error about an earlier response was reported.
    pub(super) fn receive(&mut self, socket: &impl AsFd, wait: Wait) -> io::Result<usize> {
        let all = self.slots.as_ptr();
        for i in 0..self.received {
            // SAFETY: as in `new`. The kernel has replaced the lengths of those it filled.
            unsafe {
                let header = &raw mut (*all).inbound[i].msg_hdr;
                (*header).msg_namelen = size_of::<Address>() as u32;
                (*header).msg_controllen = self.control_length as _;
            }
        }
        self.received = 0;
        let flags = if wait == Wait::ForOne { libc::MSG_WAITFORONE } else { libc::MSG_DONTWAIT };
        let takes_one = self.lone > 0;
        // SAFETY: the first BATCH headers point to buffers in `Slots` of the lengths they say, which live until the
        // batch is dropped; a null timeout is allowed.
        let count = unsafe {
            if takes_one {
                receive_one(self.slots, socket, if wait == Wait::ForOne { 0 } else { libc::MSG_DONTWAIT })
            } else {
                let headers = (&raw mut (*all).inbound).cast::<libc::mmsghdr>();
                libc::recvmmsg(socket.as_fd().as_raw_fd(), headers, BATCH as u32, flags as _, ptr::null_mut())
            }
        };
        self.lone = match count {
            1 if !takes_one => LONE_RECEIVES,
            _ => self.lone.saturating_sub(1),
        };
        match usize::try_from(count) {
            Ok(count) => self.received = self.count_from_someone(count.min(BATCH)),
            Err(_) => {
                let error = io::Error::last_os_error();
                if !is_passing(&error) {
                    return Err(error);
                }
            }
        }
        Ok(self.received)
    }

    /// How many of the first `count` datagrams are to be looked at. A socket that is shut down yields, after all that is
    /// queued, empty ones from no one.
    fn count_from_someone(&self, count: usize) -> usize {
        let all = self.slots.as_ptr();
        // SAFETY: as in `new`; every header is initialised.
        let from_no_one = |i: usize| unsafe { (*all).inbound[i].msg_hdr.msg_namelen == 0 };
        (0..count).rev().find(|&i| !from_no_one(i)).map_or(0, |last| last + 1)
    }

    /// How many datagrams are held.
    pub(super) fn len(&self) -> usize {
        self.received
    }

    /// Lets `answer` write a response to each datagram and say whether to send it; then sends all of them, each from the
    /// address that was asked. Datagrams that were cut off are passed over. `expect` sees each datagram before the one ahead
    /// of it is answered, so that it can have memory fetched that the answer will need ([`prefetch`]); `answer` gets what it
    /// returned, and both get `state`.
    pub(super) fn reply<S, E>(
        &mut self,
        socket: &impl AsFd,
        state: &mut S,
        expect: impl Fn(&mut S, &[u8]) -> E,
        mut answer: impl FnMut(&mut S, Datagram<'_>, E, &mut Vec<u8>) -> bool,
    ) -> Sent {
        let (slots, received) = (self.slots, self.received);
        // SAFETY: `i` is below `received`, so slot `i` was filled by the last receive.
        let see = |state: &mut S, i: usize| (i < received).then(|| expect(state, unsafe { bytes(slots, i) }));
        let mut next = see(state, 0);
        let mut count = 0;
        for i in 0..received {
            let Some(expected) = std::mem::replace(&mut next, see(state, i + 1)) else { break };
            let response = &mut self.responses[i];
            // SAFETY: as above.
            let Some(datagram) = (unsafe { datagram(self.slots, i) }) else { continue };
            if !answer(state, datagram, expected, response) || response.is_empty() {
                continue;
            }
            // SAFETY: slot `i` was filled as above, `count` is at most `i`, and the response is not touched again before
            // `send` is through.
            unsafe { address_reply(self.slots, i, count, response) };
            count += 1;
        }
        // SAFETY: the first `count` outbound headers were written in the loop above, over responses that are still
        // borrowed by `self`.
        unsafe { send(self.slots, socket, count) }
    }
}

impl Drop for Batch {
    fn drop(&mut self) {
        // SAFETY: allocated in `new` with this layout; `Slots` has nothing to drop.
        unsafe { std::alloc::dealloc(self.slots.as_ptr().cast(), Layout::new::<Slots>()) }
    }
}

/// Receives one datagram into slot 0, by the cheapest call that tells what is wanted. Returns 1, or less than 0.
///
/// # Safety
/// The header of slot 0 points to buffers in `Slots` of the lengths it says.
unsafe fn receive_one(slots: NonNull<Slots>, socket: &impl AsFd, flags: c_int) -> c_int {
    let (all, fd) = (slots.as_ptr(), socket.as_fd().as_raw_fd());
    // SAFETY: the caller vouches for the header; no reference to the allocation exists.
    unsafe {
        let message = &raw mut (*all).inbound[0];
        let header = &raw mut (*message).msg_hdr;
        let length = if (*header).msg_control.is_null() {
            let data = &raw mut (*all).datagrams[0];
            let (name, name_length) = ((*header).msg_name.cast(), &raw mut (*header).msg_namelen);
            // MSG_TRUNC makes the call return the datagram's whole length.
            let length = libc::recvfrom(fd, data.cast(), MAX_DATAGRAM, flags | libc::MSG_TRUNC, name, name_length);
            (*header).msg_flags = if length > MAX_DATAGRAM as isize { libc::MSG_TRUNC } else { 0 };
            length
        } else {
            libc::recvmsg(fd, header, flags)
        };
        if length < 0 {
            return -1;
        }
        (*message).msg_len = length as u32;
    }
    1
}

/// The datagram in slot `i`; `None` if it was cut off or its sender is not an internet address.
///
/// # Safety
/// The slot was filled by recvmmsg since its header was last reset.
unsafe fn datagram<'a>(slots: NonNull<Slots>, i: usize) -> Option<Datagram<'a>> {
    let all = slots.as_ptr();
    // SAFETY: the caller vouches that the kernel wrote slot `i`; only shared references to its bytes are made, and the
    // batch writes to none of them until the next receive.
    unsafe {
        let message = &(*all).inbound[i];
        if message.msg_hdr.msg_flags & libc::MSG_TRUNC != 0 {
            return None;
        }
        let source = socket_address(&(*all).addresses[i], message.msg_hdr.msg_namelen)?;
        let destination = packet_info(&message.msg_hdr).and_then(|info| info.destination());
        Some(Datagram { bytes: bytes(slots, i), source, destination })
    }
}

/// What is there of the datagram in slot `i`.
///
/// # Safety
/// As for [`datagram`].
unsafe fn bytes<'a>(slots: NonNull<Slots>, i: usize) -> &'a [u8] {
    let all = slots.as_ptr();
    // SAFETY: as in `datagram`; the kernel says how much it wrote, or would have written.
    unsafe {
        let bytes = (&raw const (*all).datagrams[i]).cast::<u8>();
        std::slice::from_raw_parts(bytes, ((*all).inbound[i].msg_len as usize).min(MAX_DATAGRAM))
    }
}

fn socket_address(address: &Address, length: libc::socklen_t) -> Option<SocketAddr> {
    if (length as usize) < size_of::<libc::sockaddr_in>() {
        return None;
    }
    // SAFETY: the kernel wrote `length` bytes that start with the family, which says which field is the right one. All
    // of `Address` was initialised when it was allocated.
    unsafe {
        match c_int::from(address.family) {
            libc::AF_INET => {
                let ip = Ipv4Addr::from(u32::from_be(address.v4.sin_addr.s_addr));
                Some(SocketAddrV4::new(ip, u16::from_be(address.v4.sin_port)).into())
            }
            libc::AF_INET6 if length as usize >= size_of::<libc::sockaddr_in6>() => {
                let v6 = &address.v6;
                let ip = Ipv6Addr::from(v6.sin6_addr.s6_addr);
                Some(SocketAddrV6::new(ip, u16::from_be(v6.sin6_port), 0, v6.sin6_scope_id).into())
            }
            _ => None,
        }
    }
}

/// Where a datagram was sent to, as a pointer into its ancillary data (unaligned).
enum PacketInfo {
    V4(*mut libc::in_pktinfo),
    V6(*mut libc::in6_pktinfo),
}

/// Finds the packet information in a received header.
///
/// # Safety
/// `msg_control` and `msg_controllen` are as the kernel left them, or null and zero.
unsafe fn packet_info(header: &libc::msghdr) -> Option<PacketInfo> {
    // SAFETY: the caller vouches for the control buffer, which is aligned for cmsghdr; CMSG_FIRSTHDR and CMSG_NXTHDR stay
    // within it, and the kernel writes a message of these types whole or not at all.
    unsafe {
        let mut message = libc::CMSG_FIRSTHDR(header);
        while !message.is_null() {
            let data = libc::CMSG_DATA(message);
            match ((*message).cmsg_level, (*message).cmsg_type) {
                (libc::IPPROTO_IP, libc::IP_PKTINFO) => return Some(PacketInfo::V4(data.cast())),
                (libc::IPPROTO_IPV6, libc::IPV6_PKTINFO) => return Some(PacketInfo::V6(data.cast())),
                _ => message = libc::CMSG_NXTHDR(header, message),
            }
        }
    }
    None
}

impl PacketInfo {
    fn destination(&self) -> Option<IpAddr> {
        // SAFETY: `packet_info` pointed into a whole control message; reads are unaligned.
        unsafe {
            match *self {
                PacketInfo::V4(info) => {
                    Some(Ipv4Addr::from(u32::from_be(info.read_unaligned().ipi_spec_dst.s_addr)).into())
                }
                PacketInfo::V6(info) => Some(Ipv6Addr::from(info.read_unaligned().ipi6_addr.s6_addr).into()),
            }
        }
    }

    /// Turns what was received into what is to be sent: the same address as source, and no interface, so that routing
    /// decides, except for link-local addresses, which mean nothing without.
    fn turn_round(&self) {
        // SAFETY: as in `destination`; the control buffer belongs to the batch that is being answered.
        unsafe {
            match *self {
                PacketInfo::V4(info) => {
                    let mut turned = info.read_unaligned();
                    turned.ipi_ifindex = 0;
                    info.write_unaligned(turned);
                }
                PacketInfo::V6(info) => {
                    let mut turned = info.read_unaligned();
                    let address = Ipv6Addr::from(turned.ipi6_addr.s6_addr);
                    if address.is_multicast() {
                        turned.ipi6_addr.s6_addr = [0; 16];
                    } else if !address.is_unicast_link_local() {
                        turned.ipi6_ifindex = 0;
                    }
                    info.write_unaligned(turned);
                }
            }
        }
    }
}

/// Makes outbound header `o` send `response` to where slot `i` came from.
///
/// # Safety
/// Slot `i` was filled by recvmmsg, `o` is below [`BATCH`], and `response` stays as it is until the header is sent.
unsafe fn address_reply(slots: NonNull<Slots>, i: usize, o: usize, response: &[u8]) {
    let all = slots.as_ptr();
    // SAFETY: the caller vouches for the indices and the response; sendmmsg only reads through `iov_base`. The
    // references to slot `i` that `datagram` made are gone.
    unsafe {
        let received = &(*all).inbound[i].msg_hdr;
        if let Some(info) = packet_info(received) {
            info.turn_round();
        }
        let data = &raw mut (*all).outbound_data[o];
        (*data).iov_base = response.as_ptr().cast_mut().cast();
        (*data).iov_len = response.len();
        let header = &raw mut (*all).outbound[o].msg_hdr;
        (*header).msg_iov = data;
        (*header).msg_iovlen = 1;
        (*header).msg_name = received.msg_name;
        (*header).msg_namelen = received.msg_namelen;
        (*header).msg_control = if received.msg_controllen == 0 { ptr::null_mut() } else { received.msg_control };
        (*header).msg_controllen = received.msg_controllen;
    }
}

/// Sends the first `count` outbound messages. One that the kernel refuses is passed over.
///
/// # Safety
/// The headers were written by [`address_reply`] and what they point to is still there.
unsafe fn send(slots: NonNull<Slots>, socket: &impl AsFd, count: usize) -> Sent {
    if count == 1 {
        // SAFETY: the caller vouches for the header.
        let sent = usize::from(unsafe { send_one(slots, socket) });
        return Sent { sent, failed: 1 - sent };
    }
    let (mut at, mut failed) = (0, 0);
    while at < count {
        // SAFETY: the caller vouches for the headers from `at` to `count`.
        let sent = unsafe {
            let headers = (&raw mut (*slots.as_ptr()).outbound).cast::<libc::mmsghdr>().add(at);
            libc::sendmmsg(socket.as_fd().as_raw_fd(), headers, (count - at) as u32, 0)
        };
        match usize::try_from(sent) {
            Ok(sent) if sent > 0 => at += sent,
            _ if io::Error::last_os_error().kind() == io::ErrorKind::Interrupted => {}
            // Whatever it is, it is about the first message: the next may go elsewhere.
            _ => {
                at += 1;
                failed += 1;
            }
        }
    }
    Sent { sent: count - failed, failed }
}

/// Sends the first outbound message by the cheapest call; returns whether the kernel took it.
///
/// # Safety
/// As for [`send`].
unsafe fn send_one(slots: NonNull<Slots>, socket: &impl AsFd) -> bool {
    let fd = socket.as_fd().as_raw_fd();
    loop {
        // SAFETY: the caller vouches for the header, whose one iovec is the response.
        let sent = unsafe {
            let header = &raw const (*slots.as_ptr()).outbound[0].msg_hdr;
            if (*header).msg_control.is_null() {
                let data = (*header).msg_iov;
                libc::sendto(fd, (*data).iov_base, (*data).iov_len, 0, (*header).msg_name.cast(), (*header).msg_namelen)
            } else {
                libc::sendmsg(fd, header, 0)
            }
        };
        if sent >= 0 || io::Error::last_os_error().kind() != io::ErrorKind::Interrupted {
            return sent >= 0;
        }
    }
}

/// Has the processor bring the first `length` bytes of something into its cache while it goes on. Where there is no such
/// instruction they are fetched when they are read.
#[inline]
pub(super) fn prefetch<T>(value: &T, length: usize) {
    #[cfg(target_arch = "x86_64")]
    for at in (0..length.min(size_of::<T>())).step_by(CACHE_LINE) {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        // SAFETY: every processor of this architecture has the instruction, and `at` is within the value.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(ptr::from_ref(value).byte_add(at).cast()) }
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = (value, length);
}

/// Whether a receive error says nothing about the next receive.
fn is_passing(error: &io::Error) -> bool {
    matches!(
        error.raw_os_error(),
        Some(
            libc::EAGAIN
                | libc::EINTR
                | libc::ECONNREFUSED
                | libc::ECONNRESET
                | libc::ENETUNREACH
                | libc::EHOSTUNREACH
                | libc::ENETDOWN
                | libc::EHOSTDOWN
                | libc::EMSGSIZE
                | libc::EPROTO
                | libc::ENOBUFS
                | libc::ENOMEM
        )
    )
}

/// Has this thread's sleeps end when they are due, and not some 50 µs later together with other timers.
pub(super) fn set_exact_sleep() {
    const SLACK_NS: libc::c_ulong = 1;
    // SAFETY: the call takes a number and no pointers.
    if unsafe { libc::prctl(libc::PR_SET_TIMERSLACK, SLACK_NS, 0, 0, 0) } != 0 {
        tracing::debug!(error = %io::Error::last_os_error(), "short sleeps take longer than asked");
    }
}

/// How a thread is scheduled among those without a real-time priority (sched(7)).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(i32)]
pub(super) enum Policy {
    /// When it wakes up it may interrupt what runs on its core.
    Other = libc::SCHED_OTHER,
    /// When it wakes up it waits until that pauses or has had its turn, some milliseconds. Its share of the core is the same.
    Batch = libc::SCHED_BATCH,
}

/// The number by which the system knows this thread.
pub(super) fn thread_id() -> libc::pid_t {
    // SAFETY: the call takes nothing.
    unsafe { libc::gettid() }
}

/// Gives a thread of this process another policy, if it has the first. Whether it had.
pub(super) fn change_policy(thread: libc::pid_t, from: Policy, to: Policy) -> io::Result<bool> {
    let parameters = libc::sched_param { sched_priority: 0 };
    // SAFETY: the number may be that of any thread, and the parameters are read before the call returns.
    let result = unsafe {
        match libc::sched_getscheduler(thread) {
            -1 => -1,
            has if has != from as c_int => return Ok(false),
            _ => libc::sched_setscheduler(thread, to as c_int, &raw const parameters),
        }
    };
    if result == 0 { Ok(true) } else { Err(io::Error::last_os_error()) }
}

/// Asks for receive and send buffers of `bytes`: beyond the system's limit where that is allowed, else up to it.
pub(super) fn set_buffers(socket: &impl AsFd, bytes: usize) {
    let bytes = c_int::try_from(bytes).unwrap_or(c_int::MAX);
    for (force, ask) in [(libc::SO_RCVBUFFORCE, libc::SO_RCVBUF), (libc::SO_SNDBUFFORCE, libc::SO_SNDBUF)] {
        let set = set_option(socket, libc::SOL_SOCKET, force, bytes)
            .or_else(|_| set_option(socket, libc::SOL_SOCKET, ask, bytes));
        if let Err(error) = set {
            tracing::warn!(%error, "the UDP socket keeps its default buffer size");
        }
    }
}

/// Sends responses without regard to path MTUs that ICMP reports, as these can be forged: an attacker could have
/// responses fragmented and then forge fragments.
pub(super) fn ignore_path_mtu(socket: &impl AsFd, v6: bool) {
    let (level, option, value) = if v6 {
        (libc::IPPROTO_IPV6, libc::IPV6_MTU_DISCOVER, libc::IPV6_PMTUDISC_OMIT)
    } else {
        (libc::IPPROTO_IP, libc::IP_MTU_DISCOVER, libc::IP_PMTUDISC_OMIT)
    };
    if let Err(error) = set_option(socket, level, option, value) {
        tracing::debug!(%error, "path MTU discovery stays as the system has it");
    }
}

/// Has the kernel tell for each datagram which address it was sent to.
pub(super) fn receive_destination(socket: &impl AsFd, v6: bool) -> io::Result<()> {
    if v6 {
        set_option(socket, libc::IPPROTO_IPV6, libc::IPV6_RECVPKTINFO, 1)
    } else {
        set_option(socket, libc::IPPROTO_IP, libc::IP_PKTINFO, 1)
    }
}

fn set_option(socket: &impl AsFd, level: c_int, option: c_int, value: c_int) -> io::Result<()> {
    // SAFETY: the pointer and the length are those of `value`.
    let result = unsafe {
        let value = (&raw const value).cast();
        libc::setsockopt(socket.as_fd().as_raw_fd(), level, option, value, size_of::<c_int>() as u32)
    };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

#[cfg(test)]
mod tests {
    use std::net::UdpSocket;
    use std::time::Duration;

    use super::*;

    fn expect_nothing((): &mut (), _: &[u8]) {}

    fn echo(batch: &mut Batch, socket: &UdpSocket) -> Sent {
        batch.reply(socket, &mut (), expect_nothing, |(), datagram, (), response| {
            response.clear();
            response.extend_from_slice(datagram.bytes);
            !response.is_empty()
        })
    }

    fn client(server: SocketAddr) -> UdpSocket {
        let client = UdpSocket::bind((if server.is_ipv4() { "127.0.0.1" } else { "::1" }, 0)).unwrap();
        client.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
        client.connect(server).unwrap();
        client
    }

    #[test]
    fn more_datagrams_than_a_batch_holds_come_back_in_several() {
        let server = UdpSocket::bind("127.0.0.1:0").unwrap();
        let client = client(server.local_addr().unwrap());
        let mut batch = Batch::new(false);
        for round in 0..3u8 {
            (0..BATCH as u8 + 5).for_each(|i| assert_eq!(client.send(&[round, i]).unwrap(), 2));
            for expected in [BATCH, 5] {
                assert_eq!(batch.receive(&server, Wait::ForOne).unwrap(), expected);
                assert_eq!(echo(&mut batch, &server), Sent { sent: expected, failed: 0 });
            }
            assert_eq!(batch.receive(&server, Wait::No).unwrap(), 0);
            for i in 0..BATCH as u8 + 5 {
                let mut buffer = [0; 16];
                let length = client.recv(&mut buffer).unwrap();
                assert_eq!(buffer[..length], [round, i]);
            }
        }
    }

    #[test]
    fn a_lone_datagram_has_the_next_received_one_by_one_and_then_it_is_looked_for_more_again() {
        let server = UdpSocket::bind("127.0.0.1:0").unwrap();
        let client = client(server.local_addr().unwrap());
        let mut batch = Batch::new(false);
        client.send(&[0]).unwrap();
        assert_eq!(batch.receive(&server, Wait::ForOne).unwrap(), 1);
        (0..LONE_RECEIVES + 5).for_each(|i| assert_eq!(client.send(&[i]).unwrap(), 1));
        for i in 0..LONE_RECEIVES {
            assert_eq!(batch.receive(&server, Wait::ForOne).unwrap(), 1);
            assert_eq!(echo(&mut batch, &server), Sent { sent: 1, failed: 0 });
            let mut buffer = [0; 16];
            assert_eq!((client.recv(&mut buffer).unwrap(), buffer[0]), (1, i));
        }
        assert_eq!(batch.receive(&server, Wait::ForOne).unwrap(), 5);
        assert_eq!(batch.receive(&server, Wait::No).unwrap(), 0);
    }

    #[test]
    fn a_wildcard_socket_knows_the_address_asked_and_replies_from_it() {
        for (wildcard, asked) in [("0.0.0.0:0", "127.0.0.2"), ("[::]:0", "::1")] {
            let server = UdpSocket::bind(wildcard).unwrap();
            let asked: IpAddr = asked.parse().unwrap();
            receive_destination(&server, asked.is_ipv6()).unwrap();
            // A connected socket takes datagrams from the address it asked alone.
            let client = client((asked, server.local_addr().unwrap().port()).into());
            let mut batch = Batch::new(true);
            // In a batch, and then alone.
            for _ in 0..2 {
                client.send(b"hello").unwrap();
                assert_eq!(batch.receive(&server, Wait::ForOne).unwrap(), 1);
                let mut destination = None;
                let sent = batch.reply(&server, &mut (), expect_nothing, |(), datagram, (), response| {
                    destination = datagram.destination;
                    assert_eq!(datagram.source, client.local_addr().unwrap());
                    response.clear();
                    response.extend_from_slice(datagram.bytes);
                    true
                });
                assert_eq!((destination, sent), (Some(asked), Sent { sent: 1, failed: 0 }));
                assert_eq!(client.recv(&mut [0; 16]).unwrap(), 5);
            }
        }
    }

    #[test]
    fn a_datagram_that_was_cut_off_is_passed_over_and_the_others_are_not() {
        let server = UdpSocket::bind("127.0.0.1:0").unwrap();
        let client = client(server.local_addr().unwrap());
        for length in [MAX_DATAGRAM + 1, MAX_DATAGRAM, 1] {
            client.send(&vec![7; length]).unwrap();
        }
        let mut batch = Batch::new(false);
        assert_eq!(batch.receive(&server, Wait::ForOne).unwrap(), 3);
        assert_eq!(echo(&mut batch, &server), Sent { sent: 2, failed: 0 });
        assert_eq!(client.recv(&mut [0; 8192]).unwrap(), MAX_DATAGRAM);
        assert_eq!(client.recv(&mut [0; 8192]).unwrap(), 1);
        // The first alone in a batch, the others one by one.
        for (length, sent) in [(1, 1), (MAX_DATAGRAM + 1, 0), (MAX_DATAGRAM, 1)] {
            client.send(&vec![7; length]).unwrap();
            assert_eq!(batch.receive(&server, Wait::ForOne).unwrap(), 1);
            assert_eq!(echo(&mut batch, &server), Sent { sent, failed: 0 });
        }
    }

    #[test]
    fn shutting_a_socket_down_wakes_its_reader_and_loses_nothing_that_was_queued() {
        let server = socket2::Socket::from(UdpSocket::bind("127.0.0.1:0").unwrap());
        let address = server.local_addr().unwrap().as_socket().unwrap();
        std::thread::scope(|scope| {
            let reader = scope.spawn(|| Batch::new(false).receive(&server, Wait::ForOne).unwrap());
            // Whether the reader sleeps already or is yet to come, it must not stay.
            let _ = server.shutdown(std::net::Shutdown::Read);
            assert_eq!(reader.join().unwrap(), 0);
        });
        client(address).send(b"late").unwrap();
        let mut batch = Batch::new(false);
        assert_eq!(batch.receive(&server, Wait::No).unwrap(), 1);
        // Now received one by one: a closed socket yields nothing that way either.
        assert_eq!(batch.receive(&server, Wait::ForOne).unwrap(), 0);
        assert_eq!(batch.receive(&server, Wait::No).unwrap(), 0);
    }
}
