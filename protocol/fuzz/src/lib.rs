//! What the parser, and its counterpart for programs that talk to a server, must hold on any input.
//!
//! The fuzz targets feed these properties what libFuzzer makes up; protocol's own tests feed them the seeds, so that
//! they are compiled, linted and run where no fuzzer is.

mod expand;
mod feed;
mod reference;
mod response;

use std::sync::atomic::{AtomicU64, Ordering};

use protocol::KeyRules;
use reference::Outcome;

pub use response::holds as response_holds;

/// Counted by the fuzz targets' allocator; stays 0 where there is none.
pub static ALLOCATIONS: AtomicU64 = AtomicU64::new(0);

fn allocations() -> u64 {
    ALLOCATIONS.load(Ordering::Relaxed)
}

/// Parsers take bodies of up to so many bytes: few, so that larger ones are found soon.
const BODY_BYTES_MAX: usize = 100;

/// Holds the parser against the reference, with the input whole and cut, and keys under all rules.
pub fn parser_holds(data: &[u8]) {
    let input = expand::expand(data);
    parser_holds_under(KeyRules::default(), data, &input);
    if input.contains(&b'/') || input.contains(&b'+') {
        for (options, fanout) in [(false, false), (false, true), (true, false)] {
            parser_holds_under(KeyRules { options, fanout }, data, &input);
        }
    }
}

fn parser_holds_under(rules: KeyRules, data: &[u8], input: &[u8]) {
    let wanted = reference::read(input, BODY_BYTES_MAX, rules);
    for cuts in feed::cuts(data, input) {
        let came = feed::feed(input, &cuts, rules);
        let about = || format!("\ninput: {}\nreads end at {cuts:?}\n{rules:?}", input.escape_ascii());
        assert_eq!(came.outcomes, wanted.outcomes, "{}", about());
        assert_eq!(came.held_from, wanted.held_from, "{}", about());
        assert_eq!(came.between_commands, wanted.between_commands, "{}", about());
        let ends = wanted.outcomes.iter().zip(came.ends.iter().zip(&wanted.ends));
        for (outcome, (came, wanted)) in ends {
            let in_step = match outcome {
                Outcome::Rejected(_) => came <= wanted,
                Outcome::Closed(_) => true,
                _ => came == wanted,
            };
            assert!(in_step, "{outcome:?} ends at {came}, not at {wanted}{}", about());
        }
    }
    for outcome in &wanted.outcomes {
        response::comes_back(outcome);
    }
}
