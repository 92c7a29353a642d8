//! A survey: what a log holds, read from all of its frames without changing anything, past whatever is damaged in it.
//!
//! It serves those who look at a log that no server uses (`--check`), who move what is in it to another one (another
//! number of shards), and who have to make the best of a damaged one (`--repair`).
//!
//! Where a frame is not what was written although a later one vouches for it, the survey goes on with the next whole frame.
//! Only frames of the log's last life can be whole there: what a power cut left of an earlier one lies behind the last
//! frame that another one vouches for, or it would have been a hole then.

mod surveyed;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use crate::disk::{Disk, DiskFile};
use crate::error::{Error, Result};
use crate::log::Place;
use crate::log::codec::Reader;
use crate::log::entry::{Entry, QueueId, Seq, put_bytes};
use crate::log::frame::{FrameHeader, FrameNumber};
use crate::log::frame_reader::FrameReader;
use crate::log::segment::{FIRST_SEGMENT, SEGMENT_HEADER_BYTES, SegmentHeader, segment_name, segment_number};
use crate::log::tickets::Tally;
use crate::log::{Position, damage_at};
use crate::queue::Queue;
use crate::queue::{Kept, Taken};
use crate::recovery::evidence::End;
use crate::recovery::is_zero;
use crate::recovery::rebuild::Rebuild;

pub use surveyed::{Surveyed, SurveyedGate, SurveyedTicket};

/// A part of the log that is not what was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Damaged {
    /// The file.
    pub file: String,
    /// Where in the file the part begins, in bytes.
    pub offset: u64,
    /// Its length in bytes, up to where the log is whole again; 0 when the file is missing.
    pub bytes: u64,
    /// What is wrong.
    pub what: String,
    segment: u32,
}

/// What a log holds.
#[derive(Debug)]
pub struct Survey {
    files: BTreeMap<u32, Arc<dyn DiskFile>>,
    /// The files that begin with a header of this log.
    whole: BTreeSet<u32>,
    log_id: u64,
    segment_bytes: u32,
    rebuild: Rebuild,
    damaged: Vec<Damaged>,
    frames: u64,
    /// The last frame, and its checksum; `None` before the first.
    last: Option<(FrameNumber, u32)>,
    /// The oldest segment that the last frame still needs.
    first_segment: u32,
}

fn start_of(segment: u32) -> Position {
    Position { segment, offset: SEGMENT_HEADER_BYTES as u32 }
}

impl Survey {
    /// What a survey finds where there is no log.
    #[must_use]
    pub fn nothing() -> Survey {
        Survey {
            files: BTreeMap::new(),
            whole: BTreeSet::new(),
            log_id: 0,
            segment_bytes: 0,
            rebuild: Rebuild::new(false),
            damaged: Vec::new(),
            frames: 0,
            last: None,
            first_segment: 0,
        }
    }

