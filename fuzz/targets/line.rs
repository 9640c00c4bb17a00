//! A line of an NDJSON import.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| florin_fuzz::entries::line(data));
