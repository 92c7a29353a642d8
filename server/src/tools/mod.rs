//! What `rushq` does besides serving: `--check`, `--import`, and the commands for a running server.

pub(crate) mod check;
pub(crate) mod ctl;
pub(crate) mod import;
