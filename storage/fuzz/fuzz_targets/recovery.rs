//! Logs that a store wrote, then damaged. See `recovery_holds` for what must come of them.
#![no_main]

mod counting;

libfuzzer_sys::fuzz_target!(|data: &[u8]| storage_fuzz::recovery_holds(data));
