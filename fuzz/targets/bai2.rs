//! Bank statements: `bai2`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| florin_fuzz::statements::bai2(data));
