//! What peers may send against the transports and the node.
#![no_main]

use grapevine_fuzz::oracles::gossip_frame::check;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| check(data));
