//! Checkpoints: telling the index what is where, a page at a time, while the queues go on changing.
//!
//! A checkpoint is fuzzy. It notes a position in the log first, then writes records and directories as they are when
//! their turn comes. That is right because replaying is idempotent: all frames from the position on are replayed over
//! it, and what it knew already changes nothing. It only must not know more than the log holds after a crash, so the
//! checkpoint counts once the last frame that it knows of is durable, and it names that frame. The log's newest segment is
//! told so first: what a checkpoint was ever built upon is missed when it is gone, with the index or without.
//!
//! Behind a checkpoint that counts, the pages that it does not need are removed, before the next one begins.

use crate::index::segment_puts::{Located, SegmentPuts};
use crate::index::{
    Contents, ITEM_BYTES_MAX, Index, IndexError, Meta, Page, PageWriter, Pages, Sum, Sweep, Written, pack,
};
use crate::log::Place;
use crate::log::Position;
use crate::log::codec::{Reader, put_varint};
use crate::log::entry::{NAME_BYTES_MAX, QueueId, Record, SETTINGS_BYTES_MAX, Seq};
use crate::log::frame::NUMBER_END;
use crate::log::ranges::{RANGE_BYTES_MAX, RangesWriter, are_ranges};
use crate::log::segment_notes::SegmentNotes;
use crate::queue::Queue;
use crate::queue::table::{Slot, UNKNOWN_SLOT};
use crate::store::Store;

/// Pages that are handed to the index at once, in bytes.
const BATCH_BYTES: usize = 256 << 10;
/// Queues or puts that are looked at in one step.
const STEP_ITEMS: usize = 2048;
/// A checkpoint waits until the log has grown by so many times what the records take, so that a million queues do not
/// cost a million records a segment.
const RECORDS_RATIO: u64 = 4;
/// The longest packed put of a directory: four varints.
const LOCATED_BYTES_MAX: usize = 10 + 10 + 5 + 5;

/// Where the store stands with its checkpoints.
#[derive(Debug, Default)]
pub(crate) struct Checkpoint {
    /// The last one that counts.
    done: Option<Meta>,
    under_way: Option<UnderWay>,
    /// Of the last one that was begun, ever.
    generation: u64,
    /// The index has the whole directories of all segments below this one.
    pub(crate) directories_below: u32,
    /// The directories in the index.
    contents: Contents,
    /// The index may have pages of directories from this segment on that no checkpoint needs.
    swept_below: u32,
    /// One is wanted whatever the log's growth.
    pub(crate) wanted: bool,
    /// How many were finished since the start.
    pub(crate) finished: u64,
    /// `finished` reaches this when the last checkpoint that was asked for is done.
    pub(crate) asked: u64,
    listing: Option<Listing>,
}

/// The numbers above a queue's head that are gone, on their way into the index in several steps. The queue's record follows
/// as it was when the list was begun, apart from what the list says better: the takes that the list does not have are
/// replayed, and counted then.
#[derive(Debug, Clone, Copy)]
struct Listing {
    slot: Slot,
    /// The head when it was begun.
    head: Seq,
    /// The numbers below this one are listed.
    next: Seq,
    /// Takes, since it was begun, of numbers that were listed as not gone.
    unlisted: u64,
}

#[derive(Debug)]
struct UnderWay {
    meta: Meta,
    stage: Stage,
    /// Pages are being written by another thread.
    writing: bool,
}

#[derive(Debug)]
enum Stage {
    /// Writing the directory of this segment, from this byte on, behind a put at this offset.
    Directory {
        segment: u32,
        from: usize,
        last_offset: u32,
        pages: PageWriter,
    },
    /// Writing the records from this slot on.
    Records {
        next: Slot,
        /// The last flush of all queues that the records so far know.
        flush: Position,
        pages: PageWriter,
    },
    /// Waiting for the log to be durable up to `needs_frame`.
    Waiting,
    Finishing,
    /// The checkpoint counts; removing what it does not need.
    Sweeping(Sweep),
}

/// What a checkpoint has to be written next.
#[derive(Debug)]
pub(crate) enum IndexWork {
    Write(Vec<Page>),
    /// Noting in the log that the frame of the checkpoint is durable, then the checkpoint.
    Finish(Meta, SegmentNotes),
    Sweep(Sweep),
}

impl Checkpoint {
    /// Notes that a message was taken out of the queue in a slot.
    #[inline]
    pub(crate) fn note_take(&mut self, slot: Slot, seq: Seq) {
        if let Some(listing) = self.listing.as_mut().filter(|listing| listing.slot == slot) {
            listing.unlisted += u64::from(seq < listing.next);
        }
    }

