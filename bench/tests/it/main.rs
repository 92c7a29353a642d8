//! The load generator against servers that do what it is told to find.

#![allow(clippy::unwrap_used, reason = "a helper of a test fails the test, as the test itself would")]

mod beside;
mod fake;
mod fake_gate;
mod fake_opens;
mod faults;
mod files;
mod gate;
mod open_loop;
mod opens;
mod program;
mod restarts;
mod scripts;
mod words;
