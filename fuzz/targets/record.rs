//! The payload of a commit.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| florin_fuzz::entries::record(data));
