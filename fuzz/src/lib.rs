//! The oracles of Grapevine's fuzz targets, which stand in `fuzz_targets/` and only hand over libFuzzer's bytes.

pub mod oracles;
