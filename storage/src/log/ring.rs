//! The ring of segments: which there are, what lives in them, how much room is left, and where the next ones come from.

use std::mem;
use std::sync::{Arc, Mutex, PoisonError};

use super::Log;
use crate::disk::{Disk, DiskFile};
use crate::error::Result;
use crate::frame::FRAME_HEADER_BYTES;
use crate::segment::{SEGMENT_HEADER_BYTES, Segment, SegmentHeader, segment_name, trash_name};

/// What room is made for. The less it can be refused, the less of it must be left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// Sets, which a full disk refuses.
    Set,
    /// Takes, drops and flushes, which make room in the end.
    Take,
    /// Copying forward on a full disk, which makes room at once.
    Copy,
}

/// A segment that is being prepared. Whoever runs it first does the work; who comes second waits for the result, so
/// that a shard that has run out of room can finish by itself what another thread has begun.
#[derive(Debug)]
pub(crate) struct Preparation {
    header: SegmentHeader,
    recycled: Option<u32>,
    progress: Mutex<Progress>,
}

/// What came of a preparation. Once the result was taken, the file is the ring's, and holds frames perhaps: who comes
/// late must leave it alone.
#[derive(Debug)]
enum Progress {
    Waiting,
    Made(Result<Arc<dyn DiskFile>>),
    Taken,
}

impl Preparation {
    pub(crate) fn run(&self, disk: &dyn Disk) {
        let mut progress = self.progress.lock().unwrap_or_else(PoisonError::into_inner);
        if matches!(*progress, Progress::Waiting) {
            *progress = Progress::Made(self.header.prepare(disk, self.recycled));
        }
    }

    /// The result, once.
    fn take(&self) -> Option<Result<Arc<dyn DiskFile>>> {
        let mut progress = self.progress.lock().unwrap_or_else(PoisonError::into_inner);
        match mem::replace(&mut *progress, Progress::Taken) {
            Progress::Made(made) => Some(made),
            before => {
                *progress = before;
                None
            }
        }
    }
}

impl Log {
    /// The largest entry that fits into a segment.
    pub(crate) fn entry_bytes_max(&self) -> usize {
        self.segment_bytes as usize - SEGMENT_HEADER_BYTES - FRAME_HEADER_BYTES
    }

    /// The number of the oldest segment.
    pub(crate) fn first(&self) -> u32 {
        self.segments[0].number
    }

    fn last(&self) -> u32 {
        self.first() + self.segments.len() as u32 - 1
    }

    pub(super) fn active_room(&self) -> usize {
        (self.segment_bytes as usize).saturating_sub(self.tail as usize + self.filling.len())
    }

    /// Bytes that can be appended without another segment, apart from what is lost at the end of each.
    pub(crate) fn room(&self) -> usize {
        self.active_room() + self.spares() as usize * self.entry_bytes_max()
    }

    pub(super) fn spares(&self) -> u32 {
        self.last() - self.active
    }

    /// What must be left free after entries of so many bytes.
    ///
    /// Takes go on when the disk is full: a take needs at most 65 bytes, with a frame of its own, and every segment that
    /// the takes empty comes back. So a segment's size is enough for all segments whose messages take at least that
    /// much, and half of it would not be for messages of 100 bytes. What little lives in a segment that they emptied,
    /// a queue's record above all, must be copied before it comes back: takes leave room for that. While few messages
    /// wait, less is enough: a put takes at least 29 bytes, so takes need no more than three times what lives.
    fn reserve(&self, purpose: Purpose, bytes: usize) -> usize {
        let segment = self.segment_bytes as usize;
        match purpose {
            // Advancing may lose what is left of the active segment, hence the doubled entry.
            Purpose::Set => segment.min(3 * self.live_bytes as usize) + segment / 8 + bytes,
            Purpose::Take => segment / 8,
            Purpose::Copy => 0,
        }
    }

