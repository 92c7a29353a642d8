//! The data directory: what it is made of, who uses it, and how queues move when it changes.

pub(crate) mod damage;
pub(crate) mod directory;
pub(crate) mod error;
pub(crate) mod generations;
pub(crate) mod inventory;
pub(crate) mod layout;
pub(crate) mod lock;
pub(crate) mod moving;
pub(crate) mod ownership;
