//! What tells the end of a log from its loss.
//!
//! The last frames of a log may be torn, and that is no damage. But what was on stable storage leaves traces elsewhere:
//! frames vouch for those before them, a segment's [notes](crate::log::segment_notes) say that the next one was begun
//! and which frame was durable, and segments are made one after the other.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::walk::Walk;
use super::{LogFiles, damage, start_of};
use crate::disk::DiskFile;
use crate::error::Result;
use crate::log::Position;
use crate::log::frame::FrameNumber;
use crate::log::segment::segment_name;
use crate::log::segment_notes::{Noted, SegmentNotes};

/// The segments of a log, and where its frames end.
#[derive(Debug)]
pub(crate) struct End<'a> {
    pub(crate) log_id: u64,
    /// Those with a good header.
    pub(crate) files: &'a BTreeMap<u32, Arc<dyn DiskFile>>,
    /// Behind the last frame.
    pub(crate) tail: Position,
    /// The last frame; 0 when there is none.
    pub(crate) frame: FrameNumber,
}

impl End<'_> {
    /// Looks for a proof that there was more: where it should be, and what proves it. `is_there` says whether there is
    /// a file of a number, with a good header or without.
    ///
    /// # Errors
    /// When a header cannot be read.
    pub(crate) fn find_loss(&self, is_there: impl Fn(u32) -> bool) -> Result<Option<(Position, String)>> {
        let missing = |segment, what: String| Ok(Some((Position { segment, offset: 0 }, what)));
        if let Some((&oldest, _)) = self.files.first_key_value().filter(|(oldest, _)| self.frame == 0 && **oldest > 1) {
            let oldest = segment_name(oldest);
            return missing(
                1,
                format!("the file is missing, although {oldest} is there, and no frame says that it may be"),
            );
        }
        let (tail, next) = (self.tail.segment, self.tail.segment + 1);
        if self.notes(tail)?.continued && !self.files.contains_key(&next) {
            let before = segment_name(tail);
            return missing(
                next,
                format!("the file is missing, or has no segment's header, although {before} says that it was in use"),
            );
        }
        for (expected, (&number, _)) in (next..).zip(self.files.range(next..)) {
            let gap = (expected..number).find(|number| !is_there(*number));
            if let Some(gap) = gap {
                let later = segment_name(number);
                return missing(gap, format!("the file is missing, although {later} was made after it"));
            }
        }
        for &segment in self.files.keys() {
            let durable = self.notes(segment)?.durable;
            if durable > self.frame {
                let (lost, name) = (self.frame + 1, segment_name(segment));
                let what = format!(
                    "frame {lost} is not what was written, although the header of {name} says that frame {durable} was \
                     on the disk"
                );
                return Ok(Some((self.tail, what)));
            }
        }
        Ok(None)
    }

    fn notes(&self, segment: u32) -> Result<Noted> {
        let Some(file) = self.files.get(&segment) else { return Ok(Noted::default()) };
        SegmentNotes::new(Arc::clone(file), self.log_id, segment).read()
    }
}

impl LogFiles {
    /// Tells the end of the log from a hole in it: nothing may say that there was more on stable storage than the walk
    /// came to.
    pub(super) fn check_end(&self, walk: &Walk) -> Result<()> {
        let missing = walk.tail.frame + 1;
        let tail = walk.tail.position;
        let behind = self.files.range(tail.segment + 1..).map(|(segment, _)| start_of(*segment));
        for position in std::iter::once(tail).chain(behind) {
            let Some(reader) = self.reader(position) else { continue };
            if let Some(offset) = reader.find_voucher(missing)? {
                let witness = segment_name(position.segment);
                let what = format!(
                    "frame {missing} is not what was written, although the frame at offset {offset} of {witness} says \
                     that it was on the disk"
                );
                return Err(damage(tail, what));
            }
        }
        let end = End { log_id: self.log_id, files: &self.files, tail, frame: walk.tail.frame };
        let loss = end.find_loss(|number| self.files.contains_key(&number) || self.unfinished.contains_key(&number))?;
        loss.map_or(Ok(()), |(position, what)| Err(damage(position, what)))
    }
}
