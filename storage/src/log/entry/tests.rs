//! Entries, there and back.

use super::*;

const TALLY: Tally = Tally { given: 9, returned: 2, lapsed: 3, places: 4, first_ms: 1 << 40, last_ms: 1 << 41 };

fn ticket(buyer: &[u8]) -> TicketEntry<'_> {
    let terms = Terms { until: 1 << 41, seq: 9, extended: 2, kept_back: true };
    TicketEntry { queue: 7, key: Key::seat(3), buyer, terms, with_message: true, given: 5, at_ms: 1 << 40 }
}

#[test]
fn entries_come_back_and_know_their_size() {
    let record = Record { queue: 7, name: b"tickets", settings: b"depth=7", head: 3, next: 9, sets: 8, gets: 2 };
    let entries = [
        (Entry::Record(record), record_bytes(b"tickets", b"depth=7")),
        (Entry::Put { queue: 7, seq: 9, flags: 16, body: b"hello" }, put_bytes(5)),
        (Entry::Put { queue: 7, seq: 10, flags: 0, body: b"" }, put_bytes(0)),
        (Entry::Take { queue: 7, seq: 3 }, TAKE_BYTES),
        (Entry::Drop { queue: 7 }, DROP_BYTES),
        (Entry::Flush, FLUSH_BYTES),
        (Entry::Gone { queue: 7, begins: true, ranges: &[4, 1, 2, 5] }, gone_bytes(4)),
        (Entry::Told { queue: 7, settings: b"lease=9" }, told_bytes(7)),
        (Entry::Time(Time { second: 1_795_000_000, leases: 1 << 40 }), TIME_BYTES),
        (Entry::State { queue: 7, seq: 9, state: State { tries: 3, not_before: 5, expires: 6 } }, STATE_BYTES),
        (Entry::Id { queue: 7, until_s: 1_795_000_300, token: b"order 17" }, id_bytes(8)),
        (Entry::Also { pairs: &[8, 1, 9, 0x80, 1] }, also_bytes(5)),
        (Entry::Ticket(ticket(b"ann")), ticket_bytes(3)),
        (Entry::Ticket(TicketEntry { key: Key::place(7), ..ticket(&[b'x'; BUYER_BYTES_MAX]) }), ticket_bytes(250)),
        (Entry::Freed { queue: 7, key: Key::seat(3), why: Freed::Lapsed, count: 9 }, FREED_BYTES),
        (Entry::Freed { queue: 7, key: Key::place(0), why: Freed::Seated, count: 0 }, FREED_BYTES),
        (Entry::Gate { queue: 7, tally: TALLY }, GATE_BYTES),
    ];
    let mut out = Vec::new();
    for (entry, bytes) in &entries {
        let before = out.len();
        entry.encode(&mut out);
        assert_eq!(out.len() - before, *bytes, "{entry:?}");
    }
    let mut reader = Reader::new(&out);
    for (entry, _) in &entries {
        assert_eq!(Entry::decode(&mut reader), Some(*entry));
    }
    assert!(reader.is_empty());
}

#[test]
fn a_flipped_bit_in_a_put_is_seen() {
    let mut out = Vec::new();
    Entry::Put { queue: 1, seq: 1, flags: 0, body: b"abc" }.encode(&mut out);
    for bit in 8..out.len() * 8 {
        let mut bad = out.clone();
        bad[bit / 8] ^= 1 << (bit % 8);
        assert_eq!(Entry::decode(&mut Reader::new(&bad)), None, "bit {bit}");
    }
}

