//! What an operator can see of the server, as data, and what an operator can do.

pub(crate) mod acts;
pub(crate) mod ask;
pub(crate) mod asking;
pub(crate) mod disk;
pub(crate) mod history;
pub(crate) mod listed;
pub(crate) mod queue;
pub(crate) mod report;
pub(crate) mod search;
#[cfg(test)]
pub(crate) mod testing;
pub(crate) mod weight;