    /// Notes that the queue in a slot loses all of its messages, or goes.
    #[inline]
    pub(crate) fn note_change(&mut self, slot: Slot) {
        self.listing.take_if(|listing| listing.slot == slot);
    }
}

impl Store {
    /// Whether [`index_chore`](Self::index_chore) should be called: it looks at a part of the queues at a time, so it
    /// can have nothing to hand out yet and still have something to do.
    #[must_use]
    pub fn wants_checkpoint_step(&self) -> bool {
        match &self.checkpoint.under_way {
            None => self.index.is_some() && self.checkpoint_is_due(),
            Some(UnderWay { writing: true, .. }) => false,
            Some(UnderWay { stage: Stage::Waiting, meta, .. }) => self.log.durable() >= meta.needs_frame,
            Some(_) => true,
        }
    }

    /// Asks for a checkpoint now. It is done when [`checkpoints_finished`](Self::checkpoints_finished) has reached the
    /// number that this returns.
    pub fn request_checkpoint(&mut self) -> u64 {
        if self.index.is_some() {
            self.checkpoint.wanted = true;
            // One that is under way has begun too early to know what was changed since.
            let is_unfinished = |under_way: &UnderWay| !matches!(under_way.stage, Stage::Sweeping(_));
            let unfinished = self.checkpoint.under_way.as_ref().is_some_and(is_unfinished);
            self.checkpoint.asked = self.checkpoint.finished + 1 + u64::from(unfinished);
        }
        self.checkpoint.asked
    }

    /// How many checkpoints were finished since the start.
    #[must_use]
    pub fn checkpoints_finished(&self) -> u64 {
        self.checkpoint.finished
    }

    /// Goes on after a recovery: from the checkpoint that was loaded, if it was, with these directories in the index: those
    /// of all segments below `directories_below`.
    pub(crate) fn resume(&mut self, loaded: Option<Meta>, generation: u64, contents: Contents, directories_below: u32) {
        // What the life before left behind goes first, however short this one may be.
        self.checkpoint.under_way = loaded.map(|meta| {
            let stage = Stage::Sweeping(Sweep::new(&meta, &contents, 0));
            UnderWay { meta, stage, writing: false }
        });
        self.checkpoint.done = loaded;
        self.checkpoint.generation = generation;
        self.checkpoint.contents = contents;
        self.checkpoint.directories_below = directories_below;
    }

    /// Whether a start could do without this segment: it lies before the checkpoint, or there is no index to speak of.
    /// When the disk is full, room counts for more than a quick start.
    pub(crate) fn checkpoint_allows(&self, segment: u32) -> bool {
        let before = self.checkpoint.done.is_some_and(|meta| segment < meta.position.segment);
        before || self.index.is_none() || self.log.is_full()
    }

    fn checkpoint_is_due(&self) -> bool {
        if self.checkpoint.wanted {
            return true;
        }
        let done = self.checkpoint.done.map_or(0, |meta| meta.position.segment);
        let finished = u64::from(self.log.active().saturating_sub(done.max(1)));
        let grown = finished * u64::from(self.log.segment_bytes());
        finished > 0 && grown >= RECORDS_RATIO * self.record_bytes
    }

    fn begin_checkpoint(&mut self) {
        let (position, previous) = self.log.frame_position();
        self.checkpoint.generation += 1;
        let meta = Meta {
            generation: self.checkpoint.generation,
            log_id: self.log.id(),
            position,
            frame: self.log.filling_number(),
            previous,
            needs_frame: 0,
            next_queue_id: self.log.next_queue_id,
            first_segment: self.log.first(),
            contents: Sum::default(),
            records: Sum::default(),
        };
        self.checkpoint.wanted = false;
        self.checkpoint.contents.retain(|segment, _| *segment >= meta.first_segment);
        self.checkpoint.listing = None;
        let stage = directory_stage(self.checkpoint.directories_below.max(self.log.first()), &meta);
        self.checkpoint.under_way = Some(UnderWay { meta, stage, writing: false });
    }

    /// Goes on with the checkpoint that is under way, or is due, and returns what is to be written.
    pub(crate) fn next_index_work(&mut self) -> Option<IndexWork> {
        if self.checkpoint.under_way.is_none() && self.checkpoint_is_due() {
            self.begin_checkpoint();
        }
        let mut under_way = self.checkpoint.under_way.take()?;
        let work = if under_way.writing { None } else { self.step(&mut under_way) };
        under_way.writing |= work.is_some();
        self.checkpoint.under_way = Some(under_way);
        work
    }

