//! libFuzzer on [`flyball_fuzz`]'s target `configuration`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| flyball_fuzz::configuration(data));
