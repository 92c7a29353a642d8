//! A user who may log in, as long as the process lives and the file says so.

use std::sync::atomic::AtomicU32;
use std::sync::atomic::Ordering::{Acquire, Release};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::hash::Hash;
use super::rights::Rights;
use super::secret::Secret;

/// The version of the rights of a user who is out.
const OUT: u32 = u32::MAX;

/// A user. Cheap to hold: connections of his have an `Arc` of it.
#[derive(Debug)]
pub(crate) struct Account {
    name: Box<str>,
    hash: Hash,
    rights: Mutex<Arc<Rights>>,
    /// Goes up with each change of the rights; [`OUT`]: the file has him no more, or with another password.
    version: AtomicU32,
    /// Of the password that was right last.
    tag: Mutex<Option<Secret>>,
}

impl Account {
    pub(super) fn new(name: &str, hash: Hash, rights: Rights) -> Account {
        Account {
            name: name.into(),
            hash,
            rights: Mutex::new(Arc::new(rights)),
            version: AtomicU32::new(0),
            tag: Mutex::default(),
        }
    }

    /// The user's name: no blank and no colon is in it.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// Whether the user is still one: the file was not read again without him, or with another password for him.
    pub(crate) fn is_in(&self) -> bool {
        self.version() != OUT
    }

    /// See [`Rights::is_admin`].
    pub(crate) fn is_admin(&self) -> bool {
        self.is_in() && self.rights().is_admin()
    }

    /// See [`Rights::may_put`].
    pub(crate) fn may_put(&self, queue: &[u8]) -> bool {
        self.is_in() && self.rights().may_put(queue)
    }

    /// See [`Rights::may_take`].
    pub(crate) fn may_take(&self, queue: &[u8]) -> bool {
        self.is_in() && self.rights().may_take(queue)
    }

    /// A number that is another one once the rights have changed.
    pub(crate) fn version(&self) -> u32 {
        self.version.load(Acquire)
    }

    pub(crate) fn rights(&self) -> Arc<Rights> {
        Arc::clone(&lock(&self.rights))
    }

    pub(super) fn hash(&self) -> &Hash {
        &self.hash
    }

    /// Gives the user other rights, also on the connections that he has.
    pub(super) fn set_rights(&self, rights: Arc<Rights>) {
        let mut current = lock(&self.rights);
        if *current != rights {
            *current = rights;
            self.version.store((self.version() + 1) % OUT, Release);
        }
    }

    /// Ends the user's connections, at their next command or before.
    pub(super) fn put_out(&self) {
        self.version.store(OUT, Release);
    }

    /// Whether this is the tag of the password that was right last.
    pub(super) fn has_tag(&self, tag: &[u8]) -> bool {
        lock(&self.tag).as_ref().is_some_and(|known| known.is(tag))
    }

    pub(super) fn set_tag(&self, tag: &[u8]) {
        *lock(&self.tag) = Some(Secret::new(tag));
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Nothing panics while it is held.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
