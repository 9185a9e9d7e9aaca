//! libFuzzer on [`flyball_fuzz`]'s target `traces`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| flyball_fuzz::traces(data));
