//! The index: a sled tree that holds the last checkpoint, so that a start need not read the whole log.
//!
//! Nothing depends on it. It is believed only where it agrees with the log, and its loss costs one full read of it.
//!
//! | key | value |
//! |---|---|
//! | `m` | the checkpoint: [`Meta`] |
//! | `d` segment u32 page u32 | a page of a segment's directory |
//! | `q` parity u8 page u32 | a page of the queues' records; two checkpoints take turns |
//!
//! Keys are big-endian, so that they sort. A value is at most 4 KiB, since sled's memory is bounded for such only:
//! checksum u32, generation u64, last page u8, and the packed items. Items are never split between pages.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::codec::Reader;
use crate::log::Position;

const VALUE_BYTES_MAX: usize = 4096;
const PAGE_HEADER_BYTES: usize = 13;
/// sled's page cache, in bytes. Only checkpoints and starts use it.
const CACHE_BYTES: u64 = 2 << 20;
const META: &[u8] = b"m";

/// What went wrong with the index, for the log. Never a reason to stop.
#[derive(Debug)]
pub(crate) struct IndexError(pub(crate) String);

impl From<sled::Error> for IndexError {
    fn from(error: sled::Error) -> IndexError {
        IndexError(error.to_string())
    }
}

type Result<T> = std::result::Result<T, IndexError>;

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
    /// The records and directories know changes up to this frame, so the log must reach it.
    pub(crate) needs_frame: u64,
    pub(crate) next_queue_id: u64,
}

impl Meta {
    fn encode(&self) -> Vec<u8> {
        let mut out = vec![0; 4];
        for number in [self.generation, self.log_id, self.frame, self.needs_frame, self.next_queue_id] {
            out.extend_from_slice(&number.to_le_bytes());
        }
        for number in [self.position.segment, self.position.offset, self.previous] {
            out.extend_from_slice(&number.to_le_bytes());
        }
        seal(&mut out);
        out
    }

    fn decode(bytes: &[u8]) -> Option<Meta> {
        let mut reader = Reader::new(unseal(bytes)?);
        let (generation, log_id, frame) = (reader.u64()?, reader.u64()?, reader.u64()?);
        let (needs_frame, next_queue_id) = (reader.u64()?, reader.u64()?);
        let position = Position { segment: reader.u32()?, offset: reader.u32()? };
        Some(Meta { generation, log_id, position, frame, previous: reader.u32()?, needs_frame, next_queue_id })
    }
}

fn seal(value: &mut [u8]) {
    let checksum = crc32fast::hash(&value[4..]);
    value[..4].copy_from_slice(&checksum.to_le_bytes());
}

fn unseal(value: &[u8]) -> Option<&[u8]> {
    let (checksum, rest) = value.split_first_chunk()?;
    (crc32fast::hash(rest) == u32::from_le_bytes(*checksum)).then_some(rest)
}

/// Which sequence of pages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Pages {
    /// A segment's directory.
    Directory(u32),
    /// The records of a checkpoint's generation.
    Records(u64),
}

impl Pages {
    fn key(self, page: u32) -> Vec<u8> {
        let mut key = Vec::with_capacity(9);
        match self {
            Pages::Directory(segment) => {
                key.push(b'd');
                key.extend_from_slice(&segment.to_be_bytes());
            }
            Pages::Records(generation) => key.extend_from_slice(&[b'q', (generation % 2) as u8]),
        }
        key.extend_from_slice(&page.to_be_bytes());
        key
    }

    fn generation(self) -> u64 {
        match self {
            Pages::Directory(_) => 0,
            Pages::Records(generation) => generation,
        }
    }
}

/// Packs items into pages.
#[derive(Debug)]
pub(crate) struct PageWriter {
    pages: Pages,
    next: u32,
    value: Vec<u8>,
    /// For items that are packed relative to the one before on the same page; 0 at a page's beginning.
    pub(crate) before: u32,
    done: Vec<(Vec<u8>, Vec<u8>)>,
}

impl PageWriter {
    pub(crate) fn new(pages: Pages) -> PageWriter {
        let mut writer = PageWriter { pages, next: 0, value: Vec::new(), before: 0, done: Vec::new() };
        writer.begin();
        writer
    }

    fn begin(&mut self) {
        self.before = 0;
        self.value = Vec::with_capacity(VALUE_BYTES_MAX);
        self.value.extend_from_slice(&[0; 4]);
        self.value.extend_from_slice(&self.pages.generation().to_le_bytes());
        self.value.push(0);
    }

    fn end(&mut self, last: bool) {
        self.value[PAGE_HEADER_BYTES - 1] = u8::from(last);
        seal(&mut self.value);
        let value = std::mem::take(&mut self.value);
        self.done.push((self.pages.key(self.next), value));
        self.next += 1;
    }

