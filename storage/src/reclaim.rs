//! Getting space back: dead segments leave the ring at its old end, and when the log has grown far beyond what lives
//! in it, the oldest segment is copied forward until it is dead.

use std::sync::Arc;

use crate::attempt::Attempt;
use crate::codec::Reader;
use crate::directory::Located;
use crate::entry::{Entry, QueueId, Seq, put_bytes};
use crate::error::Result;
use crate::frame::FRAME_HEADER_BYTES;
use crate::log::{Purpose, damage_at};
use crate::queue::Place;
use crate::queues::UNKNOWN_SLOT;
use crate::reader::FrameReader;
use crate::segment::SEGMENT_HEADER_BYTES;
use crate::store::{Store, append_put};

/// The walk over the oldest segment, whose live entries are copied to the end of the log.
#[derive(Debug)]
pub(crate) struct Copying {
    reader: FrameReader,
}

/// What a frame of the oldest segment holds that may still live; its bytes are not kept.
enum Candidate {
    Put { queue: QueueId, seq: Seq, flags: u32, place: Place, body: std::ops::Range<usize> },
    Record { queue: QueueId },
}

impl Store {
    /// Does a little of what gives space back: gives back dropped messages, lets dead segments go, copies one frame
    /// forward. Returns whether there is more to do at once.
    ///
    /// # Errors
    /// When the disk fails, or the log is damaged where it is read; the caller must stop.
    pub fn reclaim(&mut self) -> Result<bool> {
        let giving_back = self.give_back_step();
        while self.oldest_is_done() {
            self.log.drop_oldest();
            self.windows.forget_before(self.log.first());
        }
        Ok(self.copy_forward()? || giving_back)
    }

    /// Whether [`reclaim`](Self::reclaim) has something to do.
    #[must_use]
    pub fn wants_reclaim(&self) -> bool {
        self.flushing.is_under_way() || self.oldest_is_done() || self.wants_copying()
    }

    fn oldest_is_done(&self) -> bool {
        self.log
            .oldest_finished()
            .is_some_and(|segment| segment.live_bytes == 0 && self.checkpoint_allows(segment.number))
    }

    /// Whether to copy what lives in the oldest segment: when the log is more than twice what lives, and a segment's
    /// size, copying pays. On a full disk it pays when at most half of the segment lives, and comes out of what is set
    /// aside, at most half of that: else a single message, or a queue's record, would keep the disk full for ever.
    fn wants_copying(&self) -> bool {
        // Messages that were dropped and not given back yet still count as live.
        if self.flushing.is_under_way() {
            return false;
        }
        let Some(oldest) = self.log.oldest_finished().filter(|segment| segment.live_bytes > 0) else {
            return false;
        };
        let segment_bytes = u64::from(self.log.segment_bytes());
        if self.log.is_full() {
            2 * oldest.live_bytes + FRAME_HEADER_BYTES as u64 <= segment_bytes.min(self.log.room() as u64)
        } else {
            self.log.bytes() > 2 * self.log.live_bytes() + segment_bytes
        }
    }

    /// Copies what lives in one frame of the oldest segment. Returns whether there is more to copy.
    fn copy_forward(&mut self) -> Result<bool> {
        if !self.wants_copying() {
            return Ok(false);
        }
        let Some(oldest) = self.log.oldest_finished() else {
            return Ok(false);
        };
        let number = oldest.number;
        let mut copying = match self.copying.take() {
            Some(copying) if copying.reader.segment() == number => copying,
            _ => {
                oldest.file.will_need(0, u64::from(self.log.segment_bytes()));
                let (file, start) = (Arc::clone(&oldest.file), SEGMENT_HEADER_BYTES as u32);
                Copying { reader: FrameReader::new(file, self.log.id(), number, self.log.segment_bytes(), start) }
            }
        };
        let at = copying.reader.offset();
        let Some(frame) = copying.reader.next()? else {
            // Everything that lives is in frames, and all of them were copied: unless one of them is unreadable.
            let place = Place { segment: number, offset: at, body_bytes: 0 };
            return Err(damage_at(place, "live messages are behind a frame that is not what was written"));
        };
        let (body, body_offset) = (frame.body, frame.body_offset);
        let candidates = candidates(number, body, body_offset);
        for candidate in candidates {
            if self.copy(number, candidate, body) != Attempt::Done(()) {
                // The frame is looked at again; what was copied of it lives elsewhere by then.
                let (file, segment_bytes) = (Arc::clone(copying.reader.file()), self.log.segment_bytes());
                let reader = FrameReader::new(file, self.log.id(), number, segment_bytes, at);
                self.copying = Some(Copying { reader });
                return Ok(false);
            }
        }
        self.copying = Some(copying);
        Ok(true)
    }

    /// Elsewhere than on a full disk, copying leaves as much room as sets do.
    fn copy_purpose(&self) -> Purpose {
        if self.log.is_full() { Purpose::Copy } else { Purpose::Set }
    }

    /// Copies one entry if it is still needed.
    fn copy(&mut self, from: u32, candidate: Candidate, frame: &[u8]) -> Attempt<()> {
        match candidate {
            Candidate::Record { queue } => {
                let Some(slot) = self.queues.find_id(queue) else {
                    return Attempt::Done(());
                };
                if self.queues.at(slot).record_segment != from {
                    return Attempt::Done(());
                }
                let room = self.log.make_room(self.queues.at(slot).record_bytes(), self.copy_purpose());
                if room == Attempt::Done(()) {
                    self.rewrite_record(slot);
                }
                room
            }
            Candidate::Put { queue, seq, flags, place, body } => {
                if !self.is_live(&Located { queue, slot: UNKNOWN_SLOT, seq, place }) {
                    return Attempt::Done(());
                }
                let body = &frame[body];
                let room = self.log.make_room(put_bytes(body.len()), self.copy_purpose());
                if room != Attempt::Done(()) {
                    return room;
                }
                let slot = self.queues.find_id(queue).expect("it is live");
                let indexed = self.index.is_some();
                let to = append_put(&mut self.log, &mut self.directories, indexed, (queue, slot), seq, flags, body);
                self.log.sub_live(from, put_bytes(body.len()));
                self.resident += self.queues.at_mut(slot).move_message(seq, to, flags, body);
                self.keep_to_budget();
                Attempt::Done(())
            }
        }
    }

    /// Whether a message waits, and this is its place.
    pub(crate) fn is_live(&self, located: &Located) -> bool {
        let queue = self.queues.by_id(located.queue, located.slot);
        let message =
            queue.filter(|queue| queue.epoch == self.flushing.epoch).and_then(|queue| queue.message(located.seq));
        message.is_some_and(|message| message.place == located.place)
    }
}

fn candidates(segment: u32, body: &[u8], body_offset: u32) -> Vec<Candidate> {
    let mut reader = Reader::new(body);
    let mut candidates = Vec::new();
    while !reader.is_empty() {
        let at = body.len() - reader.remaining();
        match Entry::decode(&mut reader) {
            Some(Entry::Put { queue, seq, flags, body: bytes }) => {
                let end = body.len() - reader.remaining();
                let offset = body_offset + at as u32;
                let place = Place { segment, offset, body_bytes: bytes.len() as u32 };
                candidates.push(Candidate::Put { queue, seq, flags, place, body: end - bytes.len()..end });
            }
            Some(Entry::Record(record)) => candidates.push(Candidate::Record { queue: record.queue }),
            Some(Entry::Take { .. } | Entry::Drop { .. } | Entry::Flush) => {}
            None => break,
        }
    }
    candidates
}
