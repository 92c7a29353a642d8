//! An index in memory that forgets what was not synced, and crashes together with a disk: between any two of its writes.
//!
//! What was inserted or removed since the last sync may be there after a power cut, or not, each change for itself.

use std::collections::BTreeMap;
use std::io;
use std::mem;
use std::sync::{Arc, Mutex, MutexGuard};

use storage::Tree;

use crate::disk::CrashDisk;
use crate::random::Random;

/// Keys and values.
pub type Pairs = BTreeMap<Vec<u8>, Vec<u8>>;

/// A key, and its new value; `None`: it is removed.
type Change = (Vec<u8>, Option<Vec<u8>>);

#[derive(Debug, Clone, Default)]
struct State {
    live: Pairs,
    durable: Pairs,
    unsynced: Vec<Change>,
    /// The change that the crash came upon.
    in_flight: Option<Change>,
}

/// The tree; clones are the same tree.
#[derive(Debug, Clone)]
pub struct CrashTree {
    disk: CrashDisk,
    state: Arc<Mutex<State>>,
}

fn change(pairs: &mut Pairs, (key, value): Change) {
    match value {
        Some(value) => pairs.insert(key, value),
        None => pairs.remove(&key),
    };
}

impl CrashTree {
    /// An empty tree that crashes with this disk.
    pub fn new(disk: &CrashDisk) -> CrashTree {
        CrashTree { disk: disk.clone(), state: Arc::default() }
    }

    /// A tree with these pairs, all of them durable.
    pub fn with(disk: &CrashDisk, pairs: &Pairs) -> CrashTree {
        let state = State { live: pairs.clone(), durable: pairs.clone(), ..State::default() };
        CrashTree { disk: disk.clone(), state: Arc::new(Mutex::new(state)) }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    /// Another tree with what this one has now, that crashes with another disk.
    pub fn fork(&self, disk: &CrashDisk) -> CrashTree {
        CrashTree { disk: disk.clone(), state: Arc::new(Mutex::new(self.state().clone())) }
    }

    /// All that is there now.
    pub fn pairs(&self) -> Pairs {
        self.state().live.clone()
    }

    /// Whether a key survives whatever comes now.
    pub fn is_durable(&self, key: &[u8]) -> bool {
        self.state().durable.contains_key(key)
    }

    /// The process ends; what it changed is there, and the last change perhaps.
    pub fn kill(&self, random: &mut Random) {
        let mut state = self.state();
        if let Some(last) = state.in_flight.take().filter(|_| random.chance(2)) {
            state.unsynced.push(last.clone());
            change(&mut state.live, last);
        }
    }

    /// The power goes; of what was not synced, anything may be there.
    pub fn cut_power(&self, random: &mut Random) {
        let mut guard = self.state();
        let state = &mut *guard;
        state.unsynced.extend(state.in_flight.take());
        let mode = random.below(4);
        let survived = random.below(state.unsynced.len() as u64 + 1) as usize;
        for (n, changed) in mem::take(&mut state.unsynced).into_iter().enumerate() {
            let survives = match mode {
                0 => false,
                1 => true,
                2 => n < survived,
                _ => random.chance(2),
            };
            if survives {
                change(&mut state.durable, changed);
            }
        }
        state.live = state.durable.clone();
    }

    fn change(&self, changed: Change) -> io::Result<()> {
        let was_down = self.disk.has_crashed();
        let operated = self.disk.operate();
        let mut state = self.state();
        match operated {
            Ok(()) => {
                state.unsynced.push(changed.clone());
                change(&mut state.live, changed);
            }
            Err(_) if !was_down => state.in_flight = Some(changed),
            Err(_) => {}
        }
        operated
    }

    fn look(&self) -> io::Result<MutexGuard<'_, State>> {
        match self.disk.has_crashed() {
            true => Err(io::Error::other("the machine is down")),
            false => Ok(self.state()),
        }
    }
}

impl Tree for CrashTree {
    fn get(&self, key: &[u8]) -> io::Result<Option<Vec<u8>>> {
        Ok(self.look()?.live.get(key).cloned())
    }

    fn insert(&self, key: &[u8], value: &[u8]) -> io::Result<()> {
        self.change((key.to_vec(), Some(value.to_vec())))
    }

    fn remove(&self, key: &[u8]) -> io::Result<()> {
        self.change((key.to_vec(), None))
    }

    fn keys(&self, from: &[u8], to: Option<&[u8]>, limit: usize) -> io::Result<Vec<Vec<u8>>> {
        let state = self.look()?;
        let keys = state.live.range(from.to_vec()..).map(|(key, _)| key);
        Ok(keys.take_while(|key| to.is_none_or(|to| key.as_slice() < to)).take(limit).cloned().collect())
    }

    fn sync(&self) -> io::Result<()> {
        self.disk.operate()?;
        let mut guard = self.state();
        let state = &mut *guard;
        for changed in mem::take(&mut state.unsynced) {
            change(&mut state.durable, changed);
        }
        Ok(())
    }
}
