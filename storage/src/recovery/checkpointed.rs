//! Starting from the index: what a checkpoint holds, and the frames behind it.

use super::walk::Walk;
use super::{LogFiles, start_of};
use crate::error::Result;
use crate::index::items::{LocatedReader, RecordItem, read_records};
use crate::index::{Contents, Index, IndexError, Meta, Pages};
use crate::log::entry::Entry;
use crate::log::segment::segment_name;
use crate::log::{Position, Tail};
use crate::recovery::rebuild::Rebuild;

/// Why the index is not believed.
pub(super) enum Stale {
    /// It is no checkpoint of this log, or of an earlier state than its segments; nothing is wrong with that.
    Old(String),
    /// It was built on more than the log has.
    Ahead(String),
}

impl Stale {
    pub(super) fn report(&self) {
        match self {
            Stale::Old(why) => ::log::debug!("the index is of no use, reading the whole log: {why}"),
            Stale::Ahead(why) => ::log::warn!("the index is not this log's, perhaps of a later copy: {why}"),
        }
    }
}

fn old(why: impl Into<String>) -> Stale {
    Stale::Old(why.into())
}

impl From<IndexError> for Stale {
    fn from(IndexError(what): IndexError) -> Stale {
        Stale::Old(what)
    }
}

impl LogFiles {
    /// Loads the checkpoint and replays what came after it.
    pub(super) fn load(&self, index: &Index) -> Result<std::result::Result<(Walk, Meta), Stale>> {
        let (rebuild, contents, meta) = match self.load_checkpoint(index) {
            Ok(loaded) => loaded,
            Err(stale) => return Ok(Err(stale)),
        };
        let tail = Tail {
            position: meta.position,
            frame: meta.frame - 1,
            checksum: meta.previous,
            next_queue_id: meta.next_queue_id,
            leases: meta.leases,
        };
        let first = *self.run_ending_with(meta.position.segment).start();
        let mut walk = Walk { contents, first_segment: meta.first_segment, ..Walk::new(rebuild, tail) };
        self.walk(&mut walk, None)?;
        walk.rebuild.follow_flushes();
        let (ends, needs) = (walk.tail.frame, meta.needs_frame);
        let stale = if ends < needs {
            Some(Stale::Ahead(format!("it was built on frame {needs}, and the log ends with frame {ends}")))
        } else if walk.first_segment < first {
            Some(old("segments are missing"))
        } else if let Err(error) = self.check_end(&walk) {
            // The whole log, read next, has the same damage, and a better report of it.
            Some(old(error.to_string()))
        } else {
            walk.rebuild.incomplete(walk.first_segment, walk.tail.position).map(Stale::Old)
        };
        Ok(match stale {
            Some(why) => Err(why),
            None => Ok((walk, meta)),
        })
    }

    fn load_checkpoint(&self, index: &Index) -> std::result::Result<(Rebuild, Contents, Meta), Stale> {
        let meta = index.meta()?.ok_or_else(|| old("there is no checkpoint"))?;
        if meta.log_id != self.log_id {
            return Err(old("it belongs to another log"));
        }
        let last = meta.position.segment;
        if !self.files.contains_key(&last) {
            return Err(old(format!("{} is gone", segment_name(last))));
        }
        if !(start_of(last).offset..=self.segment_bytes).contains(&meta.position.offset) {
            return Err(old("its position is in no segment"));
        }
        let mut contents = index.contents(&meta)?.ok_or_else(|| old("its list of directories is not whole"))?;
        let mut rebuild = Rebuild::new(true);
        let whole = index.read(Pages::Records(meta.generation), meta.records, |items| {
            read_records(items, |item| match item {
                RecordItem::Record(record, segment) => {
                    rebuild.apply(&Entry::Record(record), Position { segment, offset: 0 });
                }
                RecordItem::Gone(queue, ranges) => rebuild.know_gone(queue, ranges),
                RecordItem::State(queue, seq, state) => rebuild.know_state(queue, seq, state),
                RecordItem::Id(queue, token, id) => rebuild.know_id(queue, id.until_s, token, id.segment),
                RecordItem::Ticket(queue, key, buyer, terms, segment) => {
                    rebuild.gates.know(queue, key, buyer, terms, segment);
                }
                RecordItem::Tally(queue, tally) => rebuild.gates.tally(queue).raise(&tally),
                RecordItem::Flush(at) => rebuild.know_flush(at),
            })
            .is_some()
        })?;
        if !whole {
            return Err(old("its records are not whole"));
        }
        rebuild.end_records();
        // Nothing may live in the oldest by now; a message is missing in the end if one is gone that is needed.
        let run = self.run_ending_with(last);
        contents.retain(|segment, _| run.contains(segment));
        for (&segment, written) in &contents {
            let pages = Pages::Directory { segment, generation: written.generation };
            let mut reader = LocatedReader::new(segment, self.segment_bytes);
            let whole = index.read(pages, written.sum, |items| {
                let mut located = Vec::new();
                let whole = reader.read(items, |put| located.push(put), |at, second| rebuild.know_time(at, second));
                located.iter().for_each(|located| rebuild.locate(located, meta.position));
                whole.is_some()
            })?;
            if !whole {
                return Err(old(format!("its directory of {} is not whole", segment_name(segment))));
            }
        }
        Ok((rebuild, contents, meta))
    }
}
