//! Recovery: from the files of a log, and its index if that agrees, to what a store goes on from where the last one was
//! cut.

mod checkpointed;
pub(crate) mod evidence;
pub(crate) mod rebuild;
pub(crate) mod survey;
mod walk;

use std::collections::{BTreeMap, VecDeque};
use std::hash::{BuildHasher, RandomState};
use std::io;
use std::ops::RangeInclusive;
use std::sync::Arc;

use crate::disk::{Disk, DiskFile};
use crate::error::{Error, Result};
use crate::gate::all::Gates;
use crate::index::segment_puts::SegmentPuts;
use crate::index::{Contents, Index, Meta};
use crate::log::entry::{QueueId, Seq, State, also_bytes, put_bytes};
use crate::log::frame_reader::FrameReader;
use crate::log::pairs::pack_pairs;
use crate::log::segment::{
    FIRST_SEGMENT, SEGMENT_HEADER_BYTES, Segment, SegmentHeader, is_trash, segment_name, segment_number,
};
use crate::log::segment_notes::SegmentNotes;
use crate::log::{Log, Position, Preparation, Tail};
use crate::options::StoreOptions;
use crate::queue::ids::Ids;
use crate::queue::table::Queues;
use crate::recovery::rebuild::Rebuild;
use walk::Walk;

/// What recovery makes a store of.
pub(crate) struct Restored {
    pub(crate) log: Log,
    pub(crate) queues: Queues,
    pub(crate) index: Option<Arc<Index>>,
    /// The checkpoint that was loaded; `None`: the whole log was read.
    pub(crate) loaded: Option<Meta>,
    /// Of the pages that the index may have, the highest.
    pub(crate) generation: u64,
    /// The segments whose puts the index has.
    pub(crate) contents: Contents,
    /// The puts of segments that the index does not have.
    pub(crate) puts: VecDeque<SegmentPuts>,
    /// The index has the puts of all segments below this one.
    pub(crate) directories_below: u32,
    /// What messages have beside their bodies.
    pub(crate) states: BTreeMap<(QueueId, Seq), State>,
    /// What puts were called.
    pub(crate) ids: Ids,
    pub(crate) gates: Gates,
    /// Frames that were read from the log.
    pub(crate) frames: u64,
}

/// The messages that have a put that was the message of several.
#[derive(Debug, Clone, Copy, Default)]
struct Holding {
    messages: u32,
    /// Bytes that say which they are, beside the first.
    also_bytes: u32,
}

impl Holding {
    /// Adds a message. Returns whether it is the first.
    fn add(&mut self, queue: QueueId, seq: Seq) -> bool {
        if self.messages > 0 {
            let header = if self.messages == 1 { also_bytes(0) } else { 0 };
            self.also_bytes += (header + pack_pairs([(queue, seq)].into_iter()).len()) as u32;
        }
        self.messages += 1;
        self.messages == 1
    }
}

/// The files of a log, and what their headers agree on.
pub(crate) struct LogFiles {
    disk: Arc<dyn Disk>,
    log_id: u64,
    segment_bytes: u32,
    files: BTreeMap<u32, Arc<dyn DiskFile>>,
    /// Files that an interrupted preparation left.
    unfinished: BTreeMap<u32, Arc<dyn DiskFile>>,
}

fn damage(position: Position, what: impl Into<String>) -> Error {
    Error::Damage { file: segment_name(position.segment), offset: u64::from(position.offset), what: what.into() }
}

fn start_of(segment: u32) -> Position {
    Position { segment, offset: SEGMENT_HEADER_BYTES as u32 }
}

/// Whether a file has nothing but zeros from an offset on.
pub(crate) fn is_zero(file: &dyn DiskFile, mut offset: u64) -> io::Result<bool> {
    let mut window = vec![0; 64 << 10];
    loop {
        let read = file.read_at(&mut window, offset)?;
        if window[..read].iter().any(|byte| *byte != 0) {
            return Ok(false);
        }
        if read < window.len() {
            return Ok(true);
        }
        offset += read as u64;
    }
}

