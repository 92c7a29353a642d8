//! Pages of queues out of many, held against all of them sorted.

use storage::{
    Durability, GiveBack, Opening, PAGE_LINES_MAX, PutWith, QueueFigures, Search, SortBy, Store, StoreOptions, names,
};
use storage_testing::{CrashDisk, Random};

use crate::driver::options;

const START_MS: u64 = 1_700_000_000_000;

/// A search of all, the names ascending.
const ALL: Search<'static> =
    Search { filter: b"", sort: SortBy::Name, descending: false, behind: None, before: None, limit: PAGE_LINES_MAX };

fn waiters(name: &[u8]) -> u64 {
    name.iter().map(|byte| u64::from(*byte)).sum::<u64>() % 5
}

/// What a queue is sorted by, from its figures.
fn figure(sort: SortBy, line: &QueueFigures) -> u64 {
    match sort {
        SortBy::Name => 0,
        SortBy::Waiting => line.waiting,
        SortBy::Open => line.open,
        SortBy::Delayed => line.delayed,
        SortBy::Dead => line.dead,
        SortBy::Oldest => line.oldest_s,
        SortBy::In => line.in_per_1000_s,
        SortBy::Out => line.out_per_1000_s,
        SortBy::Bytes => line.bytes,
        SortBy::Waiters => waiters(&line.name),
        SortBy::Children => line.children,
    }
}

/// One page, of all pieces.
fn page(store: &mut Store, search: &Search<'_>) -> (Vec<QueueFigures>, u64) {
    let (mut lines, mut matched, mut cursor) = (Vec::<QueueFigures>::new(), 0, Some(0));
    while let Some(from) = cursor {
        let worst = lines.get(search.lines_max().wrapping_sub(1)).map(|line| (line.sort_key, line.name.clone()));
        let before = worst.as_ref().map(|(key, name)| (*key, &**name));
        let found = store.find(from, &Search { before, ..*search }, waiters);
        assert!(found.lines.len() <= search.lines_max());
        lines.extend(found.lines);
        lines.sort_by(|a, b| search.order((a.sort_key, &a.name), (b.sort_key, &b.name)));
        (matched, cursor) = (matched + found.matched, found.next);
    }
    lines.truncate(search.lines_max());
    (lines, matched)
}

/// All pages, each behind the last line of the one before.
fn pages(store: &mut Store, search: &Search<'_>) -> (Vec<QueueFigures>, u64) {
    let (mut lines, mut matched) = page(store, search);
    let last = |lines: &[QueueFigures]| lines.last().map(|line| (line.sort_key, line.name.clone()));
    while let Some((key, name)) = last(&lines) {
        let (more, again) = page(store, &Search { behind: Some((key, &name)), ..*search });
        assert_eq!(again, matched, "whatever is behind");
        matched = again;
        if more.is_empty() {
            break;
        }
        lines.extend(more);
    }
    (lines, matched)
}

fn open(disk: &CrashDisk) -> Store {
    let options =
        StoreOptions { segment_bytes: 4 << 20, commit_bytes_max: 1 << 20, ..options(Durability::Written, 1 << 20) };
    let (mut store, _) = Store::open(std::sync::Arc::new(disk.clone()), None, options).unwrap();
    store.set_time(START_MS);
    store
}

/// Some thousand queues, so that a page is made of several pieces, and of each kind some.
fn fill(store: &mut Store, random: &mut Random) {
    for n in 0..9000u64 {
        let name = format!("memtier-{}", n * 7919 % 9000).into_bytes();
        store.at_once(|s| s.create(&name)).unwrap();
        if random.chance(8) {
            store.at_once(|s| s.make_child(&names::child(&name, b"mail"))).unwrap();
        }
        for _ in 0..random.below(8).saturating_sub(4) {
            let with = PutWith { delay_s: random.chance(3).then_some(3600), ..PutWith::default() };
            store.at_once(|s| s.put_with(&name, 0, &b"body"[..random.below(5) as usize], with)).unwrap();
        }
        let opens = random.below(3);
        for _ in 0..opens {
            let Some(Opening::Message(opened)) = store.at_once(|s| s.open_next(&name)).unwrap() else { break };
            let bury = GiveBack { counts: true, not_before: None, bury: true };
            if random.chance(2) {
                store.at_once(|s| s.give_back(opened.queue, opened.seq, bury)).unwrap();
            }
        }
        if n % 500 == 0 {
            store.settle().unwrap();
            store.set_time(START_MS + n * 2);
            while store.pass_time(1000).unwrap() {}
        }
    }
    while store.pass_time(1000).unwrap() {}
    for slot in 0..20 {
        store.at_once(|s| s.delete(format!("memtier-{slot}").as_bytes())).unwrap();
    }
    store.settle().unwrap();
}

fn listed(store: &mut Store) -> Vec<QueueFigures> {
    let mut all = Vec::new();
    assert_eq!(store.figures(0, u32::MAX, b"", |line| all.push(line)), None);
    all
}

