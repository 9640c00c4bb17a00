//! A segment of the journal.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| florin_fuzz::entries::journal(data));
