//! Bodies that come back into memory.

use crate::error::{Error, Result};
use crate::log::codec::Reader;
use crate::log::entry::{Entry, Seq, put_bytes};
use crate::log::{Log, Place, Shared, damage_at};
use crate::memory::Memory;
use crate::queue::live::Live;
use crate::queue::table::Slot;
use crate::queue::{Queue, resident_bytes};

/// Read ahead for one queue at once, in bytes; less under a small budget.
const READ_AHEAD_BYTES: usize = 256 << 10;
/// Read ahead for one queue at once, in messages.
const READ_AHEAD_MESSAGES: usize = 128;
/// Two puts that are no farther apart are read in one go.
const GAP_BYTES_MAX: u32 = 4 << 10;

impl Memory {
    /// Brings the bodies of a queue's messages from a number on into memory, beginning with that message's, which is
    /// not there. `false`: another thread has to read it first.
    ///
    /// # Errors
    /// When the log cannot be read, or does not hold what it should.
    pub(crate) fn read_ahead(&mut self, live: &mut Live, log: &Log, slot: Slot, from: Seq) -> Result<bool> {
        let bytes_max = READ_AHEAD_BYTES.min(self.bytes_max / 8);
        let mut absent = Vec::with_capacity(READ_AHEAD_MESSAGES);
        let mut bytes = 0;
        for (seq, message) in live.queues.at(slot).messages_from(from).take(READ_AHEAD_MESSAGES) {
            bytes += resident_bytes(message.place.body_bytes as usize);
            if message.body.is_some() || (bytes > bytes_max && !absent.is_empty()) {
                break;
            }
            absent.push((seq, message.place));
        }
        let mut filled = 0;
        while filled < absent.len() {
            let puts = &absent[filled..];
            let Some(in_window) = self.has_window(log, puts)? else { return Ok(filled > 0) };
            if !in_window && filled == 0 {
                will_need(log, puts[puts.len() - 1].1);
            }
            let (n, result) = if in_window {
                self.fill_from_window(live, log, slot, puts)
            } else {
                self.fill_alone(live, log, slot, puts)
            };
            if n == 0 && result.is_ok() {
                return Ok(filled > 0);
            }
            filled += n;
            match result {
                // The take of that message reports it. The messages before it are good.
                Err(Error::Damage { .. }) if filled > 0 => break,
                result => result?,
            }
            // Other queues need the same window, and then the next: this one does not read far ahead of them.
            if in_window {
                break;
            }
        }
        Ok(true)
    }

    /// Gives what one message was put with, flags and body, to `with`, and brings nothing into memory. `None`: another thread
    /// has to read it first.
    ///
    /// # Errors
    /// When the log cannot be read, or does not hold what it should.
    pub(crate) fn read_one<T>(
        &mut self,
        queue: &Queue,
        (seq, place): (Seq, Place),
        log: &Log,
        with: impl FnOnce(u32, &[u8]) -> T,
    ) -> Result<Option<T>> {
        if self.windows.get(place).is_none() && !self.read(log, place, place)? {
            return Ok(None);
        }
        let put = self.windows.get(place).unwrap_or(&self.scratch);
        decode(queue, seq, place, put, &log.shared).map(|(flags, body)| Some(with(flags, body)))
    }

    /// Whether the first of these puts is in a window; reads one that is worth it. `None`: another thread has to read it
    /// first.
    fn has_window(&mut self, log: &Log, puts: &[(Seq, Place)]) -> Result<Option<bool>> {
        let place = puts[0].1;
        if self.windows.get(place).is_some() {
            return Ok(Some(true));
        }
        if !self.windows.is_worth_reading(puts.iter().map(|(_, place)| *place)) {
            return Ok(Some(false));
        }
        let segment = log.segment(place.segment).ok_or_else(|| damage_at(place, "the segment is gone"))?;
        let written_end = log.written_end(place.segment);
        if !self.windows.read(place, written_end, |bytes, offset| self.reads.read(segment, bytes, offset))? {
            return Ok(None);
        }
        will_need(log, place);
        Ok(Some(self.windows.get(place).is_some()))
    }

