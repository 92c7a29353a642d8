//! The ring of segments: which there are, what lives in them, and how much room is left.

use super::Log;
use crate::attempt::Attempt;
use crate::log::Place;
use crate::log::entry::{DROP_BYTES, FLUSH_BYTES, PUT_HEADER_BYTES, TAKE_BYTES, put_bytes};
use crate::log::frame::FRAME_HEADER_BYTES;
use crate::log::segment::{SEGMENT_HEADER_BYTES, Segment};

/// What room is made for. The less it can be refused, the less of it must be left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// Sets, which a full disk refuses.
    Set,
    /// Takes, which make room in the end.
    Take,
    /// Deletes and flushes, which make room at once, and much of it.
    Drop,
    /// Copying forward on a full disk, which makes room at once.
    Copy,
}

/// Bytes that a take needs at most: with a frame of its own.
const TAKE_ROOM: usize = TAKE_BYTES + FRAME_HEADER_BYTES;
/// The room of a take is at most so many times what a put takes, whatever its body.
const TAKES_OF_A_PUT: usize = 3;
const _: () = assert!(TAKE_ROOM <= TAKES_OF_A_PUT * PUT_HEADER_BYTES);
// Takes leave more than deletes and flushes need, one for each queue that has a message.
const _: () = assert!(DROP_BYTES <= TAKE_BYTES && FLUSH_BYTES <= DROP_BYTES);

impl Log {
    /// The largest entry that fits into a segment.
    pub(crate) fn entry_bytes_max(&self) -> usize {
        self.segment_bytes as usize - SEGMENT_HEADER_BYTES - FRAME_HEADER_BYTES
    }

    /// The number of the oldest segment.
    pub(crate) fn first(&self) -> u32 {
        self.segments[0].number
    }

    pub(super) fn last(&self) -> u32 {
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
    /// Takes go on when the disk is full: a take needs at most [`TAKE_ROOM`] bytes, with a frame of its own, and every
    /// segment that the takes empty comes back. So a segment's size is enough for all segments whose messages take at
    /// least that much, and half of it would not be for messages of 100 bytes. What little lives in a segment that they
    /// emptied, a queue's record above all, must be copied before it comes back: takes leave room for that. While few
    /// messages wait, less is enough: takes need no more than [`TAKES_OF_A_PUT`] times what lives. A put that is the message
    /// of several queues is taken several times, and only the last of these takes gives room back: the others need room
    /// of their own, since one queue may be emptied before the next.
    ///
    /// Deletes and flushes go on when the takes have come to their end: they are how an operator makes room on a full disk.
    pub(super) fn reserve(&self, purpose: Purpose, bytes: usize) -> usize {
        let segment = self.segment_bytes as usize;
        match purpose {
            // Advancing may lose what is left of the active segment, hence the doubled entry.
            Purpose::Set => {
                let takes = segment.min(TAKES_OF_A_PUT * self.live_bytes as usize);
                takes + TAKE_ROOM * self.shared.beyond() as usize + segment / 8 + bytes
            }
            Purpose::Take => segment / 8,
            Purpose::Drop => segment / 16,
            Purpose::Copy => 0,
        }
    }

    /// Makes room for entries of so many bytes together. It never waits for the disk: that is the caller's, until
    /// another segment was prepared.
    pub(crate) fn make_room(&mut self, bytes: usize, purpose: Purpose) -> Attempt<()> {
        assert!(bytes <= self.entry_bytes_max(), "larger than a segment");
        // The very last bytes are for the empty frame that says which segments are dead: without it, none of
        // them comes back.
        let fits = self.active_room() >= bytes + FRAME_HEADER_BYTES || self.spares() > 0;
        if !fits || self.room() < bytes + self.reserve(purpose, bytes) {
            return self.wait_for_segment();
        }
        if self.active_room() < bytes {
            self.advance();
        } else if self.is_frame_full(bytes) && self.active_room() >= bytes + FRAME_HEADER_BYTES {
            self.seal();
        }
        assert!(self.active_room() >= bytes);
        Attempt::Done(())
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

    /// Notes that a message is gone, or elsewhere: the put at its place is no longer needed once no other is left there.
    pub(crate) fn release(&mut self, place: Place) {
        let bytes = self.shared.release(place.position(), put_bytes(place.body_bytes as usize));
        self.sub_live(place.segment, bytes);
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

    /// Where the filling frame ends, in bytes from the beginning of the very first segment.
    pub(super) fn end(&self) -> u64 {
        u64::from(self.active) * u64::from(self.segment_bytes) + u64::from(self.tail) + self.filling.len() as u64
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
        self.times.forget(segment.number);
        // What made it dead may be in the filling frame; and that frame's header says that the segment is gone.
        self.leave(segment.number);
    }
}
