//! Every setting, once: its key in the file, its flag, and what it is for.

/// One setting.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Setting {
    /// Its key in the file, the section before a dot.
    pub key: &'static str,
    /// Its flag, if it has one.
    pub flag: Option<&'static str>,
    /// What it is for: one line, as `grapevine config` prints it.
    pub help: &'static str,
}

macro_rules! settings {
    ($($constant:ident $key:literal $($flag:literal)? : $help:literal;)*) => {
        $(pub(super) const $constant: Setting =
            Setting { key: $key, flag: settings!(@flag $($flag)?), help: $help };)*

        /// Every setting, in the order in which `grapevine config` prints them.
        pub const SETTINGS: &[Setting] = &[$($constant),*];
    };
    (@flag $flag:literal) => { Some($flag) };
    (@flag) => { None };
}

settings! {
    NAME "name" "--name": "This node's name, unique in its cluster.";
    CLUSTER "cluster" "--cluster": "The cluster's name. Nodes of another cluster are not heard, whatever their key.";
    ZONES "zones" "--zones": "Directory of the zone files, <origin>.zone each.";
    DATA "data" "--data": "Directory of what the node keeps: its journal, its states, the bases of zone files.";
    CONTROL "control" "--control": "Socket of the command line; by default grapevine.sock in the data directory.";
    DNS_LISTEN "dns.listen" "--dns": "Where DNS is answered, UDP and TCP.";
    DNS_ANYCAST "dns.anycast" "--anycast": "Service addresses that several nodes share, on one machine by SO_REUSEPORT, on many by BGP.";
    DNS_ALLOW_TRANSFER "dns.allow-transfer" "--allow-transfer": "Networks that may transfer zones (AXFR, IXFR).";
    DNS_MAX_UDP_PAYLOAD "dns.max-udp-payload": "The longest UDP response in bytes. Above 1232 some paths fragment it and lose it.";
    DNS_MINIMAL_RESPONSES "dns.minimal-responses": "Leave out of answers what nobody needs for them: the zone's name servers, and addresses other than glue.";
    DNS_ROTATE "dns.rotate": "Begin an RRset with another of its records from query to query, for clients that take the first.";
    DNS_STRICT_COOKIES "dns.strict-cookies": "Over UDP, answer clients that use DNS cookies only once they return a good one (BADCOOKIE).";
    DNS_WORKERS "dns.workers" "--workers": "Threads that answer UDP on each address; by default one for each core.";
    TCP_MAX_CONNECTIONS "dns.tcp.max-connections": "TCP and TLS connections at once. At the limit the one that has been idle longest makes room.";
    TCP_MAX_PER_CLIENT "dns.tcp.max-connections-per-client": "Of these, from one client: an IPv4 address or an IPv6 /64.";
    TCP_IDLE_TIMEOUT "dns.tcp.idle-timeout": "How long a connection may go without a query before it is closed.";
    TCP_WRITE_TIMEOUT "dns.tcp.write-timeout": "How long a client may take to read a part of a response.";
    RRL_RATE "dns.rrl.rate": "Responses a second over UDP to one network, whatever it asks; 0 for no limit. Good cookies lift it.";
    RRL_SLIP "dns.rrl.slip": "Of the responses withheld, one in so many is sent truncated, to bring honest clients to TCP; 0 for none.";
    RRL_WINDOW "dns.rrl.window": "How long a flood is remembered against its network.";
    RRL_IPV4_PREFIX "dns.rrl.ipv4-prefix": "How many bits of an IPv4 address make a network.";
    RRL_IPV6_PREFIX "dns.rrl.ipv6-prefix": "How many bits of an IPv6 address make a network.";
    RRL_EXEMPT "dns.rrl.exempt": "Networks that are never limited.";
    TLS_LISTEN "dns.tls.listen": "Where DNS over TLS is answered, port 853 by custom.";
    TLS_QUIC "dns.tls.quic": "Where DNS over QUIC is answered, port 853 by custom. Only for networks that are trusted.";
    TLS_CERTIFICATE "dns.tls.certificate": "The certificate chain in PEM, the node's own first.";
    TLS_KEY "dns.tls.key": "The certificate's private key in PEM.";
    GOSSIP_LISTEN "gossip.listen" "--gossip": "Where nodes talk to each other, UDP and TCP.";
    GOSSIP_ADVERTISE "gossip.advertise" "--advertise": "The address other nodes reach this one by, if that is not where it listens.";
    GOSSIP_JOIN "gossip.join" "--join": "Members to find the cluster by. Without any the node starts a cluster of its own.";
    GOSSIP_KEY_FILE "gossip.key-file" "--key-file": "The cluster's keys, made with `grapevine keygen`.";
    GOSSIP_INSECURE "gossip.insecure" "--insecure": "Gossip beyond this machine without a key: whoever reaches the port can edit every zone.";
    HISTORY_KEEP "history.keep": "How long the history of zones is kept.";
    HISTORY_EDITS "history.edits": "How many edits of each zone it keeps.";
    HISTORY_BYTES "history.bytes": "How much of the disk it takes, over all zones.";
    LOG_LEVEL "log.level" "--log-level": "error, warn, info, debug or trace; or by module, such as info,grapevine::gossip=debug.";
    LOG_FORMAT "log.format" "--log-format": "text or json.";
}
