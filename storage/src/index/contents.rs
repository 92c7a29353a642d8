//! What a checkpoint is made of: the value that makes it count, and the list of the directories that it stands on.

use std::collections::BTreeMap;

use super::pages::{Page, PageWriter, Pages, Sum, seal, unseal};
use crate::log::Position;
use crate::log::codec::{Reader, put_varint};
use crate::log::frame::NUMBER_END;

/// A checkpoint: replaying the frames from `position` on, over the records and directories of the index, gives the
/// state of the log's end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Meta {
    pub(crate) generation: u64,
    pub(crate) log_id: u64,
    pub(crate) position: Position,
    /// The frame at `position`, and the checksum of the one before.
    pub(crate) frame: u64,
    pub(crate) previous: u32,
    /// The records and directories include changes up to this frame, so the log must reach it.
    pub(crate) needs_frame: u64,
    pub(crate) next_queue_id: u64,
    /// Leases may have got numbers below this one.
    pub(crate) leases: u64,
    /// The oldest segment that something lives in.
    pub(crate) first_segment: u32,
    pub(crate) contents: Sum,
    pub(crate) records: Sum,
}

impl Meta {
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut out = vec![0; 4];
        let next = [self.next_queue_id, self.leases];
        for number in [self.generation, self.log_id, self.frame, self.needs_frame].into_iter().chain(next) {
            out.extend_from_slice(&number.to_le_bytes());
        }
        let (contents, records) = (self.contents, self.records);
        let sums = [contents.pages, contents.checksum, records.pages, records.checksum];
        let Position { segment, offset } = self.position;
        for number in [segment, offset, self.previous, self.first_segment].iter().chain(&sums) {
            out.extend_from_slice(&number.to_le_bytes());
        }
        seal(&mut out);
        out
    }

    /// Reads it. `None`: it is damaged, or says what no checkpoint does.
    pub(crate) fn decode(bytes: &[u8]) -> Option<Meta> {
        let mut reader = Reader::new(unseal(bytes)?);
        let (generation, log_id, frame) = (reader.u64()?, reader.u64()?, reader.u64()?);
        let (needs_frame, next_queue_id, leases) = (reader.u64()?, reader.u64()?, reader.u64()?);
        let position = Position { segment: reader.u32()?, offset: reader.u32()? };
        let (previous, first_segment) = (reader.u32()?, reader.u32()?);
        let mut sum = || Some(Sum { pages: reader.u32()?, checksum: reader.u32()? });
        let (contents, records) = (sum()?, sum()?);
        let highest = generation.max(frame).max(needs_frame).max(next_queue_id).max(leases);
        let possible = frame > 0 && highest < NUMBER_END && (1..=position.segment).contains(&first_segment);
        (possible && reader.is_empty()).then_some(Meta {
            generation,
            log_id,
            position,
            frame,
            previous,
            needs_frame,
            next_queue_id,
            leases,
            first_segment,
            contents,
            records,
        })
    }
}

/// A directory that is in the index.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Written {
    /// The checkpoint, or the start, that wrote it.
    pub(crate) generation: u64,
    pub(crate) sum: Sum,
}

/// The directories in the index, by their segments.
pub(crate) type Contents = BTreeMap<u32, Written>;

/// Packs the list of a checkpoint's directories.
pub(crate) fn pack(contents: &Contents, generation: u64) -> (Vec<Page>, Sum) {
    let mut pages = PageWriter::new(Pages::Contents(generation));
    for (segment, written) in contents {
        pages.make_room(2 * 5 + 10 + 5);
        let value = pages.value();
        put_varint(value, u64::from(*segment));
        put_varint(value, written.generation);
        put_varint(value, u64::from(written.sum.pages));
        put_varint(value, u64::from(written.sum.checksum));
    }
    pages.finish()
}

/// Adds what a page holds that [`pack`] packed. `None`: these bytes are no such page.
pub(crate) fn unpack(items: &[u8], contents: &mut Contents) -> Option<()> {
    let mut reader = Reader::new(items);
    while !reader.is_empty() {
        let (segment, generation) = (reader.varint_u32()?, reader.varint()?);
        let sum = Sum { pages: reader.varint_u32()?, checksum: reader.varint_u32()? };
        contents.insert(segment, Written { generation, sum });
    }
    Some(())
}

