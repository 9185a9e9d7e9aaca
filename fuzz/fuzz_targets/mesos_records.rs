//! libFuzzer on [`flyball_fuzz`]'s target `mesos_records`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| flyball_fuzz::mesos_records(data));