    /// Reads a log.
    ///
    /// # Errors
    /// When the disk cannot be read. Damage is no error here, see [`damaged`](Self::damaged).
    pub fn read(disk: &dyn Disk) -> Result<Survey> {
        let (mut files, mut sizes) = (BTreeMap::new(), BTreeMap::new());
        for name in disk.list().map_err(Error::io("list", "the log's directory"))? {
            if let Some(number) = segment_number(&name) {
                let file = disk.open(&name).map_err(Error::io("open", &name))?;
                sizes.insert(number, file.size().map_err(Error::io("stat", &name))?);
                files.insert(number, file);
            }
        }
        let mut headers = BTreeMap::new();
        for (number, file) in &files {
            let header = SegmentHeader::read(&**file, &segment_name(*number))?;
            headers.extend(header.filter(|header| header.number == *number).map(|header| (*number, header)));
        }
        // The log that most files belong to.
        let is_of = |one: &SegmentHeader, other: &SegmentHeader| {
            (one.log_id, one.segment_bytes) == (other.log_id, other.segment_bytes)
        };
        let votes = |header: &SegmentHeader| headers.values().filter(|other| is_of(header, other)).count();
        let most = headers.values().copied().max_by_key(votes);
        // When all files were cut, no frame can be longer than the longest.
        let largest = sizes.values().copied().max().unwrap_or(0);
        let most = most.filter(|_| largest > u64::from(start_of(0).offset));
        let mut survey = Survey {
            log_id: most.map_or(0, |header| header.log_id),
            segment_bytes: most.map_or(0, |header| header.segment_bytes.min(largest) as u32),
            whole: headers
                .iter()
                .filter(|(_, header)| most.is_some_and(|most| is_of(header, &most)))
                .map(|(n, _)| *n)
                .collect(),
            files,
            ..Survey::nothing()
        };
        survey.check_headers(&headers, &sizes)?;
        survey.walk()?;
        let first = survey.first_segment;
        if survey.files.range(..first).count() > 0 && !survey.is_contiguous_below(first) {
            // Segments go in their order, oldest first, so what is left below a gap may lack what ended it.
            survey.files.retain(|number, _| *number >= first);
            survey.rebuild = Rebuild::new(false);
            (survey.last, survey.frames) = (None, 0);
            survey.damaged.clear();
            survey.check_headers(&headers, &sizes)?;
            survey.walk()?;
        }
        survey.rebuild.follow_flushes();
        survey.damaged.retain(|damaged| damaged.segment >= first);
        survey.drop_namesakes();
        Ok(survey)
    }

    /// A name has one queue at a time. So of two, the older one was dropped, and what said so was in a damaged part.
    fn drop_namesakes(&mut self) {
        let mut newest: HashMap<Box<[u8]>, QueueId> = HashMap::new();
        for queue in self.rebuild.queues.iter().filter(|queue| !queue.name.is_empty()) {
            let newest = newest.entry(Box::from(&*queue.name)).or_insert(queue.id);
            *newest = queue.id.max(*newest);
        }
        let is_older = |queue: &&Queue| newest.get(&*queue.name).is_some_and(|newest| *newest != queue.id);
        let older: Vec<QueueId> = self.rebuild.queues.iter().filter(is_older).map(|queue| queue.id).collect();
        older.into_iter().for_each(|id| self.rebuild.queues.remove_unnamed(id));
    }

    fn is_contiguous_below(&self, segment: u32) -> bool {
        let oldest = self.files.keys().next().copied().unwrap_or(segment);
        (oldest..segment).all(|number| self.files.contains_key(&number))
    }

    /// The parts of the log that are not what was written.
    #[must_use]
    pub fn damaged(&self) -> &[Damaged] {
        &self.damaged
    }

