//! The parser from outside, as a connection uses it.

mod bad_input;
mod commands;
mod keys;
mod random;
mod seeds;
mod transcript;
