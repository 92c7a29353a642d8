//! What the examples measure with: a store in a directory, memory, processor time.

use std::error::Error;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use storage::{Durability, Files, Store, StoreOptions};

/// What time it is, in milliseconds since 1970.
pub(super) const NOW_MS: u64 = 1_700_000_000_000;
const PAGE_BYTES: u64 = 4096;

fn options() -> StoreOptions {
    StoreOptions {
        durability: Durability::Written,
        segment_bytes: 64 << 20,
        memory_bytes: 1 << 20,
        body_bytes_max: 1 << 20,
        commit_bytes_max: 1 << 20,
    }
}

/// Bytes of this process that are in memory.
pub(super) fn resident() -> Result<u64, Box<dyn Error>> {
    let statm = std::fs::read_to_string("/proc/self/statm")?;
    Ok(statm.split(' ').nth(1).ok_or("no figure")?.parse::<u64>()? * PAGE_BYTES)
}

/// Processor time of this process so far, in seconds: what a busy machine does not change.
fn processor_s() -> Result<f64, Box<dyn Error>> {
    let stat = std::fs::read_to_string("/proc/self/stat")?;
    let fields = stat.rsplit(')').next().ok_or("no figures")?.split_whitespace().skip(11).take(2);
    // In hundredths.
    Ok(fields.map(|ticks| ticks.parse::<f64>().unwrap_or(0.0)).sum::<f64>() / 100.0)
}

/// A start: the store, and what it took.
pub(super) fn open(directory: &Path) -> Result<(Store, String), Box<dyn Error>> {
    let (begun, begun_s) = (Instant::now(), processor_s()?);
    let files = Arc::new(Files::open(&directory.join("log"))?);
    let (mut store, _) = Store::open(files, Some(directory.join("index")), options())?;
    store.set_time(NOW_MS);
    while store.pass_time(1000)? {}
    let (took_s, busy_s) = (begun.elapsed().as_secs_f64(), processor_s()? - begun_s);
    Ok((store, format!("{took_s:.2} s, {busy_s:.2} s of a processor")))
}