    /// Whether nothing is damaged, and no message is missing.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        let is_whole = |queue: Surveyed<'_>| queue.is_whole() && self.gate(queue).is_none_or(|gate| gate.is_whole());
        self.damaged.is_empty() && self.queues().all(is_whole)
    }

    /// Whole frames.
    #[must_use]
    pub fn frames(&self) -> u64 {
        self.frames
    }

    /// The random number of the log that most of the segments belong to; `None` when no segment has a good header.
    #[must_use]
    pub fn log_id(&self) -> Option<u64> {
        (self.segment_bytes > 0).then_some(self.log_id)
    }

    /// Leases may have got numbers below this one.
    #[must_use]
    pub fn leases(&self) -> u64 {
        self.rebuild.leases
    }

    /// Bytes of a segment of this log; 0 when there is none.
    #[must_use]
    pub fn segment_bytes(&self) -> u32 {
        self.segment_bytes
    }

    /// All queues that exist, in no order.
    pub fn queues(&self) -> impl Iterator<Item = Surveyed<'_>> {
        let queues = self.rebuild.queues.iter().filter(|queue| !queue.name.is_empty() || queue.stored() > 0);
        queues.map(|queue| Surveyed { queue, log_id: self.log_id })
    }

    /// Reads a queue's messages in their order, each with what it keeps when it is moved.
    ///
    /// # Errors
    /// When the log cannot be read, or what `each` returns, which ends the reading.
    pub fn messages<E: From<Error>>(
        &self,
        queue: Surveyed<'_>,
        mut each: impl FnMut(Taken, Kept) -> std::result::Result<(), E>,
    ) -> std::result::Result<(), E> {
        let mut buffer = Vec::new();
        for (seq, message) in queue.queue.messages() {
            let (flags, body) = self.message(queue.queue.id, seq, message.place, &mut buffer)?;
            let state = self.rebuild.states.get(&(queue.queue.id, seq)).copied().unwrap_or_default();
            let kept = Kept { put_second: self.rebuild.times.of(message.place), state };
            each(Taken { seq, flags, body: body.into() }, kept)?;
        }
        Ok(())
    }

    /// What puts of a queue were called, and until which second since 1970 that is remembered.
    pub fn ids(&self, queue: Surveyed<'_>) -> impl Iterator<Item = (&[u8], u32)> {
        self.rebuild.ids.of_queue(queue.queue.id).map(|(token, id)| (token, id.until_s))
    }

    /// What there is of the gate of a queue; `None`: it has none.
    #[must_use]
    pub fn gate(&self, queue: Surveyed<'_>) -> Option<SurveyedGate> {
        let tickets = || self.rebuild.gates.of_queue(queue.queue.id);
        let tally = self.rebuild.gates.tallies.get(&queue.queue.id).copied();
        // Of a damaged log, the tickets may be all that is left.
        let tally = tally.or_else(|| tickets().next().map(|_| Tally::default()))?;
        let line = tickets().filter(|(key, _)| key.as_place().is_some()).count() as u64;
        Some(SurveyedGate { tally, valid: tickets().count() as u64 - line, line, sets: queue.sets() })
    }

    /// What the buyers of a queue's gate have, the seats first.
    pub fn tickets(&self, queue: Surveyed<'_>) -> impl Iterator<Item = SurveyedTicket<'_>> {
        self.rebuild.gates.of_queue(queue.queue.id).map(|(key, ticket)| SurveyedTicket { key, ticket })
    }

    fn message<'a>(&self, id: u64, seq: Seq, place: Place, buffer: &'a mut Vec<u8>) -> Result<(u32, &'a [u8])> {
        let file = self.files.get(&place.segment).ok_or_else(|| damage_at(place, "the segment is gone"))?;
        buffer.resize(put_bytes(place.body_bytes as usize), 0);
        let read = file.read_at(buffer, u64::from(place.offset));
        let read = read.map_err(|e| Error::io("read", segment_name(place.segment))(e))?;
        match Entry::decode(&mut Reader::new(&buffer[..read])) {
            Some(Entry::Put { queue, seq: found, flags, body })
                if (queue, found) == (id, seq)
                    || self.rebuild.shared.get(&place.position()) == Some(&(queue, found)) =>
            {
                Ok((flags, body))
            }
            _ => Err(damage_at(place, "a message that was whole a moment ago is not what was written")),
        }
    }

    /// The bytes of a damaged part.
    ///
    /// # Errors
    /// When they cannot be read.
    pub fn bytes_of(&self, damaged: &Damaged) -> Result<Vec<u8>> {
        let Some(file) = self.files.get(&damaged.segment) else { return Ok(Vec::new()) };
        let mut bytes = vec![0; damaged.bytes as usize];
        let read = file.read_at(&mut bytes, damaged.offset).map_err(Error::io("read", &damaged.file))?;
        bytes.truncate(read);
        Ok(bytes)
    }

    // ---- reading ----

    fn damage(&mut self, position: Position, bytes: u32, what: impl Into<String>) {
        self.damaged.push(Damaged {
            file: segment_name(position.segment),
            offset: u64::from(position.offset),
            bytes: u64::from(bytes),
            what: what.into(),
            segment: position.segment,
        });
    }

    fn reader(&self, position: Position) -> Option<FrameReader> {
        let file = Arc::clone(self.files.get(&position.segment)?);
        Some(FrameReader::new(file, self.log_id, position.segment, self.segment_bytes, position.offset))
    }

    /// Notes files that hold frames, and have no good header of this log or not the size that it says.
    fn check_headers(&mut self, headers: &BTreeMap<u32, SegmentHeader>, sizes: &BTreeMap<u32, u64>) -> Result<()> {
        let header_bytes = SEGMENT_HEADER_BYTES as u32;
        for number in self.files.keys().copied().collect::<Vec<_>>() {
            let position = Position { segment: number, offset: 0 };
            match headers.get(&number) {
                Some(header) if header.log_id != self.log_id && self.segment_bytes > 0 => {
                    self.damage(position, 0, "it belongs to another log than the other files here");
                    self.files.remove(&number);
                }
                Some(header) if header.segment_bytes != sizes[&number] => {
                    if self.holds_frames(number)? {
                        self.damage(position, 0, "the file has not the size that it should have");
                    }
                }
                Some(_) => {}
                None if self.segment_bytes == 0 => {
                    // Nothing tells the log's id, so no frame can be told from anything else: the whole file is unknown.
                    let file = &self.files[&number];
                    let is_new = is_zero(&**file, u64::from(header_bytes));
                    if number != FIRST_SEGMENT {
                        // A log begins with the first; this one was being prepared while others held all there was.
                        self.damage(position, 0, "the segments before it are missing");
                    } else if !is_new.map_err(Error::io("read", segment_name(number)))? {
                        let what = "the file does not begin with a segment's header of this version";
                        self.damage(position, sizes[&number] as u32, what);
                    }
                }
                None => {
                    // Without frames it is a file whose preparation was interrupted.
                    if self.holds_frames(number)? {
                        self.damage(position, header_bytes, "the file does not begin with a segment's header");
                    }
                }
            }
        }
        Ok(())
    }

    fn holds_frames(&self, number: u32) -> Result<bool> {
        match self.reader(start_of(number)) {
            Some(reader) if self.segment_bytes > 0 => Ok(reader.find(|_| true)?.is_some()),
            _ => Ok(false),
        }
    }

    /// Applies all frames, whole ones behind holes too.
    fn walk(&mut self) -> Result<()> {
        let Some(first) = self.files.keys().next().copied().filter(|_| self.segment_bytes > 0) else { return Ok(()) };
        let mut position = start_of(first);
        loop {
            position = self.follow(position)?;
            let next = start_of(position.segment + 1);
            if self.continues_at(next)? {
                position = next;
                continue;
            }
            let missing = self.last.map_or(0, |(number, _)| number + 1);
            // Before the first whole frame, any frame that was on stable storage is missing.
            let vouches = |header: &FrameHeader| header.number > missing && header.durable >= missing.max(1);
            if self.find_behind(position, vouches)?.is_none() {
                break;
            }
            let Some(resumed) = self.find_behind(position, |header| header.number >= missing)? else { break };
            self.note_hole(position, resumed, missing)?;
            let header = self.header_at(resumed)?;
            self.last = Some((header.number - 1, header.previous));
            position = resumed;
        }
        self.note_lost_end(position)?;
        let oldest = self.files.keys().next().copied().unwrap_or(0);
        for segment in self.first_segment..oldest {
            if self.frames == 0 {
                // No frame says which segments are needed.
                break;
            }
            self.damage(Position { segment, offset: 0 }, 0, "the file is missing");
        }
        Ok(())
    }

    /// Notes what is missing behind the last frame, by what the files say.
    fn note_lost_end(&mut self, tail: Position) -> Result<()> {
        let whole: BTreeMap<u32, Arc<dyn DiskFile>> = self
            .files
            .iter()
            .filter(|(number, _)| self.whole.contains(number))
            .map(|(number, file)| (*number, Arc::clone(file)))
            .collect();
        let frame = self.last.map_or(0, |(number, _)| number);
        let end = End { log_id: self.log_id, files: &whole, tail, frame };
        if let Some((position, what)) = end.find_loss(|number| self.files.contains_key(&number))? {
            self.damage(position, 0, what);
        }
        Ok(())
    }

    /// Applies frames from a position on as long as each continues the one before. Returns where that ended.
    fn follow(&mut self, position: Position) -> Result<Position> {
        let segment = position.segment;
        let Some(mut reader) = self.reader(position) else { return Ok(position) };
        loop {
            let offset = reader.offset();
            let last = self.last;
            let Some(frame) = reader.next()?.filter(|frame| continues(last, &frame.header)) else {
                return Ok(Position { segment, offset });
            };
            let (header, at) = (frame.header, Position { segment, offset: frame.body_offset });
            let understood = self.rebuild.apply_frame(frame.body, at);
            if !understood {
                let what = format!("frame {} is whole, but its entries are not", header.number);
                self.damage(Position { segment, offset }, header.frame_bytes() as u32, what);
            }
            self.last = Some((header.number, header.checksum));
            self.first_segment = self.first_segment.max(header.first_segment);
            self.frames += 1;
        }
    }

    fn continues_at(&self, position: Position) -> Result<bool> {
        let Some(mut reader) = self.reader(position) else { return Ok(false) };
        Ok(self.last.is_some() && reader.next()?.is_some_and(|frame| continues(self.last, &frame.header)))
    }

    /// The first whole frame at or behind a position, in this segment or a later one, that is what is looked for.
    fn find_behind(&self, from: Position, is_it: impl Fn(&FrameHeader) -> bool) -> Result<Option<Position>> {
        let behind = self.files.range(from.segment + 1..).map(|(segment, _)| start_of(*segment));
        for position in std::iter::once(from).chain(behind) {
            let Some(reader) = self.reader(position) else { continue };
            if let Some(offset) = reader.find(&is_it)? {
                return Ok(Some(Position { offset, ..position }));
            }
        }
        Ok(None)
    }

    fn header_at(&self, position: Position) -> Result<FrameHeader> {
        let mut reader = self.reader(position).expect("a frame was found there");
        Ok(reader.next()?.expect("a frame was found there").header)
    }

    /// Notes what lies between the end of one run of frames and the beginning of the next. `missing` is the frame that
    /// should have followed; 0 when there was none before.
    fn note_hole(&mut self, from: Position, to: Position, missing: FrameNumber) -> Result<()> {
        let what =
            format!("frame {missing} is not what was written, although a later one says that it was on the disk");
        let what = if missing == 0 { "the oldest segment does not begin with a whole frame".to_string() } else { what };
        if from.segment == to.segment {
            if from != to || missing > 0 {
                self.damage(from, to.offset - from.offset, what);
            }
            return Ok(());
        }
        let between = from.segment + 1..to.segment;
        let absent: Vec<u32> = between.clone().filter(|segment| !self.files.contains_key(segment)).collect();
        // What ended before a segment's end goes on in the next one. So if that is missing, nothing may be wrong here.
        let began = self.reader(from).is_some_and(|reader| reader.begins_a_frame().unwrap_or(true));
        if began || absent.is_empty() {
            self.damage(from, self.segment_bytes - from.offset, what.clone());
        }
        for segment in between {
            match self.files.contains_key(&segment) {
                true => self.damage(start_of(segment), self.segment_bytes - start_of(segment).offset, what.clone()),
                false => self.damage(Position { segment, offset: 0 }, 0, "the file is missing"),
            }
        }
        if to != start_of(to.segment) {
            self.damage(start_of(to.segment), to.offset - start_of(to.segment).offset, what);
        }
        Ok(())
    }
}

fn continues(last: Option<(FrameNumber, u32)>, header: &FrameHeader) -> bool {
    last.is_none_or(|(number, checksum)| header.number == number + 1 && header.previous == checksum)
}