    fn step(&mut self, under_way: &mut UnderWay) -> Option<IndexWork> {
        let meta = under_way.meta;
        match &mut under_way.stage {
            Stage::Directory { segment, from, last_offset, pages } => {
                let segment = *segment;
                // A segment without puts has an empty directory, and the index says so.
                let empty = SegmentPuts::new(segment);
                let directory = self.directories.iter().find(|directory| directory.segment == segment);
                let directory = directory.unwrap_or(&empty);
                let mut reader = directory.read_from(*from, *last_offset);
                for located in reader.by_ref().take(STEP_ITEMS) {
                    if self.is_live(&located) {
                        push_located(pages, &located);
                    }
                }
                *from = directory.len_bytes() - reader.remaining();
                *last_offset = reader.last_offset;
                if reader.remaining() == 0 {
                    let next = directory_stage(segment + 1, &meta);
                    let Stage::Directory { pages, .. } = std::mem::replace(&mut under_way.stage, next) else {
                        unreachable!("matched above")
                    };
                    let (pages, sum) = pages.finish();
                    self.checkpoint.contents.insert(segment, Written { generation: meta.generation, sum });
                    return Some(IndexWork::Write(pages));
                }
                (pages.done_bytes() >= BATCH_BYTES).then(|| IndexWork::Write(pages.take_done()))
            }
            Stage::Records { next, flush, pages } => {
                let end = (*next + STEP_ITEMS as u32).min(self.queues.slots());
                let mut looks = STEP_ITEMS;
                if *flush != self.flushing.at {
                    *flush = self.flushing.at;
                    push_flush(pages, *flush);
                }
                while *next < end && looks > 0 {
                    self.follow_flush(*next);
                    let listing = &mut self.checkpoint.listing;
                    let is_done =
                        self.queues.get(*next).is_none_or(|queue| push_queue(pages, queue, *next, listing, &mut looks));
                    *next += u32::from(is_done);
                }
                if *next >= self.queues.slots() {
                    under_way.meta.needs_frame = self.changed();
                    let Stage::Records { pages, .. } = std::mem::replace(&mut under_way.stage, Stage::Waiting) else {
                        unreachable!("matched above")
                    };
                    let (mut pages, records) = pages.finish();
                    let (list, contents) = pack(&self.checkpoint.contents, meta.generation);
                    (under_way.meta.records, under_way.meta.contents) = (records, contents);
                    pages.extend(list);
                    return Some(IndexWork::Write(pages));
                }
                (pages.done_bytes() >= BATCH_BYTES).then(|| IndexWork::Write(pages.take_done()))
            }
            Stage::Waiting if self.log.durable() >= under_way.meta.needs_frame => {
                under_way.stage = Stage::Finishing;
                Some(IndexWork::Finish(under_way.meta, self.log.notes_of_written()))
            }
            Stage::Sweeping(sweep) => Some(IndexWork::Sweep(std::mem::take(sweep))),
            Stage::Waiting | Stage::Finishing => None,
        }
    }

    /// Goes on without an index: whoever waits for a checkpoint waits no longer.
    pub(crate) fn give_up_index(&mut self) {
        self.index = None;
        self.directories.clear();
        self.checkpoint.under_way = None;
        self.checkpoint.finished = self.checkpoint.asked;
    }

    /// Notes that work was done. Of a sweep, what is left to do comes back.
    pub(crate) fn finish_index_work(&mut self, work: IndexWork) {
        let Some(mut under_way) = self.checkpoint.under_way.take() else {
            return;
        };
        under_way.writing = false;
        let meta = under_way.meta;
        match work {
            IndexWork::Write(_) => {}
            IndexWork::Finish(..) => {
                self.checkpoint.done = Some(meta);
                self.checkpoint.finished += 1;
                // The segment that the position is in may have got more puts since; it is written again.
                self.checkpoint.directories_below = meta.position.segment;
                self.directories.retain(|directory| directory.segment >= meta.position.segment);
                let sweep = Sweep::new(&meta, &self.checkpoint.contents, self.checkpoint.swept_below);
                under_way.stage = Stage::Sweeping(sweep);
                ::log::debug!("checkpoint {} at segment {}", meta.generation, meta.position.segment);
            }
            IndexWork::Sweep(sweep) if sweep.is_done() => {
                // Only directories from here on are written again.
                self.checkpoint.swept_below = meta.position.segment;
                return;
            }
            IndexWork::Sweep(sweep) => under_way.stage = Stage::Sweeping(sweep),
        }
        self.checkpoint.under_way = Some(under_way);
    }
}

