//! The disk as a store sees it.

use std::io::{self, ErrorKind};
use std::mem;
use std::sync::Arc;

use storage::{Disk, DiskFile};

use super::state::{Image, Inode, NameChange, Write, write};
use super::{CrashDisk, Fault};

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
