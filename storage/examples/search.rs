//! What it costs to find one page of queues among a million: each way to sort them, with and without a filter.
//! `cargo run --release -p storage --example search [queues]`.

mod measuring;

use std::error::Error;
use std::time::{Duration, Instant};

use storage::{Search, SortBy, Store};

use measuring::{NOW_MS, open, resident};

/// Lines of the page.
const LIMIT: u32 = 50;

/// Searches once, piece by piece. Returns how long it took, and the longest piece.
fn search(store: &mut Store, filter: &[u8], sort: SortBy, descending: bool) -> (Duration, Duration, u64) {
    let (mut cursor, mut matched, mut longest) = (Some(0), 0, Duration::ZERO);
    let mut worst: Option<(u64, Box<[u8]>)> = None;
    let begun = Instant::now();
    while let Some(from) = cursor {
        let piece = Instant::now();
        let before = worst.as_ref().map(|(key, name)| (*key, &**name));
        let asked = Search { filter, sort, descending, behind: None, before, limit: LIMIT };
        let mut found = store.find(from, &asked, |_| 0);
        longest = longest.max(piece.elapsed());
        (cursor, matched) = (found.next, matched + found.matched);
        // The last line of a full piece is no better than that of the page: near enough for what is measured here.
        if found.lines.len() == LIMIT as usize {
            worst = found.lines.pop().map(|line| (line.sort_key, line.name));
        }
    }
    (begun.elapsed(), longest, matched)
}

fn main() -> Result<(), Box<dyn Error>> {
    let queues: u64 = std::env::args().nth(1).map_or(Ok(1_000_000), |argument| argument.parse())?;
    let directory = std::env::temp_dir().join(format!("rushq-search-{}", std::process::id()));
    std::fs::create_dir_all(&directory)?;
    let (mut store, _) = open(&directory)?;
    for n in 0..queues {
        let name = format!("memtier-{n}");
        for _ in 0..n * 7919 % 3 {
            store.at_once(|s| s.put(name.as_bytes(), 0, b"body"))?.ok_or("no room")?;
        }
        store.at_once(|s| s.create(name.as_bytes()))?.ok_or("no room")?;
        if n % 10_000 == 0 {
            store.settle()?;
        }
    }
    store.settle()?;
    let before = resident()?;
    for (filter, sort, descending) in [
        (&b""[..], SortBy::Waiting, true),
        (b"", SortBy::Waiting, true),
        (b"", SortBy::Waiting, false),
        (b"", SortBy::Name, false),
        (b"", SortBy::Name, true),
        (b"", SortBy::Bytes, true),
        (b"", SortBy::Oldest, true),
        (b"", SortBy::Dead, true),
        (b"", SortBy::In, true),
        (b"-12345", SortBy::Waiting, true),
        (b"99", SortBy::Waiting, true),
        (b"nothing", SortBy::Name, false),
    ] {
        store.set_time(NOW_MS + 1);
        let (took, longest, matched) = search(&mut store, filter, sort, descending);
        let (ms, each) = (took.as_secs_f64() * 1e3, took.as_secs_f64() * 1e9 / queues as f64);
        println!(
            "{sort:?}, descending {descending}, filter \"{}\": {ms:.1} ms, {each:.0} ns a queue, longest piece {longest:?}, \
             {matched} matched",
            filter.escape_ascii()
        );
    }
    println!("samples: {:.1} MB", (resident()? - before) as f64 / 1e6);
    drop(store);
    Ok(std::fs::remove_dir_all(&directory)?)
}
