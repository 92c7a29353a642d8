//! What stands on the pages of a checkpoint: where puts are, records, lists of what is gone.

use crate::gate::ticket::Ticket;
use crate::index::segment_puts::{Located, SegmentPuts};
use crate::index::{ITEM_BYTES_MAX, Index, IndexError, PageWriter, Pages, Written};
use crate::log::codec::{Reader, put_varint};
use crate::log::entry::{ID_BYTES_MAX, QueueId, Record, SETTINGS_BYTES_MAX, Seq, State};
use crate::log::frame::NUMBER_END;
use crate::log::ranges::{RANGE_BYTES_MAX, are_ranges};
use crate::log::tickets::{BUYER_BYTES_MAX, Key, Tally, Terms};
use crate::log::{Place, Position};
use crate::names::NAME_BYTES_MAX;
use crate::queue::ids::Remembered;
use crate::queue::table::UNKNOWN_SLOT;

/// Pages that are handed to the index at once, in bytes.
pub(crate) const BATCH_BYTES: usize = 256 << 10;
/// The longest packed put of a directory: four varints.
const LOCATED_BYTES_MAX: usize = 10 + 10 + 5 + 5;
/// In a directory, in place of a queue: a time follows.
const TIME: u64 = 0;

/// Packs a put; each page of a directory begins anew, so that it can be read alone.
pub(crate) fn push_located(pages: &mut PageWriter, located: &Located) {
    pages.make_room(LOCATED_BYTES_MAX);
    let distance = located.place.offset - pages.before;
    pages.before = located.place.offset;
    let value = pages.value();
    put_varint(value, located.queue);
    put_varint(value, located.seq);
    put_varint(value, u64::from(distance));
    put_varint(value, u64::from(located.place.body_bytes));
}

/// Packs from which offset on the puts of a segment were made in which second since 1970.
pub(crate) fn push_time(pages: &mut PageWriter, offset: u32, second: u32) {
    pages.make_room(1 + 5 + 5);
    for number in [TIME, u64::from(offset), u64::from(second)] {
        put_varint(pages.value(), number);
    }
}

/// Reads the pages of a segment's directory in their order.
#[derive(Debug)]
pub(crate) struct LocatedReader {
    segment: u32,
    segment_bytes: u32,
    /// Of the last put.
    last_offset: u32,
}

impl LocatedReader {
    pub(crate) fn new(segment: u32, segment_bytes: u32) -> LocatedReader {
        LocatedReader { segment, segment_bytes, last_offset: 0 }
    }

    /// Reads the next page, which [`push_located`] and [`push_time`] packed. `None`: these bytes are no such page, or it
    /// says what no log does.
    pub(crate) fn read(
        &mut self,
        items: &[u8],
        mut each: impl FnMut(Located),
        mut time: impl FnMut(Position, u32),
    ) -> Option<()> {
        let (mut reader, mut offset) = (Reader::new(items), 0u32);
        while !reader.is_empty() {
            let queue = reader.varint()?;
            if queue == TIME {
                let (offset, second) = (reader.varint_u32()?, reader.varint_u32()?);
                time(Position { segment: self.segment, offset }, second);
                continue;
            }
            let seq = reader.varint()?;
            offset = offset.checked_add(reader.varint_u32()?)?;
            let place = Place { segment: self.segment, offset, body_bytes: reader.varint_u32()? };
            // Several at one offset are the messages of one put.
            let is_possible = queue.max(seq) < NUMBER_END && offset >= self.last_offset;
            if !is_possible || !place.is_within(self.segment_bytes) {
                return None;
            }
            self.last_offset = offset;
            each(Located { queue, slot: UNKNOWN_SLOT, seq, place });
        }
        Some(())
    }
}

