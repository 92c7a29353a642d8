//! Getting space back: dead segments leave the ring at its old end, and when the log has grown far beyond what lives
//! in it, the oldest segment is copied forward until it is dead.

use std::sync::Arc;

use smallvec::SmallVec;

use crate::attempt::Attempt;
use crate::error::Result;
use crate::index::segment_puts::Located;
use crate::log::Place;
use crate::log::codec::Reader;
use crate::log::entry::{Entry, QueueId, Record, STATE_BYTES, Seq, State, TIME_BYTES, id_bytes};
use crate::log::frame::FRAME_HEADER_BYTES;
use crate::log::frame_reader::FrameReader;
use crate::log::pairs::pairs;
use crate::log::segment::SEGMENT_HEADER_BYTES;
use crate::log::{Purpose, damage_at};
use crate::queue::ids::Remembered;
use crate::queue::table::UNKNOWN_SLOT;
use crate::store::Store;
use crate::store::appending::{Holders, append_shared_put, shared_put_bytes};

/// Segments that leave the ring in one step.
const LEAVING_MAX: usize = 64;
/// Entries that are looked at in one step of copying: each is a cache miss or two, so a step takes some 300 us.
const COPY_ENTRIES_MAX: usize = 1024;
/// Bytes that are looked at in one step of copying, the last entry apart.
const COPY_BYTES_MAX: usize = 256 << 10;

/// The walk over the oldest segment, whose live entries are copied to the end of the log.
#[derive(Debug)]
pub(crate) struct Copying {
    reader: FrameReader,
    /// Where the piece begins that another thread reads for it.
    awaits: Option<u32>,
    /// The entries of the frame that it is at, their offset in the file, and how far they are copied.
    entries: Vec<u8>,
    entries_offset: u32,
    copied: usize,
    /// The messages that the next put is, beside the one that it names.
    also: Vec<(QueueId, Seq)>,
}

impl Store {
    /// Does a little of what gives space back: gives back dropped messages, lets dead segments go, copies some
    /// entries forward. Returns whether there is more to do at once.
    ///
    /// # Errors
    /// When the disk fails, or the log is damaged where it is read; the caller must stop.
    pub fn reclaim(&mut self) -> Result<bool> {
        let giving_back = self.give_back_step();
        for _ in 0..LEAVING_MAX {
            if !self.oldest_is_done() || !self.say_leases_elsewhere() {
                break;
            }
            self.log.drop_oldest();
            self.memory.forget_before(self.log.first());
        }
        Ok(self.copy_forward()? || giving_back)
    }

    /// Says at the log's end how far the numbers of leases are reserved, if the oldest segment says it and no other.
    /// `false`: there is no room for that now.
    fn say_leases_elsewhere(&mut self) -> bool {
        if self.log.leases == 0 || self.log.leases_said_in > self.log.first() {
            return true;
        }
        let room = self.log.make_room(TIME_BYTES, Purpose::Copy);
        if room.is_done() {
            self.log.append_reservation();
        }
        room.is_done()
    }

    /// Whether [`reclaim`](Self::reclaim) has something to do.
    #[must_use]
    pub fn wants_reclaim(&self) -> bool {
        self.is_giving_back() || self.oldest_is_done() || self.wants_copying()
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
        // Messages that were dropped and not given back yet still count as live; and what waits for a segment goes first.
        if self.is_giving_back() || self.log.is_short() {
            return false;
        }
        let Some(oldest) = self.log.oldest_finished().filter(|segment| segment.live_bytes > 0) else {
            return false;
        };
        let awaits = self.copying.as_ref().filter(|copying| copying.reader.segment() == oldest.number);
        if awaits
            .and_then(|copying| copying.awaits)
            .is_some_and(|offset| self.memory.reads.is_awaited(oldest.number, offset.into()))
        {
            return false;
        }
        let segment_bytes = u64::from(self.log.segment_bytes());
        if self.log.is_full() {
            2 * oldest.live_bytes + FRAME_HEADER_BYTES as u64 <= segment_bytes.min(self.log.room() as u64)
        } else {
            // What messages have beside their bodies goes with them, and counts in no segment: without it, the log of short
            // messages that all have something would never be small enough, and be copied for ever.
            let lives = self.log.live_bytes() + (self.live.states.len() * STATE_BYTES) as u64;
            self.log.bytes() > 2 * lives + segment_bytes
        }
    }