    /// Makes room for entries of so many bytes together. `Ok(false)`: the disk is full.
    ///
    /// # Errors
    /// A failure of the disk other than being full.
    pub(crate) fn make_room(&mut self, bytes: usize, purpose: Purpose) -> Result<bool> {
        assert!(bytes <= self.entry_bytes_max(), "larger than a segment");
        loop {
            // The very last bytes are for the empty frame that says which segments are dead: without it, none of
            // them comes back.
            let fits = self.active_room() >= bytes + FRAME_HEADER_BYTES || self.spares() > 0;
            if fits && self.room() >= bytes + self.reserve(purpose, bytes) {
                break;
            }
            if self.full && purpose == Purpose::Set {
                return Ok(false);
            }
            // Back-pressure: the disk makes segments slower than they are filled.
            let preparation = self.prepare();
            preparation.run(&*self.disk);
            if !self.finish_preparation()? {
                return Ok(false);
            }
        }
        if self.active_room() < bytes {
            self.advance();
        } else if self.is_frame_full(bytes) && self.active_room() >= bytes + FRAME_HEADER_BYTES {
            self.seal();
        }
        assert!(self.active_room() >= bytes);
        Ok(true)
    }

    pub(crate) fn segment(&self, number: u32) -> Option<&Segment> {
        self.segments.get(number.checked_sub(self.segments.front()?.number)? as usize)
    }

    /// Counts bytes that came to life (or died) in a segment.
    pub(crate) fn add_live(&mut self, number: u32, bytes: usize) {
        self.live_bytes += bytes as u64;
        self.segment_mut(number).live_bytes += bytes as u64;
    }

    pub(crate) fn sub_live(&mut self, number: u32, bytes: usize) {
        self.live_bytes -= bytes as u64;
        self.segment_mut(number).live_bytes -= bytes as u64;
    }

    fn segment_mut(&mut self, number: u32) -> &mut Segment {
        let first = self.first();
        &mut self.segments[(number - first) as usize]
    }

    /// The oldest segment, unless it is the active one, or one that a sync still has to reach.
    pub(crate) fn oldest_finished(&self) -> Option<&Segment> {
        self.segments.front().filter(|segment| segment.number < self.active.min(self.unsynced))
    }

    pub(crate) fn active(&self) -> u32 {
        self.active
    }

    /// From the beginning of the oldest segment to the tail, in bytes.
    pub(crate) fn bytes(&self) -> u64 {
        u64::from(self.active - self.first()) * u64::from(self.segment_bytes) + u64::from(self.tail)
    }

    /// Live bytes in all segments.
    pub(crate) fn live_bytes(&self) -> u64 {
        self.live_bytes
    }

    pub(crate) fn segment_bytes(&self) -> u32 {
        self.segment_bytes
    }

    pub(crate) fn id(&self) -> u64 {
        self.id
    }

    /// Takes the oldest segment out of the ring. Nothing in it is live.
    pub(crate) fn drop_oldest(&mut self) {
        let segment = self.segments.pop_front().expect("a finished segment");
        assert!(segment.number < self.active && segment.live_bytes == 0);
        // What made it dead may be in the filling frame; and that frame's header says that the segment is gone.
        self.leaving.push_back((segment.number, self.filling_number));
        self.frame_wanted = true;
    }

    /// The name of a file that is no longer needed for anything, to be unlinked; those that the ring will want again
    /// are kept for writing over.
    pub(crate) fn take_unneeded(&mut self) -> Option<String> {
        self.recycle();
        // Strictly from the oldest on, and so that what is kept is what will be used next.
        if self.recyclable.len() > self.recyclable_max() {
            return self.recyclable.pop_front().map(segment_name);
        }
        if !self.has_excess() {
            return None;
        }
        // Under another name at once: the ring may want a new segment of this number before the old one is unlinked.
        let name = segment_name(self.last());
        let trash = trash_name(self.last());
        if let Err(error) = self.disk.rename(&name, &trash) {
            ::log::warn!("{name} is kept, although it is not needed: {error}");
            return None;
        }
        self.segments.pop_back();
        Some(trash)
    }

