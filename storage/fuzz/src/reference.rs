//! What recovery must make of the files that it finds, said as plainly as it can be: of files that are there as a whole,
//! without a care for memory or speed.

mod gates;
mod told;

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use storage::StoreOptions;
use storage_testing::{AllKept, Images, Kept};

use super::State;
use super::format::{
    self, Entry, FRAME_HEADER_BYTES, Frame, NUMBER_END, Notes, SEGMENT_HEADER_BYTES, SegmentHeader, Ticket,
    segment_number,
};
use super::gates::Gates;
use gates::GateTold;
use told::{Put, Told};

/// What a log says.
#[derive(Debug)]
pub(crate) struct Found {
    pub(crate) state: State,
    /// What the messages have beside their bodies.
    pub(crate) kept: AllKept<Vec<u8>>,
    pub(crate) gates: Gates,
    /// Deliveries may have been numbered up to here.
    pub(crate) leases: u64,
    pub(crate) frames: u64,
    /// Two queues have the same name. No store writes that, and what comes of it is not said here.
    pub(crate) ambiguous: bool,
    /// Entries contradict each other, or numbers are so high that the next ones may be too high. No store writes that,
    /// and how such a log goes on is not said here.
    pub(crate) is_impossible: bool,
}

/// Why a log is not opened.
pub(crate) type Why = String;

/// What the frames so far tell.
#[derive(Debug, Default)]
struct Tale<'a> {
    queues: BTreeMap<u64, Told<'a>>,
    /// What messages have beside their bodies, by queue and number: the last that was said of each, and its segment.
    states: BTreeMap<(u64, u64), (u32, Kept)>,
    /// What puts were called, by queue, and until which second that is remembered: the last that was said of each.
    ids: BTreeMap<(u64, &'a [u8]), u32>,
    /// The gates that there are, by their queues.
    gates: BTreeMap<u64, GateTold>,
    /// The segment that the last time is in, and its second.
    time: (u32, u32),
    leases: u64,
}

/// The files whose headers agree.
struct Files<'a> {
    log_id: u64,
    segments: BTreeMap<u32, &'a [u8]>,
    /// The numbers of all that are there, with a header or without.
    numbers: BTreeSet<u32>,
}

/// Reads a log.
pub(crate) fn read(images: &Images, options: &StoreOptions) -> Result<Found, Why> {
    let (mut files, mut unfinished) =
        (Files { log_id: 0, segments: BTreeMap::new(), numbers: BTreeSet::new() }, Vec::new());
    let mut log: Option<(u64, u64)> = None;
    for (name, image) in images {
        let Some(number) = segment_number(name) else { continue };
        files.numbers.insert(number);
        if SegmentHeader::is_newer(image) {
            return Err("a newer version".into());
        }
        match SegmentHeader::read(image) {
            Some(header) if header.number == number && header.segment_bytes == image.len() as u64 => {
                if *log.get_or_insert((header.log_id, header.segment_bytes)) != (header.log_id, header.segment_bytes) {
                    return Err("files of two logs".into());
                }
                files.segments.insert(number, image);
            }
            _ => unfinished.push((number, image)),
        }
    }
    let Some((log_id, segment_bytes)) = log else {
        // Nothing but what a first start may have left when it was interrupted.
        let zero = |image: &Vec<u8>| image.iter().skip(SEGMENT_HEADER_BYTES).all(|byte| *byte == 0);
        if !unfinished.iter().all(|(_, image)| zero(image)) {
            return Err("a file without a header is not empty".into());
        }
        // A log begins with the first; any other was being prepared while those before it held all there was.
        if unfinished.iter().any(|(number, _)| *number != 1) {
            return Err("the segments before one that was being prepared are missing".into());
        }
        let (state, kept, gates) = (State::new(), AllKept::new(), Gates::new());
        return Ok(Found { state, kept, gates, leases: 0, frames: 0, ambiguous: false, is_impossible: false });
    };
    if segment_bytes < StoreOptions::segment_bytes_min(options.body_bytes_max) as u64 {
        return Err("segments too small".into());
    }
    files.log_id = log_id;
    for (number, image) in unfinished {
        let image = &image[..image.len().min(segment_bytes as usize)];
        if files.witness(number, image, SEGMENT_HEADER_BYTES, 0) {
            return Err(format!("segment {number} has frames, and no header"));
        }
    }
    files.read()
}

