//! The JSON body of a transfer call.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| florin_fuzz::entries::body(data));
