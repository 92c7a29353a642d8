//! Where a ring's next segments come from, and where its old files go: what is prepared, kept for writing over, unlinked,
//! and how much of it is worth having ready.

use std::collections::VecDeque;

use super::preparation::Preparation;
use super::{Log, Purpose};
use crate::attempt::Attempt;
use crate::error::{Failure, Result};
use crate::log::frame::FrameNumber;
use crate::log::segment::{Segment, SegmentHeader, segment_name};

/// Beyond what is always ready, no more segments are prepared for a burst than this: they are disk space that a burst
/// leaves behind for some seconds. At 64 MiB a segment, they are filled in a second and a half at 130 MB/s.
const AHEAD_SEGMENTS_MAX: usize = 3;
/// Files that are kept for writing over at most. Those beyond are unlinked at once, so that a large backlog that was
/// worked off gives its space back.
const KEPT_MAX: usize = 6;

/// Work on the log's files. One piece is at work at a time.
#[derive(Debug)]
pub(crate) enum FileWork {
    Prepare(Preparation),
    Unlink(String),
}

/// What is at work.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum AtWork {
    Preparation,
    Unlink,
}

/// What there is besides the segments in the ring.
#[derive(Debug, Default)]
pub(super) struct Supply {
    /// Segments that left the ring, and the frame that must be durable before their files are touched.
    leaving: VecDeque<(u32, FrameNumber)>,
    /// Segments whose files may be written over.
    recyclable: VecDeque<u32>,
    at_work: Option<AtWork>,
    /// The preparation that is under way, between two of its pieces.
    resting: Option<Preparation>,
    /// A file that could not be unlinked. It comes first, since the ring may come to need its name.
    unlink_again: Option<String>,
    /// The last attempt to get another segment found no room for one.
    full: bool,
    /// And since then no second has passed, nor has a file become free.
    tried: bool,
    /// Something failed that may pass: nothing is at work until the next tick.
    paused: bool,
    /// An operation waits for another segment.
    short: bool,
    /// Bytes of room that are wanted beyond what is always ready.
    ahead: usize,
    /// Segments prepared since the last tick, and how many files are kept for writing over because of that.
    prepared: usize,
    kept: usize,
}

impl Log {
    /// Notes that a segment left the ring: its file is free once the frame that is being filled is durable.
    pub(super) fn leave(&mut self, number: u32) {
        self.supply.leaving.push_back((number, self.filling_number));
        self.frame_wanted = true;
    }

    /// There is too little room for something. It waits for another segment, unless none is to be had.
    pub(super) fn wait_for_segment(&mut self) -> Attempt<()> {
        if self.supply.tried && !self.gets_segment() {
            return Attempt::NoRoom;
        }
        self.supply.short = true;
        let goes_on = self.wants_chore() || self.supply.at_work.is_some() || self.supply.paused;
        assert!(goes_on, "what waits for a segment is asked again");
        Attempt::Wait
    }

    /// Whether another segment comes although the disk is full.
    fn gets_segment(&self) -> bool {
        let rests = self.supply.resting.is_some() && !self.supply.paused;
        rests
            || self.supply.at_work == Some(AtWork::Preparation)
            || self.has_left()
            || !self.supply.recyclable.is_empty()
    }

    fn has_left(&self) -> bool {
        self.supply.leaving.front().is_some_and(|(_, frame)| *frame <= self.durable)
    }

    /// Lets the files of segments be written over once the frame is durable that says that they are gone.
    fn recycle(&mut self) {
        while self.has_left() {
            self.supply.recyclable.extend(self.supply.leaving.pop_front().map(|(number, _)| number));
            // There is room again, perhaps: another attempt is worth it.
            (self.supply.full, self.supply.tried) = (false, false);
        }
    }

    fn is_preparing(&self) -> bool {
        self.supply.resting.is_some() || self.supply.at_work == Some(AtWork::Preparation)
    }

    /// Room that makes sets go on without waiting for a segment to be prepared.
    fn wanted_room(&self) -> usize {
        self.reserve(Purpose::Set, 0) + self.segment_bytes as usize / 2 + self.supply.ahead
    }

    /// Whether a preparation should be begun.
    fn wants_segment(&self) -> bool {
        let possible = !self.supply.tried || !self.supply.recyclable.is_empty();
        possible && !self.is_preparing() && (self.supply.short || self.room() < self.wanted_room())
    }

    /// Whether the last spare is one too many, as after a large backlog was worked off. Another half segment keeps it
    /// from being made and unlinked in turn.
    fn has_excess(&self) -> bool {
        let without = self.room().saturating_sub(self.entry_bytes_max());
        let enough = self.wanted_room() + self.segment_bytes as usize / 2;
        self.spares() > 0 && !self.is_preparing() && !self.supply.short && without >= enough
    }

    /// Files that the next spares will be made of: one while there is none, and as many as are used up in a second.
    fn recyclable_max(&self) -> usize {
        self.supply.kept.max(usize::from(self.spares() == 0))
    }

    /// Whether [`begin_file_work`](Self::begin_file_work) has something.
    pub(crate) fn wants_chore(&self) -> bool {
        let supply = &self.supply;
        let something = self.has_left()
            || supply.unlink_again.is_some()
            || supply.resting.is_some()
            || supply.recyclable.len() > self.recyclable_max();
        let is_free = supply.at_work.is_none() && !supply.paused;
        is_free && (something || self.wants_segment() || self.has_excess())
    }

