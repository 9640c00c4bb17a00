//! Bank statements: `statement_csv`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| florin_fuzz::statements::statement_csv(data));
