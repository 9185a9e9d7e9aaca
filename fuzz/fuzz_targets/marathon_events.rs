//! libFuzzer on [`flyball_fuzz`]'s target `marathon_events`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| flyball_fuzz::marathon_events(data));
