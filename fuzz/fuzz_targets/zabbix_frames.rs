//! libFuzzer on [`flyball_fuzz`]'s target `zabbix_frames`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| flyball_fuzz::zabbix_frames(data));
