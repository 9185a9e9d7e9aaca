//! libFuzzer on [`flyball_fuzz`]'s target `labels`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| flyball_fuzz::labels(data));