impl LogFiles {
    /// Looks for the files of a log; makes a new log where there is none.
    ///
    /// # Errors
    /// When they belong to different logs, or cannot be read.
    pub(crate) fn find(disk: Arc<dyn Disk>, options: &StoreOptions) -> Result<LogFiles> {
        let names = disk.list().map_err(Error::io("list", "the log's directory"))?;
        let (mut files, mut unfinished) = (BTreeMap::new(), BTreeMap::new());
        let mut log: Option<(u64, u64)> = None;
        for number in names.iter().filter_map(|name| segment_number(name)) {
            let name = segment_name(number);
            let file = disk.open(&name).map_err(Error::io("open", &name))?;
            let size = file.size().map_err(Error::io("stat", &name))?;
            let header = SegmentHeader::read(&*file, &name)?;
            let Some(header) = header.filter(|header| header.number == number && header.segment_bytes == size) else {
                unfinished.insert(number, file);
                continue;
            };
            if log.is_some_and(|log| log != (header.log_id, header.segment_bytes)) {
                let what = "it belongs to another log than the other files here";
                return Err(damage(Position { segment: number, offset: 0 }, what));
            }
            log = Some((header.log_id, header.segment_bytes));
            files.insert(number, file);
        }
        let (log_id, segment_bytes) = match log {
            Some(log) => log,
            // A random number that no client knows; the standard library's hasher is seeded by the operating system.
            None => (RandomState::new().hash_one(0u8), u64::from(options.segment_bytes)),
        };
        if segment_bytes < StoreOptions::segment_bytes_min(options.body_bytes_max) as u64 {
            let body_bytes = options.body_bytes_max;
            let small = format!("its segments of {segment_bytes} bytes are too small for bodies of {body_bytes}");
            return Err(Error::io("opening", "the log")(io::Error::new(io::ErrorKind::InvalidInput, small)));
        }
        let mut found = LogFiles { disk, log_id, segment_bytes: segment_bytes as u32, files, unfinished };
        found.check_unfinished(log.is_some())?;
        if log.is_none() {
            let header = SegmentHeader { number: FIRST_SEGMENT, log_id, segment_bytes };
            found.files.insert(FIRST_SEGMENT, Preparation::at_once(header, &*found.disk)?);
            found.unfinished.remove(&FIRST_SEGMENT);
        }
        Ok(found)
    }

    /// Tells a file whose preparation was interrupted from a damaged one: that one holds frames.
    fn check_unfinished(&self, log_is_known: bool) -> Result<()> {
        for (&number, file) in &self.unfinished {
            if !log_is_known && number != FIRST_SEGMENT {
                // A log begins with the first; this one was being prepared while others held all there was.
                return Err(damage(Position { segment: number, offset: 0 }, "the segments before it are missing"));
            }
            let was_in_use = if log_is_known {
                let start = start_of(number).offset;
                let reader = FrameReader::new(Arc::clone(file), self.log_id, number, self.segment_bytes, start);
                reader.find_voucher(0)?.is_some()
            } else {
                // The very first segment is made of zeros. Nothing else can be told without a log's id.
                !is_zero(&**file, SEGMENT_HEADER_BYTES as u64)
                    .map_err(|e| Error::io("read", segment_name(number))(e))?
            };
            if was_in_use {
                let what = "the file was in use, and does not begin with a segment's header of this version, or has not \
                            the size that it should have";
                return Err(damage(Position { segment: number, offset: 0 }, what));
            }
        }
        Ok(())
    }

    /// Reads the queues out of the index and the log's end, or out of the whole log.
    ///
    /// # Errors
    /// When the log is damaged before its end, or cannot be read.
    pub(crate) fn recover(self, index: Option<Arc<Index>>, options: &StoreOptions) -> Result<Restored> {
        if let Some(index) = &index {
            match self.load(index)? {
                Ok((walk, meta)) => {
                    let generation = meta.generation;
                    return self.finish(walk, Some(meta), generation, Some(Arc::clone(index)), options);
                }
                Err(stale) => stale.report(),
            }
        }
        // Not that of any pages that a checkpoint stands on.
        let meta = index.as_ref().and_then(|index| index.meta().ok().flatten());
        let generation = meta.map_or(1, |meta| meta.generation + 1);
        let walk = self.scan(index.as_deref().map(|index| (index, generation)))?;
        self.finish(walk, None, generation, index, options)
    }

