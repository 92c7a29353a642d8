//! What a million tickets cost: memory beside their messages, and starts. What is refused costs nothing.
//! `cargo run --release -p storage --example tickets [tickets]`.

mod measuring;

use std::error::Error;
use std::time::Instant;

use storage::{GateAct, GateAnswer, Store};

use measuring::{open, resident};

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