impl<'a> Files<'a> {
    fn frame(&self, segment: u32, offset: usize) -> Option<Frame<'a>> {
        Frame::at(self.segments.get(&segment)?, offset, segment, self.log_id)
    }

    /// Whether a whole frame, anywhere from an offset on, says that frame `number` was on stable storage.
    fn witness(&self, segment: u32, image: &[u8], from: usize, number: u64) -> bool {
        let ends = image.len().saturating_sub(FRAME_HEADER_BYTES);
        (from..=ends).filter(|at| image[*at] == b'r').any(|at| {
            let frame = Frame::at(image, at, segment, self.log_id);
            frame.is_some_and(|frame| frame.number > number && frame.durable >= number)
        })
    }

    fn read(&self) -> Result<Found, Why> {
        let begins = |segment: &u32| self.frame(*segment, SEGMENT_HEADER_BYTES).is_some();
        let last = self.segments.keys().copied().filter(|segment| begins(segment)).max();
        let run = match last {
            Some(last) => self.run_to(last),
            None => 0..0,
        };
        let start = if last.is_some() { run.start } else { *self.segments.keys().next().expect("one at least") };
        let (mut at, mut offset) = (start, SEGMENT_HEADER_BYTES);
        let (mut frames, mut needed, mut tale) = (Vec::<Frame<'a>>::new(), 0, Tale::default());
        loop {
            let continues = |frame: &Frame<'_>| match frames.last() {
                Some(before) => frame.number == before.number + 1 && frame.previous == before.checksum,
                None => true,
            };
            if let Some(frame) = self.frame(at, offset).filter(continues) {
                apply(&mut tale, &frame, at)?;
                offset += frame.bytes();
                needed = needed.max(frame.first_segment);
                frames.push(frame);
            } else if let Some(next) = at.checked_add(1).filter(|_| !frames.is_empty())
                && self.frame(next, SEGMENT_HEADER_BYTES).is_some_and(|frame| continues(&frame))
            {
                (at, offset) = (next, SEGMENT_HEADER_BYTES);
            } else {
                break;
            }
        }
        // Before the very first sync, any part of what was written may be there.
        if frames.is_empty() && run.start > 1 {
            return Err("the oldest segment begins with no frame".into());
        }
        let missing = frames.last().map_or(0, |frame| frame.number) + 1;
        for (segment, image) in self.segments.range(at..) {
            let from = if *segment == at { offset } else { SEGMENT_HEADER_BYTES };
            if self.witness(*segment, image, from, missing) {
                return Err(format!("frame {missing} is missing"));
            }
        }
        self.is_the_end(at, missing - 1)?;
        if !frames.is_empty() && needed < run.start {
            return Err(format!("segment {needed} is missing"));
        }
        let Tale { queues: told, states, leases, gates, .. } = tale;
        complete(&told, needed)?;
        gates.values().try_for_each(|gate| gate.complete(needed))?;
        let names: BTreeSet<&[u8]> = told.values().map(|queue| queue.name).collect();
        let ambiguous = names.len() < told.len();
        let state = told.values().map(|queue| (queue.name.to_vec(), queue.state())).collect();
        let kept = told.iter().map(|(id, queue)| (queue.name.to_vec(), queue.kept(*id, &states)));
        let kept = kept.filter(|(_, kept)| !kept.is_empty()).collect();
        let in_frames = frames.iter().flat_map(|frame| [frame.number, frame.next_queue_id]);
        let in_queues = told.iter().flat_map(|(id, queue)| [*id, queue.next, queue.sets, queue.gets]);
        let is_at_its_end = in_frames.chain(in_queues).any(|number| number > NUMBER_END / 2);
        // Every message was put, those that were taken and those that wait. That may be so only at the end: the list of
        // what is gone above a head may have been in a segment that went when a later copy of it was there.
        let has_too_many = |queue: &Told<'_>| queue.sets < queue.gets.saturating_add(queue.waiting());
        // Every number is a message's that was put.
        let has_too_few = |queue: &Told<'_>| queue.sets.saturating_add(1) < queue.next;
        // Of a message to come.
        let next_id = frames.iter().map(|frame| frame.next_queue_id).chain(told.keys().map(|id| id + 1)).max();
        let is_early = |(id, seq): &(u64, u64)| match told.get(id) {
            Some(queue) => *seq >= queue.next,
            None => Some(*id) >= next_id,
        };
        // A copy is in one frame with what its message has, and so does not need the segment that said it before.
        let is_left_behind = |(id, seq): &(u64, u64), (segment, kept): &(u32, Kept)| {
            let copy = told.get(id).and_then(|queue| queue.messages.get(seq));
            *kept != Kept::default() && copy.is_some_and(|copy| copy.segment > *segment)
        };
        let is_impossible = states.keys().any(is_early)
            || states.iter().any(|(of, state)| is_left_behind(of, state))
            || is_at_its_end
            || gates.iter().any(|(id, gate)| gate.is_impossible(told[id].next))
            || told.values().any(|queue| queue.contradicts || has_too_many(queue) || has_too_few(queue));
        let gates = gates.into_iter().map(|(id, gate)| (told[&id].name.to_vec(), gate.gate)).collect();
        Ok(Found { state, kept, gates, leases, frames: frames.len() as u64, ambiguous, is_impossible })
    }

    /// Nothing may say that there was more than the frames up to one, which is in segment `at`.
    fn is_the_end(&self, at: u32, frame: u64) -> Result<(), Why> {
        if frame == 0 && !self.segments.contains_key(&1) {
            return Err("the first segment is missing".into());
        }
        let notes = |segment: u32| Notes::read(self.segments[&segment], self.log_id, segment);
        if notes(at).continued && !self.segments.contains_key(&(at + 1)) {
            return Err(format!("segment {} was begun and is missing", at + 1));
        }
        let newest = *self.segments.keys().next_back().expect("one at least");
        if let Some(gap) = (at + 1..newest).find(|number| !self.numbers.contains(number)) {
            return Err(format!("segment {gap} was made and is missing"));
        }
        let durable = self.segments.keys().map(|segment| notes(*segment).durable).max();
        if durable > Some(frame) {
            return Err(format!("frame {} is missing", frame + 1));
        }
        Ok(())
    }

    /// The segments without a gap that end with `last`.
    fn run_to(&self, last: u32) -> Range<u32> {
        let mut start = last;
        while start > 1 && self.segments.contains_key(&(start - 1)) {
            start -= 1;
        }
        start..last + 1
    }
}

