//! The memory budget: which bodies leave memory, and how they come back.
//!
//! Invariant: a message whose put is not written yet has its body in memory. So the budget may be exceeded by what the
//! frames on their way hold, and by nothing else.

use crate::codec::Reader;
use crate::entry::{Entry, put_bytes};
use crate::error::{Error, Result};
use crate::log::damage_at;
use crate::queue::{Place, resident_bytes};
use crate::queues::Slot;
use crate::segment::segment_name;
use crate::store::Store;

/// Read ahead for one queue at once, in bytes; less under a small budget.
const READ_AHEAD_BYTES: usize = 256 << 10;
/// Read ahead for one queue at once, in messages.
const READ_AHEAD_MESSAGES: usize = 128;
/// Two puts that are no farther apart are read in one go.
const GAP_BYTES_MAX: u32 = 4 << 10;
/// Queues that are looked at in one search for bodies to evict.
const SLOTS_SEARCHED_MAX: u32 = 4096;
/// Bodies near the head that a queue keeps, in bytes, when others can be evicted.
const KEPT_BYTES: usize = 64 << 10;

impl Store {
    /// Evicts bodies until the budget holds, with some slack so that the next sets need no search. A hand goes round
    /// all queues; from each it takes the bodies farthest from the head, and at least half of them.
    pub(crate) fn evict(&mut self) {
        let budget = self.options.memory_bytes;
        let target = budget - budget / 64;
        for _ in 0..SLOTS_SEARCHED_MAX.min(self.queues.slots()) {
            if self.resident <= target {
                return;
            }
            let (log, wanted) = (&self.log, self.resident - target);
            if let Some(queue) = self.queues.get_mut(self.hand).filter(|queue| queue.resident_bytes() > 0) {
                let keep = (queue.resident_bytes() / 2).min(KEPT_BYTES);
                self.resident -= queue.evict(keep, wanted, |place| log.is_written(place));
            }
            if self.resident <= target {
                return;
            }
            self.hand = (self.hand + 1) % self.queues.slots();
        }
    }

    /// Brings the bodies at the head of a queue into memory, beginning with one that is not.
    ///
    /// # Errors
    /// When the log cannot be read, or does not hold what it should.
    pub(crate) fn read_ahead(&mut self, slot: Slot) -> Result<()> {
        let bytes_max = READ_AHEAD_BYTES.min(self.options.memory_bytes / 8);
        let queue = self.queues.at(slot);
        let mut wanted = Vec::with_capacity(READ_AHEAD_MESSAGES);
        let mut bytes = 0;
        for (seq, message) in queue.upcoming().take(READ_AHEAD_MESSAGES) {
            bytes += resident_bytes(message.place.body_bytes as usize);
            if message.body.is_some() || (bytes > bytes_max && !wanted.is_empty()) {
                break;
            }
            wanted.push((seq, message.place));
        }
        // The kernel reads on while these messages are handed out.
        if let Some((_, place)) = wanted.last()
            && let Some(segment) = self.log.segment(place.segment)
        {
            segment.file.will_need(u64::from(place.offset), 4 * READ_AHEAD_BYTES as u64);
        }
        let mut rest = wanted.as_slice();
        while let Some((first, last)) = rest.first().map(|(_, place)| (*place, contiguous(rest))) {
            self.read(first, rest[last].1)?;
            for (seq, place) in &rest[..=last] {
                match self.fill(slot, *seq, *place, first) {
                    // Whoever takes it is told. Those before it are good, and can be had.
                    Err(Error::Damage { .. }) if *seq != wanted[0].0 => return Ok(()),
                    filled => filled?,
                }
            }
            rest = &rest[last + 1..];
        }
        Ok(())
    }

    /// Reads the puts from `first` to `last`, which are in the same segment, into the scratch buffer.
    fn read(&mut self, first: Place, last: Place) -> Result<()> {
        assert!(self.log.is_written(last), "a body that left memory is on the disk");
        let bytes = last.end() - first.offset;
        self.scratch.resize(bytes as usize, 0);
        let segment = self.log.segment(first.segment).ok_or_else(|| damage_at(first, "the segment is gone"))?;
        let read = segment
            .file
            .read_at(&mut self.scratch, u64::from(first.offset))
            .map_err(|e| Error::io("read", segment_name(first.segment))(e))?;
        self.scratch.truncate(read);
        Ok(())
    }

    /// Gives a message its body out of the scratch buffer, which begins at `first`.
    fn fill(&mut self, slot: Slot, seq: u64, place: Place, first: Place) -> Result<()> {
        let queue = self.queues.at_mut(slot);
        let at = (place.offset - first.offset) as usize;
        let bytes = self.scratch.get(at..at + put_bytes(place.body_bytes as usize)).unwrap_or_default();
        match Entry::decode(&mut Reader::new(bytes)) {
            Some(Entry::Put { queue: id, seq: found, flags, body }) if (id, found) == (queue.id, seq) => {
                self.resident += queue.fill(seq, flags, body);
                Ok(())
            }
            _ => {
                let name = String::from_utf8_lossy(&queue.name);
                Err(damage_at(place, format!("message {seq} of queue \"{name}\" is not what was written")))
            }
        }
    }
}

impl Place {
    fn end(&self) -> u32 {
        self.offset + put_bytes(self.body_bytes as usize) as u32
    }
}

/// The index of the last of the leading places that are worth one read.
fn contiguous(places: &[(u64, Place)]) -> usize {
    let mut last = 0;
    for (i, pair) in places.windows(2).enumerate() {
        let (before, after) = (pair[0].1, pair[1].1);
        let near = before.segment == after.segment
            && after.offset >= before.end()
            && after.offset - before.end() <= GAP_BYTES_MAX;
        if !near {
            break;
        }
        last = i + 1;
    }
    last
}
