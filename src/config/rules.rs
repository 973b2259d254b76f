//! What must hold between settings, once each is right by itself.

use std::collections::BTreeSet;

use super::Config;
use super::layers::Layers;
use super::settings::{
    CONTROL, DATA, DNS_ANYCAST, DNS_LISTEN, GOSSIP_ADVERTISE, GOSSIP_KEY_FILE, GOSSIP_LISTEN, ZONES,
};

/// The longest path of a Unix socket: `sun_path` of unix(7) less its final zero.
const MAX_SOCKET_PATH: usize = 107;

/// Checks what concerns more than one setting, or the world.
pub(super) fn check(config: &Config, layers: &mut Layers<'_>) {
    check_gossip(config, layers);
    check_dns(config, layers);
    check_paths(config, layers);
}

fn check_gossip(config: &Config, layers: &mut Layers<'_>) {
    let gossip = &config.gossip;
    if let Some(path) = &gossip.key_file
        && let Err(error) = std::fs::File::open(path)
    {
        let path = path.display();
        let message = format!("cannot read {path}: {error}; `grapevine keygen {path}` makes a key for a new cluster");
        layers.blame(GOSSIP_KEY_FILE, message);
    }
    if gossip.key_file.is_none() && !gossip.insecure && !gossip.listen.ip().is_loopback() {
        let message = format!(
            "gossip on {} without a key would let anyone who reaches it edit every zone: make a key with \
             `grapevine keygen FILE`, copy it to every node and give it with --key-file FILE; or listen on loopback; \
             or say --insecure",
            gossip.listen
        );
        layers.blame(GOSSIP_LISTEN, message);
    }
    if gossip.listen.ip().is_unspecified() && gossip.advertise.is_none() {
        let message = format!(
            "{} is every address of this machine, and other nodes need one: give it with --advertise ADDR:PORT",
            gossip.listen
        );
        layers.blame(GOSSIP_LISTEN, message);
    }
    if let Some(advertise) = gossip.advertise
        && (advertise.ip().is_unspecified() || advertise.ip().is_multicast() || advertise.port() == 0)
    {
        let message = format!("{advertise} is no address that other nodes could reach; give one of this machine's own");
        layers.blame(GOSSIP_ADVERTISE, message);
    }
}

fn check_dns(config: &Config, layers: &mut Layers<'_>) {
    let mut seen = BTreeSet::new();
    let plain = config.dns.listen.iter().map(|address| (DNS_LISTEN, address));
    let shared = config.dns.anycast.iter().map(|address| (DNS_ANYCAST, address));
    for (setting, address) in plain.chain(shared) {
        if address.port() != 0 && !seen.insert(address) {
            layers.blame(setting, format!("{address} is given twice; once is enough"));
        }
    }
    if config.dns.listen.is_empty() && config.dns.anycast.is_empty() {
        layers.blame(DNS_LISTEN, "a node answers on at least one address; give one with --dns".to_owned());
    }
}

fn check_paths(config: &Config, layers: &mut Layers<'_>) {
    if config.zones == config.data {
        let message = format!("{} cannot hold both the zone files and the node's own data", config.data.display());
        layers.blame(DATA, message);
    }
    if config.zones.is_file() {
        layers.blame(ZONES, format!("{} is a file; give the directory it is in", config.zones.display()));
    }
    if config.control.as_os_str().len() > MAX_SOCKET_PATH {
        let message = format!(
            "{} is longer than the {MAX_SOCKET_PATH} bytes that a socket's path may have; give a shorter one, such as \
             /run/grapevine.sock",
            config.control.display()
        );
        layers.blame(CONTROL, message);
    }
}