#[test]
fn a_number_that_no_log_has_makes_no_entry() {
    let record = Record { queue: 7, name: b"q", settings: b"", head: 1, next: 1, sets: 0, gets: 0 };
    for entry in [
        Entry::Record(Record { queue: u64::MAX, ..record }),
        Entry::Record(Record { next: u64::MAX, ..record }),
        Entry::Record(Record { sets: u64::MAX, ..record }),
        Entry::Record(Record { gets: u64::MAX, ..record }),
        Entry::Record(Record { head: 2, next: 1, ..record }),
        Entry::Put { queue: u64::MAX, seq: 1, flags: 0, body: b"" },
        Entry::Put { queue: 1, seq: u64::MAX, flags: 0, body: b"" },
        Entry::Take { queue: u64::MAX, seq: 1 },
        Entry::Take { queue: 1, seq: u64::MAX },
        Entry::Drop { queue: u64::MAX },
        Entry::Gone { queue: u64::MAX, begins: true, ranges: &[4, 1] },
        Entry::Gone { queue: 7, begins: false, ranges: &[] },
        Entry::Gone { queue: 7, begins: false, ranges: &[4, 0] },
        Entry::Told { queue: u64::MAX, settings: b"" },
        Entry::Time(Time { second: 1, leases: u64::MAX }),
        Entry::State { queue: 1, seq: u64::MAX, state: State::default() },
        Entry::Id { queue: u64::MAX, until_s: 1, token: b"x" },
        Entry::Id { queue: 1, until_s: 1, token: b"" },
        Entry::Also { pairs: b"" },
        Entry::Also { pairs: &[1, 1, 1] },
        Entry::State { queue: 1, seq: 1, state: State { expires: u64::MAX, ..State::default() } },
        Entry::Ticket(TicketEntry { queue: u64::MAX, ..ticket(b"ann") }),
        Entry::Ticket(TicketEntry { given: u64::MAX, ..ticket(b"ann") }),
        Entry::Ticket(TicketEntry { at_ms: u64::MAX, ..ticket(b"ann") }),
        Entry::Ticket(TicketEntry { terms: Terms { until: u64::MAX, ..Terms::default() }, ..ticket(b"ann") }),
        Entry::Ticket(TicketEntry { terms: Terms { seq: u64::MAX, ..Terms::default() }, ..ticket(b"ann") }),
        Entry::Ticket(TicketEntry { key: Key::seat(0), ..ticket(b"ann") }),
        Entry::Ticket(TicketEntry { key: Key::seat(1 << 31), ..ticket(b"ann") }),
        Entry::Ticket(TicketEntry { key: Key::place(NUMBER_END), ..ticket(b"ann") }),
        Entry::Ticket(ticket(b"")),
        Entry::Ticket(ticket(&[b'x'; BUYER_BYTES_MAX + 1])),
        Entry::Freed { queue: u64::MAX, key: Key::seat(1), why: Freed::Left, count: 0 },
        Entry::Freed { queue: 7, key: Key::seat(0), why: Freed::Left, count: 0 },
        Entry::Freed { queue: 7, key: Key::seat(1), why: Freed::Lapsed, count: u64::MAX },
        Entry::Gate { queue: u64::MAX, tally: TALLY },
        Entry::Gate { queue: 7, tally: Tally { given: u64::MAX, ..TALLY } },
        Entry::Gate { queue: 7, tally: Tally { places: u64::MAX, ..TALLY } },
        Entry::Gate { queue: 7, tally: Tally { first_ms: u64::MAX, ..TALLY } },
    ] {
        let mut out = Vec::new();
        entry.encode(&mut out);
        assert_eq!(Entry::decode(&mut Reader::new(&out)), None, "{entry:?}");
    }
}

#[test]
fn a_ticket_that_says_what_is_unknown_and_a_reason_that_is_none_make_no_entry() {
    const WHAT_AT: usize = 17;
    for (entry, bad) in [
        (Entry::Ticket(ticket(b"ann")), 4),
        (Entry::Freed { queue: 7, key: Key::seat(1), why: Freed::Left, count: 0 }, 5),
        (Entry::Freed { queue: 7, key: Key::seat(1), why: Freed::Left, count: 0 }, 0),
    ] {
        let mut out = Vec::new();
        entry.encode(&mut out);
        out[WHAT_AT] = bad;
        assert_eq!(Entry::decode(&mut Reader::new(&out)), None, "{entry:?} {bad}");
    }
}

#[test]
fn a_cut_entry_is_none() {
    for entry in [
        Entry::Record(Record { queue: 7, name: b"q", settings: b"", head: 1, next: 1, sets: 0, gets: 0 }),
        Entry::Ticket(ticket(b"ann")),
        Entry::Freed { queue: 7, key: Key::seat(1), why: Freed::Left, count: 0 },
        Entry::Gate { queue: 7, tally: TALLY },
    ] {
        let mut out = Vec::new();
        entry.encode(&mut out);
        for end in 0..out.len() {
            assert_eq!(Entry::decode(&mut Reader::new(&out[..end])), None, "{entry:?} {end}");
        }
    }
}
