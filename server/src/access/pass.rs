//! What a connection holds of the user that has logged in on it.

use std::sync::Arc;

use super::account::Account;
use super::rights::Rights;

/// A client that has logged in: its rights as of now, at hand for each of its commands.
#[derive(Debug)]
pub(crate) struct Pass {
    account: Arc<Account>,
    rights: Arc<Rights>,
    /// Of the rights.
    version: u32,
    /// The names that were allowed last: most clients use few.
    put: Vec<u8>,
    take: Vec<u8>,
    /// Bytes that the command under way has paid.
    paid: u64,
}

impl Pass {
    pub(crate) fn new(account: Arc<Account>) -> Pass {
        let version = account.version();
        let rights = account.rights();
        Pass { account, rights, version, put: Vec::new(), take: Vec::new(), paid: 0 }
    }

    pub(crate) fn account(&self) -> &Arc<Account> {
        &self.account
    }

    /// Begins a command. Returns whether the user is still one; the rights are those of the file from here on.
    #[inline]
    pub(crate) fn begin(&mut self) -> bool {
        self.paid = 0;
        if self.account.version() != self.version {
            self.renew();
        }
        self.account.is_in()
    }

    #[cold]
    fn renew(&mut self) {
        // In this order: rights that are newer than the version are taken again.
        self.version = self.account.version();
        self.rights = self.account.rights();
        self.put.clear();
        self.take.clear();
    }

    /// See [`Rights::is_admin`].
    pub(crate) fn is_admin(&self) -> bool {
        self.rights.is_admin()
    }

    /// See [`Rights::may_put`].
    #[inline]
    pub(crate) fn may_put(&mut self, queue: &[u8]) -> bool {
        *self.put == *queue || remember(&mut self.put, queue, self.rights.may_put(queue))
    }

    /// See [`Rights::may_take`].
    #[inline]
    pub(crate) fn may_take(&mut self, queue: &[u8]) -> bool {
        *self.take == *queue || remember(&mut self.take, queue, self.rights.may_take(queue))
    }

    /// Whether a message of so many bytes may be put now, in milliseconds of any clock. If so, it is paid.
    #[inline]
    pub(crate) fn pay(&mut self, now_ms: u64, body_bytes: usize) -> bool {
        let Some(rate) = self.rights.rate() else { return true };
        self.paid = body_bytes as u64 + MESSAGE_BYTES;
        let has_paid = self.account.bucket().pay(now_ms, self.paid, rate);
        if !has_paid {
            self.paid = 0;
            self.account.note_over_rate();
        }
        has_paid
    }

    /// Gives back what the command under way has paid: it is done later.
    pub(crate) fn give_back(&mut self) {
        let paid = std::mem::take(&mut self.paid);
        if let Some(rate) = self.rights.rate().filter(|_| paid > 0) {
            self.account.bucket().give_back(paid, rate);
        }
    }
}

/// What a message costs beside its body, so that empty ones are not free.
const MESSAGE_BYTES: u64 = 32;

/// Keeps a name in mind that is allowed. Returns whether it is.
fn remember(last: &mut Vec<u8>, queue: &[u8], is_allowed: bool) -> bool {
    if is_allowed {
        last.clear();
        last.extend_from_slice(queue);
    }
    is_allowed
}
