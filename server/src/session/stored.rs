//! The names that queues are stored under.

use std::borrow::Cow;

use protocol::Key;
use shards::names;

/// The name of the queue, the child, or the dead letters that a key means.
pub(crate) fn name<'a>(key: &Key<'a>) -> Cow<'a, [u8]> {
    let name = match key.child() {
        Some(child) => Cow::Owned(names::child(key.queue(), child).into_vec()),
        None => Cow::Borrowed(key.queue()),
    };
    if key.is_dead() { Cow::Owned(names::dead(&name).into_vec()) } else { name }
}
