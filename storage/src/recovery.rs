//! Recovery: from the files of a log, and its index if that agrees, to a store that goes on where the last one was cut.

use std::collections::{BTreeMap, VecDeque};
use std::hash::{BuildHasher, RandomState};
use std::io;
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::checkpoint::{RecordItem, read_located, read_records};
use crate::disk::{Disk, DiskFile};
use crate::entry::Entry;
use crate::error::{Error, Result};
use crate::frame::FrameNumber;
use crate::index::{Index, IndexError, Meta, Pages};
use crate::log::{Log, Position, Tail};
use crate::reader::FrameReader;
use crate::rebuild::Rebuild;
use crate::segment::{SEGMENT_HEADER_BYTES, Segment, SegmentHeader, is_trash, segment_name, segment_number};
use crate::store::{Options, Store};

/// What recovery found, for the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Recovered {
    /// Queues that exist.
    pub queues: u64,
    /// Messages that wait.
    pub messages: u64,
    /// Frames that were read from the log.
    pub frames: u64,
    /// Whether the index was good, so that only the log's end was read.
    pub from_index: bool,
    /// How long it took.
    pub took: Duration,
}

impl Store {
    /// Opens the log in `disk`, or begins one there, with the index in the directory `index` (none: without an index).
    ///
    /// # Errors
    /// When the disk cannot be read or written, or the log is damaged before its end. Nothing is changed then.
    ///
    /// # Panics
    /// When the segments are too small for the bodies, see [`Options::segment_bytes_min`].
    pub fn open(disk: Arc<dyn Disk>, index: Option<PathBuf>, options: Options) -> Result<(Store, Recovered)> {
        assert!(options.segment_bytes as usize >= Options::segment_bytes_min(options.body_bytes_max));
        let started = Instant::now();
        let index = index.and_then(|path| match Index::open(&path) {
            Ok(index) => Some(index),
            Err(IndexError(what)) => {
                ::log::error!("no index, every start reads the whole log: {what}");
                None
            }
        });
        let (store, frames, from_index) = LogFiles::find(disk, &options)?.recover(index, options)?;
        let totals = store.totals();
        let took = started.elapsed();
        Ok((store, Recovered { queues: totals.queues, messages: totals.messages, frames, from_index, took }))
    }
}

/// The files of a log, and what their headers agree on.
struct LogFiles {
    disk: Arc<dyn Disk>,
    log_id: u64,
    segment_bytes: u32,
    files: BTreeMap<u32, Arc<dyn DiskFile>>,
    /// Files that an interrupted preparation left.
    unfinished: BTreeMap<u32, Arc<dyn DiskFile>>,
}

/// Why the index is not believed.
struct Stale(String);

impl From<IndexError> for Stale {
    fn from(IndexError(what): IndexError) -> Stale {
        Stale(what)
    }
}

/// What a walk along the frames has made of them.
struct Walk {
    rebuild: Rebuild,
    tail: Tail,
    /// The oldest segment that the last frame still needs; 0 before the first one.
    first_segment: u32,
    /// The last frame that another one vouches for.
    vouched: FrameNumber,
    /// The segments that were walked through, each with its last frame.
    segments: Vec<(u32, FrameNumber)>,
    frames: u64,
}

impl Walk {
    fn new(rebuild: Rebuild, tail: Tail) -> Walk {
        Walk { rebuild, tail, first_segment: 0, vouched: 0, segments: Vec::new(), frames: 0 }
    }

    /// The segments whose last frames nobody vouches for: they may be in the page cache only.
    fn unsynced(&self) -> impl Iterator<Item = u32> {
        self.segments.iter().filter(|(_, last)| *last > self.vouched).map(|(segment, _)| *segment)
    }
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
    fn find(disk: Arc<dyn Disk>, options: &Options) -> Result<LogFiles> {
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
        if segment_bytes < Options::segment_bytes_min(options.body_bytes_max) as u64 {
            let body_bytes = options.body_bytes_max;
            let small = format!("its segments of {segment_bytes} bytes are too small for bodies of {body_bytes}");
            return Err(Error::io("opening", "the log")(io::Error::new(io::ErrorKind::InvalidInput, small)));
        }
        let mut found = LogFiles { disk, log_id, segment_bytes: segment_bytes as u32, files, unfinished };
        found.check_unfinished(log.is_some())?;
        if log.is_none() {
            let header = SegmentHeader { number: 1, log_id, segment_bytes };
            found.files.insert(1, header.prepare(&*found.disk, None)?);
            found.unfinished.remove(&1);
        }
        Ok(found)
    }