/// The ranges of keys that are not the checkpoint's, apart from those of the directories below `from`, each up to a key
/// or to the end.
pub(crate) fn unneeded(meta: &Meta, contents: &Contents, from: u32) -> Vec<(Vec<u8>, Option<Vec<u8>>)> {
    let directories = contents.range(from..).map(|(segment, written)| {
        (Pages::Directory { segment: *segment, generation: written.generation }, written.sum.pages)
    });
    let spared = contents.range(..from).next().map(|(first, _)| {
        let first = Pages::Directory { segment: *first, generation: 0 };
        (first.key(0), Pages::Directory { segment: from, generation: 0 }.key(0))
    });
    let needed = std::iter::once((Pages::Contents(meta.generation), meta.contents.pages))
        .chain(directories)
        .chain(std::iter::once((Pages::Records(meta.generation), meta.records.pages)))
        .map(|(pages, count)| (pages.key(0), pages.key(count)))
        .chain(spared)
        .chain(std::iter::once((super::META.to_vec(), [super::META, &[0]].concat())));
    let mut needed: Vec<(Vec<u8>, Vec<u8>)> = needed.collect();
    needed.sort();
    let (mut ranges, mut at) = (Vec::new(), Vec::new());
    for (begin, end) in needed {
        if at < begin {
            ranges.push((at, Some(begin)));
        }
        at = end;
    }
    ranges.push((at, None));
    ranges
}

#[cfg(test)]
mod tests {
    use super::*;

    fn meta() -> Meta {
        Meta {
            generation: 3,
            log_id: 9,
            position: Position { segment: 4, offset: 64 },
            frame: 100,
            previous: 7,
            needs_frame: 120,
            next_queue_id: 55,
            leases: 77,
            first_segment: 4,
            contents: Sum { pages: 1, checksum: 5 },
            records: Sum { pages: 2, checksum: 6 },
        }
    }

    #[test]
    fn meta_comes_back_and_damage_is_seen() {
        let meta = meta();
        let mut bytes = meta.encode();
        assert_eq!(Meta::decode(&bytes), Some(meta));
        bytes[10] ^= 1;
        assert_eq!(Meta::decode(&bytes), None);
    }

    #[test]
    fn numbers_that_no_checkpoint_has_make_none() {
        let meta = meta();
        for impossible in [
            Meta { frame: 0, ..meta },
            Meta { frame: u64::MAX, ..meta },
            Meta { generation: u64::MAX, ..meta },
            Meta { needs_frame: u64::MAX, ..meta },
            Meta { next_queue_id: u64::MAX, ..meta },
            Meta { leases: u64::MAX, ..meta },
            Meta { first_segment: 0, ..meta },
            Meta { first_segment: 5, ..meta },
        ] {
            assert_eq!(Meta::decode(&impossible.encode()), None, "{impossible:?}");
        }
    }

    #[test]
    fn the_list_of_directories_comes_back() {
        let written =
            |n: u32| Written { generation: u64::from(n), sum: Sum { pages: n, checksum: n.wrapping_mul(77) } };
        let contents: Contents = (1..2000).map(|n| (n, written(n))).collect();
        let (pages, sum) = pack(&contents, 5);
        assert!(sum.pages > 1);
        let mut read = Contents::new();
        for (_, value) in &pages {
            unpack(super::super::pages::items(Pages::Contents(5), value).expect("whole"), &mut read).expect("whole");
        }
        assert_eq!(read, contents);
    }

    #[test]
    fn what_a_checkpoint_needs_is_in_no_range_that_it_does_not() {
        let sum = Sum { pages: 2, checksum: 0 };
        let contents: Contents = (4..8).map(|segment| (segment, Written { generation: 3, sum })).collect();
        for from in [0, 4, 6, 7] {
            let ranges = unneeded(&meta(), &contents, from);
            let is_unneeded =
                |key: &[u8]| ranges.iter().any(|(from, to)| &**from <= key && to.as_ref().is_none_or(|to| key < &**to));
            let directory = |segment, generation, page| Pages::Directory { segment, generation }.key(page);
            assert!((0..2).all(|page| !is_unneeded(&Pages::Records(3).key(page))));
            assert!(!is_unneeded(&Pages::Contents(3).key(0)) && !is_unneeded(b"c"));
            assert!((4..8).all(|segment| !is_unneeded(&directory(segment, 3, 1))));
            assert!(is_unneeded(&directory(3, 3, 0)) && is_unneeded(&directory(8, 3, 0)));
            assert!(is_unneeded(&directory(7, 2, 0)) && is_unneeded(&directory(7, 3, 2)));
            assert!(is_unneeded(&Pages::Records(2).key(0)) && is_unneeded(&Pages::Records(4).key(0)));
            assert!(is_unneeded(&Pages::Records(3).key(2)) && is_unneeded(&Pages::Contents(3).key(1)));
            assert!(is_unneeded(b"m") && is_unneeded(b"d1") && is_unneeded(b"") && is_unneeded(b"zzz"));
            assert_eq!(is_unneeded(&directory(4, 2, 0)), from <= 4, "looked at when it was written");
        }
    }
}
