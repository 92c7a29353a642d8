//! Logs that no store wrote. See `frames_hold` for what must come of them.
#![no_main]

mod counting;

libfuzzer_sys::fuzz_target!(|data: &[u8]| storage_fuzz::frames_hold(data));
