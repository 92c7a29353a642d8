//! What is appended to the log, with all that counts it: puts, of one message or of several, and records.

use std::collections::VecDeque;

use smallvec::SmallVec;

use crate::index::segment_puts::SegmentPuts;
use crate::log::entry::{Entry, QueueId, Seq, also_bytes, put_bytes};
use crate::log::pairs::{PAIR_BYTES_MAX, pack_pairs};
use crate::log::{Log, Place};
use crate::queue::Queue;
use crate::queue::table::Slot;

/// The messages that one put is: of which queues, in which slots, and their numbers. The put names the first.
pub(crate) type Holders = SmallVec<[(QueueId, Slot, Seq); 1]>;

/// Bytes that a put of so many messages takes in a frame, at most.
pub(crate) fn shared_put_bytes(messages: usize, body_bytes: usize) -> usize {
    let also = match messages {
        0 | 1 => 0,
        _ => also_bytes((messages - 1) * PAIR_BYTES_MAX),
    };
    also + put_bytes(body_bytes)
}

/// Appends a put that is all of these messages; there is room for it. Returns its place.
pub(crate) fn append_shared_put(
    log: &mut Log,
    directories: &mut VecDeque<SegmentPuts>,
    indexed: bool,
    holders: &Holders,
    flags: u32,
    body: &[u8],
) -> Place {
    let (queue, slot, seq) = holders[0];
    let others = &holders[1..];
    let pairs = pack_pairs(others.iter().map(|(queue, _, seq)| (*queue, *seq)));
    if !others.is_empty() {
        log.append(&Entry::Also { pairs: &pairs });
    }
    let place = append_put(log, directories, indexed, (queue, slot), seq, flags, body);
    if !others.is_empty() {
        let bytes = also_bytes(pairs.len());
        log.shared.add(place.position(), (queue, seq), holders.len() as u32, bytes as u32);
        log.add_live(place.segment, bytes);
    }
    if indexed {
        let directory = directories.back_mut().expect("the put is in it");
        for (queue, slot, seq) in others {
            directory.push(*queue, *slot, *seq, place.offset, place.body_bytes);
        }
    }
    place
}

/// Appends a put; there is room for it. Returns its place.
pub(crate) fn append_put(
    log: &mut Log,
    directories: &mut VecDeque<SegmentPuts>,
    indexed: bool,
    (queue, slot): (QueueId, Slot),
    seq: Seq,
    flags: u32,
    body: &[u8],
) -> Place {
    let at = log.append(&Entry::Put { queue, seq, flags, body });
    log.add_live(at.segment, put_bytes(body.len()));
    let body_bytes = body.len() as u32;
    if indexed {
        if directories.back().is_none_or(|directory| directory.segment < at.segment) {
            directories.push_back(SegmentPuts::new(at.segment));
        }
        let directory = directories.back_mut().expect("just made");
        directory.push(queue, slot, seq, at.offset, body_bytes);
    }
    Place { segment: at.segment, offset: at.offset, body_bytes }
}

/// Appends a queue's record; there is room for it. The list in front of it begins in segment `listed_in`, if there is one.
pub(crate) fn append_record(log: &mut Log, queue: &mut Queue, listed_in: Option<u32>) {
    let at = log.append(&Entry::Record(queue.record()));
    queue.record_segment = listed_in.unwrap_or(at.segment);
    log.add_live(queue.record_segment, queue.record_bytes());
}
