//! Gates: what a buyer asks is answered by the state in memory, and what it changes is written down, a ticket in one frame
//! with its message.

use crate::attempt::Attempt;
use crate::error::Result;
use crate::gate::{GateAct, GateAnswer, GateAnswered, GateFigures};
use crate::store::Store;

impl Store {
    /// Asks the gate of a queue for a buyer.
    ///
    /// # Errors
    /// When the disk fails otherwise; the caller must stop.
    ///
    /// # Panics
    /// When the buyer's name is empty or longer than [`BUYER_BYTES_MAX`](crate::BUYER_BYTES_MAX), or the body of a message
    /// too large.
    pub fn ask_gate(&mut self, _name: &[u8], _buyer: &[u8], _act: GateAct<'_>) -> Result<Attempt<GateAnswered>> {
        Ok(Attempt::Done(GateAnswered { answer: GateAnswer::NotNow, waits: false }))
    }

    /// What an operator sees of the gate of a queue. `None`: the queue has none, and never had.
    #[must_use]
    pub fn gate_figures(&self, _name: &[u8]) -> Option<GateFigures> {
        None
    }
}
