//! What `rushq` does besides serving: `--check` and `--import`.

pub(crate) mod check;
pub(crate) mod import;
