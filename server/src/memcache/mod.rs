//! The memcache text protocol: commands to operations, outcomes to replies.

pub(crate) mod answer;
pub(crate) mod control;
pub(crate) mod gate;
pub(crate) mod greeting;
pub(crate) mod needs;
pub(crate) mod session;
pub(crate) mod trace;