    /// Tells a file whose preparation was interrupted from a damaged one: that one holds frames.
    fn check_unfinished(&self, log_is_known: bool) -> Result<()> {
        for (&number, file) in &self.unfinished {
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

    fn recover(self, index: Option<Arc<Index>>, options: Options) -> Result<(Store, u64, bool)> {
        if let Some(index) = &index {
            match self.load(index)? {
                Ok((walk, meta)) => return self.finish(walk, Some(meta), Some(Arc::clone(index)), options),
                Err(Stale(why)) => ::log::debug!("the index is of no use, reading the whole log: {why}"),
            }
        }
        let walk = self.scan(index.as_deref())?;
        self.finish(walk, None, index, options)
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

    // ---- from the index ----

    /// Loads the checkpoint and replays what came after it.
    fn load(&self, index: &Index) -> Result<std::result::Result<(Walk, Meta), Stale>> {
        let (rebuild, meta) = match self.load_checkpoint(index) {
            Ok(loaded) => loaded,
            Err(stale) => return Ok(Err(stale)),
        };
        let tail = Tail {
            position: meta.position,
            frame: meta.frame - 1,
            checksum: meta.previous,
            next_queue_id: meta.next_queue_id,
        };
        let first = *self.run_ending_with(meta.position.segment).start();
        let mut walk = Walk::new(rebuild, tail);
        self.walk(&mut walk, None)?;
        walk.rebuild.follow_flushes();
        if walk.frames == 0 {
            // Nobody says which segments are needed; whether all that lives is in those that are here, is seen below.
            walk.first_segment = first;
        }
        let stale = if walk.tail.frame < meta.needs_frame {
            Some(format!("it knows frame {}, and the log ends with {}", meta.needs_frame, walk.tail.frame))
        } else if walk.first_segment < first {
            Some("segments are missing".to_string())
        } else if let Err(error) = self.check_end(&walk) {
            // If that is so, the whole log says it too, and better.
            Some(error.to_string())
        } else {
            walk.rebuild.incomplete(walk.first_segment)
        };
        Ok(match stale {
            Some(why) => Err(Stale(why)),
            None => Ok((walk, meta)),
        })
    }

    fn load_checkpoint(&self, index: &Index) -> std::result::Result<(Rebuild, Meta), Stale> {
        let meta = index.meta()?.ok_or_else(|| Stale("there is no checkpoint".into()))?;
        if meta.log_id != self.log_id {
            return Err(Stale("it belongs to another log".into()));
        }
        let last = meta.position.segment;
        if !self.files.contains_key(&last) {
            return Err(Stale(format!("{} is gone", segment_name(last))));
        }
        let mut rebuild = Rebuild::new(true);
        let whole = index.read(Pages::Records(meta.generation), |items| {
            read_records(items, |item| match item {
                RecordItem::Record(record, segment) => {
                    rebuild.apply(&Entry::Record(record), Position { segment, offset: 0 });
                }
                RecordItem::Flush(at) => rebuild.know_flush(at),
            })
            .is_some()
        })?;
        if !whole {
            return Err(Stale("its records are not whole".into()));
        }
        rebuild.end_records();
        for segment in self.run_ending_with(last) {
            let whole = index.read(Pages::Directory(segment), |items| {
                read_located(segment, items, |located| rebuild.locate(&located, meta.position)).is_some()
            })?;
            // The oldest segments may be leftovers that the log no longer needs; a message will be missing if not.
            if !whole && segment == last {
                return Err(Stale(format!("its directory of {} is not whole", segment_name(segment))));
            }
        }
        Ok((rebuild, meta))
    }

    // ---- from the log alone ----

    /// Reads the whole log, and tells the index the directories of finished segments on the way.
    fn scan(&self, index: Option<&Index>) -> Result<Walk> {
        let Some(last) = self.last_used()? else {
            // Nothing was ever committed: the log begins in the oldest segment that was prepared.
            let segment = *self.files.keys().next().expect("find makes one");
            let tail = Tail { position: start_of(segment), frame: 0, checksum: 0, next_queue_id: 1 };
            let walk = Walk { first_segment: segment, ..Walk::new(Rebuild::new(index.is_some()), tail) };
            self.check_end(&walk)?;
            return Ok(walk);
        };
        let first = *self.run_ending_with(last).start();
        let mut reader = self.reader(start_of(first)).expect("it is in the list");
        let Some(frame) = reader.next()? else {
            return Err(damage(start_of(first), "the oldest segment does not begin with a whole frame"));
        };
        // The first frame's number and predecessor cannot be checked; all others are, against it.
        let (frame, checksum) = (frame.header.number - 1, frame.header.previous);
        let tail = Tail { position: start_of(first), frame, checksum, next_queue_id: 1 };
        let mut walk = Walk::new(Rebuild::new(index.is_some()), tail);
        self.walk(&mut walk, index)?;
        walk.rebuild.follow_flushes();
        self.check_end(&walk)?;
        if walk.first_segment < first {
            let position = Position { segment: first - 1, offset: 0 };
            return Err(damage(position, "the file is missing, or does not begin with a segment's header"));
        }
        match walk.rebuild.incomplete(walk.first_segment) {
            Some(what) => Err(damage(walk.tail.position, format!("the log up to here is not complete: {what}"))),
            None => Ok(walk),
        }
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
    fn walk(&self, walk: &mut Walk, index: Option<&Index>) -> Result<()> {
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
            if let Some(index) = index {
                walk.rebuild.store_directory(reader.segment(), index);
            }
            reader = self.reader(next).expect("it was there just now");
        }
    }

    /// Tells the end of the log from a hole in it: behind its tail, no frame may say that more was on stable storage.
    fn check_end(&self, walk: &Walk) -> Result<()> {
        let missing = walk.tail.frame + 1;
        let tail = walk.tail.position;
        let behind = self.files.range(tail.segment + 1..).map(|(segment, _)| start_of(*segment));
        for position in std::iter::once(tail).chain(behind) {
            let Some(reader) = self.reader(position) else { continue };
            if let Some(offset) = reader.find_voucher(missing)? {
                let witness = segment_name(position.segment);
                let what = format!(
                    "frame {missing} is not what was written, although the frame at offset {offset} of {witness} says \
                     that it was on the disk"
                );
                return Err(damage(tail, what));
            }
        }
        Ok(())
    }

    /// Makes what was found the state to go on from.
    fn finish(
        mut self,
        walk: Walk,
        meta: Option<Meta>,
        index: Option<Arc<Index>>,
        options: Options,
    ) -> Result<(Store, u64, bool)> {
        // A killed process may have been about to make the newest names durable; from here on they are built upon.
        self.disk.sync_directory().map_err(Error::io("fsync of the directory", "the log's directory"))?;
        for segment in walk.unsynced() {
            self.files[&segment].sync_data().map_err(|e| Error::io("fdatasync", segment_name(segment))(e))?;
        }
        let last = (walk.tail.position.segment..).take_while(|number| self.files.contains_key(number)).last();
        let ring = walk.first_segment..=last.unwrap_or(walk.tail.position.segment);
        let names = self.disk.list().map_err(Error::io("list", "the log's directory"))?;
        for name in names.iter().filter(|name| is_trash(name)) {
            self.disk.remove(name).map_err(Error::io("unlink", name.as_str()))?;
        }
        let stray = self.files.keys().copied().filter(|number| !ring.contains(number));
        for number in stray.chain(self.unfinished.keys().copied()).collect::<Vec<_>>() {
            let name = segment_name(number);
            self.disk.remove(&name).map_err(Error::io("unlink", &name))?;
            self.disk.sync_directory().map_err(Error::io("fsync of the directory", &name))?;
            self.files.remove(&number);
        }
        let segments: VecDeque<Segment> =
            self.files.into_iter().map(|(number, file)| Segment { number, file, live_bytes: 0 }).collect();
        let Walk { rebuild, mut tail, frames, .. } = walk;
        tail.next_queue_id = tail.next_queue_id.max(rebuild.next_queue_id());
        let mut log = Log::new(self.disk, self.log_id, self.segment_bytes, &options, segments, tail);
        let (mut queues, directories) = (rebuild.queues, rebuild.directories);
        for queue in queues.iter() {
            log.add_live(queue.record_segment, queue.record_bytes());
            for (segment, bytes) in queue.live() {
                log.add_live(segment, bytes);
            }
        }
        queues.name_all();
        let mut store = Store::new(options, log, queues, index);
        let generation = match (&meta, &store.index) {
            (Some(meta), _) => meta.generation,
            // Not below any that the index may still have pages of.
            (None, Some(index)) => index.meta().ok().flatten().map_or(0, |meta| meta.generation + 1),
            (None, None) => 0,
        };
        let below = meta.map_or(tail.position.segment, |meta| meta.position.segment);
        store.resume(meta, generation, below);
        if store.index.is_some() {
            store.directories = directories;
        }
        Ok((store, frames, meta.is_some()))
    }
}

impl Walk {
    fn is_continued_by(&self, header: &crate::frame::FrameHeader) -> bool {
        header.number == self.tail.frame + 1 && header.previous == self.tail.checksum
    }

    /// Applies the next frame if it continues the walk. Returns whether it did.
    fn step(&mut self, reader: &mut FrameReader) -> Result<bool> {
        let segment = reader.segment();
        let Some(frame) = reader.next()?.filter(|frame| self.is_continued_by(&frame.header)) else {
            return Ok(false);
        };
        let header = frame.header;
        let position = Position { segment, offset: frame.body_offset };
        if !self.rebuild.apply_frame(frame.body, position) {
            return Err(damage(position, format!("frame {} is whole, but its entries are not", header.number)));
        }
        self.tail = Tail {
            position: Position { segment, offset: reader.offset() },
            frame: header.number,
            checksum: header.checksum,
            next_queue_id: self.tail.next_queue_id.max(header.next_queue_id),
        };
        self.first_segment = self.first_segment.max(header.first_segment);
        self.vouched = self.vouched.max(header.durable);
        match self.segments.last_mut().filter(|(last, _)| *last == segment) {
            Some((_, last_frame)) => *last_frame = header.number,
            None => self.segments.push((segment, header.number)),
        }
        self.frames += 1;
        Ok(true)
    }
}