    /// Makes sure that an item of up to so many bytes fits into the page that is being filled: a new one, if not.
    pub(crate) fn make_room(&mut self, bytes: usize) {
        assert!(bytes <= VALUE_BYTES_MAX - PAGE_HEADER_BYTES, "an item fits into a page");
        if self.value.len() + bytes > VALUE_BYTES_MAX {
            self.end(false);
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
    pub(crate) fn take_done(&mut self) -> Vec<(Vec<u8>, Vec<u8>)> {
        std::mem::take(&mut self.done)
    }

    /// Finishes the last page and takes all that were not taken yet.
    pub(crate) fn finish(mut self) -> Vec<(Vec<u8>, Vec<u8>)> {
        self.end(true);
        self.done
    }
}

/// The tree, open.
#[derive(Debug)]
pub(crate) struct Index {
    path: PathBuf,
    tree: sled::Db,
}

impl Index {
    /// Opens the index; one that does not open is thrown away and made anew, since the log knows everything. But not
    /// one that somebody has open.
    pub(crate) fn open(path: &Path) -> Result<Arc<Index>> {
        let open = || sled::Config::new().path(path).cache_capacity(CACHE_BYTES).flush_every_ms(None).open();
        let tree = match open() {
            Ok(tree) => tree,
            Err(sled::Error::Io(error)) if error.to_string().contains("could not acquire lock") => {
                return Err(IndexError(format!("{}: {error}", path.display())));
            }
            Err(error) => {
                ::log::warn!("{}: the index does not open and is made anew: {error}", path.display());
                std::fs::remove_dir_all(path).map_err(|e| IndexError(format!("{}: {e}", path.display())))?;
                open()?
            }
        };
        // sled starts its threads lazily, and they inherit the mask of the thread that made them start.
        tree.flush()?;
        Ok(Arc::new(Index { path: path.to_path_buf(), tree }))
    }

    pub(crate) fn meta(&self) -> Result<Option<Meta>> {
        Ok(self.tree.get(META)?.and_then(|value| Meta::decode(&value)))
    }

    /// Calls `each` with the packed items of every page in order. `Ok(false)`: the pages are not all there and whole,
    /// or `each` found something wrong.
    pub(crate) fn read(&self, pages: Pages, mut each: impl FnMut(&[u8]) -> bool) -> Result<bool> {
        for page in 0.. {
            let Some(value) = self.tree.get(pages.key(page))? else {
                return Ok(false);
            };
            let Some(rest) = unseal(&value) else { return Ok(false) };
            let mut reader = Reader::new(rest);
            let (Some(generation), Some(last)) = (reader.u64(), reader.u8()) else {
                return Ok(false);
            };
            let items = reader.bytes(reader.remaining()).unwrap_or_default();
            if generation != pages.generation() || !each(items) {
                return Ok(false);
            }
            if last == 1 {
                return Ok(true);
            }
        }
        Ok(false)
    }

    pub(crate) fn write(&self, pages: Vec<(Vec<u8>, Vec<u8>)>) -> Result<()> {
        for (key, value) in pages {
            debug_assert!(value.len() <= VALUE_BYTES_MAX);
            self.tree.insert(key, value)?;
        }
        Ok(())
    }

    /// Forgets the directories of segments below `first`.
    fn remove_directories_below(&self, first: u32) -> Result<()> {
        let end = Pages::Directory(first).key(0);
        for key in self.tree.range(b"d".to_vec()..end).keys() {
            self.tree.remove(key?)?;
        }
        Ok(())
    }

    /// Makes the pages durable, then the checkpoint that stands on them, and cleans up behind it.
    pub(crate) fn finish(&self, meta: &Meta, first_segment: u32) -> Result<()> {
        self.sync()?;
        self.tree.insert(META, meta.encode())?;
        self.remove_directories_below(first_segment)?;
        self.sync()
    }

    fn sync(&self) -> Result<()> {
        self.tree.flush()?;
        // sled's flush is sync_file_range, which is no barrier.
        let file = self.path.join("db");
        let sync = || File::open(&file)?.sync_data();
        sync().map_err(|e| IndexError(format!("fdatasync of {}: {e}", file.display())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn meta_comes_back_and_damage_is_seen() {
        let meta = Meta {
            generation: 3,
            log_id: 9,
            position: Position { segment: 4, offset: 64 },
            frame: 100,
            previous: 7,
            needs_frame: 120,
            next_queue_id: 55,
        };
        let mut bytes = meta.encode();
        assert_eq!(Meta::decode(&bytes), Some(meta));
        bytes[10] ^= 1;
        assert_eq!(Meta::decode(&bytes), None);
    }

    #[test]
    fn pages_hold_what_was_packed_and_no_more_than_4_kib() {
        let mut writer = PageWriter::new(Pages::Records(8));
        for n in 0..1000u32 {
            writer.make_room(10);
            writer.value().extend_from_slice(&[n as u8; 10]);
        }
        let pages = writer.finish();
        assert!(pages.len() >= 3);
        assert!(pages.iter().all(|(_, value)| value.len() <= VALUE_BYTES_MAX));
        let keys: Vec<_> = (0..pages.len() as u32).map(|page| Pages::Records(6).key(page)).collect();
        assert!(pages.iter().map(|(key, _)| key).eq(&keys), "generations of the same parity share their keys");
        let bytes: usize = pages.iter().map(|(_, value)| value.len() - PAGE_HEADER_BYTES).sum();
        assert_eq!(bytes, 10_000);
    }
}
