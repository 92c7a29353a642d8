//! The real `rushq` binary, started as an operator starts it and spoken to over the wire.
//!
//! Every test has a server, a port and a data directory of its own, so they run side by side. A failed test keeps its
//! data directory and says where it is. Random tests print their seed; `SEED=` repeats one. `RUSHQ_BINARY=` runs the
//! tests against another build.
#![allow(clippy::unwrap_used, reason = "a helper of a test fails the test, as the test itself would")]

mod agent;
mod arrows;
mod backup;
mod bad_input;
mod beside;
mod checkpoint_kills;
mod client;
mod commands;
mod crash;
mod ctl;
mod daemon;
mod damage;
mod data_directory;
mod disk_full;
mod documents;
mod draining;
mod fanout;
mod folders;
mod gate;
mod gate_crowd;
mod gate_kills;
mod gate_model;
mod gate_rush;
mod gate_unkind;
mod gate_words;
mod holders;
mod hostile;
mod import;
mod import_opens;
mod injection;
mod keepalive;
mod keys;
mod limits;
mod listed;
mod listening;
mod log_file;
mod missing;
mod model;
mod monitors;
mod names;
mod numbers;
mod open_kills;
mod open_model;
mod opens;
mod option_numbers;
mod options;
mod passing_failures;
mod power_cut;
mod process;
mod proxy;
mod proxy_load;
mod queue_config;
mod queue_settings;
mod resharding;
mod root;
mod signals;
mod slow_disk;
mod small_things;
mod soak;
mod sockets;
mod start_up;
mod statistics;
mod stopping;
mod strace;
mod transcript;
mod versions;
mod waiting;
mod zend;
