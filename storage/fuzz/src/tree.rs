//! An index in memory. What is changed is there.

use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use storage::Tree;

/// Keys and values.
pub(crate) type Pairs = BTreeMap<Vec<u8>, Vec<u8>>;

/// The tree; clones are the same tree.
#[derive(Debug, Clone, Default)]
pub(crate) struct MemoryTree(Arc<Mutex<Pairs>>);

impl MemoryTree {
    pub(crate) fn new(pairs: &Pairs) -> MemoryTree {
        MemoryTree(Arc::new(Mutex::new(pairs.clone())))
    }

    fn lock(&self) -> MutexGuard<'_, Pairs> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn pairs(&self) -> Pairs {
        self.lock().clone()
    }
}

impl Tree for MemoryTree {
    fn get(&self, key: &[u8]) -> io::Result<Option<Vec<u8>>> {
        Ok(self.lock().get(key).cloned())
    }

    fn insert(&self, key: &[u8], value: &[u8]) -> io::Result<()> {
        self.lock().insert(key.to_vec(), value.to_vec());
        Ok(())
    }

    fn remove(&self, key: &[u8]) -> io::Result<()> {
        self.lock().remove(key);
        Ok(())
    }

    fn keys(&self, from: &[u8], to: Option<&[u8]>, limit: usize) -> io::Result<Vec<Vec<u8>>> {
        let pairs = self.lock();
        let keys = pairs.range(from.to_vec()..).map(|(key, _)| key);
        Ok(keys.take_while(|key| to.is_none_or(|to| key.as_slice() < to)).take(limit).cloned().collect())
    }

    fn sync(&self) -> io::Result<()> {
        Ok(())
    }
}
