//! A queue's record on its way into the index, behind the list of what is gone above its head.

use crate::index::PageWriter;
use crate::index::items::{ITEM_RANGES_MAX, push_gone, push_record};
use crate::log::entry::{Record, Seq};
use crate::log::ranges::RangesWriter;
use crate::queue::table::Slot;
use crate::queue::{Epoch, Queue};

/// The numbers above a queue's head that are gone, on their way into the index in several steps. The queue's record follows
/// as it was when the list was begun, apart from what the list says better: the takes that the list does not have are
/// replayed, and counted then.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Listing {
    slot: Slot,
    /// The flushes of all queues that the queue had followed when the list was begun.
    epoch: Epoch,
    /// The head when it was begun.
    head: Seq,
    /// The numbers below this one are listed.
    next: Seq,
    /// Takes, since it was begun, of numbers that were listed as not gone.
    unlisted: u64,
}

/// The list that is under way, if one is.
#[derive(Debug, Default)]
pub(crate) struct Listings(Option<Listing>);

impl Listings {
    /// Notes that a message was taken out of the queue in a slot.
    #[inline]
    pub(crate) fn note_take(&mut self, slot: Slot, seq: Seq) {
        if let Some(listing) = self.0.as_mut().filter(|listing| listing.slot == slot) {
            listing.unlisted += u64::from(seq < listing.next);
        }
    }

    /// Notes that the queue in a slot loses all of its messages, or goes: its list begins anew.
    pub(crate) fn note_emptied(&mut self, slot: Slot) {
        self.0.take_if(|listing| listing.slot == slot);
    }

    /// Forgets the list.
    pub(crate) fn clear(&mut self) {
        self.0 = None;
    }

    /// Packs a queue's record, and in front of it what is gone above its head, up to so many messages at a time.
    /// Returns whether that was all of it.
    pub(crate) fn push_queue(&mut self, pages: &mut PageWriter, queue: &Queue, slot: Slot, looks: &mut usize) -> bool {
        *looks -= 1;
        self.0.take_if(|listing| listing.epoch != queue.epoch);
        if queue.gaps() == 0 && self.0.is_none() {
            push_record(pages, &queue.record(), queue.record_segment);
            return true;
        }
        let begun = Listing { slot, epoch: queue.epoch, head: queue.head, next: queue.head, unlisted: 0 };
        let listing_now = self.0.get_or_insert(begun);
        assert_eq!(listing_now.slot, slot, "one list is under way at a time");
        while *looks > 0 && listing_now.next < queue.next {
            let mut ranges = RangesWriter::default();
            let goes_on = queue.gaps_from(listing_now.next, ITEM_RANGES_MAX - 1, |range| ranges.push(range));
            push_gone(pages, queue.id, ranges.bytes());
            listing_now.next = goes_on.unwrap_or(queue.next);
            *looks = looks.saturating_sub(ITEM_RANGES_MAX);
        }
        if listing_now.next < queue.next {
            return false;
        }
        let record = Record { head: listing_now.head, gets: queue.gets - listing_now.unlisted, ..queue.record() };
        push_record(pages, &record, queue.record_segment);
        self.0 = None;
        true
    }
}