    /// The next piece of work on the files, off the shard's thread. It comes back by
    /// [`finish_preparation`](Self::finish_preparation) or [`finish_unlink`](Self::finish_unlink), and `None` until then.
    pub(crate) fn begin_file_work(&mut self) -> Option<FileWork> {
        if self.supply.at_work.is_some() || self.supply.paused {
            return None;
        }
        self.recycle();
        let work = self.next_file_work()?;
        self.supply.at_work = Some(match work {
            FileWork::Prepare(_) => AtWork::Preparation,
            FileWork::Unlink(_) => AtWork::Unlink,
        });
        Some(work)
    }

    fn next_file_work(&mut self) -> Option<FileWork> {
        if let Some(name) = self.supply.unlink_again.take() {
            return Some(FileWork::Unlink(name));
        }
        if self.wants_segment() {
            let header = SegmentHeader {
                number: self.last() + 1,
                log_id: self.id,
                segment_bytes: u64::from(self.segment_bytes),
            };
            let recycled = self.supply.recyclable.pop_front();
            return Some(FileWork::Prepare(Preparation::new(header, recycled, self.end())));
        }
        // Pieces of a preparation that nothing waits for yet let what is not needed go in between.
        if !self.supply.short
            && let Some(name) = self.take_unneeded()
        {
            return Some(FileWork::Unlink(name));
        }
        self.supply.resting.take().map(FileWork::Prepare)
    }

    /// The name of a file that is no longer needed for anything; those that the ring will use again are kept for writing
    /// over.
    fn take_unneeded(&mut self) -> Option<String> {
        // Strictly from the oldest on, and so that what is kept is what will be used next.
        if self.supply.recyclable.len() > self.recyclable_max() {
            return self.supply.recyclable.pop_front().map(segment_name);
        }
        // No segment of this number is prepared anew before the file is gone: one piece of work at a time.
        self.has_excess().then(|| segment_name(self.segments.pop_back().expect("a spare").number))
    }

    /// Takes a preparation back after a piece of it has run; into the ring when it is ready.
    ///
    /// # Errors
    /// A failure of the disk after which nothing is known.
    pub(crate) fn finish_preparation(&mut self, preparation: Preparation, failed: Option<Failure>) -> Result<()> {
        assert_eq!(self.supply.at_work.take(), Some(AtWork::Preparation), "it was handed out");
        match failed {
            None => match preparation.ready() {
                Some(file) => {
                    let file = std::sync::Arc::clone(file);
                    self.add_spare(
                        Segment { number: preparation.number(), file, live_bytes: 0 },
                        preparation.begun_at(),
                    );
                }
                None => self.supply.resting = Some(preparation),
            },
            Some(Failure::NoRoom(error)) => {
                if !self.supply.full {
                    ::log::error!("no room for another log segment, sets are refused until there is: {error}");
                }
                (self.supply.full, self.supply.tried) = (true, true);
            }
            Some(Failure::Passes(error)) => {
                ::log::warn!("{error}; it is tried again in a second, and sets are refused when there is no room left");
                self.supply.resting = Some(preparation);
                (self.supply.full, self.supply.tried, self.supply.paused) = (true, true, true);
            }
            Some(Failure::Fatal(error)) => return Err(error),
        }
        Ok(())
    }

    /// Takes a segment into the ring that was begun when the log ended at `begun_at`.
    fn add_spare(&mut self, segment: Segment, begun_at: u64) {
        assert_eq!(segment.number, self.last() + 1);
        if self.supply.full {
            ::log::warn!("there is room again for {}: sets are taken", segment_name(segment.number));
        }
        self.segments.push_back(segment);
        (self.supply.full, self.supply.tried, self.supply.short) = (false, false, false);
        self.supply.prepared += 1;
        // Twice what came while this was prepared should be there when the next is begun; half a segment always is.
        let (came, segment_bytes) = ((self.end() - begun_at) as usize, self.segment_bytes as usize);
        let ahead = (2 * came).saturating_sub(segment_bytes / 2).min(AHEAD_SEGMENTS_MAX * segment_bytes);
        self.supply.ahead = ahead.max(self.supply.ahead - self.supply.ahead / 8);
    }

    /// Notes that a file was unlinked, or not.
    ///
    /// # Errors
    /// A failure of the disk after which nothing is known.
    pub(crate) fn finish_unlink(&mut self, name: String, failed: Option<Failure>) -> Result<()> {
        assert_eq!(self.supply.at_work.take(), Some(AtWork::Unlink), "it was handed out");
        match failed {
            None => {}
            Some(Failure::Fatal(error)) => return Err(error),
            Some(Failure::Passes(error) | Failure::NoRoom(error)) => {
                ::log::warn!("{error}; it is tried again in a second");
                self.supply.unlink_again = Some(name);
                self.supply.paused = true;
            }
        }
        Ok(())
    }

    /// A second has passed: what failed is tried again, and what a burst had made ready is no longer wanted.
    pub(crate) fn tick(&mut self) {
        let is_idle = self.supply.prepared == 0 && !self.is_preparing();
        let supply = &mut self.supply;
        (supply.tried, supply.paused) = (false, false);
        if is_idle {
            supply.ahead -= supply.ahead.div_ceil(4);
        }
        supply.kept = supply.kept.saturating_sub(1).max(supply.prepared).min(KEPT_MAX);
        supply.prepared = 0;
    }

    /// Whether the last attempt to get another segment met a full disk.
    pub(crate) fn is_full(&self) -> bool {
        self.supply.full
    }

    /// Whether nothing is at work on the files until the next tick.
    pub(crate) fn is_paused(&self) -> bool {
        self.supply.paused
    }

    /// Whether what waits for a segment would have to wait on.
    pub(crate) fn is_short(&self) -> bool {
        self.supply.short && !self.supply.tried
    }

    /// Whether a piece of work on the files is under way.
    pub(crate) fn is_at_work(&self) -> bool {
        self.supply.at_work.is_some()
    }
}
