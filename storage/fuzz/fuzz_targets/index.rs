//! Whole logs with indexes that were damaged, mixed or forged. See `index_holds` for what must come of them.
#![no_main]

mod counting;

libfuzzer_sys::fuzz_target!(|data: &[u8]| storage_fuzz::index_holds(data));
