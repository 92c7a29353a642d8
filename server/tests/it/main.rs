//! The real `rushq` binary, started as an operator starts it and spoken to over the wire.
//!
//! Every test has a server, a port and a data directory of its own, so they run side by side. A failed test keeps its
//! data directory and says where it is. Random tests print their seed; `SEED=` repeats one. `RUSHQ_BINARY=` runs the
//! tests against another build.
#![allow(clippy::unwrap_used, reason = "a helper of a test fails the test, as the test itself would")]

mod arrows;
mod bad_input;
mod client;
mod commands;
mod crash;
mod daemon;
mod damage;
mod disk_full;
mod draining;
mod hostile;
mod import;
mod keepalive;
mod limits;
mod model;
mod monitors;
mod numbers;
mod options;
mod power_cut;
mod process;
mod proxy;
mod proxy_load;
mod resharding;
mod small_things;
mod soak;
mod sockets;
mod start_up;
mod statistics;
mod stopping;
mod strace;
mod transcript;
mod zend;