/// What an item on a page of records begins with.
const RECORD: u64 = 1;
const FLUSH: u64 = 2;
const GONE: u64 = 3;
const STATE: u64 = 4;
const ID: u64 = 5;
const TICKET: u64 = 6;
const TALLY: u64 = 7;
/// Ranges of an item at most, so that it fits into a page.
pub(crate) const ITEM_RANGES_MAX: usize = 128;
const RECORD_ITEM_BYTES_MAX: usize = 9 * 10 + NAME_BYTES_MAX + SETTINGS_BYTES_MAX;
const GONE_ITEM_BYTES_MAX: usize = 3 * 10 + ITEM_RANGES_MAX * RANGE_BYTES_MAX;
const _: () = assert!(RECORD_ITEM_BYTES_MAX <= ITEM_BYTES_MAX && GONE_ITEM_BYTES_MAX <= ITEM_BYTES_MAX);

pub(crate) fn push_record(pages: &mut PageWriter, record: &Record<'_>, segment: u32) {
    pages.make_room(9 * 10 + record.name.len() + record.settings.len());
    let value = pages.value();
    let numbers = [RECORD, record.queue, record.head, record.next, record.sets, record.gets, u64::from(segment)];
    for number in numbers {
        put_varint(value, number);
    }
    for bytes in [record.name, record.settings] {
        put_varint(value, bytes.len() as u64);
        value.extend_from_slice(bytes);
    }
}

/// Packs the last flush of all queues, which the records behind it know.
pub(crate) fn push_flush(pages: &mut PageWriter, at: Position) {
    pages.make_room(3 * 10);
    for number in [FLUSH, u64::from(at.segment), u64::from(at.offset)] {
        put_varint(pages.value(), number);
    }
}

/// Packs numbers of a queue that are gone, if there are any.
pub(crate) fn push_gone(pages: &mut PageWriter, queue: QueueId, ranges: &[u8]) {
    if !ranges.is_empty() {
        pages.make_room(3 * 10 + ranges.len());
        for number in [GONE, queue, ranges.len() as u64] {
            put_varint(pages.value(), number);
        }
        pages.value().extend_from_slice(ranges);
    }
}

/// Packs what a message has beside its body.
pub(crate) fn push_state(pages: &mut PageWriter, queue: QueueId, seq: Seq, state: State) {
    pages.make_room(6 * 10);
    for number in [STATE, queue, seq, u64::from(state.tries), state.not_before, state.expires] {
        put_varint(pages.value(), number);
    }
}

/// Packs what a put was called.
pub(crate) fn push_id(pages: &mut PageWriter, queue: QueueId, token: &[u8], id: Remembered) {
    pages.make_room(5 * 10 + token.len());
    for number in [ID, queue, u64::from(id.until_s), u64::from(id.segment), token.len() as u64] {
        put_varint(pages.value(), number);
    }
    pages.value().extend_from_slice(token);
}

/// Packs what a buyer has.
pub(crate) fn push_ticket(pages: &mut PageWriter, queue: QueueId, key: Key, ticket: &Ticket) {
    let (buyer, terms, segment) = (&ticket.buyer, ticket.terms(), ticket.segment);
    pages.make_room(9 * 10 + buyer.len());
    let numbers = [TICKET, queue, key.number(), u64::from(terms.kept_back), u64::from(terms.extended), terms.until];
    for number in numbers.into_iter().chain([terms.seq, u64::from(segment), buyer.len() as u64]) {
        put_varint(pages.value(), number);
    }
    pages.value().extend_from_slice(buyer);
}

/// Packs what was counted of a gate.
pub(crate) fn push_tally(pages: &mut PageWriter, queue: QueueId, tally: &Tally) {
    let Tally { given, returned, lapsed, places, first_ms, last_ms } = *tally;
    pages.make_room(8 * 10);
    for number in [TALLY, queue, given, returned, lapsed, places, first_ms, last_ms] {
        put_varint(pages.value(), number);
    }
}

