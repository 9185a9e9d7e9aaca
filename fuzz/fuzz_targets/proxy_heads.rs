//! libFuzzer on [`flyball_fuzz`]'s target `proxy_heads`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| flyball_fuzz::proxy_heads(data));
