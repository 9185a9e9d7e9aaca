//! libFuzzer on [`flyball_fuzz`]'s target `haproxy_stat`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| flyball_fuzz::haproxy_stat(data));