    /// Lets the files of segments be written over once the frame is durable that says that they are gone.
    fn recycle(&mut self) {
        while let Some(&(number, frame)) = self.leaving.front() {
            if frame > self.durable {
                break;
            }
            self.leaving.pop_front();
            self.recyclable.push_back(number);
            // There is room again, perhaps: another attempt is worth it.
            self.full = false;
        }
    }

    /// Whether [`begin_preparation`](Self::begin_preparation) or [`take_unneeded`](Self::take_unneeded) has something.
    pub(crate) fn wants_chore(&self) -> bool {
        let leaves = self.leaving.front().is_some_and(|(_, frame)| *frame <= self.durable);
        leaves || self.wants_segment() || self.recyclable.len() > self.recyclable_max() || self.has_excess()
    }

    /// One file that the next spare will be made of, while there is no spare.
    fn recyclable_max(&self) -> usize {
        usize::from(self.spares() == 0)
    }

    /// Room that makes sets go on without waiting for a segment to be prepared.
    fn wanted_room(&self) -> usize {
        self.reserve(Purpose::Set, 0) + self.segment_bytes as usize / 2
    }

    fn wants_segment(&self) -> bool {
        let possible = !self.full || !self.recyclable.is_empty();
        self.preparing.is_none() && possible && self.room() < self.wanted_room()
    }

    /// Whether the last spare is one too many, as after a large backlog was worked off. Another half segment keeps it
    /// from being made and unlinked in turn.
    fn has_excess(&self) -> bool {
        let without = self.room().saturating_sub(self.entry_bytes_max());
        let enough = self.wanted_room() + self.segment_bytes as usize / 2;
        self.spares() > 0 && self.preparing.is_none() && without >= enough
    }

    /// A segment that should be prepared now, off the hot path. [`finish_preparation`](Self::finish_preparation)
    /// follows.
    pub(crate) fn begin_preparation(&mut self) -> Option<Arc<Preparation>> {
        self.recycle();
        self.wants_segment().then(|| self.prepare())
    }

    fn prepare(&mut self) -> Arc<Preparation> {
        if let Some(preparation) = &self.preparing {
            return Arc::clone(preparation);
        }
        let header =
            SegmentHeader { number: self.last() + 1, log_id: self.id, segment_bytes: u64::from(self.segment_bytes) };
        self.recycle();
        let recycled = self.recyclable.pop_front();
        let preparation = Arc::new(Preparation { header, recycled, progress: Mutex::new(Progress::Waiting) });
        self.preparing = Some(Arc::clone(&preparation));
        preparation
    }

    /// Takes a prepared segment into the ring. `Ok(false)`: the disk is full. `Ok(true)` also when somebody else has
    /// finished it before.
    ///
    /// # Errors
    /// A failure of the disk other than being full.
    pub(crate) fn finish_preparation(&mut self) -> Result<bool> {
        let Some(preparation) = &self.preparing else {
            return Ok(true);
        };
        let number = preparation.header.number;
        let Some(made) = preparation.take() else {
            return Ok(true);
        };
        self.preparing = None;
        match made {
            Ok(file) => {
                assert_eq!(number, self.last() + 1);
                self.segments.push_back(Segment { number, file, live_bytes: 0 });
                if self.full {
                    ::log::warn!("there is room again for {}: sets are taken", segment_name(number));
                }
                self.full = false;
                Ok(true)
            }
            Err(error) if error.is_full() => {
                if !self.full {
                    ::log::error!("no room for another log segment, sets are refused until there is: {error}");
                }
                self.full = true;
                Ok(false)
            }
            Err(error) => Err(error),
        }
    }

    /// Whether the last attempt to get another segment met a full disk.
    pub(crate) fn is_full(&self) -> bool {
        self.full
    }

    /// Lets the next attempt find out whether there is room again.
    pub(crate) fn retry_when_full(&mut self) {
        self.full = false;
    }
}
