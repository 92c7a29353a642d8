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

fn open(directory: &Path) -> Result<(Store, f64), Box<dyn Error>> {
    let begun = Instant::now();
    let files = Arc::new(Files::open(&directory.join("log"))?);
    let (mut store, _) = Store::open(files, Some(directory.join("index")), options())?;
    store.set_time(NOW_MS);
    while store.pass_time(1000)? {}
    Ok((store, begun.elapsed().as_secs_f64()))
}

/// Has buyers ask, from a number on, and returns the last answer.
fn ask(store: &mut Store, from: u64, buyers: u64, act: GateAct<'_>) -> Result<Option<GateAnswer>, Box<dyn Error>> {
    let mut last = None;
    for n in from..from + buyers {
        let buyer = format!("buyer-{n:010}");
        let answered = store.at_once(|s| s.ask_gate(b"gate", buyer.as_bytes(), act))?.ok_or("no room")?;
        last = Some(answered.answer);
        if n % 10_000 == 0 {
            store.settle()?;
        }
    }
    store.settle()?;
    Ok(last)
}

fn main() -> Result<(), Box<dyn Error>> {
    let tickets: u64 = std::env::args().nth(1).map_or(Ok(1_000_000), |argument| argument.parse())?;
    let directory = std::env::temp_dir().join(format!("rushq-tickets-{}", std::process::id()));
    std::fs::create_dir_all(&directory)?;
    let join = GateAct::Join { message: None, admits: true };

    let (mut store, _) = open(&directory)?;
    store.at_once(|s| s.configure(b"gate", format!("tickets={tickets} hold=86400").as_bytes()))?.ok_or("no room")??;
    let before = resident()?;
    ask(&mut store, 0, tickets, join)?;
    // The messages are another matter.
    while store.at_once(|s| s.take(b"gate"))?.flatten().is_some() {}
    store.settle()?;
    let held = resident()?;
    println!("{tickets} held: {:.1} bytes of memory each", (held - before) as f64 / tickets as f64);
    let begun = Instant::now();
    let last = ask(&mut store, tickets, tickets, join)?;
    let (took, after) = (begun.elapsed().as_secs_f64(), resident()?);
    println!("{tickets} more, {last:?}: {} bytes of memory in all, {took:.2} s", after.saturating_sub(held));
    store.close()?;
    drop(store);
    let (mut store, took) = open(&directory)?;
    println!("a start from the index: {took:.2} s");
    ask(&mut store, 0, tickets, GateAct::Pay)?;
    store.close()?;
    drop(store);
    let (store, took) = open(&directory)?;
    println!("a start from the index, all paid: {took:.2} s");
    drop(store);
    std::fs::remove_dir_all(directory.join("index"))?;
    let (store, took) = open(&directory)?;
    println!("a start from the log alone: {took:.2} s, {} bytes of log", store.totals().log_bytes);
    drop(store);
    std::fs::remove_dir_all(&directory)?;
    Ok(())
}
