//! What a client may send. See `parser_holds` for what it must hold.
#![no_main]

mod counting;

libfuzzer_sys::fuzz_target!(|data: &[u8]| protocol_fuzz::parser_holds(data));
