//! What a server may send. See `response_holds` for what it must hold.
#![no_main]

mod counting;

libfuzzer_sys::fuzz_target!(|data: &[u8]| protocol_fuzz::response_holds(data));
