//! What a million messages cost that are out: memory when they are open, and a start when they were open, and when they
//! are kept back. `cargo run --release -p storage --example out [messages]`.

mod measuring;

use std::error::Error;
use std::time::Instant;

use storage::{GiveBack, Opening, PutWith, Store};

use measuring::{NOW_MS, open, resident};

/// Puts the messages into a queue that may have so many open.
fn fill(store: &mut Store, messages: u64, delay_s: Option<u32>) -> Result<(), Box<dyn Error>> {
    store.at_once(|s| s.configure(b"q", b"open=999999999"))?;
    for n in 0..messages {
        let with = PutWith { delay_s, ..PutWith::default() };
        store.at_once(|s| s.put_with(b"q", n as u32, &[b'x'; 100], with))?.ok_or("no room")?;
        if n % 10_000 == 0 {
            store.settle()?;
        }
    }
    Ok(store.settle()?)
}

fn main() -> Result<(), Box<dyn Error>> {
    let messages: u64 = std::env::args().nth(1).map_or(Ok(1_000_000), |argument| argument.parse())?;
    let directory = std::env::temp_dir().join(format!("rushq-out-{}", std::process::id()));
    std::fs::create_dir_all(&directory)?;

    let (mut store, _) = open(&directory)?;
    fill(&mut store, messages, None)?;
    let before = resident()?;
    let begun = Instant::now();
    while let Some(Opening::Message(_)) = store.at_once(|s| s.open_next(b"q"))? {}
    let (took, after) = (begun.elapsed().as_secs_f64(), resident()?);
    println!("{messages} waiting: {:.1} MB resident; all opened in {took:.2} s", before as f64 / 1e6);
    println!("open: {:.1} bytes each beyond what they cost waiting", (after as f64 - before as f64) / messages as f64);
    store.close()?;
    drop(store);
    let (mut store, took) = open(&directory)?;
    println!("a start with {messages} that were open, from the index: {took}");

    // Every one has failed once, and is kept back for an hour.
    while let Some(Opening::Message(it)) = store.at_once(|s| s.open_next(b"q"))? {
        let back = GiveBack { counts: true, not_before: Some(NOW_MS + 3_600_000), bury: false };
        store.at_once(|s| s.give_back(it.queue, it.seq, back))?.ok_or("no room")?;
        if it.seq.is_multiple_of(10_000) {
            store.settle()?;
        }
    }
    store.settle()?;
    let kept_back = resident()?;
    println!("kept back: {:.1} bytes each beyond", (kept_back as f64 - before as f64) / messages as f64);
    store.close()?;
    drop(store);
    let (store, took) = open(&directory)?;
    println!("a start with {messages} that are kept back, from the index: {took}");
    drop(store);
    std::fs::remove_dir_all(directory.join("index"))?;
    let (store, took) = open(&directory)?;
    println!("a start with {messages} that are kept back, from the log alone: {took}");
    drop(store);
    Ok(std::fs::remove_dir_all(&directory)?)
}
