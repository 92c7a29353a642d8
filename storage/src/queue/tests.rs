//! A queue by itself.

use super::*;

fn at(offset: u32) -> Place {
    Place { segment: 1, offset, body_bytes: 3 }
}

fn to(offset: u32) -> Position {
    Position { segment: 1, offset }
}

fn message(offset: u32) -> Message {
    Message { place: at(offset), flags: 0, body: Some((*b"abc").into()) }
}

#[test]
fn a_deep_queue_is_first_in_first_out() {
    let mut queue = Queue::new(1, b"q", 0);
    let depth = RUN_MESSAGES_MAX as u32 * 3 + 5;
    for n in 0..depth {
        queue.push(message(n));
    }
    assert_eq!(queue.missing(), None);
    assert_eq!(queue.depth(), u64::from(depth));
    for n in 0..depth {
        let (seq, message) = queue.pop().expect("a message");
        assert_eq!((seq, message.place.offset), (u64::from(n) + 1, n));
    }
    assert!(queue.pop().is_none());
    assert_eq!((queue.sets, queue.gets, queue.resident_bytes()), (u64::from(depth), u64::from(depth), 0));
    assert!(queue.front.capacity() <= DRAINED_CAPACITY_MAX);
}

#[test]
fn eviction_begins_at_the_far_end_and_spares_what_may_not_go() {
    let mut queue = Queue::new(1, b"q", 0);
    for n in 0..10 {
        queue.push(message(n));
    }
    let each = resident_bytes(3);
    let freed = queue.evict(0, 3 * each, to(0)..to(8));
    assert_eq!(freed, 3 * each);
    let resident: Vec<_> = queue.messages().map(|(_, m)| m.body.is_some()).collect();
    assert_eq!(resident, [true, true, true, true, true, false, false, false, true, true]);
    assert_eq!(queue.evict(0, usize::MAX, to(4)..to(8)), each, "the search ends at what is before that part");
    assert_eq!(queue.evict(4 * each, usize::MAX, to(0)..to(10)), 2 * each, "keep bounds it too");
    assert_eq!(queue.fill(9, 7, b"abc"), each);
    assert_eq!(queue.fill(9, 7, b"abc"), 0, "it is there already");
}

#[test]
fn eviction_looks_at_no_message_of_a_run_that_is_not_written() {
    let mut queue = Queue::new(1, b"q", 0);
    let run = RUN_MESSAGES_MAX as u32;
    for n in 0..3 * run {
        queue.push(message(n));
    }
    // Were the messages of the last run looked at, this one would go.
    let there = Place { offset: run - 1, ..at(0) };
    queue.move_message(u64::from(3 * run), there, 0, b"abc");
    assert_eq!(queue.evict(0, usize::MAX, to(0)..to(run + 1)), (run as usize + 1) * resident_bytes(3));
    assert!(queue.message(u64::from(3 * run)).is_some_and(|message| message.body.is_some()));
    assert_eq!(queue.evict(0, usize::MAX, to(0)..to(3 * run)), (2 * run as usize - 1) * resident_bytes(3));
}

#[test]
fn recovery_takes_places_in_any_order() {
    let mut queue = Queue::new(1, b"q", 0);
    queue.next = 3001;
    for seq in (1001..2001).chain(1..1001).chain(2500..3001).chain(2001..2500).chain(5..10) {
        queue.place(seq, at(seq as u32));
    }
    assert_eq!(queue.missing(), None);
    queue.raise_head(1500);
    assert_eq!(queue.missing(), None);
    queue.place(1499, at(0));
    assert_eq!(queue.messages().next().map(|(seq, _)| seq), Some(1500), "what was taken stays taken");
    queue.raise_head(3001);
    assert_eq!(queue.messages().count(), 0);
    assert_eq!(queue.missing(), None);
}

#[test]
fn a_hole_is_found() {
    let mut queue = Queue::new(1, b"q", 0);
    queue.next = 11;
    for seq in (1..6).chain(7..11) {
        queue.place(seq, at(seq as u32));
    }
    assert_eq!(queue.missing(), Some(6));
    queue.place(6, at(6));
    assert_eq!(queue.missing(), None);
    queue.next = 12;
    assert_eq!(queue.missing(), Some(11));
}
