//! Checkpoints: telling the index what is where, a page at a time, while the queues go on changing.
//!
//! A checkpoint is fuzzy. It notes a position in the log first, then writes records and directories as they are when
//! their turn comes. That is right because replaying is idempotent: all frames from the position on are replayed over
//! it, and what it knew already changes nothing. It only must not know more than the log holds after a crash, so the
//! checkpoint counts once the last frame that it knows of is durable, and it names that frame.

use crate::codec::{Reader, put_varint};
use crate::directory::SegmentDirectory;
use crate::entry::Record;
use crate::index::{Index, IndexError, Meta, PageWriter, Pages};
use crate::log::Position;
use crate::queue::Queue;
use crate::queues::{Slot, UNKNOWN_SLOT};
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
    /// One is wanted whatever the log's growth.
    pub(crate) wanted: bool,
    /// How many were finished since the start.
    pub(crate) finished: u64,
    /// How many will be finished when the one that was asked for last is.
    pub(crate) asked: u64,
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
}

/// What a checkpoint has to be written next.
#[derive(Debug)]
pub(crate) enum IndexWork {
    Write(Vec<(Vec<u8>, Vec<u8>)>),
    Finish { meta: Meta, first_segment: u32 },
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
            self.checkpoint.asked = self.checkpoint.finished + 1 + u64::from(self.checkpoint.under_way.is_some());
        }
        self.checkpoint.asked
    }

    /// How many checkpoints were finished since the start.
    #[must_use]
    pub fn checkpoints_finished(&self) -> u64 {
        self.checkpoint.finished
    }

    /// Goes on after a recovery: from the checkpoint that was loaded, if it was, and with the directories of all
    /// segments below `directories_below` in the index.
    pub(crate) fn resume(&mut self, loaded: Option<Meta>, generation: u64, directories_below: u32) {
        self.checkpoint.done = loaded;
        self.checkpoint.generation = generation;
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
        };
        self.checkpoint.wanted = false;
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
                let empty = SegmentDirectory::new(segment);
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
                    return Some(IndexWork::Write(pages.finish()));
                }
                (pages.done_bytes() >= BATCH_BYTES).then(|| IndexWork::Write(pages.take_done()))
            }
            Stage::Records { next, flush, pages } => {
                let end = (*next + STEP_ITEMS as u32).min(self.queues.slots());
                if *flush != self.flushing.at {
                    *flush = self.flushing.at;
                    push_flush(pages, *flush);
                }
                for slot in *next..end {
                    self.follow_flush(slot);
                    if let Some(queue) = self.queues.get(slot) {
                        push_record(pages, queue);
                    }
                }
                *next = end;
                if end == self.queues.slots() {
                    under_way.meta.needs_frame = self.changed();
                    let Stage::Records { pages, .. } = std::mem::replace(&mut under_way.stage, Stage::Waiting) else {
                        unreachable!("matched above")
                    };
                    return Some(IndexWork::Write(pages.finish()));
                }
                (pages.done_bytes() >= BATCH_BYTES).then(|| IndexWork::Write(pages.take_done()))
            }
            Stage::Waiting if self.log.durable() >= under_way.meta.needs_frame => {
                under_way.stage = Stage::Finishing;
                Some(IndexWork::Finish { meta: under_way.meta, first_segment: self.log.first() })
            }
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

    /// Notes that what was to be written is.
    pub(crate) fn finish_index_work(&mut self) {
        let Some(under_way) = &mut self.checkpoint.under_way else {
            return;
        };
        under_way.writing = false;
        if matches!(under_way.stage, Stage::Finishing) {
            let meta = under_way.meta;
            self.checkpoint.under_way = None;
            self.checkpoint.done = Some(meta);
            self.checkpoint.finished += 1;
            // The segment that the position is in may have got more puts since; it is written again.
            self.checkpoint.directories_below = meta.position.segment;
            self.directories.retain(|directory| directory.segment >= meta.position.segment);
            ::log::debug!("checkpoint {} at segment {}", meta.generation, meta.position.segment);
        }
    }
}

