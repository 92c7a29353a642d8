//! What the server tells about itself, as data.

pub(crate) mod ask;
pub(crate) mod report;