    /// Copies a little of what lives in the oldest segment. Returns whether there is more to copy.
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
                let reader = FrameReader::new(file, self.log.id(), number, self.log.segment_bytes(), start);
                Copying { reader, awaits: None, entries: Vec::new(), entries_offset: 0, copied: 0, also: Vec::new() }
            }
        };
        let goes_on = if copying.copied < copying.entries.len() || self.next_frame(&mut copying)? {
            self.copy_entries(&mut copying)
        } else {
            false
        };
        self.copying = Some(copying);
        Ok(goes_on)
    }

    /// Goes on to the next frame. `false`: another thread has to read it first.
    fn next_frame(&mut self, copying: &mut Copying) -> Result<bool> {
        let number = copying.reader.segment();
        let segment = self.log.segment(number).expect("the oldest one");
        while let Some((offset, bytes)) = copying.reader.missing() {
            let mut window = vec![0; bytes];
            let read = self.memory.reads.read(segment, &mut window, u64::from(offset))?;
            copying.awaits = read.is_none().then_some(offset);
            let Some(read) = read else { return Ok(false) };
            window.truncate(read);
            copying.reader.supply(offset, window);
            if read < bytes {
                break;
            }
        }
        let at = copying.reader.offset();
        let Some(frame) = copying.reader.next()? else {
            // Everything that lives is in frames, and all of them were copied: unless one of them is unreadable.
            let place = Place { segment: number, offset: at, body_bytes: 0 };
            return Err(damage_at(place, "live messages are behind a frame that is not what was written"));
        };
        copying.entries.clear();
        copying.also.clear();
        copying.entries.extend_from_slice(frame.body);
        (copying.entries_offset, copying.copied) = (frame.body_offset, 0);
        Ok(true)
    }

    /// Copies what lives of the next entries. `false`: not all of them, for want of room or for now.
    fn copy_entries(&mut self, copying: &mut Copying) -> bool {
        let from = copying.reader.segment();
        let begin = copying.copied;
        let mut reader = Reader::new(&copying.entries[begin..]);
        for _ in 0..COPY_ENTRIES_MAX {
            if reader.is_empty() || copying.copied - begin >= COPY_BYTES_MAX {
                break;
            }
            let offset = copying.entries_offset + copying.copied as u32;
            let entry = Entry::decode(&mut reader);
            match entry {
                Some(Entry::Also { pairs: bytes }) => copying.also.extend(pairs(bytes).flatten()),
                Some(entry) => {
                    if self.copy(from, offset, &entry, &copying.also) != Attempt::Done(true) {
                        return false;
                    }
                    copying.also.clear();
                }
                None => {}
            }
            // What is no entry is the end of them.
            copying.copied = entry.map_or(copying.entries.len(), |_| copying.entries.len() - reader.remaining());
            if entry.is_none() {
                break;
            }
        }
        true
    }

    /// Elsewhere than on a full disk, copying leaves as much room as sets do.
    fn copy_purpose(&self) -> Purpose {
        if self.log.is_full() { Purpose::Copy } else { Purpose::Set }
    }

    /// Copies the entry that is at an offset of a segment, if it is still needed; a put is that of the messages `also`, too.
    /// `Done(false)`: there is more of it to copy.
    fn copy(&mut self, from: u32, offset: u32, entry: &Entry<'_>, also: &[(QueueId, Seq)]) -> Attempt<bool> {
        match *entry {
            Entry::Record(Record { queue, .. }) | Entry::Gone { queue, .. } => {
                match self.live.queues.find_id(queue).filter(|slot| self.live.queues.at(*slot).record_segment == from) {
                    Some(slot) => self.copy_record(slot, self.copy_purpose()),
                    None => Attempt::Done(true),
                }
            }
            Entry::Put { queue, seq, flags, body } => {
                let place = Place { segment: from, offset, body_bytes: body.len() as u32 };
                self.copy_put(place, std::iter::once((queue, seq)).chain(also.iter().copied()), flags, body)
            }
            Entry::Id { queue, until_s, token } => {
                if self.ids.get(queue, token) != Some(Remembered { until_s, segment: from }) {
                    return Attempt::Done(true);
                }
                let room = self.log.make_room(id_bytes(token.len()), self.copy_purpose());
                if room.is_done() {
                    self.append_id(queue, until_s, token);
                }
                room.map(|()| true)
            }
            Entry::Ticket(ticket) => self.copy_ticket(from, &ticket, self.copy_purpose()),
            // They outlive what they are about.
            Entry::Freed { .. } | Entry::Take { .. } | Entry::Drop { .. } | Entry::Flush | Entry::Told { .. } => {
                Attempt::Done(true)
            }
            // They go with the puts and the records that they are about.
            Entry::Gate { .. } | Entry::Time(_) | Entry::State { .. } | Entry::Also { .. } => Attempt::Done(true),
        }
    }

    /// Copies a put that is at a place, for those of its messages that still wait there.
    fn copy_put(
        &mut self,
        place: Place,
        messages: impl Iterator<Item = (QueueId, Seq)>,
        flags: u32,
        body: &[u8],
    ) -> Attempt<bool> {
        let holders: Holders = messages
            .filter(|(queue, seq)| self.is_live(&Located { queue: *queue, slot: UNKNOWN_SLOT, seq: *seq, place }))
            .map(|(queue, seq)| (queue, self.live.queues.find_id(queue).expect("it is live"), seq))
            .collect();
        if holders.is_empty() {
            return Attempt::Done(true);
        }
        let states: SmallVec<[(QueueId, Seq, State); 1]> = holders
            .iter()
            .filter_map(|(queue, _, seq)| Some((*queue, *seq, self.live.states.get(*queue, *seq)?)))
            .collect();
        let bytes = TIME_BYTES + shared_put_bytes(holders.len(), body.len()) + states.len() * STATE_BYTES;
        if let Some(held_up) = self.log.make_room(bytes, self.copy_purpose()).held_up() {
            return held_up;
        }
        self.log.put_at(self.log.times.of(place));
        let indexed = self.index.is_some();
        let to = append_shared_put(&mut self.log, &mut self.directories, indexed, &holders, flags, body);
        for (queue, seq, state) in states {
            self.log.append(&Entry::State { queue, seq, state });
        }
        for (_, slot, seq) in holders {
            self.log.release(place);
            self.live.resident += self.live.queues.at_mut(slot).move_message(seq, to, flags, body);
        }
        self.memory.keep_to_budget(&mut self.live, &self.log);
        Attempt::Done(true)
    }

    /// Whether a message waits, and this is its place.
    pub(crate) fn is_live(&self, located: &Located) -> bool {
        let queue = self.live.queues.by_id(located.queue, located.slot);
        let message =
            queue.filter(|queue| queue.epoch == self.live.epoch()).and_then(|queue| queue.message(located.seq));
        message.is_some_and(|message| message.place == located.place)
    }
}