/// Applies a frame's entries in their order.
fn apply<'a>(tale: &mut Tale<'a>, frame: &Frame<'a>, segment: u32) -> Result<(), Why> {
    let (mut rest, mut also) = (frame.body, Vec::new());
    // The message of a new ticket, and the queue of the record in front.
    let (mut awaited, mut recorded) = (None, None);
    while !rest.is_empty() {
        let (entry, bytes) = Entry::read(rest).ok_or("a frame is whole, and its entries are not")?;
        rest = &rest[bytes..];
        if !also.is_empty() && !matches!(entry, Entry::Put { .. }) {
            return Err("a list of messages has no put behind it".into());
        }
        if let Entry::Put { queue, seq, .. } = entry
            && (also.contains(&(queue, seq)) || also.iter().collect::<BTreeSet<_>>().len() < also.len())
        {
            return Err("a put names a message twice".into());
        }
        match (entry, awaited) {
            (Entry::Also { .. }, _) => {}
            (Entry::Put { queue, seq, .. }, Some(message)) if message == (queue, seq) => awaited = None,
            (_, Some(_)) => return Err("a new ticket has not its message behind it".into()),
            (Entry::Ticket(ticket), None) => awaited = (ticket.what & 1 == 1).then_some((ticket.queue, ticket.seq)),
            _ => {}
        }
        if let Some(gate) = recorded.take().and_then(|queue| tale.gates.get_mut(&queue)) {
            gate.stands_behind_record(&entry);
        }
        let told = &mut tale.queues;
        match entry {
            Entry::Time { second, leases } => {
                tale.time = (segment, second);
                tale.leases = tale.leases.max(leases);
                continue;
            }
            Entry::State { queue, seq, tries, not_before, expires } => {
                tale.states.insert((queue, seq), (segment, Kept { put_s: 0, tries, not_before, expires }));
                continue;
            }
            Entry::Also { pairs } => {
                also = format::pairs(pairs).ok_or("messages that are none")?;
                continue;
            }
            Entry::Id { queue, until, token } => {
                tale.ids.insert((queue, token), until);
                continue;
            }
            Entry::Take { queue, seq } => drop(tale.states.remove(&(queue, seq))),
            _ => {}
        }
        let (Entry::Record { queue, .. }
        | Entry::Put { queue, .. }
        | Entry::Take { queue, .. }
        | Entry::Gone { queue, .. }
        | Entry::Told { queue, .. }
        | Entry::Ticket(Ticket { queue, .. })
        | Entry::Freed { queue, .. }
        | Entry::Gate { queue, .. }
        | Entry::Drop { queue }) = entry
        else {
            told.values_mut().for_each(|queue| queue.head = queue.next);
            continue;
        };
        if let Entry::Drop { .. } = entry {
            told.remove(&queue);
            tale.ids.retain(|(of, _), _| *of != queue);
            tale.gates.remove(&queue);
            continue;
        }
        let queue = told.entry(queue).or_insert_with(|| Told { head: 1, next: 1, ..Told::default() });
        match entry {
            Entry::Record { queue: id, head, next, sets, gets, name, settings } => {
                let before = [queue.head, queue.next, queue.sets, queue.gets];
                // A list in front of it may begin with what the head has passed since.
                queue.contradicts |= before.iter().zip([head, next, sets, gets]).any(|(before, now)| *before > now);
                queue.contradicts |= !queue.name.is_empty() && queue.name != name;
                queue.name = if queue.name.is_empty() { name } else { queue.name };
                queue.head = queue.head.max(head);
                queue.next = queue.next.max(next).max(queue.head);
                queue.pass_gone();
                queue.sets = queue.sets.max(sets);
                queue.gets = queue.gets.max(gets);
                queue.settings = settings;
                let listed_in = queue.listed_in.take().filter(|_| queue.gone_above_head() > 0);
                queue.record_segment = listed_in.unwrap_or(segment);
                recorded = Some(id);
            }
            Entry::Put { seq, flags, body, .. } => {
                let second = if tale.time.0 == segment { tale.time.1 } else { 0 };
                queue.put(seq, Put { segment, second, flags, body });
                for (queue, seq) in std::mem::take(&mut also) {
                    let queue = told.entry(queue).or_insert_with(|| Told { head: 1, next: 1, ..Told::default() });
                    queue.put(seq, Put { segment, second, flags, body });
                }
            }
            Entry::Take { seq, .. } => {
                queue.contradicts |= queue.is_gone(seq) || (seq >= queue.next && !queue.name.is_empty());
                if !queue.is_gone(seq) {
                    queue.gets += 1;
                    queue.lose(seq, seq + 1);
                }
            }
            Entry::Gone { begins, ranges, .. } => {
                if begins {
                    queue.listed_in = Some(segment);
                }
                for (start, end) in format::ranges(ranges).ok_or("ranges that are none")? {
                    queue.lose(start, end);
                }
            }
            Entry::Told { settings, .. } => queue.settings = settings,
            Entry::Ticket(ticket) => tale.gates.entry(ticket.queue).or_default().ticket(&ticket, segment),
            Entry::Freed { queue, key, why, count } => {
                tale.gates.entry(queue).or_default().freed(key, why, count);
            }
            Entry::Gate { queue, counted } => tale.gates.entry(queue).or_default().counted(counted),
            Entry::Drop { .. }
            | Entry::Flush
            | Entry::Time { .. }
            | Entry::State { .. }
            | Entry::Id { .. }
            | Entry::Also { .. } => unreachable!("seen above"),
        }
    }
    if let Some(gate) = recorded.and_then(|queue| tale.gates.get_mut(&queue)) {
        gate.stands_behind_record(&Entry::Flush);
    }
    match (also.is_empty(), awaited) {
        (true, None) => Ok(()),
        (false, _) => Err("a list of messages has no put behind it".into()),
        (true, Some(_)) => Err("a new ticket has not its message behind it".into()),
    }
}

/// Nothing that waits by the records may be missing, or be in segments that are gone.
fn complete(told: &BTreeMap<u64, Told<'_>>, needed: u32) -> Result<(), Why> {
    for (id, queue) in told {
        if queue.name.is_empty() || queue.record_segment < needed {
            return Err(format!("queue {id} has no record"));
        }
        let oldest = queue.waiting_messages().map(|(_, put)| put.segment).min();
        let missing = queue.waiting_messages().count() as u64 != queue.waiting();
        if missing || oldest.is_some_and(|oldest| oldest < needed) {
            return Err(format!("queue {id} lacks messages"));
        }
    }
    Ok(())
}
