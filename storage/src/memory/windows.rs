//! Windows on the log: pieces that were read lately, so that queues whose messages lie among each other's are read back
//! together, and not each message by a read of its own.

use std::mem;

use crate::error::Result;
use crate::log::Place;

/// Windows that are kept at most. Consumers that choose queues at random drift tens of megabytes apart in the log, and each
/// needs a window of its own.
const WINDOWS_MAX: usize = 128;
/// And at least, when memory is small; the windows are smaller then.
const WINDOWS_MIN: usize = 8;
/// The largest window, in bytes: as large as a read can be before it holds up others.
const WINDOW_BYTES_MAX: usize = 256 << 10;
/// Less is not worth a window.
const WINDOW_BYTES_MIN: usize = 1 << 10;
/// Of what memory may hold, all windows together take such a part at most.
const MEMORY_SHARE: usize = 8;
/// Each window is read by this part of its size longer than its stride, so that a put that crosses its end is whole. A
/// put that is larger is read alone.
const OVERLAP_SHARE: u32 = 16;
/// A window costs its read once; a put that is read alone costs as much as so many bytes of a window.
const BYTES_FOR_A_READ: u32 = 16 << 10;

/// What was read lately. What is written never changes as long as its segment is there, and no segment's number comes
/// again: so no window is ever wrong.
#[derive(Debug)]
pub(crate) struct Windows {
    /// From one window's beginning to the next's, in bytes. 0: there are no windows.
    window_bytes: u32,
    windows_max: usize,
    /// The one that was used last is first.
    windows: Vec<Window>,
    /// The buffer of one that made room, for the next.
    spare: Vec<u8>,
}

#[derive(Debug)]
struct Window {
    segment: u32,
    number: u32,
    offset: u32,
    bytes: Vec<u8>,
}

impl Window {
    fn get(&self, place: Place) -> Option<&[u8]> {
        let start = place.offset.checked_sub(self.offset).filter(|_| place.segment == self.segment)?;
        self.bytes.get(start as usize..(place.end() - self.offset) as usize)
    }
}

impl Windows {
    /// No windows yet, for a store that keeps so many bytes of bodies in memory.
    pub(crate) fn new(memory_bytes: usize) -> Windows {
        let share = memory_bytes / MEMORY_SHARE;
        let bytes = (share / WINDOWS_MIN).min(WINDOW_BYTES_MAX);
        let bytes = if bytes < WINDOW_BYTES_MIN { 0 } else { bytes };
        let windows_max = share.checked_div(bytes).unwrap_or(0).min(WINDOWS_MAX);
        Windows { window_bytes: bytes as u32, windows_max, windows: Vec::new(), spare: Vec::new() }
    }

    /// The bytes of a put, if they are here.
    pub(crate) fn get(&mut self, place: Place) -> Option<&[u8]> {
        let at = self.windows.iter().position(|window| window.get(place).is_some())?;
        self.windows[..=at].rotate_right(1);
        self.windows[0].get(place)
    }

    /// Forgets those on segments that have gone: they end with the backlog that they were read for.
    pub(crate) fn forget_before(&mut self, first_segment: u32) {
        self.windows.retain(|window| window.segment >= first_segment);
    }

    /// Bytes that they take in memory.
    pub(crate) fn resident_bytes(&self) -> usize {
        self.windows.len() * (self.window_bytes + self.window_bytes / OVERLAP_SHARE) as usize
    }

    /// Whether so many of a queue's next puts begin in the same window as the first that it is worth its read, and the
    /// first does not end behind it.
    pub(crate) fn is_worth_reading(&self, puts: impl Iterator<Item = Place>) -> bool {
        if self.window_bytes == 0 {
            return false;
        }
        let key = |place: Place| (place.segment, place.offset / self.window_bytes);
        let mut puts = puts.peekable();
        let Some(first) = puts.peek().copied() else { return false };
        let window_end = key(first)
            .1
            .saturating_mul(self.window_bytes)
            .saturating_add(self.window_bytes + self.window_bytes / OVERLAP_SHARE);
        if first.end() > window_end {
            return false;
        }
        let (keys, first) = (puts.map(key), Some(key(first)));
        keys.take_while(|key| Some(*key) == first).count() >= self.window_bytes.div_ceil(BYTES_FOR_A_READ) as usize
    }

