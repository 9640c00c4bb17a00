//! Bank statements: `ofx`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| florin_fuzz::statements::ofx(data));
