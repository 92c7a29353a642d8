//! What a store holds, as plain collections.

use std::collections::BTreeMap;
use std::fmt;
use std::rc::Rc;

use storage::{Result, Seq, Store};

#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Message {
    pub(crate) seq: Seq,
    pub(crate) flags: u32,
    pub(crate) body: Rc<[u8]>,
}

impl fmt::Debug for Message {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let begin = &self.body[..self.body.len().min(12)];
        write!(f, "{}: {} bytes \"{}\"", self.seq, self.body.len(), begin.escape_ascii())
    }
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Queue {
    pub(crate) sets: u64,
    pub(crate) gets: u64,
    pub(crate) settings: Vec<u8>,
    /// In their order.
    pub(crate) messages: Vec<Message>,
}

/// All queues by their names.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct State(pub(crate) BTreeMap<Vec<u8>, Queue>);

impl State {
    pub(crate) fn messages(&self) -> u64 {
        self.0.values().map(|queue| queue.messages.len() as u64).sum()
    }

    /// What a store shows without being changed.
    pub(crate) fn counters(store: &Store) -> BTreeMap<Vec<u8>, (u64, u64)> {
        let (mut lines, mut cursor) = (BTreeMap::new(), Some(0));
        while let Some(at) = cursor {
            cursor = store.list(at, 3, |line| {
                lines.insert(line.name.into_vec(), (line.sets, line.gets));
            });
        }
        lines
    }

    /// What a store holds, by taking everything out of it.
    pub(crate) fn drain(store: &mut Store) -> Result<State> {
        let mut state = State::default();
        for (name, (sets, gets)) in State::counters(store) {
            let (mut messages, settings) = (Vec::new(), store.settings(&name).to_vec());
            while let Some(taken) = store.at_once(|s| s.take(&name))?.flatten() {
                messages.push(Message { seq: taken.seq, flags: taken.flags, body: taken.body.into() });
            }
            state.0.insert(name, Queue { sets, gets, settings, messages });
        }
        Ok(state)
    }
}