    /// Gives the leading messages their bodies that are in windows. Returns how many, and what is wrong with the next.
    fn fill_from_window(
        &mut self,
        live: &mut Live,
        log: &Log,
        slot: Slot,
        puts: &[(Seq, Place)],
    ) -> (usize, Result<()>) {
        let queue = live.queues.at_mut(slot);
        for (at, (seq, place)) in puts.iter().enumerate() {
            let Some(put) = self.windows.get(*place) else { return (at, Ok(())) };
            match fill(queue, *seq, *place, put, &log.shared) {
                Ok(bytes) => live.resident += bytes,
                Err(error) => return (at, Err(error)),
            }
        }
        (puts.len(), Ok(()))
    }

    /// Gives the leading messages their bodies by one read for them alone. Returns how many, none when another thread has
    /// to read them first, and what is wrong with the next.
    fn fill_alone(&mut self, live: &mut Live, log: &Log, slot: Slot, puts: &[(Seq, Place)]) -> (usize, Result<()>) {
        let puts = &puts[..=contiguous(puts)];
        let (first, last) = (puts[0].1, puts[puts.len() - 1].1);
        match self.read(log, first, last) {
            Ok(true) => {}
            Ok(false) => return (0, Ok(())),
            Err(error) => return (0, Err(error)),
        }
        let queue = live.queues.at_mut(slot);
        for (at, (seq, place)) in puts.iter().enumerate() {
            let start = (place.offset - first.offset) as usize;
            let put = self.scratch.get(start..start + put_bytes(place.body_bytes as usize)).unwrap_or_default();
            match fill(queue, *seq, *place, put, &log.shared) {
                Ok(bytes) => live.resident += bytes,
                Err(error) => return (at, Err(error)),
            }
        }
        (puts.len(), Ok(()))
    }

    /// Reads the puts from `first` to `last`, which are in the same segment, into the scratch buffer. `false`: another
    /// thread has to do it first.
    fn read(&mut self, log: &Log, first: Place, last: Place) -> Result<bool> {
        assert!(log.is_written(last), "a body that left memory is on the disk");
        let bytes = last.end() - first.offset;
        self.scratch.resize(bytes as usize, 0);
        let segment = log.segment(first.segment).ok_or_else(|| damage_at(first, "the segment is gone"))?;
        let read = self.reads.read(segment, &mut self.scratch, u64::from(first.offset))?;
        self.scratch.truncate(read.unwrap_or(0));
        Ok(read.is_some())
    }
}

/// Has the kernel read on behind a put while the messages before it are handed out.
fn will_need(log: &Log, place: Place) {
    if let Some(segment) = log.segment(place.segment) {
        segment.file.will_need(u64::from(place.offset), 4 * READ_AHEAD_BYTES as u64);
    }
}

/// Gives a message its body out of the bytes at its place. Returns how many resident bytes that added.
fn fill(queue: &mut Queue, seq: Seq, place: Place, put: &[u8], shared: &Shared) -> Result<usize> {
    let (flags, body) = decode(queue, seq, place, put, shared)?;
    Ok(queue.fill(seq, flags, body))
}

/// The flags and the body of a message, out of the bytes at its place.
fn decode<'a>(queue: &Queue, seq: Seq, place: Place, put: &'a [u8], shared: &Shared) -> Result<(u32, &'a [u8])> {
    match Entry::decode(&mut Reader::new(put)) {
        Some(Entry::Put { queue: id, seq: found, flags, body })
            if (id, found) == (queue.id, seq) || shared.named(place.position()) == Some((id, found)) =>
        {
            Ok((flags, body))
        }
        _ => {
            let name = String::from_utf8_lossy(&queue.name);
            Err(damage_at(place, format!("message {seq} of queue \"{name}\" is not what was written")))
        }
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
