//! A disk in memory that forgets what was not synced.
//!
//! It keeps a live image, which reads see, and a durable one. What was written since the last sync of a file may be
//! there after a power cut, or not, or in parts: sector by sector in any order, with one torn at any byte. Creates,
//! renames and removes since the last sync of the directory survive up to some point of their order.

use std::collections::BTreeMap;
use std::io::{self, ErrorKind};
use std::mem;
use std::sync::{Arc, Mutex, MutexGuard};

use storage::{Disk, DiskFile};

use crate::random::Random;

const SECTOR_BYTES: usize = 512;

type Inode = usize;

#[derive(Debug, Clone)]
enum NameChange {
    Link(String, Inode),
    Rename(String, String),
    Unlink(String),
}

#[derive(Debug, Clone)]
struct Write {
    offset: usize,
    bytes: Vec<u8>,
}

#[derive(Debug, Clone, Default)]
struct Image {
    live: Vec<u8>,
    durable: Vec<u8>,
    unsynced: Vec<Write>,
}

/// What fails, and when.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    /// A write fails after so many bytes of it.
    Write { after_bytes: usize },
    /// An fdatasync fails.
    Sync,
    /// Making, opening, renaming or unlinking a file fails, setting room aside for one, or syncing the directory, with this
    /// error number.
    Name { errno: i32 },
}

#[derive(Debug, Clone, Default)]
struct State {
    names: BTreeMap<String, Inode>,
    durable_names: BTreeMap<String, Inode>,
    unsynced_names: Vec<NameChange>,
    images: Vec<Image>,
    operations: u64,
    /// No read is done without waiting for the disk.
    reads_wait: bool,
    crash_at: Option<u64>,
    crashed: bool,
    /// The write that the crash came upon.
    in_flight: Option<(Inode, Write)>,
    /// Operations of its kind until the fault strikes.
    fault: Option<(u64, Fault)>,
    /// What fails all the time.
    always: Option<Fault>,
    bytes_max: Option<usize>,
    files_max: Option<usize>,
    reads: u64,
    bytes_read: u64,
    syncs: u64,
}

/// The disk; clones are the same disk.
#[derive(Debug, Clone, Default)]
pub(crate) struct CrashDisk(Arc<Mutex<State>>);

fn change(names: &mut BTreeMap<String, Inode>, change: &NameChange) {
    match change {
        NameChange::Link(name, inode) => {
            names.insert(name.clone(), *inode);
        }
        NameChange::Rename(from, to) => {
            let inode = names.remove(from).expect("a renamed file is there");
            names.insert(to.clone(), inode);
        }
        NameChange::Unlink(name) => {
            names.remove(name);
        }
    }
}

fn write(image: &mut Vec<u8>, write: &Write) {
    let end = write.offset + write.bytes.len();
    if image.len() < end {
        image.resize(end, 0);
    }
    image[write.offset..end].copy_from_slice(&write.bytes);
}

impl Write {
    fn prefix(&self, bytes: usize) -> Write {
        Write { offset: self.offset, bytes: self.bytes[..bytes].to_vec() }
    }

    /// The parts of the write in each sector of the file.
    fn sectors(&self) -> impl Iterator<Item = Write> {
        let end = self.offset + self.bytes.len();
        (self.offset / SECTOR_BYTES..end.div_ceil(SECTOR_BYTES)).map(move |sector| {
            let from = self.offset.max(sector * SECTOR_BYTES);
            let to = end.min((sector + 1) * SECTOR_BYTES);
            Write { offset: from, bytes: self.bytes[from - self.offset..to - self.offset].to_vec() }
        })
    }
}

impl State {
    fn operation(&mut self) -> io::Result<()> {
        if self.crashed {
            return Err(io::Error::other("the machine is down"));
        }
        self.operations += 1;
        if self.crash_at == Some(self.operations) {
            self.crashed = true;
            return Err(io::Error::other("the machine went down"));
        }
        Ok(())
    }

    fn fault(&mut self, kind: impl Fn(Fault) -> bool) -> Option<Fault> {
        if let Some(always) = self.always.filter(|fault| kind(*fault)) {
            return Some(always);
        }
        let (left, fault) = self.fault.as_mut().filter(|(_, fault)| kind(*fault))?;
        if *left > 0 {
            *left -= 1;
            return None;
        }
        let fault = *fault;
        self.fault = None;
        Some(fault)
    }

    /// An operation on a name, which may fail.
    fn name_operation(&mut self) -> io::Result<()> {
        match self.fault(|fault| matches!(fault, Fault::Name { .. })) {
            Some(Fault::Name { errno }) => Err(io::Error::from_raw_os_error(errno)),
            _ => Ok(()),
        }
    }

    fn bytes(&self) -> usize {
        self.names.values().map(|inode| self.images[*inode].live.len()).sum()
    }

