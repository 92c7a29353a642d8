//! The parser from outside, as a connection uses it.

mod bad_input;
mod commands;
mod random;
mod seeds;
mod transcript;
