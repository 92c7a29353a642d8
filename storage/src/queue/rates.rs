//! How fast messages come into queues and leave them, as long as an operator looks: samples of each queue's counters, by
//! slot. Nothing is kept for queues while there was no look for a minute.

use crate::queue::Queue;
use crate::queue::table::Slot;

/// A sample is taken when the one before is as old, in milliseconds.
const SAMPLE_MS: u32 = 1000;
/// All samples go when none was asked for this long, in milliseconds.
const KEPT_MS: u64 = 60_000;
/// Slots of a chunk: 24 KiB, which are made in a few microseconds.
const CHUNK_SLOTS: usize = 1024;
/// Chunks that are let go of at once.
const DROPPED_AT_ONCE: usize = 128;

/// How many messages come and go in a thousand seconds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Rate {
    pub(crate) into_per_1000_s: u32,
    pub(crate) out_per_1000_s: u32,
}

/// The last sample of a queue. Of larger numbers it has the low bits: only differences count.
#[derive(Debug, Clone, Copy, Default)]
struct Sample {
    /// Of the queue's id, which begins at 1.
    id: u32,
    sets: u32,
    gets: u32,
    at_ms: u32,
    /// Between the last two.
    rate: Rate,
}

const _: () = assert!(size_of::<Sample>() == 24, "a million queues cost so many megabytes");

/// The samples of all queues that were looked at.
#[derive(Debug, Default)]
pub(crate) struct Rates {
    chunks: Vec<Option<Box<[Sample; CHUNK_SLOTS]>>>,
    /// When they were last looked at, in milliseconds since 1970.
    looked_ms: u64,
}

impl Rates {
    /// Notes that samples are looked at now.
    pub(crate) fn look(&mut self, now_ms: u64) {
        self.looked_ms = now_ms;
    }

    /// The rate of the queue in a slot, of which a sample is taken if it is time for one. A queue that was sampled once has
    /// none.
    #[inline]
    pub(crate) fn sample(&mut self, slot: Slot, queue: &Queue) -> Rate {
        let (chunk, at) = (slot as usize / CHUNK_SLOTS, slot as usize % CHUNK_SLOTS);
        if chunk >= self.chunks.len() {
            self.chunks.resize_with(chunk + 1, || None);
        }
        let samples = self.chunks[chunk].get_or_insert_with(|| Box::new([Sample::default(); CHUNK_SLOTS]));
        let sample = &mut samples[at];
        let now_ms = self.looked_ms as u32;
        let (id, sets, gets) = (queue.id as u32, queue.sets as u32, queue.gets as u32);
        let took_ms = now_ms.wrapping_sub(sample.at_ms);
        if sample.id != id {
            *sample = Sample { id, sets, gets, at_ms: now_ms, rate: Rate::default() };
        } else if took_ms >= SAMPLE_MS {
            let rate = Rate {
                into_per_1000_s: per_1000_s(sets.wrapping_sub(sample.sets), took_ms),
                out_per_1000_s: per_1000_s(gets.wrapping_sub(sample.gets), took_ms),
            };
            *sample = Sample { id, sets, gets, at_ms: now_ms, rate };
        }
        sample.rate
    }

    /// The rate of the queue in a slot, as it was sampled last.
    pub(crate) fn of(&self, slot: Slot, queue: &Queue) -> Rate {
        let samples = self.chunks.get(slot as usize / CHUNK_SLOTS).and_then(Option::as_ref);
        let sample = samples.map(|samples| samples[slot as usize % CHUNK_SLOTS]);
        sample.filter(|sample| sample.id == queue.id as u32).map_or(Rate::default(), |sample| sample.rate)
    }

    /// Lets go of some of the samples when there was no look for a minute.
    pub(crate) fn forget_unlooked(&mut self, now_ms: u64) {
        if !self.chunks.is_empty() && now_ms.saturating_sub(self.looked_ms) >= KEPT_MS {
            let left = self.chunks.len().saturating_sub(DROPPED_AT_ONCE);
            self.chunks.truncate(left);
            if left == 0 {
                self.chunks = Vec::new();
            }
        }
    }
}

fn per_1000_s(count: u32, took_ms: u32) -> u32 {
    u32::try_from(u64::from(count) * 1_000_000 / u64::from(took_ms)).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn queue(id: u64, sets: u64, gets: u64) -> Queue {
        let mut queue = Queue::new(id, b"q", 0);
        (queue.sets, queue.gets) = (sets, gets);
        queue
    }

    fn rate(rates: &mut Rates, now_ms: u64, slot: Slot, queue: &Queue) -> (u32, u32) {
        rates.look(now_ms);
        let rate = rates.sample(slot, queue);
        (rate.into_per_1000_s, rate.out_per_1000_s)
    }

    #[test]
    fn a_rate_is_that_between_the_last_two_samples() {
        let (mut rates, start) = (Rates::default(), u64::from(u32::MAX) * 400 - 500);
        assert_eq!(rate(&mut rates, start, 2000, &queue(7, 10, 5)), (0, 0), "one sample");
        assert_eq!(rate(&mut rates, start + 999, 2000, &queue(7, 20, 5)), (0, 0), "too soon");
        assert_eq!(rate(&mut rates, start + 2000, 2000, &queue(7, 30, 6)), (10_000, 500));
        assert_eq!(rate(&mut rates, start + 2500, 2000, &queue(7, 99, 9)), (10_000, 500), "the same until the next");
        assert_eq!(rate(&mut rates, start + 3000, 2000, &queue(7, 30, 106)), (0, 100_000));
        assert_eq!(rate(&mut rates, start + 9000, 2000, &queue(8, 9999, 9999)), (0, 0), "another queue in its slot");
    }

    #[test]
    fn samples_go_a_little_at_a_time_when_there_is_no_look() {
        let mut rates = Rates::default();
        rates.look(1000);
        let slots = (DROPPED_AT_ONCE * CHUNK_SLOTS) as Slot;
        for slot in [0, slots] {
            rates.sample(slot, &queue(1, 1, 1));
        }
        assert_eq!(rates.chunks.iter().flatten().count(), 2, "what was not looked at has none");
        rates.forget_unlooked(1000 + KEPT_MS - 1);
        assert_eq!(rates.chunks.len(), DROPPED_AT_ONCE + 1);
        rates.forget_unlooked(1000 + KEPT_MS);
        assert_eq!(rates.chunks.len(), 1);
        rates.forget_unlooked(1000 + KEPT_MS);
        assert_eq!(rates.chunks.capacity(), 0);
    }
}
