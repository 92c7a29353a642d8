//! Where a commit runs, and what is said when it is slow.

pub(crate) mod policy;
pub(crate) mod slow;
