//! The fuzz targets' properties, held against their seeds: what they need neither libFuzzer nor a C++ compiler for.

use std::fs;
use std::path::Path;

#[path = "../../fuzz/src/lib.rs"]
#[allow(unreachable_pub)] // the fuzz targets are other crates
mod fuzz;

fn each_seed(target: &str, mut holds: impl FnMut(&[u8])) {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus").join(target);
    let mut seeds = 0;
    for seed in fs::read_dir(corpus).unwrap() {
        let seed = seed.unwrap().path();
        println!("{}", seed.display());
        let bytes = fs::read(seed).unwrap();
        // Cut short too: every script is one as far as it goes.
        (0..=bytes.len()).for_each(|end| holds(&bytes[..end]));
        seeds += 1;
    }
    assert!(seeds > 30, "{seeds} seeds");
}

#[test]
fn damaged_logs_are_opened_as_they_were_or_not_at_all() {
    each_seed("recovery", fuzz::recovery_holds);
}

#[test]
fn forged_logs_are_opened_as_they_read_or_not_at_all() {
    each_seed("frames", fuzz::frames_hold);
}

#[test]
fn damaged_and_forged_indexes_are_believed_or_not_and_nothing_else() {
    each_seed("index", fuzz::index_holds);
}