    /// A reader of the frames from a position on; `None` when there is no such segment.
    fn reader(&self, position: Position) -> Option<FrameReader> {
        let file = Arc::clone(self.files.get(&position.segment)?);
        Some(FrameReader::new(file, self.log_id, position.segment, self.segment_bytes, position.offset))
    }

    /// The files without a gap that end with `last`.
    fn run_ending_with(&self, last: u32) -> RangeInclusive<u32> {
        let below = (1..last).rev().take_while(|number| self.files.contains_key(number));
        below.last().unwrap_or(last)..=last
    }

    // ---- from the log alone ----

    /// Reads the whole log, and tells the index the directories of finished segments on the way.
    fn scan(&self, index: Option<(&Index, u64)>) -> Result<Walk> {
        let Some(last) = self.last_used()? else {
            // Nothing was ever committed: the log begins in the oldest segment that was prepared.
            let segment = *self.files.keys().next().expect("find makes one");
            return self.nothing_behind(segment, index.is_some());
        };
        let first = *self.run_ending_with(last).start();
        let mut reader = self.reader(start_of(first)).expect("it is in the list");
        let Some(frame) = reader.next()? else {
            if first == FIRST_SEGMENT {
                // What was written before the very first sync may be there in part, unless a frame vouches for more.
                return self.nothing_behind(first, index.is_some());
            }
            return Err(damage(start_of(first), "the oldest segment does not begin with a whole frame"));
        };
        // The first frame's number and predecessor cannot be checked; all others are, against it.
        let (frame, checksum) = (frame.header.number - 1, frame.header.previous);
        let tail = Tail { position: start_of(first), frame, checksum, next_queue_id: 1, leases: 0 };
        let mut walk = Walk::new(Rebuild::new(index.is_some()), tail);
        self.walk(&mut walk, index)?;
        walk.rebuild.follow_flushes();
        self.check_end(&walk)?;
        if walk.first_segment < first {
            let position = Position { segment: first - 1, offset: 0 };
            return Err(damage(position, "the file is missing, or does not begin with a segment's header"));
        }
        match walk.rebuild.incomplete(walk.first_segment, walk.tail.position) {
            Some(what) => Err(damage(walk.tail.position, format!("the log up to here is not complete: {what}"))),
            None => Ok(walk),
        }
    }

    /// A log of which no frame is known to have been on stable storage: it begins anew in this segment.
    fn nothing_behind(&self, segment: u32, indexed: bool) -> Result<Walk> {
        let tail = Tail { position: start_of(segment), frame: 0, checksum: 0, next_queue_id: 1, leases: 0 };
        let walk = Walk { first_segment: segment, ..Walk::new(Rebuild::new(indexed), tail) };
        self.check_end(&walk)?;
        Ok(walk)
    }

    /// The newest segment that begins with a frame of its own.
    fn last_used(&self) -> Result<Option<u32>> {
        for &segment in self.files.keys().rev() {
            if self.reader(start_of(segment)).expect("it is in the list").next()?.is_some() {
                return Ok(Some(segment));
            }
        }
        Ok(None)
    }

    // ---- both ----

    /// Applies the frames behind the walk's tail as long as each continues the one before.
    fn walk(&self, walk: &mut Walk, index: Option<(&Index, u64)>) -> Result<()> {
        let Some(mut reader) = self.reader(walk.tail.position) else {
            return Ok(());
        };
        loop {
            while walk.step(&mut reader)? {}
            let next = start_of(reader.segment() + 1);
            let Some(mut next_reader) = self.reader(next) else {
                return Ok(());
            };
            if !next_reader.next()?.is_some_and(|frame| walk.is_continued_by(&frame.header)) {
                return Ok(());
            }
            if let Some((index, generation)) = index {
                let written = walk.rebuild.store_directory(reader.segment(), index, generation);
                walk.contents.extend(written.map(|written| (reader.segment(), written)));
            }
            reader = self.reader(next).expect("it was there just now");
        }
    }

