//! The fuzz targets' properties, held against their seeds: what they need neither libFuzzer nor a C++ compiler for.

use std::fs;
use std::path::Path;

#[path = "../../fuzz/src/lib.rs"]
#[allow(unreachable_pub)] // the fuzz targets are other crates
pub(crate) mod fuzz;

fn each_seed(target: &str, mut holds: impl FnMut(&[u8])) {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus").join(target);
    let mut seeds = 0;
    for seed in fs::read_dir(corpus).expect("the seeds are here") {
        let seed = seed.expect("the seeds are here").path();
        println!("{}", seed.display());
        let bytes = fs::read(seed).expect("a seed is a file");
        (0..=bytes.len()).for_each(|end| holds(&bytes[..end]));
        seeds += 1;
    }
    assert!(seeds > 9, "{seeds} seeds");
}

#[test]
fn what_clients_send_is_understood_as_the_reference_does() {
    each_seed("parser", fuzz::parser_holds);
}

#[test]
fn what_servers_send_is_read_in_step() {
    each_seed("response", fuzz::response_holds);
}
