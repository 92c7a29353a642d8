//! The log: a ring of segments, the frame that is being filled, and what is known to be on the disk.
//!
//! ```text
//!    first .............. active ......... last
//!  [finished][finished][####|filling][spare][spare]
//!                           tail
//! ```
//!
//! Invariants:
//! - Segments are numbered without gaps. Frames go into `active` from front to back, then into the spare behind it.
//! - A frame is sealed before the next is begun, and frames are committed in the order of their numbers, one commit at
//!   a time. `durable <= written < filling`.
//! - A segment leaves the ring at the front only, when nothing in it is live; its file is touched only after a frame
//!   that says so (`first segment`) is durable. So a take always outlives the put that it takes.

pub(crate) mod codec;
pub(crate) mod commit;
pub(crate) mod entry;
pub(crate) mod frame;
pub(crate) mod frame_reader;
pub(crate) mod identity;
pub(crate) mod pairs;
mod position;
mod preparation;
pub(crate) mod ranges;
mod ring;
pub(crate) mod segment;
pub(crate) mod segment_notes;
mod shared;
mod supply;
pub(crate) mod tickets;
mod times;

use std::cmp::Ordering;
use std::collections::VecDeque;
use std::mem;
use std::ops::Range;
use std::sync::Arc;

use crate::disk::{Disk, DiskFile};
use crate::log::commit::{Commit, CommitTimes, Fsync, SealedFrame};
use crate::log::entry::{Entry, QueueId, Time};
use crate::log::frame::{FRAME_HEADER_BYTES, FrameHeader, FrameNumber};
use crate::log::segment::{SEGMENT_HEADER_BYTES, Segment};
use crate::log::segment_notes::SegmentNotes;
use crate::options::{Durability, StoreOptions};

pub(crate) use position::{Place, Position, damage_at};
pub(crate) use preparation::Preparation;
pub(crate) use ring::Purpose;
pub(crate) use shared::Shared;
pub(crate) use supply::FileWork;
use supply::Supply;
pub(crate) use times::Times;

/// A frame is sealed before it grows beyond this or the largest commit, so that recovery and copying never hold much
/// more in memory.
const FRAME_BYTES_MAX: usize = 1 << 20;
/// A buffer of a frame is kept for the next when it is not larger than this.
const BUFFER_BYTES_MAX: usize = 2 * FRAME_BYTES_MAX;

/// What recovery found out about the end of the log, and where it goes on.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Tail {
    pub(crate) position: Position,
    /// The number of the last frame; 0 in an empty log.
    pub(crate) frame: FrameNumber,
    /// That frame's checksum.
    pub(crate) checksum: u32,
    pub(crate) next_queue_id: QueueId,
    /// Leases may have got numbers below this one.
    pub(crate) leases: u64,
}

/// One shard's log.
#[derive(Debug)]
pub(crate) struct Log {
    pub(crate) disk: Arc<dyn Disk>,
    id: u64,
    segment_bytes: u32,
    /// Whether a commit includes the fdatasync, and so acknowledges by it.
    durable_commits: bool,
    /// A commit takes no more frames than make up so many bytes, and always one.
    commit_bytes_max: usize,
    segments: VecDeque<Segment>,
    /// Of all segments.
    live_bytes: u64,
    active: u32,
    /// Where the filling frame begins in the active segment.
    tail: u32,
    filling: Vec<u8>,
    /// What time it is, in milliseconds since 1970: what the caller said last.
    pub(crate) now_ms: u64,
    now_second: u32,
    /// When the puts in the log were made.
    pub(crate) times: Times,
    /// The puts that are messages of several queues.
    pub(crate) shared: Shared,
    /// Numbers of leases below this one may be given, once the frame that says so is safe.
    pub(crate) leases: u64,
    /// The segment of the last entry that says how far they are reserved; 0: there is none.
    pub(crate) leases_said_in: u32,
    /// The commit that writes this frame syncs it, whatever the durability; 0: none has to.
    synced_anyway: FrameNumber,
    filling_number: FrameNumber,
    /// An empty frame is due, for what its header says.
    frame_wanted: bool,
    sealed: Vec<SealedFrame>,
    /// Of the segment before the active one, until the first frame of this one is sealed.
    left: Option<SegmentNotes>,
    previous: u32,
    pub(crate) next_queue_id: QueueId,
    committing: bool,
    written: FrameNumber,
    durable: FrameNumber,
    /// Frames up to here are on the disk, in the sense that a read finds them.
    written_position: Position,
    /// The first segment that was written to since the last sync.
    unsynced: u32,
    supply: Supply,
    spare_buffers: Vec<Vec<u8>>,
}