    fn name(&mut self, changed: NameChange) {
        change(&mut self.names, &changed);
        self.unsynced_names.push(changed);
    }

    fn write(&mut self, inode: Inode, written: Write) {
        if written.bytes.is_empty() {
            return;
        }
        let image = &mut self.images[inode];
        write(&mut image.live, &written);
        image.unsynced.push(written);
    }

    fn start_again(&mut self) {
        self.crashed = false;
        self.crash_at = None;
        self.fault = None;
    }
}

impl CrashDisk {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap()
    }

    /// Counts an operation of what crashes together with this disk.
    pub(crate) fn operate(&self) -> io::Result<()> {
        self.state().operation()
    }

    /// Operations that change something, so far.
    pub(crate) fn operations(&self) -> u64 {
        self.state().operations
    }

    pub(crate) fn syncs(&self) -> u64 {
        self.state().syncs
    }

    pub(crate) fn reads(&self) -> u64 {
        self.state().reads
    }

    pub(crate) fn bytes_read(&self) -> u64 {
        self.state().bytes_read
    }

    /// From the operation with this number on, everything fails.
    pub(crate) fn crash_at(&self, operation: u64) {
        self.state().crash_at = Some(operation);
    }

    pub(crate) fn has_crashed(&self) -> bool {
        self.state().crashed
    }

    /// Lets the operation of the fault's kind fail that comes after `after` others.
    pub(crate) fn fail(&self, after: u64, fault: Fault) {
        self.state().fault = Some((after, fault));
    }

    /// Whether the fault that [`fail`](Self::fail) set has struck.
    pub(crate) fn has_failed(&self) -> bool {
        self.state().fault.is_none()
    }

    /// Lets every operation of a kind fail.
    pub(crate) fn fail_always(&self, fault: Option<Fault>) {
        self.state().always = fault;
    }

    /// All files together take no more than so many bytes.
    pub(crate) fn set_bytes_max(&self, bytes: Option<usize>) {
        self.state().bytes_max = bytes;
    }

    /// Whether every read has to wait for the disk.
    pub(crate) fn set_reads_wait(&self, wait: bool) {
        self.state().reads_wait = wait;
    }

    /// There are no more files than this.
    pub(crate) fn set_files_max(&self, files: Option<usize>) {
        self.state().files_max = files;
    }

    pub(crate) fn bytes(&self) -> usize {
        self.state().bytes()
    }

    pub(crate) fn files(&self) -> Vec<String> {
        self.state().names.keys().cloned().collect()
    }

    /// Another disk with what this one has now, and with room.
    pub(crate) fn fork(&self) -> CrashDisk {
        let mut state = self.state().clone();
        state.start_again();
        (state.bytes_max, state.files_max) = (None, None);
        CrashDisk(Arc::new(Mutex::new(state)))
    }

    /// The bytes of a file.
    pub(crate) fn content(&self, name: &str) -> Vec<u8> {
        let state = self.state();
        state.images[state.names[name]].live.clone()
    }

    /// Replaces bytes of a file behind everybody's back.
    pub(crate) fn damage(&self, name: &str, offset: usize, with: impl Fn(u8) -> u8) {
        let mut state = self.state();
        let inode = state.names[name];
        let image = &mut state.images[inode];
        image.live[offset] = with(image.live[offset]);
        image.durable.clone_from(&image.live);
        image.unsynced.clear();
    }

    pub(crate) fn unlink(&self, name: &str) {
        let mut state = self.state();
        state.names.remove(name);
        state.durable_names.remove(name);
    }

    /// The process ends; what it wrote is there, and the last write perhaps in part.
    pub(crate) fn kill(&self, random: &mut Random) {
        let mut state = self.state();
        if let Some((inode, written)) = state.in_flight.take() {
            let bytes = random.below(written.bytes.len() as u64 + 1) as usize;
            state.write(inode, written.prefix(bytes));
        }
        state.start_again();
    }

    /// The power goes; of what was not synced, anything may be there.
    pub(crate) fn cut_power(&self, random: &mut Random) {
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
    pub(crate) fn cut_power_losing(&self, lost: &[usize]) {
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

/// Which of the unsynced writes reach a file.
fn survive(mode: u64, unsynced: Vec<Write>, left: &mut Vec<u8>, random: &mut Random) {
    match mode {
        0 => {}
        1 => unsynced.iter().for_each(|written| write(left, written)),
        // In their order, up to any byte of one.
        2 => {
            let whole = random.below(unsynced.len() as u64 + 1) as usize;
            unsynced[..whole].iter().for_each(|written| write(left, written));
            if let Some(torn) = unsynced.get(whole) {
                let bytes = random.below(torn.bytes.len() as u64 + 1) as usize;
                write(left, &torn.prefix(bytes));
            }
        }
        // Any sectors of any of them; in one mode, some torn.
        _ => {
            let tear = mode == 4;
            for part in unsynced.iter().flat_map(Write::sectors) {
                match random.below(8) {
                    0..4 => write(left, &part),
                    4 if tear => write(left, &part.prefix(random.below(part.bytes.len() as u64) as usize)),
                    _ => {}
                }
            }
        }
    }
}

fn not_found(name: &str) -> io::Error {
    io::Error::new(ErrorKind::NotFound, format!("there is no {name}"))
}

impl Disk for CrashDisk {
    fn list(&self) -> io::Result<Vec<String>> {
        Ok(self.files())
    }

    fn create(&self, name: &str) -> io::Result<Arc<dyn DiskFile>> {
        let mut state = self.state();
        state.operation()?;
        state.name_operation()?;
        if state.files_max.is_some_and(|max| state.names.len() >= max) {
            return Err(ErrorKind::StorageFull.into());
        }
        let inode = state.images.len();
        state.images.push(Image::default());
        state.name(NameChange::Link(name.to_string(), inode));
        Ok(Arc::new(CrashFile(self.clone(), inode)))
    }

    fn open(&self, name: &str) -> io::Result<Arc<dyn DiskFile>> {
        let mut state = self.state();
        if state.crashed {
            return Err(io::Error::other("the machine is down"));
        }
        state.name_operation()?;
        let inode = *state.names.get(name).ok_or_else(|| not_found(name))?;
        Ok(Arc::new(CrashFile(self.clone(), inode)))
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        let mut state = self.state();
        state.operation()?;
        state.name_operation()?;
        if !state.names.contains_key(from) {
            return Err(not_found(from));
        }
        state.name(NameChange::Rename(from.to_string(), to.to_string()));
        Ok(())
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        let mut state = self.state();
        state.operation()?;
        state.name_operation()?;
        if !state.names.contains_key(name) {
            return Err(not_found(name));
        }
        state.name(NameChange::Unlink(name.to_string()));
        Ok(())
    }

    fn sync_directory(&self) -> io::Result<()> {
        let mut state = self.state();
        state.operation()?;
        state.name_operation()?;
        state.unsynced_names.clear();
        state.durable_names = state.names.clone();
        Ok(())
    }
}

#[derive(Debug)]
struct CrashFile(CrashDisk, Inode);

impl DiskFile for CrashFile {
    fn size(&self) -> io::Result<u64> {
        Ok(self.0.state().images[self.1].live.len() as u64)
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        let mut state = self.0.state();
        if state.crashed {
            return Err(io::Error::other("the machine is down"));
        }
        let live = &state.images[self.1].live;
        let from = (offset as usize).min(live.len());
        let bytes = buffer.len().min(live.len() - from);
        buffer[..bytes].copy_from_slice(&live[from..from + bytes]);
        state.reads += 1;
        state.bytes_read += bytes as u64;
        Ok(bytes)
    }

    fn read_in_memory(&self, buffer: &mut [u8], offset: u64) -> io::Result<Option<usize>> {
        let waits = self.0.state().reads_wait;
        match waits {
            true => Ok(None),
            false => self.read_at(buffer, offset).map(Some),
        }
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        let mut state = self.0.state();
        let mut written = Write { offset: offset as usize, bytes: bytes.to_vec() };
        let was_down = state.crashed;
        if let Err(error) = state.operation() {
            if !was_down {
                state.in_flight = Some((self.1, written));
            }
            return Err(error);
        }
        if let Some(Fault::Write { after_bytes }) = state.fault(|fault| matches!(fault, Fault::Write { .. })) {
            state.write(self.1, written.prefix(after_bytes.min(bytes.len())));
            return Err(io::Error::from_raw_os_error(5));
        }
        let size = state.images[self.1].live.len();
        let grown = (written.offset + bytes.len()).saturating_sub(size);
        let room = state.bytes_max.map_or(usize::MAX, |max| max.saturating_sub(state.bytes()));
        let full = grown > room;
        if full {
            written = written.prefix(bytes.len() - (grown - room));
        }
        state.write(self.1, written);
        if full { Err(ErrorKind::StorageFull.into()) } else { Ok(()) }
    }

    fn reserve(&self, _bytes: u64) -> io::Result<()> {
        self.0.state().name_operation()
    }

    fn sync_data(&self) -> io::Result<()> {
        let mut state = self.0.state();
        state.operation()?;
        state.syncs += 1;
        if state.fault(|fault| fault == Fault::Sync).is_some() {
            return Err(io::Error::from_raw_os_error(5));
        }
        let image = &mut state.images[self.1];
        for written in mem::take(&mut image.unsynced) {
            write(&mut image.durable, &written);
        }
        Ok(())
    }

    fn will_need(&self, _offset: u64, _bytes: u64) {}
}
