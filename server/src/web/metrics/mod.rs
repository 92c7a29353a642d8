//! What Prometheus scrapes: figures as text. Pure; the handlers of `web` ask for the figures.
//!
//! Each metric is one entry of one table, and each figure that `stats` has too is taken from there.

pub(crate) mod queues;
pub(crate) mod server;
pub(crate) mod text;

#[cfg(test)]
mod tests;
