//! libFuzzer on [`flyball_fuzz`]'s target `observations`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| flyball_fuzz::observations(data));