    /// Reads the window that a put begins in, by a function that reads its segment at an offset, in place of the one that
    /// was used longest ago. The segment is written up to `written_end`; what is behind that is not looked at. `false`: the
    /// function says that it cannot be read yet, and nothing was changed.
    ///
    /// # Errors
    /// When the segment cannot be read.
    pub(crate) fn read(
        &mut self,
        place: Place,
        written_end: u32,
        read_at: impl FnOnce(&mut [u8], u64) -> Result<Option<usize>>,
    ) -> Result<bool> {
        let number = place.offset / self.window_bytes;
        let offset = number * self.window_bytes;
        let end = offset.saturating_add(self.window_bytes + self.window_bytes / OVERLAP_SHARE).min(written_end);
        assert!(place.offset < end, "a body that left memory is on the disk");
        self.spare.resize((end - offset) as usize, 0);
        let Some(read) = read_at(&mut self.spare, u64::from(offset))? else { return Ok(false) };
        let is_same = |window: &Window| (window.segment, window.number) == (place.segment, number);
        let old = self.windows.iter().position(is_same);
        let old = old.or_else(|| self.windows.len().checked_sub(1).filter(|last| last + 1 == self.windows_max));
        let freed = old.map(|at| self.windows.remove(at).bytes).unwrap_or_default();
        let mut bytes = mem::replace(&mut self.spare, freed);
        bytes.truncate(read);
        self.windows.insert(0, Window { segment: place.segment, number, offset, bytes });
        Ok(true)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::log::entry::put_bytes;

    /// Eight of them, of 16 KiB.
    const MEMORY_BYTES: usize = 1 << 20;
    const BYTES: u32 = 16 << 10;

    fn place(segment: u32, offset: u32) -> Place {
        Place { segment, offset, body_bytes: 100 }
    }

    /// Every byte is its offset's, and those that are not written yet are zeros.
    fn byte(offset: u32) -> u8 {
        (offset % 251) as u8 + 1
    }

    fn read(windows: &mut Windows, place: Place, written_end: u32) {
        let fill = |bytes: &mut [u8], offset: u64| {
            for (at, to) in (offset as u32..).zip(bytes.iter_mut()) {
                *to = if at < written_end { byte(at) } else { 0 };
            }
            Ok(Some(bytes.len()))
        };
        assert!(windows.read(place, written_end, fill).expect("it can be read"));
    }

    #[track_caller]
    fn assert_has(windows: &mut Windows, place: Place) {
        let expected: Vec<u8> = (place.offset..place.end()).map(byte).collect();
        assert_eq!(windows.get(place), Some(expected.as_slice()));
    }

    #[test]
    fn what_was_not_written_when_a_window_was_read_is_not_in_it() {
        let mut windows = Windows::new(MEMORY_BYTES);
        let (first, next) = (place(1, 100), place(1, 100 + put_bytes(100) as u32));
        read(&mut windows, first, next.offset);
        assert_has(&mut windows, first);
        assert_eq!(windows.get(next), None);
        read(&mut windows, next, next.end());
        assert_has(&mut windows, next);
        assert_has(&mut windows, first);
        assert_eq!(windows.windows.len(), 1, "it has replaced itself");
        assert_eq!(windows.get(place(2, 100)), None, "another segment");
    }

    #[test]
    fn a_read_that_is_not_done_yet_changes_nothing() {
        let mut windows = Windows::new(MEMORY_BYTES);
        for number in 0..8 {
            read(&mut windows, place(1, number * BYTES), u32::MAX);
        }
        assert!(!windows.read(place(2, 0), u32::MAX, |_, _| Ok(None)).expect("nothing failed"));
        assert_eq!(windows.get(place(2, 0)), None);
        (0..8).for_each(|number| assert_has(&mut windows, place(1, number * BYTES)));
    }

    #[test]
    fn a_put_at_the_end_of_a_window_is_whole_unless_it_is_large() {
        let mut windows = Windows::new(MEMORY_BYTES);
        let last = place(1, 2 * BYTES - 1);
        read(&mut windows, last, u32::MAX);
        assert_has(&mut windows, last);
        assert_has(&mut windows, place(1, BYTES));
        assert_eq!(windows.get(Place { body_bytes: BYTES / OVERLAP_SHARE, ..last }), None);
        assert_eq!(windows.get(place(1, BYTES - 1)), None, "it begins before the window");
    }

    #[test]
    fn the_window_that_was_used_longest_ago_makes_room() {
        let mut windows = Windows::new(MEMORY_BYTES);
        for number in 0..8 {
            read(&mut windows, place(1, number * BYTES), u32::MAX);
        }
        assert!(windows.resident_bytes() <= MEMORY_BYTES / MEMORY_SHARE * 17 / 16);
        assert_has(&mut windows, place(1, 0));
        read(&mut windows, place(2, 0), u32::MAX);
        assert_has(&mut windows, place(1, 0));
        assert_eq!(windows.get(place(1, BYTES + 2000)), None);
        windows.forget_before(2);
        assert_eq!(windows.get(place(1, 0)), None);
        assert_has(&mut windows, place(2, 0));
        assert_eq!(windows.windows.len(), 1);
    }

    #[test]
    fn a_window_is_read_for_as_many_puts_as_it_is_worth() {
        let puts = |count: u32, apart: u32| (0..count).map(move |n| place(1, n * apart));
        // 256 KiB for 16 puts.
        let large = Windows::new(1 << 28);
        assert!(large.is_worth_reading(puts(16, 16_000)));
        assert!(!large.is_worth_reading(puts(15, 100)), "too few");
        assert!(!large.is_worth_reading(puts(16, 20_000)), "too few of them in the first one's window");
        assert!(Windows::new(MEMORY_BYTES).is_worth_reading(puts(1, 0)));
        let crosses = Place { body_bytes: 3000, ..place(1, BYTES - 1) };
        assert!(!Windows::new(MEMORY_BYTES).is_worth_reading([crosses].into_iter()), "it ends behind the window");
        assert!(!Windows::new(1000).is_worth_reading(puts(1000, 100)), "there are none");
    }
}