impl Log {
    /// Takes over a ring that recovery found, or a new one. `segments` are numbered without gaps and contain the tail's.
    pub(crate) fn new(
        disk: Arc<dyn Disk>,
        id: u64,
        segment_bytes: u32,
        options: &StoreOptions,
        segments: VecDeque<Segment>,
        tail: Tail,
    ) -> Log {
        assert!(segments.iter().any(|segment| segment.number == tail.position.segment));
        Log {
            disk,
            id,
            segment_bytes,
            durable_commits: options.durability == Durability::Synced,
            commit_bytes_max: options.commit_bytes_max,
            live_bytes: segments.iter().map(|segment| segment.live_bytes).sum(),
            segments,
            active: tail.position.segment,
            tail: tail.position.offset,
            filling: vec![0; FRAME_HEADER_BYTES],
            now_ms: 0,
            now_second: 0,
            times: Times::default(),
            shared: Shared::default(),
            leases: tail.leases,
            leases_said_in: 0,
            synced_anyway: 0,
            filling_number: tail.frame + 1,
            frame_wanted: false,
            sealed: Vec::new(),
            left: None,
            previous: tail.checksum,
            next_queue_id: tail.next_queue_id,
            committing: false,
            written: tail.frame,
            durable: tail.frame,
            written_position: tail.position,
            unsynced: tail.position.segment,
            supply: Supply::default(),
            spare_buffers: Vec::new(),
        }
    }

    // ---- filling ----

    /// Goes on to the spare segment behind the active one.
    fn advance(&mut self) {
        assert!(self.spares() > 0);
        self.seal();
        self.left = Some(self.notes(self.active));
        self.active += 1;
        self.tail = SEGMENT_HEADER_BYTES as u32;
    }

    /// Appends an entry to the filling frame; [`make_room`](Self::make_room) came before. Returns where it is.
    pub(crate) fn append(&mut self, entry: &Entry<'_>) -> Position {
        let offset = self.tail + self.filling.len() as u32;
        entry.encode(&mut self.filling);
        debug_assert!(self.tail as usize + self.filling.len() <= self.segment_bytes as usize);
        Position { segment: self.active, offset }
    }

    /// Where the filling frame begins, and the checksum before it. Everything before is sealed.
    pub(crate) fn frame_position(&self) -> (Position, u32) {
        (Position { segment: self.active, offset: self.tail }, self.previous)
    }

    /// The frame that the next entry goes into.
    pub(crate) fn filling_number(&self) -> FrameNumber {
        self.filling_number
    }

    /// Whether there are entries in the filling frame.
    pub(crate) fn has_unsealed(&self) -> bool {
        self.filling.len() > FRAME_HEADER_BYTES
    }

    /// Says what time it is, in milliseconds since 1970. It never goes back.
    #[inline]
    pub(crate) fn set_now(&mut self, unix_ms: u64) {
        if unix_ms > self.now_ms {
            self.now_ms = unix_ms;
            self.now_second = Times::whole_seconds(unix_ms);
        }
    }

    /// Has the puts that follow count as made now; there is room to say so.
    #[inline]
    pub(crate) fn put_now(&mut self) {
        self.put_at(Some(self.now_second));
    }

    /// Has the puts that follow count as made in this second, `None` if it is not known; there is room to say so. It is said
    /// once in a segment, until it is another.
    #[inline]
    pub(crate) fn put_at(&mut self, second: Option<u32>) {
        let second = second.unwrap_or(0);
        if self.times.last() != (self.active, second) {
            self.append_time(second);
        }
    }

    /// Appends an entry that says how far the numbers of leases are reserved; there is room for it.
    pub(crate) fn append_reservation(&mut self) {
        self.append_time(self.now_second);
    }

    /// Has the commit that writes the filling frame sync it, and all before it, also where commits do not.
    pub(crate) fn sync_anyway(&mut self) {
        self.synced_anyway = self.filling_number;
    }

    #[cold]
    fn append_time(&mut self, second: u32) {
        let at = self.append(&Entry::Time(Time { second, leases: self.leases }));
        self.times.note(at, second);
        self.leases_said_in = at.segment;
    }

    /// Whether the filling frame should be sealed before so many bytes are appended.
    fn is_frame_full(&self, bytes: usize) -> bool {
        self.has_unsealed() && self.filling.len() + bytes > FRAME_BYTES_MAX.min(self.commit_bytes_max)
    }

    fn seal(&mut self) {
        if !self.has_unsealed() && !self.wants_empty_frame() {
            return;
        }
        self.frame_wanted = false;
        let mut bytes = self.spare_buffers.pop().unwrap_or_default();
        bytes.clear();
        bytes.resize(FRAME_HEADER_BYTES, 0);
        mem::swap(&mut bytes, &mut self.filling);
        let header = FrameHeader {
            body_bytes: 0,
            number: self.filling_number,
            durable: self.durable,
            next_queue_id: self.next_queue_id,
            segment: self.active,
            first_segment: self.first(),
            previous: self.previous,
            checksum: 0,
        };
        assert!(
            header.durable < header.number && header.first_segment <= header.segment,
            "what a reader asks of a frame"
        );
        self.previous = header.seal(self.id, self.tail, &mut bytes);
        let file = Arc::clone(&self.segment(self.active).expect("the active segment").file);
        let offset = u64::from(self.tail);
        self.tail += bytes.len() as u32;
        assert!(self.tail <= self.segment_bytes, "a frame stays within its segment");
        let begins_behind = self.left.take();
        self.sealed.push(SealedFrame { segment: self.active, file, offset, bytes, begins_behind });
        self.filling_number += 1;
    }

