//! What is served by HTTP, as pure handlers.

pub(crate) mod health;
pub(crate) mod metrics;
