//! Gates: so many tickets, given to those who ask, first come, first served, one a buyer. Plain state, of which the store
//! writes down each change (`store/gates.rs`).
//!
//! - `asking`: what a buyer asks, and what it is told.
//! - `ticket`: a ticket, or a place in line.
//! - `seats`: the tickets by their seats.
//! - `state`: one gate: its tickets, its line, who has what, and what is due.
//! - `curve`: how the rush has gone.
//! - `all`: the gates of a store.

pub(crate) mod all;
pub(crate) mod asking;
mod curve;
mod seats;
pub(crate) mod state;
pub(crate) mod ticket;
