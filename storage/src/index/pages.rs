//! Pages: what the index's values hold.
//!
//! A sequence of pages is written by one checkpoint, or one start, under that one's generation, and never written over by
//! a later one. What it stands for names the sequence with its [`Sum`], so a page that is missing, older or newer than
//! the others, or another sequence's, is seen.

use crc32fast::Hasher;

use crate::log::codec::Reader;

/// A value is at most so many bytes, since sled's memory is bounded for such only.
pub(crate) const VALUE_BYTES_MAX: usize = 4096;
/// Checksum u32, generation u64.
pub(crate) const PAGE_HEADER_BYTES: usize = 12;
/// The largest item.
pub(crate) const ITEM_BYTES_MAX: usize = VALUE_BYTES_MAX - PAGE_HEADER_BYTES;

/// Which sequence of pages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Pages {
    /// The list of a checkpoint's directories.
    Contents(u64),
    /// A segment's directory.
    Directory { segment: u32, generation: u64 },
    /// The queues' records.
    Records(u64),
}

impl Pages {
    /// The key of a page.
    pub(crate) fn key(self, page: u32) -> Vec<u8> {
        let mut key = Vec::with_capacity(17);
        match self {
            Pages::Contents(_) => key.push(b'C'),
            Pages::Directory { segment, .. } => {
                key.push(b'D');
                key.extend_from_slice(&segment.to_be_bytes());
            }
            Pages::Records(_) => key.push(b'R'),
        }
        key.extend_from_slice(&self.generation().to_be_bytes());
        key.extend_from_slice(&page.to_be_bytes());
        key
    }

    pub(crate) fn generation(self) -> u64 {
        match self {
            Pages::Contents(generation) | Pages::Directory { generation, .. } | Pages::Records(generation) => {
                generation
            }
        }
    }
}

/// A page's key and value.
pub(crate) type Page = (Vec<u8>, Vec<u8>);

/// What tells a sequence of pages from any other.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Sum {
    /// How many there are.
    pub(crate) pages: u32,
    /// The CRC-32 of all pages' checksums, in their order.
    pub(crate) checksum: u32,
}

/// Adds up a [`Sum`].
#[derive(Debug, Clone, Default)]
pub(crate) struct Summing {
    pages: u32,
    checksums: Hasher,
}

impl Summing {
    /// Adds the page that comes next.
    pub(crate) fn add(&mut self, value: &[u8]) {
        self.pages += 1;
        self.checksums.update(&value[..4]);
    }

    pub(crate) fn sum(self) -> Sum {
        Sum { pages: self.pages, checksum: self.checksums.finalize() }
    }
}

/// Writes the checksum of all that follows into a value's first four bytes.
pub(crate) fn seal(value: &mut [u8]) {
    let checksum = crc32fast::hash(&value[4..]);
    value[..4].copy_from_slice(&checksum.to_le_bytes());
}

/// What follows the checksum, if it is right.
pub(crate) fn unseal(value: &[u8]) -> Option<&[u8]> {
    let (checksum, rest) = value.split_first_chunk()?;
    (crc32fast::hash(rest) == u32::from_le_bytes(*checksum)).then_some(rest)
}

/// The packed items of a page of this sequence; `None`: it is none.
pub(crate) fn items(pages: Pages, value: &[u8]) -> Option<&[u8]> {
    let mut reader = Reader::new(unseal(value)?);
    (reader.u64()? == pages.generation()).then(|| reader.bytes(reader.remaining()))?
}

/// Packs items into pages. An item is never split between two.
#[derive(Debug)]
pub(crate) struct PageWriter {
    pages: Pages,
    value: Vec<u8>,
    /// For items that are packed relative to the one before on the same page; 0 at a page's beginning.
    pub(crate) before: u32,
    done: Vec<Page>,
    summing: Summing,
}

impl PageWriter {
    pub(crate) fn new(pages: Pages) -> PageWriter {
        let mut writer =
            PageWriter { pages, value: Vec::new(), before: 0, done: Vec::new(), summing: Summing::default() };
        writer.begin();
        writer
    }

    fn begin(&mut self) {
        self.before = 0;
        self.value = Vec::with_capacity(VALUE_BYTES_MAX);
        self.value.extend_from_slice(&[0; 4]);
        self.value.extend_from_slice(&self.pages.generation().to_le_bytes());
    }

    fn end(&mut self) {
        seal(&mut self.value);
        let value = std::mem::take(&mut self.value);
        let key = self.pages.key(self.summing.pages);
        self.summing.add(&value);
        self.done.push((key, value));
    }

    /// Makes sure that an item of up to so many bytes fits into the page that is being filled: a new one, if not.
    pub(crate) fn make_room(&mut self, bytes: usize) {
        assert!(bytes <= ITEM_BYTES_MAX, "an item fits into a page");
        if self.value.len() + bytes > VALUE_BYTES_MAX {
            self.end();
            self.begin();
        }
    }

    /// The page that is being filled; [`make_room`](Self::make_room) came before.
    pub(crate) fn value(&mut self) -> &mut Vec<u8> {
        &mut self.value
    }

    /// Bytes of the finished pages that were not taken yet.
    pub(crate) fn done_bytes(&self) -> usize {
        self.done.len() * VALUE_BYTES_MAX
    }

    /// Takes the finished pages.
    pub(crate) fn take_done(&mut self) -> Vec<Page> {
        std::mem::take(&mut self.done)
    }

    /// Finishes the last page and takes all that were not taken yet.
    pub(crate) fn finish(mut self) -> (Vec<Page>, Sum) {
        self.end();
        (self.done, self.summing.sum())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_hold_what_was_packed_and_no_more_than_4_kib() {
        let pages = Pages::Records(8);
        let mut writer = PageWriter::new(pages);
        for n in 0..1000u32 {
            writer.make_room(10);
            writer.value().extend_from_slice(&[n as u8; 10]);
        }
        let (written, sum) = writer.finish();
        assert!(written.len() >= 3 && sum.pages as usize == written.len());
        assert!(written.iter().all(|(_, value)| value.len() <= VALUE_BYTES_MAX));
        let keys: Vec<_> = (0..sum.pages).map(|page| pages.key(page)).collect();
        assert!(written.iter().map(|(key, _)| key).eq(&keys) && keys.is_sorted());
        let packed: Vec<u8> =
            written.iter().flat_map(|(_, value)| items(pages, value).expect("whole")).copied().collect();
        assert_eq!(packed.len(), 10_000);
        assert_eq!(items(Pages::Records(9), &written[0].1), None, "another generation's");
    }

    #[test]
    fn pages_in_another_order_have_another_sum() {
        let mut writer = PageWriter::new(Pages::Records(1));
        for n in 0..600u32 {
            writer.make_room(8);
            writer.value().extend_from_slice(&u64::from(n).to_le_bytes());
        }
        let (written, sum) = writer.finish();
        let of = |order: &[usize]| {
            let mut summing = Summing::default();
            order.iter().for_each(|page| summing.add(&written[*page].1));
            summing.sum()
        };
        assert_eq!(of(&[0, 1]), sum);
        assert!(of(&[1, 0]) != sum && of(&[0, 0]) != sum && of(&[0]) != sum);
    }
}
