//! Rdata against its presentation form.
#![no_main]

use grapevine_fuzz::oracles::rdata_text::check;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| check(data));
