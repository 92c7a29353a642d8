//! A disk in memory. What is written is there; what survives a crash is other tests' business.

use std::collections::BTreeMap;
use std::io::{self, ErrorKind};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use storage::{Disk, DiskFile};

/// Names of files, and what is in them.
pub(crate) type Images = BTreeMap<String, Vec<u8>>;

type Content = Arc<Mutex<Vec<u8>>>;

/// The disk; clones are the same disk.
#[derive(Debug, Clone, Default)]
pub(crate) struct MemoryDisk(Arc<Mutex<BTreeMap<String, Content>>>);

#[derive(Debug)]
struct MemoryFile(Content);

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl MemoryDisk {
    pub(crate) fn new(images: &Images) -> MemoryDisk {
        let files = images.iter().map(|(name, image)| (name.clone(), Arc::new(Mutex::new(image.clone()))));
        MemoryDisk(Arc::new(Mutex::new(files.collect())))
    }

    pub(crate) fn images(&self) -> Images {
        lock(&self.0).iter().map(|(name, content)| (name.clone(), lock(content).clone())).collect()
    }
}

impl Disk for MemoryDisk {
    fn list(&self) -> io::Result<Vec<String>> {
        Ok(lock(&self.0).keys().cloned().collect())
    }

    fn create(&self, name: &str) -> io::Result<Arc<dyn DiskFile>> {
        let content = Content::default();
        lock(&self.0).insert(name.into(), Arc::clone(&content));
        Ok(Arc::new(MemoryFile(content)))
    }

    fn open(&self, name: &str) -> io::Result<Arc<dyn DiskFile>> {
        let files = lock(&self.0);
        let content = files.get(name).ok_or(ErrorKind::NotFound)?;
        Ok(Arc::new(MemoryFile(Arc::clone(content))))
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        let mut files = lock(&self.0);
        let content = files.remove(from).ok_or(ErrorKind::NotFound)?;
        files.insert(to.into(), content);
        Ok(())
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        lock(&self.0).remove(name).map(|_| ()).ok_or(ErrorKind::NotFound.into())
    }

    fn sync_directory(&self) -> io::Result<()> {
        Ok(())
    }
}

impl DiskFile for MemoryFile {
    fn size(&self) -> io::Result<u64> {
        Ok(lock(&self.0).len() as u64)
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        let content = lock(&self.0);
        let there = content.get(offset as usize..).unwrap_or_default();
        let bytes = there.len().min(buffer.len());
        buffer[..bytes].copy_from_slice(&there[..bytes]);
        Ok(bytes)
    }

    fn read_in_memory(&self, buffer: &mut [u8], offset: u64) -> io::Result<Option<usize>> {
        self.read_at(buffer, offset).map(Some)
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        let (mut content, offset) = (lock(&self.0), offset as usize);
        let end = content.len().max(offset + bytes.len());
        content.resize(end, 0);
        content[offset..offset + bytes.len()].copy_from_slice(bytes);
        Ok(())
    }

    fn sync_data(&self) -> io::Result<()> {
        Ok(())
    }

    fn will_need(&self, _offset: u64, _bytes: u64) {}
}