/// The stage that writes the directory of `segment`, or what comes when the checkpoint needs no more of them.
fn directory_stage(segment: u32, meta: &Meta) -> Stage {
    if segment <= meta.position.segment {
        let pages = PageWriter::new(Pages::Directory { segment, generation: meta.generation });
        Stage::Directory { segment, from: 0, last_offset: 0, pages }
    } else {
        let pages = PageWriter::new(Pages::Records(meta.generation));
        Stage::Records { next: 0, flush: Position::default(), pages }
    }
}

/// Packs a put; each page of a directory begins anew, so that it can be read alone.
fn push_located(pages: &mut PageWriter, located: &Located) {
    pages.make_room(LOCATED_BYTES_MAX);
    let distance = located.place.offset - pages.before;
    pages.before = located.place.offset;
    let value = pages.value();
    put_varint(value, located.queue);
    put_varint(value, located.seq);
    put_varint(value, u64::from(distance));
    put_varint(value, u64::from(located.place.body_bytes));
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

    /// Reads the next page, which [`push_located`] packed. `None`: these bytes are no such page, or it says what no log does.
    pub(crate) fn read(&mut self, items: &[u8], mut each: impl FnMut(Located)) -> Option<()> {
        let (mut reader, mut offset) = (Reader::new(items), 0u32);
        while !reader.is_empty() {
            let (queue, seq) = (reader.varint()?, reader.varint()?);
            offset = offset.checked_add(reader.varint_u32()?)?;
            let place = Place { segment: self.segment, offset, body_bytes: reader.varint_u32()? };
            let is_possible = queue.max(seq) < NUMBER_END && offset > self.last_offset;
            if !is_possible || !place.is_within(self.segment_bytes) {
                return None;
            }
            self.last_offset = offset;
            each(Located { queue, slot: UNKNOWN_SLOT, seq, place });
        }
        Some(())
    }
}

/// Packs a queue's record, and in front of it what is gone above its head, up to so many messages at a time. Returns whether that was
/// all of it.
fn push_queue(
    pages: &mut PageWriter,
    queue: &Queue,
    slot: Slot,
    listing: &mut Option<Listing>,
    looks: &mut usize,
) -> bool {
    *looks -= 1;
    if queue.gaps() == 0 && listing.is_none() {
        push_record(pages, &queue.record(), queue.record_segment);
        return true;
    }
    let begun = Listing { slot, head: queue.head, next: queue.head, unlisted: 0 };
    let listing_now = listing.get_or_insert(begun);
    assert_eq!(listing_now.slot, slot, "one list is under way at a time");
    while *looks > 0 && listing_now.next < queue.next {
        let mut ranges = RangesWriter::default();
        let goes_on = queue.gaps_from(listing_now.next, ITEM_RANGES_MAX - 1, |range| ranges.push(range));
        push_gone(pages, queue.id, ranges.bytes());
        listing_now.next = goes_on.unwrap_or(queue.next);
        *looks = looks.saturating_sub(ITEM_RANGES_MAX);
    }
    if listing_now.next < queue.next {
        return false;
    }
    let record = Record { head: listing_now.head, gets: queue.gets - listing_now.unlisted, ..queue.record() };
    push_record(pages, &record, queue.record_segment);
    *listing = None;
    true
}

/// What an item on a page of records begins with.
const RECORD: u64 = 1;
const FLUSH: u64 = 2;
const GONE: u64 = 3;
/// Ranges of an item at most, so that it fits into a page.
const ITEM_RANGES_MAX: usize = 128;
const RECORD_ITEM_BYTES_MAX: usize = 9 * 10 + NAME_BYTES_MAX + SETTINGS_BYTES_MAX;
const GONE_ITEM_BYTES_MAX: usize = 3 * 10 + ITEM_RANGES_MAX * RANGE_BYTES_MAX;
const _: () = assert!(RECORD_ITEM_BYTES_MAX <= ITEM_BYTES_MAX && GONE_ITEM_BYTES_MAX <= ITEM_BYTES_MAX);

fn push_record(pages: &mut PageWriter, record: &Record<'_>, segment: u32) {
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
fn push_flush(pages: &mut PageWriter, at: Position) {
    pages.make_room(3 * 10);
    for number in [FLUSH, u64::from(at.segment), u64::from(at.offset)] {
        put_varint(pages.value(), number);
    }
}

/// Packs numbers of a queue that are gone, if there are any.
fn push_gone(pages: &mut PageWriter, queue: QueueId, ranges: &[u8]) {
    if !ranges.is_empty() {
        pages.make_room(3 * 10 + ranges.len());
        for number in [GONE, queue, ranges.len() as u64] {
            put_varint(pages.value(), number);
        }
        pages.value().extend_from_slice(ranges);
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
    generation: u64,
) -> std::result::Result<Written, IndexError> {
    let mut pages = PageWriter::new(Pages::Directory { segment: directory.segment, generation });
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
