//! Master files against the reader, the writer and the patcher.
#![no_main]

use grapevine_fuzz::oracles::master_file::check;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| check(data));
