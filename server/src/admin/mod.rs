//! What an operator can see of the server, as data.

pub(crate) mod ask;
pub(crate) mod listed;
pub(crate) mod report;
pub(crate) mod weight;
