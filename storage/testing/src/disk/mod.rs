//! A disk in memory that forgets what was not synced.
//!
//! It keeps a live image, which reads see, and a durable one. What was written since the last sync of a file may be
//! there after a power cut, or not, or in parts: sector by sector in any order, with one torn at any byte. Creates,
//! renames and removes since the last sync of the directory survive up to some point of their order.

mod file;
mod state;

use std::collections::BTreeMap;
use std::io;
use std::mem;
use std::sync::{Arc, Mutex, MutexGuard};

use crate::random::Random;
use state::{Image, State, change, survive, write};

/// Names of files, and what is in them.
pub type Images = BTreeMap<String, Vec<u8>>;

/// What fails, and when.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// A write fails after so many bytes of it.
    Write {
        /// How much is written before it fails.
        after_bytes: usize,
    },
    /// An fdatasync fails.
    Sync,
    /// Making, opening, renaming or unlinking a file fails, setting room aside for one, or syncing the directory, with this
    /// error number.
    Name {
        /// The error's number.
        errno: i32,
    },
}

/// The disk; clones are the same disk.
#[derive(Debug, Clone, Default)]
pub struct CrashDisk(Arc<Mutex<State>>);

impl CrashDisk {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap()
    }

    /// Counts an operation of what crashes together with this disk.
    pub fn operate(&self) -> io::Result<()> {
        self.state().operation()
    }

    /// A disk with these files, all of them durable.
    pub fn with(images: &Images) -> CrashDisk {
        let mut state = State::default();
        for (name, bytes) in images {
            let inode = state.images.len();
            state.images.push(Image { live: bytes.clone(), durable: bytes.clone(), unsynced: Vec::new() });
            state.names.insert(name.clone(), inode);
        }
        state.durable_names = state.names.clone();
        CrashDisk(Arc::new(Mutex::new(state)))
    }

    /// All files as they are now.
    pub fn images(&self) -> Images {
        let state = self.state();
        state.names.iter().map(|(name, inode)| (name.clone(), state.images[*inode].live.clone())).collect()
    }

    /// Operations that change something, so far.
    pub fn operations(&self) -> u64 {
        self.state().operations
    }

    /// Calls of fdatasync so far.
    pub fn syncs(&self) -> u64 {
        self.state().syncs
    }

    /// Reads so far.
    pub fn reads(&self) -> u64 {
        self.state().reads
    }

    /// Bytes that were read so far.
    pub fn bytes_read(&self) -> u64 {
        self.state().bytes_read
    }

    /// From the operation with this number on, everything fails.
    pub fn crash_at(&self, operation: u64) {
        self.state().crash_at = Some(operation);
    }

    /// Whether the operation of [`crash_at`](Self::crash_at) has come.
    pub fn has_crashed(&self) -> bool {
        self.state().crashed
    }

    /// Lets the operation of the fault's kind fail that comes after `after` others.
    pub fn fail(&self, after: u64, fault: Fault) {
        self.state().fault = Some((after, fault));
    }

    /// Whether the fault that [`fail`](Self::fail) set has struck.
    pub fn has_failed(&self) -> bool {
        self.state().fault.is_none()
    }

    /// Lets every operation of a kind fail.
    pub fn fail_always(&self, fault: Option<Fault>) {
        self.state().always = fault;
    }

    /// All files together take no more than so many bytes.
    pub fn set_bytes_max(&self, bytes: Option<usize>) {
        self.state().bytes_max = bytes;
    }

    /// Whether every read has to wait for the disk.
    pub fn set_reads_wait(&self, wait: bool) {
        self.state().reads_wait = wait;
    }

    /// There are no more files than this.
    pub fn set_files_max(&self, files: Option<usize>) {
        self.state().files_max = files;
    }

    /// Bytes of all files together.
    pub fn bytes(&self) -> usize {
        self.state().bytes()
    }

    /// The files' names.
    pub fn files(&self) -> Vec<String> {
        self.state().names.keys().cloned().collect()
    }

    /// Another disk with what this one has now, and with room.
    pub fn fork(&self) -> CrashDisk {
        let mut state = self.state().clone();
        state.start_again();
        (state.bytes_max, state.files_max) = (None, None);
        CrashDisk(Arc::new(Mutex::new(state)))
    }

    /// The bytes of a file.
    pub fn content(&self, name: &str) -> Vec<u8> {
        let state = self.state();
        state.images[state.names[name]].live.clone()
    }

    /// Replaces bytes of a file without the store.
    pub fn damage(&self, name: &str, offset: usize, with: impl Fn(u8) -> u8) {
        let mut state = self.state();
        let inode = state.names[name];
        let image = &mut state.images[inode];
        image.live[offset] = with(image.live[offset]);
        image.durable.clone_from(&image.live);
        image.unsynced.clear();
    }

    /// Removes a file, without the store, for good.
    pub fn unlink(&self, name: &str) {
        let mut state = self.state();
        state.names.remove(name);
        state.durable_names.remove(name);
    }

    /// The process ends; what it wrote is there, and the last write perhaps in part.
    pub fn kill(&self, random: &mut Random) {
        let mut state = self.state();
        if let Some((inode, written)) = state.in_flight.take() {
            let bytes = random.below(written.bytes.len() as u64 + 1) as usize;
            state.write(inode, written.prefix(bytes));
        }
        state.start_again();
    }

    /// The power goes; of what was not synced, anything may be there.
    pub fn cut_power(&self, random: &mut Random) {
        let mut guard = self.state();
        let state = &mut *guard;
        if let Some((inode, written)) = state.in_flight.take() {
            state.images[inode].unsynced.push(written);
        }
        let mode = random.below(5);
        for image in &mut state.images {
            let mut left = mem::take(&mut image.durable);
            survive(mode, mem::take(&mut image.unsynced), &mut left, random);
            image.live.clone_from(&left);
            image.durable = left;
        }
        let survived = match mode {
            0 => 0,
            1 => state.unsynced_names.len(),
            _ => random.below(state.unsynced_names.len() as u64 + 1) as usize,
        };
        for name in &mem::take(&mut state.unsynced_names)[..survived] {
            change(&mut state.durable_names, name);
        }
        state.names = state.durable_names.clone();
        state.start_again();
    }
}

impl CrashDisk {
    /// The power goes, and of each file's unsynced writes those are lost whose numbers, from 0 on, are in `lost`.
    pub fn cut_power_losing(&self, lost: &[usize]) {
        let mut guard = self.state();
        for image in &mut guard.images {
            for (n, written) in mem::take(&mut image.unsynced).iter().enumerate() {
                if !lost.contains(&n) {
                    write(&mut image.durable, written);
                }
            }
            image.live.clone_from(&image.durable);
        }
        guard.start_again();
    }
}
