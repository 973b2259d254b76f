//! Query packets against `answer`.
#![no_main]

use grapevine_fuzz::oracles::query::check;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| check(data));