/// The stage that writes the directory of `segment`, or what comes when the checkpoint needs no more of them.
fn directory_stage(segment: u32, meta: &Meta) -> Stage {
    if segment <= meta.position.segment {
        let pages = PageWriter::new(Pages::Directory(segment));
        Stage::Directory { segment, from: 0, last_offset: 0, pages }
    } else {
        let pages = PageWriter::new(Pages::Records(meta.generation));
        Stage::Records { next: 0, flush: Position::default(), pages }
    }
}

/// Packs a put; each page of a directory begins anew, so that it can be read alone.
fn push_located(pages: &mut PageWriter, located: &crate::directory::Located) {
    pages.make_room(LOCATED_BYTES_MAX);
    let distance = located.place.offset - pages.before;
    pages.before = located.place.offset;
    let value = pages.value();
    put_varint(value, located.queue);
    put_varint(value, located.seq);
    put_varint(value, u64::from(distance));
    put_varint(value, u64::from(located.place.body_bytes));
}

/// Reads a page that [`push_located`] packed. `None`: these bytes are no such page.
pub(crate) fn read_located(segment: u32, items: &[u8], mut each: impl FnMut(crate::directory::Located)) -> Option<()> {
    let (mut reader, mut offset) = (Reader::new(items), 0u32);
    while !reader.is_empty() {
        let (queue, seq) = (reader.varint()?, reader.varint()?);
        offset = offset.checked_add(reader.varint_u32()?)?;
        let place = crate::queue::Place { segment, offset, body_bytes: reader.varint_u32()? };
        each(crate::directory::Located { queue, slot: UNKNOWN_SLOT, seq, place });
    }
    Some(())
}

fn push_record(pages: &mut PageWriter, queue: &Queue) {
    pages.make_room(7 * 10 + queue.name.len());
    let value = pages.value();
    let numbers = [queue.id, queue.head, queue.next, queue.sets, queue.gets, u64::from(queue.record_segment)];
    for number in numbers {
        put_varint(value, number);
    }
    put_varint(value, queue.name.len() as u64);
    value.extend_from_slice(&queue.name);
}

/// What stands in front of a flush on a page of records: no queue's id.
const NO_QUEUE: u64 = 0;

/// Packs the last flush of all queues, which the records behind it know.
fn push_flush(pages: &mut PageWriter, at: Position) {
    pages.make_room(3 * 10);
    for number in [NO_QUEUE, u64::from(at.segment), u64::from(at.offset)] {
        put_varint(pages.value(), number);
    }
}

/// What a page of records holds.
pub(crate) enum RecordItem<'a> {
    /// A record, and the segment of its newest copy.
    Record(Record<'a>, u32),
    /// The last flush of all queues that the records behind it know.
    Flush(Position),
}

/// Reads a page that [`push_record`] packed. `None`: these bytes are no such page.
pub(crate) fn read_records(items: &[u8], mut each: impl FnMut(RecordItem<'_>)) -> Option<()> {
    let mut reader = Reader::new(items);
    while !reader.is_empty() {
        let queue = reader.varint()?;
        if queue == NO_QUEUE {
            each(RecordItem::Flush(Position { segment: reader.varint_u32()?, offset: reader.varint_u32()? }));
            continue;
        }
        let (head, next) = (reader.varint()?, reader.varint()?);
        let (sets, gets, segment) = (reader.varint()?, reader.varint()?, reader.varint_u32()?);
        let name_bytes = reader.varint_u32()?;
        let name = reader.bytes(name_bytes as usize)?;
        each(RecordItem::Record(Record { queue, name, options: b"", head, next, sets, gets }, segment));
    }
    Some(())
}

/// Writes a directory to the index whole: what recovery does after a full scan.
pub(crate) fn write_directory(index: &Index, directory: &SegmentDirectory) -> std::result::Result<(), IndexError> {
    let mut pages = PageWriter::new(Pages::Directory(directory.segment));
    for located in directory.read_from(0, 0) {
        push_located(&mut pages, &located);
        if pages.done_bytes() >= BATCH_BYTES {
            index.write(pages.take_done())?;
        }
    }
    index.write(pages.finish())
}