#[test]
fn pages_are_what_sorting_all_queues_gives() {
    let mut store = open(&CrashDisk::default());
    fill(&mut store, &mut Random::new(14));
    // The first look takes samples, and the second finds rates.
    page(&mut store, &ALL);
    for n in (100..4000u64).step_by(3) {
        let name = format!("memtier-{n}").into_bytes();
        store.at_once(|s| s.put(&name, 0, b"")).unwrap();
        if n % 2 == 0 {
            store.at_once(|s| s.take(&name)).unwrap();
        }
    }
    store.set_time(START_MS + 60_000);
    page(&mut store, &ALL);
    let all = listed(&mut store);
    assert!(all.iter().any(|line| line.in_per_1000_s > 0 && line.out_per_1000_s == 0), "rates are told");
    for sort in SortBy::ALL {
        assert!(sort == SortBy::Name || all.iter().any(|line| figure(sort, line) > 0), "{sort:?} has nothing to sort");
        for (descending, filter, limit) in
            [(true, &b""[..], 900), (false, b"", 900), (true, b"77", 50), (false, b"+mail", 300), (true, b"9/dead", 7)]
        {
            let search = Search { filter, sort, descending, limit, ..ALL };
            let matches = |line: &&QueueFigures| {
                filter.is_empty() || names::shown(&line.name).windows(filter.len()).any(|part| part == filter)
            };
            let mut expected: Vec<&QueueFigures> = all.iter().filter(matches).collect();
            expected.sort_by(|a, b| search.order((figure(sort, a), &a.name), (figure(sort, b), &b.name)));
            let (found, matched) = pages(&mut store, &search);
            assert_eq!(matched, expected.len() as u64, "{search:?}");
            // The age is in the order of the key, and of two with the same age either may be the older.
            if sort != SortBy::Oldest {
                let keyed = |line: &&QueueFigures| QueueFigures { sort_key: figure(sort, line), ..(*line).clone() };
                assert_eq!(found, expected.iter().map(keyed).collect::<Vec<_>>(), "{search:?}");
            }
            let keys: Vec<u64> = found.iter().map(|line| figure(sort, line)).collect();
            assert!(keys.is_sorted_by(|a, b| if descending { a >= b } else { a <= b }), "{search:?}");
            let names = |lines: Vec<&QueueFigures>| {
                let mut names: Vec<_> = lines.into_iter().map(|line| line.name.clone()).collect();
                names.sort();
                names
            };
            assert_eq!(names(found.iter().collect()), names(expected), "each once: {search:?}");
        }
    }
}

/// Else the next page would leave out what has grown older meanwhile.
#[test]
fn pages_by_age_stay_whole_while_time_passes() {
    let mut store = open(&CrashDisk::default());
    for n in 0..50u64 {
        store.set_time(START_MS + n * 1000);
        store.at_once(|s| s.put(format!("q{}", n * 7 % 50).as_bytes(), 0, b"")).unwrap();
    }
    let (mut names, mut last) = (Vec::new(), None::<(u64, Box<[u8]>)>);
    for n in 0..5 {
        store.set_time(START_MS + 100_000 + n * 7000);
        let behind = last.as_ref().map(|(key, name)| (*key, &**name));
        let search = Search { sort: SortBy::Oldest, descending: true, limit: 10, behind, ..ALL };
        let (lines, _) = page(&mut store, &search);
        names.extend(lines.iter().map(|line| String::from_utf8(line.name.to_vec()).unwrap()));
        last = lines.last().map(|line| (line.sort_key, line.name.clone()));
    }
    assert_eq!(names, (0..50).map(|n| format!("q{}", n * 7 % 50)).collect::<Vec<_>>());
}

#[test]
fn a_flush_of_all_is_seen_at_once() {
    let mut store = open(&CrashDisk::default());
    for name in [b"a", b"b"] {
        store.at_once(|s| s.put(name, 0, b"body")).unwrap();
    }
    store.at_once(Store::flush_all).unwrap();
    let by_bytes = Search { sort: SortBy::Bytes, descending: true, ..ALL };
    let (lines, _) = page(&mut store, &by_bytes);
    assert_eq!(lines.iter().map(|line| (line.sort_key, line.waiting)).collect::<Vec<_>>(), [(0, 0), (0, 0)]);
}

#[test]
fn one_queues_figures_are_those_of_its_line() {
    let mut store = open(&CrashDisk::default());
    store.at_once(|s| s.put(b"q", 0, b"body")).unwrap();
    assert_eq!(store.figures_of_queue(b"none"), None);
    let line = store.figures_of_queue(b"q");
    assert_eq!(line.as_ref(), page(&mut store, &ALL).0.first());
    store.at_once(|s| s.put(b"q", 0, b"body")).unwrap();
    store.set_time(START_MS + 2000);
    assert_eq!(store.figures_of_queue(b"q").map(|line| (line.waiting, line.in_per_1000_s)), Some((2, 500)));
}
