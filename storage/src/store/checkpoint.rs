//! Checkpoints: telling the index what is where, a page at a time, while the queues go on changing.
//!
//! A checkpoint is fuzzy. It notes a position in the log first, then writes records and directories as they are when
//! their turn comes. That is right because replaying is idempotent: all frames from the position on are replayed over
//! it, and what it knew already changes nothing. It only must not know more than the log holds after a crash, so the
//! checkpoint counts once the last frame that it knows of is durable, and it names that frame. The log's newest segment is
//! told so first: what a checkpoint was ever built upon is missed when it is gone, with the index or without.
//!
//! Behind a checkpoint that counts, the pages that it does not need are removed, before the next one begins.

use crate::gate::all::Gates;
use crate::index::items::{
    BATCH_BYTES, push_flush, push_id, push_located, push_state, push_tally, push_ticket, push_time,
};
use crate::index::listing::Listings;
use crate::index::segment_puts::SegmentPuts;
use crate::index::{Contents, Meta, Page, PageWriter, Pages, Sum, Sweep, Written, pack};
use crate::log::Position;
use crate::log::entry::{QueueId, Seq};
use crate::log::segment_notes::SegmentNotes;
use crate::log::tickets::Key;
use crate::queue::table::Slot;
use crate::store::Store;

/// Queues or puts that are looked at in one step.
const STEP_ITEMS: usize = 2048;
/// A checkpoint waits until the log has grown by so many times what the records take, so that a million queues do not
/// cost a million records a segment.
const RECORDS_RATIO: u64 = 4;

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
    /// The next one is due whatever the log's growth.
    pub(crate) is_asked_for: bool,
    /// How many were finished since the start.
    pub(crate) finished: u64,
    /// `finished` reaches this when the last checkpoint that was asked for is done.
    pub(crate) asked: u64,
    pub(crate) listings: Listings,
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
    /// Writing the directory of this segment: its puts from this byte on, behind one at this offset.
    Directory {
        segment: u32,
        from: usize,
        last_offset: u32,
        /// How many of its times are written, which come first.
        times: usize,
        pages: PageWriter,
    },
    /// Writing the records from this slot on, then the states of messages from this one on.
    Records {
        next: Slot,
        state: (QueueId, Seq),
        /// Then what puts were called, behind this one.
        id: (QueueId, Box<[u8]>),
        /// Then what buyers have, from this one on.
        ticket: (QueueId, Key),
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
            self.checkpoint.is_asked_for = true;
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
        if self.checkpoint.is_asked_for {
            return true;
        }
        let done = self.checkpoint.done.map_or(0, |meta| meta.position.segment);
        let finished = u64::from(self.log.active().saturating_sub(done.max(1)));
        let grown = finished * u64::from(self.log.segment_bytes());
        finished > 0 && grown >= RECORDS_RATIO * self.live.record_bytes
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
            leases: self.log.leases,
            first_segment: self.log.first(),
            contents: Sum::default(),
            records: Sum::default(),
        };
        self.checkpoint.is_asked_for = false;
        self.checkpoint.contents.retain(|segment, _| *segment >= meta.first_segment);
        self.checkpoint.listings.clear();
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
            Stage::Directory { segment, from, last_offset, times, pages } => {
                let segment = *segment;
                if let Some(left) = self.log.times.of_segment(segment).get(*times..).filter(|left| !left.is_empty()) {
                    let left = &left[..left.len().min(STEP_ITEMS)];
                    left.iter().for_each(|(offset, second)| push_time(pages, *offset, *second));
                    *times += left.len();
                    return (pages.done_bytes() >= BATCH_BYTES).then(|| IndexWork::Write(pages.take_done()));
                }
                // A segment without puts has an empty directory, and the index says so.
                let empty = SegmentPuts::new(segment);
                let directory = self.directories.iter().find(|directory| directory.segment == segment);
                let directory = directory.unwrap_or(&empty);
                let mut reader = directory.read_from(*from, *last_offset);
                for located in reader.by_ref().take(STEP_ITEMS) {
                    let is_named =
                        || self.log.shared.named(located.place.position()) == Some((located.queue, located.seq));
                    // The message that a put names is there as long as another one of the same put lives.
                    if self.is_live(&located) || is_named() {
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
            Stage::Records { next, state, id, ticket, flush, pages } => {
                let end = (*next + STEP_ITEMS as u32).min(self.live.queues.slots());
                let mut looks = STEP_ITEMS;
                if *flush != self.live.flushed_at() {
                    *flush = self.live.flushed_at();
                    push_flush(pages, *flush);
                }
                while *next < end && looks > 0 {
                    self.live.follow_flush(*next);
                    let (slot, listings) = (*next, &mut self.checkpoint.listings);
                    let queue = self.live.queues.get(slot);
                    let is_done = queue.is_none_or(|queue| listings.push_queue(pages, queue, slot, &mut looks));
                    *next += u32::from(is_done);
                }
                let is_all = *next >= self.live.queues.slots()
                    && {
                        let mut left = STEP_ITEMS;
                        for (queue, seq, its) in self.live.states.from(state.0, state.1).take(STEP_ITEMS) {
                            push_state(pages, queue, seq, its);
                            (*state, left) = ((queue, seq + 1), left - 1);
                        }
                        left > 0
                    }
                    && {
                        let (queue, token) = id.clone();
                        let listed = self.ids.behind((queue, &token), STEP_ITEMS, |queue, token, its| {
                            push_id(pages, queue, token, its);
                            *id = (queue, token.into());
                        });
                        listed < STEP_ITEMS
                    }
                    && list_tickets(&self.gates, ticket, pages);
                if is_all {
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

    /// Goes on without an index. Checkpoints that were asked for count as finished.
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

/// Before all tickets.
const FIRST_TICKET: (QueueId, Key) = (0, Key::FIRST);

/// Lists what some more buyers have, of each gate behind what was counted of it. Returns whether that was all.
fn list_tickets(gates: &Gates, from: &mut (QueueId, Key), pages: &mut PageWriter) -> bool {
    let mut left = STEP_ITEMS;
    let (first, key) = *from;
    for (queue, gate) in gates.from(first) {
        let key = if queue == first { key } else { Key::FIRST };
        if left == 0 {
            *from = (queue, key);
            return false;
        }
        if key == Key::FIRST {
            push_tally(pages, queue, &gate.tally);
        }
        for (key, ticket) in gate.from(key) {
            if left == 0 {
                *from = (queue, key);
                return false;
            }
            push_ticket(pages, queue, key, ticket);
            left -= 1;
        }
        left = left.saturating_sub(1);
    }
    true
}

/// The stage that writes the directory of `segment`, or what comes when the checkpoint needs no more of them.
fn directory_stage(segment: u32, meta: &Meta) -> Stage {
    if segment <= meta.position.segment {
        let pages = PageWriter::new(Pages::Directory { segment, generation: meta.generation });
        Stage::Directory { segment, from: 0, last_offset: 0, times: 0, pages }
    } else {
        let pages = PageWriter::new(Pages::Records(meta.generation));
        Stage::Records {
            next: 0,
            state: (0, 0),
            id: (0, Box::default()),
            ticket: FIRST_TICKET,
            flush: Position::default(),
            pages,
        }
    }
}
