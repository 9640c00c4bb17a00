//! A CSV file with its profile.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| florin_fuzz::entries::csv(data));