/// What a page of records holds.
pub(crate) enum RecordItem<'a> {
    /// A record, and the segment of its newest copy.
    Record(Record<'a>, u32),
    /// The last flush of all queues that the records behind it know.
    Flush(Position),
    /// Numbers of a queue that are gone. Its record follows.
    Gone(QueueId, &'a [u8]),
    /// What a message has beside its body.
    State(QueueId, Seq, State),
    /// What a put of a queue was called.
    Id(QueueId, &'a [u8], Remembered),
    /// What a buyer has of a queue's gate, and the segment of the entry that says so last.
    Ticket(QueueId, Key, &'a [u8], Terms, u32),
    /// What was counted of a queue's gate.
    Tally(QueueId, Tally),
}

/// Reads a page of records. `None`: these bytes are no such page.
pub(crate) fn read_records(items: &[u8], mut each: impl FnMut(RecordItem<'_>)) -> Option<()> {
    let mut reader = Reader::new(items);
    while !reader.is_empty() {
        match reader.varint()? {
            FLUSH => each(RecordItem::Flush(Position { segment: reader.varint_u32()?, offset: reader.varint_u32()? })),
            GONE => {
                let (queue, bytes) = (reader.varint()?, reader.varint_u32()?);
                let ranges = reader.bytes(bytes as usize)?;
                if queue >= NUMBER_END || !are_ranges(ranges) {
                    return None;
                }
                each(RecordItem::Gone(queue, ranges));
            }
            STATE => {
                let (queue, seq, tries) = (reader.varint()?, reader.varint()?, u8::try_from(reader.varint()?).ok()?);
                let (not_before, expires) = (reader.varint()?, reader.varint()?);
                if queue.max(seq).max(not_before).max(expires) >= NUMBER_END {
                    return None;
                }
                each(RecordItem::State(queue, seq, State { tries, not_before, expires }));
            }
            ID => {
                let (queue, until_s, segment) = (reader.varint()?, reader.varint_u32()?, reader.varint_u32()?);
                let bytes = reader.varint_u32()?;
                let token = reader.bytes(bytes as usize)?;
                if queue >= NUMBER_END || token.is_empty() || token.len() > ID_BYTES_MAX {
                    return None;
                }
                each(RecordItem::Id(queue, token, Remembered { until_s, segment }));
            }
            TICKET => {
                let (queue, key, kept_back) = (reader.varint()?, reader.varint()?, reader.varint()?);
                let (extended, until) = (u8::try_from(reader.varint()?).ok()?, reader.varint()?);
                let (seq, segment, bytes) = (reader.varint()?, reader.varint_u32()?, reader.varint_u32()?);
                let buyer = reader.bytes(bytes as usize)?;
                let highest = queue.max(key).max(until).max(seq);
                if highest >= NUMBER_END || kept_back > 1 || !(1..=BUYER_BYTES_MAX).contains(&buyer.len()) {
                    return None;
                }
                let terms = Terms { until, seq, extended, kept_back: kept_back == 1 };
                each(RecordItem::Ticket(queue, Key::from_number(key)?, buyer, terms, segment));
            }
            TALLY => {
                let (queue, given, returned) = (reader.varint()?, reader.varint()?, reader.varint()?);
                let (lapsed, places) = (reader.varint()?, reader.varint()?);
                let (first_ms, last_ms) = (reader.varint()?, reader.varint()?);
                let highest = queue.max(given).max(returned).max(lapsed).max(places).max(first_ms).max(last_ms);
                if highest >= NUMBER_END {
                    return None;
                }
                each(RecordItem::Tally(queue, Tally { given, returned, lapsed, places, first_ms, last_ms }));
            }
            RECORD => {
                let (queue, head, next) = (reader.varint()?, reader.varint()?, reader.varint()?);
                let (sets, gets, segment) = (reader.varint()?, reader.varint()?, reader.varint_u32()?);
                let mut bytes = || reader.varint_u32().and_then(|bytes| reader.bytes(bytes as usize));
                let (name, settings) = (bytes()?, bytes()?);
                let highest = queue.max(next).max(sets).max(gets);
                if head > next || highest >= NUMBER_END || name.is_empty() {
                    return None;
                }
                each(RecordItem::Record(Record { queue, name, settings, head, next, sets, gets }, segment));
            }
            _ => return None,
        }
    }
    Some(())
}

/// Writes a directory to the index whole: what recovery does after a full scan.
pub(crate) fn write_directory(
    index: &Index,
    directory: &SegmentPuts,
    times: &[(u32, u32)],
    generation: u64,
) -> std::result::Result<Written, IndexError> {
    let mut pages = PageWriter::new(Pages::Directory { segment: directory.segment, generation });
    for (offset, second) in times {
        push_time(&mut pages, *offset, *second);
        if pages.done_bytes() >= BATCH_BYTES {
            index.write(pages.take_done())?;
        }
    }
    for located in directory.read_from(0, 0) {
        push_located(&mut pages, &located);
        if pages.done_bytes() >= BATCH_BYTES {
            index.write(pages.take_done())?;
        }
    }
    let (pages, sum) = pages.finish();
    index.write(pages)?;
    Ok(Written { generation, sum })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(bytes: &[u8]) -> Option<Vec<String>> {
        let mut read = Vec::new();
        read_records(bytes, |item| {
            read.push(match item {
                RecordItem::Ticket(queue, key, buyer, terms, segment) => {
                    format!("{queue} {key:?} {} {terms:?} {segment}", buyer.escape_ascii())
                }
                RecordItem::Tally(queue, tally) => format!("{queue} {tally:?}"),
                _ => "another".into(),
            });
        })?;
        Some(read)
    }

    #[test]
    fn tickets_and_tallies_come_back_and_cut_ones_do_not() {
        let tally = Tally { given: 9, returned: 2, lapsed: 300, places: 4, first_ms: 1 << 40, last_ms: 1 << 41 };
        let terms = Terms { until: 1 << 41, seq: 900, extended: 2, kept_back: true };
        let of = |buyer: &[u8], terms| Ticket::new(buyer.into(), terms, 17);
        let mut pages = PageWriter::new(Pages::Records(1));
        let start = pages.value().len();
        push_tally(&mut pages, 7, &tally);
        let first_end = pages.value().len() - start;
        push_ticket(&mut pages, 7, Key::seat(3), &of(b"ann", terms));
        let second_end = pages.value().len() - start;
        push_ticket(&mut pages, 7, Key::place(5), &of(b"bob", Terms::default()));
        let bytes = pages.value()[start..].to_vec();
        let wanted = [
            format!("7 {tally:?}"),
            format!("7 {:?} ann {terms:?} 17", Key::seat(3)),
            format!("7 {:?} bob {:?} 17", Key::place(5), Terms::default()),
        ];
        assert_eq!(read(&bytes), Some(wanted.to_vec()));
        for end in 1..bytes.len() {
            let is_whole = [first_end, second_end].contains(&end);
            assert_eq!(read(&bytes[..end]).is_some(), is_whole, "{end} of {}", bytes.len());
        }
    }

    #[test]
    fn what_no_gate_has_makes_no_page() {
        let terms = Terms { seq: 1, ..Terms::default() };
        let ends = Terms { until: NUMBER_END, ..terms };
        let buyer = |bytes: usize| vec![b'x'; bytes].into_boxed_slice();
        for (key, buyer, terms) in [
            (Key::seat(0), buyer(1), terms),
            (Key::seat(1 << 31), buyer(1), terms),
            (Key::place(NUMBER_END), buyer(1), terms),
            (Key::seat(1), buyer(0), terms),
            (Key::seat(1), buyer(BUYER_BYTES_MAX + 1), terms),
            (Key::seat(1), buyer(1), ends),
        ] {
            let mut pages = PageWriter::new(Pages::Records(1));
            let start = pages.value().len();
            push_ticket(&mut pages, 7, key, &Ticket::new(buyer, terms, 1));
            assert_eq!(read(&pages.value()[start..]), None, "{key:?} {terms:?}");
        }
        for tally in
            [Tally { given: NUMBER_END, ..Tally::default() }, Tally { last_ms: NUMBER_END, ..Tally::default() }]
        {
            let mut pages = PageWriter::new(Pages::Records(1));
            let start = pages.value().len();
            push_tally(&mut pages, 7, &tally);
            assert_eq!(read(&pages.value()[start..]), None, "{tally:?}");
        }
    }
}
