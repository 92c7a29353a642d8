//! A user who may log in, as long as the process lives and the file says so.

use std::num::NonZeroU64;
use std::sync::atomic::AtomicU32;
use std::sync::atomic::Ordering::{Acquire, Release};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use super::bucket::Bucket;
use super::hash::Hash;
use super::rights::Rights;
use super::secret::Secret;
use crate::process::seldom::Seldom;

/// The version of the rights of a user who is out.
const OUT: u32 = u32::MAX;

/// A user. Cheap to hold: all connections that have logged in as this user have an `Arc` of it.
#[derive(Debug)]
pub(crate) struct Account {
    name: Box<str>,
    hash: Hash,
    rights: Mutex<Arc<Rights>>,
    /// Goes up with each change of the rights; [`OUT`]: the file has the user no more, or with another
    /// password.
    version: AtomicU32,
    /// Of the password that was right last.
    tag: Mutex<Option<Secret>>,
    /// What is put on all connections of the user.
    bucket: Bucket,
    over_rate: Seldom,
}

impl Account {
    pub(super) fn new(name: &str, hash: Hash, rights: Rights) -> Account {
        Account {
            name: name.into(),
            hash,
            rights: Mutex::new(Arc::new(rights)),
            version: AtomicU32::new(0),
            tag: Mutex::default(),
            bucket: Bucket::default(),
            over_rate: Seldom::new(),
        }
    }

    /// The user's name: no blank and no colon is in it.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// Whether the user is still one: the file was not read again without it, or with another password.
    pub(crate) fn is_in(&self) -> bool {
        self.version() != OUT
    }

    /// See [`Rights::is_admin`].
    pub(crate) fn is_admin(&self) -> bool {
        self.is_in() && self.rights().is_admin()
    }

    /// A number that is another one once the rights have changed.
    pub(crate) fn version(&self) -> u32 {
        self.version.load(Acquire)
    }

    pub(crate) fn rights(&self) -> Arc<Rights> {
        Arc::clone(&lock(&self.rights))
    }

    pub(super) fn bucket(&self) -> &Bucket {
        &self.bucket
    }

    /// Notes that a set was refused, since more was put than the user's rate.
    #[cold]
    pub(super) fn note_over_rate(&self) {
        if let Some(refused) = self.over_rate.count(Instant::now()) {
            let (name, rate) = (self.name(), self.rights().rate().map_or(0, NonZeroU64::get));
            log::info!(
                "sets of user {name} refused: {refused}, since they come faster than rate={rate} bytes a second"
            );
        }
    }

    pub(super) fn hash(&self) -> &Hash {
        &self.hash
    }

    /// Gives the user other rights, also on connections that are open.
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

#[cfg(test)]
impl Account {
    /// A user with these words.
    pub(crate) fn with(name: &str, words: &str) -> Arc<Account> {
        let hash = Hash::parse(&format!("$5$salt${}", ".".repeat(43))).expect("it looks like one");
        Arc::new(Account::new(name, hash, Rights::parse(words.split_whitespace()).expect("good words")))
    }

    /// Ends the user's connections.
    pub(crate) fn end(&self) {
        self.put_out();
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Nothing panics while it is held.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