    /// Makes what was found the state to go on from.
    fn finish(
        mut self,
        walk: Walk,
        meta: Option<Meta>,
        generation: u64,
        index: Option<Arc<Index>>,
        options: &StoreOptions,
    ) -> Result<Restored> {
        // A killed process may have been about to make the newest names durable; from here on they are built upon.
        self.disk.sync_directory().map_err(Error::io("fsync of the directory", "the log's directory"))?;
        let last = (walk.tail.position.segment..).take_while(|number| self.files.contains_key(number)).last();
        let ring = walk.first_segment..=last.unwrap_or(walk.tail.position.segment);
        // So that the note that a spare was begun is never on the disk before the spare is.
        let spares = walk.tail.position.segment + 1..=*ring.end();
        for segment in walk.unsynced().chain(spares) {
            self.files[&segment].sync_data().map_err(|e| Error::io("fdatasync", segment_name(segment))(e))?;
        }
        let names = self.disk.list().map_err(Error::io("list", "the log's directory"))?;
        for name in names.iter().filter(|name| is_trash(name)) {
            self.disk.remove(name).map_err(Error::io("unlink", name.as_str()))?;
        }
        self.note_tail(&walk)?;
        let stray = self.files.keys().copied().filter(|number| !ring.contains(number));
        let mut unneeded: Vec<u32> = stray.chain(self.unfinished.keys().copied()).collect();
        // From both ends of the ring's numbers inwards, so that no start finds a gap.
        unneeded.sort_by_key(|number| if number < ring.start() { i64::from(*number) } else { -i64::from(*number) });
        for number in unneeded {
            let name = segment_name(number);
            self.disk.remove(&name).map_err(Error::io("unlink", &name))?;
            self.disk.sync_directory().map_err(Error::io("fsync of the directory", &name))?;
            self.files.remove(&number);
        }
        let segments: VecDeque<Segment> =
            self.files.into_iter().map(|(number, file)| Segment { number, file, live_bytes: 0 }).collect();
        let Walk { mut rebuild, mut tail, frames, contents, first_segment, .. } = walk;
        rebuild.drop_needless_states();
        rebuild.drop_needless_ids(first_segment..=tail.position.segment);
        tail.next_queue_id = tail.next_queue_id.max(rebuild.next_queue_id());
        tail.leases = tail.leases.max(rebuild.leases);
        let mut log = Log::new(self.disk, self.log_id, self.segment_bytes, options, segments, tail);
        let Rebuild { mut queues, directories, states, times, leases_said_in, ids, gates, shared, .. } = rebuild;
        log.leases_said_in = leases_said_in;
        log.times = times;
        log.times.forget(log.first() - 1);
        let mut holders: BTreeMap<Position, Holding> = shared.keys().map(|at| (*at, Holding::default())).collect();
        for slot in 0..queues.slots() {
            let Some(queue) = queues.get_mut(slot) else { continue };
            queue.end_recovery();
            log.add_live(queue.record_segment, queue.record_bytes());
            for (seq, message) in queue.messages() {
                let holding = holders.get_mut(&message.place.position());
                if holding.is_none_or(|holding| holding.add(queue.id, seq)) {
                    log.add_live(message.place.segment, put_bytes(message.place.body_bytes as usize));
                }
            }
        }
        for (at, named) in shared {
            let Holding { messages, also_bytes } = holders[&at];
            if messages > 0 {
                log.shared.add(at, named, messages, also_bytes);
                log.add_live(at.segment, also_bytes as usize);
            }
        }
        let gates = gates.finish(|queue| queues.find_id(queue).is_some());
        for (segment, bytes) in ids.needed().chain(gates.needed()) {
            log.add_live(segment, bytes);
        }
        queues.name_all();
        let directories_below = meta.map_or(tail.position.segment, |meta| meta.position.segment);
        let puts = if index.is_some() { directories } else { VecDeque::new() };
        Ok(Restored {
            log,
            queues,
            index,
            loaded: meta,
            generation,
            contents,
            puts,
            directories_below,
            states,
            ids,
            gates,
            frames,
        })
    }

    /// Brings the notes in step with where the log goes on: behind the segment before, and not yet in those behind. What a
    /// power cut took may have reached over more than one of them.
    fn note_tail(&self, walk: &Walk) -> Result<()> {
        let tail = walk.tail.position.segment;
        for (&segment, file) in self.files.range(walk.first_segment.max(tail - 1)..) {
            let continued = segment < tail;
            let notes = SegmentNotes::new(Arc::clone(file), self.log_id, segment);
            if notes.read()?.continued != continued {
                notes.note_continued(continued)?;
                notes.sync()?;
            }
        }
        Ok(())
    }
}
