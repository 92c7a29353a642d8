//! What is on the disk, what of it is durable, and what happens to it.

use std::collections::BTreeMap;
use std::io;

use super::Fault;
use crate::random::Random;

const SECTOR_BYTES: usize = 512;

pub(super) type Inode = usize;

#[derive(Debug, Clone)]
pub(super) enum NameChange {
    Link(String, Inode),
    Rename(String, String),
    Unlink(String),
}

#[derive(Debug, Clone)]
pub(super) struct Write {
    pub(super) offset: usize,
    pub(super) bytes: Vec<u8>,
}

#[derive(Debug, Clone, Default)]
pub(super) struct Image {
    pub(super) live: Vec<u8>,
    pub(super) durable: Vec<u8>,
    pub(super) unsynced: Vec<Write>,
}

#[derive(Debug, Clone, Default)]
pub(super) struct State {
    pub(super) names: BTreeMap<String, Inode>,
    pub(super) durable_names: BTreeMap<String, Inode>,
    pub(super) unsynced_names: Vec<NameChange>,
    pub(super) images: Vec<Image>,
    pub(super) operations: u64,
    /// No read is done without waiting for the disk.
    pub(super) reads_wait: bool,
    pub(super) crash_at: Option<u64>,
    pub(super) crashed: bool,
    /// The write that the crash came upon.
    pub(super) in_flight: Option<(Inode, Write)>,
    /// Operations of its kind until the fault strikes.
    pub(super) fault: Option<(u64, Fault)>,
    /// What fails all the time.
    pub(super) always: Option<Fault>,
    pub(super) bytes_max: Option<usize>,
    pub(super) files_max: Option<usize>,
    pub(super) reads: u64,
    pub(super) bytes_read: u64,
    pub(super) syncs: u64,
}

pub(super) fn change(names: &mut BTreeMap<String, Inode>, change: &NameChange) {
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

pub(super) fn write(image: &mut Vec<u8>, write: &Write) {
    let end = write.offset + write.bytes.len();
    if image.len() < end {
        image.resize(end, 0);
    }
    image[write.offset..end].copy_from_slice(&write.bytes);
}

impl Write {
    pub(super) fn prefix(&self, bytes: usize) -> Write {
        Write { offset: self.offset, bytes: self.bytes[..bytes].to_vec() }
    }

    /// The parts of the write in each sector of the file.
    pub(super) fn sectors(&self) -> impl Iterator<Item = Write> {
        let end = self.offset + self.bytes.len();
        (self.offset / SECTOR_BYTES..end.div_ceil(SECTOR_BYTES)).map(move |sector| {
            let from = self.offset.max(sector * SECTOR_BYTES);
            let to = end.min((sector + 1) * SECTOR_BYTES);
            Write { offset: from, bytes: self.bytes[from - self.offset..to - self.offset].to_vec() }
        })
    }
}

impl State {
    pub(super) fn operation(&mut self) -> io::Result<()> {
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

    pub(super) fn fault(&mut self, kind: impl Fn(Fault) -> bool) -> Option<Fault> {
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
    pub(super) fn name_operation(&mut self) -> io::Result<()> {
        match self.fault(|fault| matches!(fault, Fault::Name { .. })) {
            Some(Fault::Name { errno }) => Err(io::Error::from_raw_os_error(errno)),
            _ => Ok(()),
        }
    }

    pub(super) fn bytes(&self) -> usize {
        self.names.values().map(|inode| self.images[*inode].live.len()).sum()
    }

    pub(super) fn name(&mut self, changed: NameChange) {
        change(&mut self.names, &changed);
        self.unsynced_names.push(changed);
    }

    pub(super) fn write(&mut self, inode: Inode, written: Write) {
        if written.bytes.is_empty() {
            return;
        }
        let image = &mut self.images[inode];
        write(&mut image.live, &written);
        image.unsynced.push(written);
    }

    pub(super) fn start_again(&mut self) {
        self.crashed = false;
        self.crash_at = None;
        self.fault = None;
    }
}

/// Which of the unsynced writes reach a file.
pub(super) fn survive(mode: u64, unsynced: Vec<Write>, left: &mut Vec<u8>, random: &mut Random) {
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
