//! What a million tickets cost: memory beside their messages, and starts. What is refused costs nothing.
//! `cargo run --release -p storage --example tickets [tickets]`.

use std::error::Error;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use storage::{Durability, Files, GateAct, GateAnswer, Store, StoreOptions};

const NOW_MS: u64 = 1_700_000_000_000;
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
fn resident() -> Result<u64, Box<dyn Error>> {
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
fn open(directory: &Path) -> Result<(Store, String), Box<dyn Error>> {
    let (begun, begun_s) = (Instant::now(), processor_s()?);
    let files = Arc::new(Files::open(&directory.join("log"))?);
    let (mut store, _) = Store::open(files, Some(directory.join("index")), options())?;
    store.set_time(NOW_MS);
    while store.pass_time(1000)? {}
    let (took_s, busy_s) = (begun.elapsed().as_secs_f64(), processor_s()? - begun_s);
    Ok((store, format!("{took_s:.2} s, {busy_s:.2} s of a processor")))
}

/// Has buyers ask, from a number on, and returns the last answer.
fn ask(store: &mut Store, from: u64, buyers: u64, act: GateAct<'_>) -> Result<Option<GateAnswer>, Box<dyn Error>> {
    let mut last = None;
    for n in from..from + buyers {
        let buyer = format!("buyer-{n:010}");
        let answered = store.at_once(|s| s.ask_gate(b"gate", buyer.as_bytes(), act))?.ok_or("no room")?;
        last = Some(answered.answer);
        if n % 10_000 == 0 {
            // The messages are another matter.
            while store.at_once(|s| s.take(b"gate"))?.flatten().is_some() {}
            store.settle()?;
        }
    }
    while store.at_once(|s| s.take(b"gate"))?.flatten().is_some() {}
    store.settle()?;
    Ok(last)
}

fn main() -> Result<(), Box<dyn Error>> {
    let tickets: u64 = std::env::args().nth(1).map_or(Ok(1_000_000), |argument| argument.parse())?;
    let directory = std::env::temp_dir().join(format!("rushq-tickets-{}", std::process::id()));
    std::fs::create_dir_all(&directory)?;
    let join = GateAct::Join { message: None, admits: true };

    let (mut store, _) = open(&directory)?;
    let words = format!("tickets={tickets} hold=86400");
    let told = store.at_once(|s| s.configure(b"gate", words.as_bytes()))?.ok_or("no room")?;
    told.map_err(|bad| bad.to_string())?;
    let before = resident()?;
    ask(&mut store, 0, tickets, join)?;
    let held = resident()?;
    println!("{tickets} held: {:.1} bytes of memory each", (held - before) as f64 / tickets as f64);
    let begun = Instant::now();
    let last = ask(&mut store, tickets, tickets, join)?;
    let (took, after) = (begun.elapsed().as_secs_f64(), resident()?);
    println!("{tickets} more, {last:?}: {} bytes of memory in all, {took:.2} s", after.saturating_sub(held));
    store.close()?;
    drop(store);
    let (mut store, took) = open(&directory)?;
    println!("a start from the index: {took}");
    ask(&mut store, 0, tickets, GateAct::Pay)?;
    store.close()?;
    drop(store);
    let (store, took) = open(&directory)?;
    println!("a start from the index, all paid: {took}");
    drop(store);
    std::fs::remove_dir_all(directory.join("index"))?;
    let (store, took) = open(&directory)?;
    println!("a start from the log alone: {took}, {} bytes of log", store.totals().log_bytes);
    drop(store);
    std::fs::remove_dir_all(&directory)?;
    Ok(())
}