    // ---- committing ----

    /// Whether there is something to commit and no commit is under way.
    pub(crate) fn wants_commit(&self) -> bool {
        let something = self.has_unsealed() || !self.sealed.is_empty() || self.wants_empty_frame();
        something && !self.committing
    }

    /// Whether an empty frame should and can be sealed. At the very end of a segment it cannot: what it would say goes
    /// with the next entry, into the next segment.
    fn wants_empty_frame(&self) -> bool {
        self.frame_wanted && (self.segment_bytes - self.tail) as usize >= FRAME_HEADER_BYTES
    }

    /// Hands out what is sealed, and the filling frame when there is room for it, up to the size of the largest commit.
    pub(crate) fn begin_commit(&mut self) -> Option<Commit> {
        if !self.wants_commit() {
            return None;
        }
        let mut room = self.commit_bytes_max;
        let mut fits = 0;
        while let Some(frame) = self.sealed.get(fits).filter(|frame| fits == 0 || frame.bytes.len() <= room) {
            room = room.saturating_sub(frame.bytes.len());
            fits += 1;
        }
        if self.sealed.is_empty() || (fits == self.sealed.len() && self.filling.len() <= room) {
            self.seal();
            fits = self.sealed.len();
        }
        let later = self.sealed.split_off(fits);
        self.committing = true;
        let last = self.filling_number - 1 - later.len() as u64;
        let syncs_anyway = !self.durable_commits && self.durable < self.synced_anyway && self.synced_anyway <= last;
        let first = self.sealed[0].segment;
        let unsynced = if syncs_anyway { self.files_in(self.unsynced..first) } else { Vec::new() };
        Some(Commit {
            last,
            frames: mem::replace(&mut self.sealed, later),
            sync: self.durable_commits || syncs_anyway,
            unsynced,
            times: CommitTimes::default(),
        })
    }

    /// Notes that a commit has run without an error.
    pub(crate) fn finish_commit(&mut self, commit: Commit) {
        assert!(self.committing, "one commit is under way at a time");
        assert!(commit.last > self.written);
        self.committing = false;
        self.written = commit.last;
        if commit.sync {
            self.durable = commit.last;
        }
        for frame in commit.frames {
            let end = frame.offset as u32 + frame.bytes.len() as u32;
            self.written_position = Position { segment: frame.segment, offset: end };
            if frame.bytes.capacity() <= BUFFER_BYTES_MAX && self.spare_buffers.len() < 2 {
                self.spare_buffers.push(frame.bytes);
            }
        }
        if commit.sync {
            self.unsynced = self.written_position.segment;
        }
        assert!(self.durable <= self.written && self.written < self.filling_number);
    }

    /// A sync of what was written and is not durable, if there is any.
    pub(crate) fn begin_sync(&self) -> Option<Fsync> {
        if self.durable == self.written {
            return None;
        }
        Some(Fsync { files: self.files_in(self.unsynced..self.written_position.segment + 1), last: self.written })
    }

    /// The files of those of these segments that are in the ring.
    fn files_in(&self, segments: Range<u32>) -> Vec<(u32, Arc<dyn DiskFile>)> {
        segments.filter_map(|number| Some((number, Arc::clone(&self.segment(number)?.file)))).collect()
    }

    /// Notes that a sync has run without an error.
    pub(crate) fn finish_sync(&mut self, sync: &Fsync) {
        if sync.last > self.durable {
            self.durable = sync.last;
            self.unsynced = sync.files.last().map_or(self.unsynced, |(number, _)| *number);
        }
    }

    /// The last frame that a read finds, or that survives the end of the process.
    pub(crate) fn written(&self) -> FrameNumber {
        self.written
    }

    /// The last frame on stable storage.
    pub(crate) fn durable(&self) -> FrameNumber {
        self.durable
    }

    /// Up to where the log is on the disk, in the sense that a read finds it.
    pub(crate) fn written_position(&self) -> Position {
        self.written_position
    }

    /// The notes of a segment of the ring.
    fn notes(&self, segment: u32) -> SegmentNotes {
        let file = &self.segment(segment).expect("it is in the ring").file;
        SegmentNotes::new(Arc::clone(file), self.id, segment)
    }

    /// The notes of the newest segment that was written to.
    pub(crate) fn notes_of_written(&self) -> SegmentNotes {
        self.notes(self.written_position.segment.max(self.first()))
    }

    /// Up to where a segment is on the disk, in the sense that a read finds it.
    pub(crate) fn written_end(&self, segment: u32) -> u32 {
        match segment.cmp(&self.written_position.segment) {
            Ordering::Less => self.segment_bytes,
            Ordering::Equal => self.written_position.offset,
            Ordering::Greater => 0,
        }
    }

    /// Whether an entry is on the disk, in the sense that a read finds it.
    pub(crate) fn is_written(&self, place: Place) -> bool {
        place.position() < self.written_position
    }
}
