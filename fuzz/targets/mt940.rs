//! Bank statements: `mt940`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| florin_fuzz::statements::mt940(data));
