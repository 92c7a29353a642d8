//! What a store sums up over its queues as they change, held against a listing of all of them.

use storage::{Durability, GiveBack, Opening, PutWith, QueueId, Seq, Store, names};
use storage_testing::{CrashDisk, Random, for_seeds};

use crate::driver::{Driver, options};

/// What was counted since the start, by what came of each operation.
#[derive(Debug, Default, PartialEq, Eq)]
struct Counted {
    acked: u64,
    returned: u64,
}

fn assert_sums(store: &mut Store, open: &[(QueueId, Seq)], counted: &Counted) {
    let (mut messages, mut delayed, mut dead, mut open_now) = (0, 0, 0, 0);
    assert_eq!(
        store.figures(0, u32::MAX, b"", |queue| {
            messages += queue.waiting + queue.open + queue.delayed;
            (delayed, open_now) = (delayed + queue.delayed, open_now + queue.open);
            if names::is_dead(&queue.name) {
                dead += queue.waiting + queue.open + queue.delayed;
            }
        }),
        None
    );
    let totals = store.totals();
    assert_eq!((totals.messages, totals.delayed, totals.dead), (messages, delayed, dead));
    assert!(open_now <= open.len() as u64);
    assert_eq!((totals.acked, totals.returned), (counted.acked, counted.returned));
}

/// Does something at random.
fn step(store: &mut Store, random: &mut Random, open: &mut Vec<(QueueId, Seq)>, counted: &mut Counted) {
    let name = [b"a".to_vec(), b"b".to_vec(), names::dead(b"a").to_vec()][random.below(3) as usize].clone();
    let client_name = &name[..1];
    let picked = (!open.is_empty()).then(|| random.below(open.len().max(1) as u64) as usize);
    match random.below(16) {
        0..4 => {
            store.at_once(|store| store.put(client_name, 0, b"body")).unwrap();
        }
        4..6 => {
            let with = PutWith { delay_s: Some(random.below(9) as u32), ..PutWith::default() };
            store.at_once(|store| store.put_with(client_name, 0, b"body", with)).unwrap();
        }
        6..9 => {
            if let Some(Opening::Message(opened)) = store.at_once(|store| store.open_next(&name)).unwrap() {
                open.push((opened.queue, opened.seq));
            }
        }
        9..12 => {
            let Some((queue, seq)) = picked.map(|at| open.swap_remove(at)) else { return };
            // What a delete or a flush has dropped is not there any more.
            let is_there = store.at_once(|store| store.read_open(queue, seq)).unwrap().flatten().is_some();
            let back = GiveBack { counts: random.chance(2), not_before: None, bury: random.chance(2) };
            if random.chance(3) {
                assert_eq!(store.at_once(|store| store.acknowledge(queue, seq)).unwrap(), Some(is_there));
                counted.acked += u64::from(is_there);
            } else {
                assert_eq!(store.at_once(|store| store.give_back(queue, seq, back)).unwrap(), Some(()));
                counted.returned += u64::from(is_there);
            }
        }
        12 => drop(store.at_once(|store| store.take(&name)).unwrap()),
        13 => drop(store.at_once(|store| store.kick(client_name, 3)).unwrap()),
        14 if random.chance(4) => drop(store.at_once(|store| store.flush(client_name)).unwrap()),
        14 if random.chance(4) => drop(store.at_once(Store::flush_all).unwrap()),
        14 if random.chance(4) => drop(store.at_once(|store| store.delete(client_name)).unwrap()),
        _ => {}
    }
}

#[test]
fn sums_are_what_a_listing_comes_to() {
    for_seeds(30, |seed| {
        let (disk, mut random) = (CrashDisk::default(), Random::new(seed));
        let mut now_ms = 1_000_000;
        for _life in 0..2 {
            let mut store = Driver::open(&disk, None, options(Durability::Synced, 1 << 20)).unwrap().0.store;
            let (mut open, mut counted) = (Vec::new(), Counted::default());
            store.set_time(now_ms);
            let words = b"tries=2 backoff=1,3 age=60";
            assert_eq!(store.at_once(|store| store.configure(b"a", words)).unwrap(), Some(Ok(())));
            assert_sums(&mut store, &open, &counted);
            for _ in 0..300 {
                step(&mut store, &mut random, &mut open, &mut counted);
                if random.chance(3) {
                    now_ms += random.below(3000);
                    store.set_time(now_ms);
                    while store.pass_time(5).unwrap() {}
                    store.settle().unwrap();
                }
                assert_sums(&mut store, &open, &counted);
            }
            store.close().unwrap();
        }
    });
}
