//! Lives here: libFuzzer's entry to the target of this name. Never here: the target itself (`src`).
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| mnara_smpp_fuzz::session(data));
