//! What an operator sees of queues.

use crate::names;
use crate::store::Store;

/// Queues that are looked at for one listing at most, whether they match or not, as many times as lines are wanted.
const LOOKS_RATIO: u32 = 16;

/// A queue, as an operator sees it. What is counted is counted since the start, sets and gets apart.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct QueueFigures {
    /// Its name, as it is stored.
    pub name: Box<[u8]>,
    /// Messages that may be handed out.
    pub waiting: u64,
    /// Messages that are open.
    pub open: u64,
    /// Messages that are kept back until their time has come, or that are on their way to the dead letters.
    pub delayed: u64,
    /// Messages among its dead letters.
    pub dead: u64,
    /// How old its oldest message is, open or not, in seconds; 0 when it has none.
    pub oldest_s: u64,
    /// Bytes of all bodies.
    pub bytes: u64,
    /// Messages put since the queue was made.
    pub sets: u64,
    /// Messages that have left it since it was made.
    pub gets: u64,
    /// Open messages that were acknowledged.
    pub acked: u64,
    /// Open messages that came back.
    pub returned: u64,
    /// Messages that were too old.
    pub expired: u64,
    /// Puts that were refused by its limits, and messages that made room for another.
    pub refused: u64,
    /// Opens that found as many open as may be.
    pub open_full: u64,
    /// Failed tries of the message that is handed out next.
    pub tries: u64,
    /// Messages put in a thousand seconds, as it was of late; 0 while queues are not [searched](Store::find).
    pub in_per_1000_s: u64,
    /// Messages that have left in a thousand seconds, likewise.
    pub out_per_1000_s: u64,
    /// Queues that have every message put into it.
    pub children: u64,
    /// Whether it is told to hand out no message.
    pub paused: bool,
    /// Whether it has a gate.
    pub is_gate: bool,
    /// What a search has sorted it by; 0 otherwise.
    pub sort_key: u64,
}

impl Store {
    /// Lists up to `limit` queues whose names, as clients say them, begin with `prefix`, from a cursor on: 0, or what the
    /// call before returned. Returns where to go on; `None` at the end.
    pub fn figures(
        &mut self,
        cursor: u32,
        limit: u32,
        prefix: &[u8],
        mut each: impl FnMut(QueueFigures),
    ) -> Option<u32> {
        let end = self.live.queues.slots();
        let (mut slot, mut listed) = (cursor, 0);
        let last = cursor.saturating_add(limit.saturating_mul(LOOKS_RATIO)).min(end);
        while slot < last && listed < limit {
            self.live.follow_flush(slot);
            if let Some(queue) = self.live.queues.get(slot)
                && (prefix.is_empty() || names::shown(&queue.name).starts_with(prefix))
            {
                listed += 1;
                each(self.figures_of(slot));
            }
            slot += 1;
        }
        (slot < end).then_some(slot)
    }

    /// The figures of one queue.
    pub fn figures_of_queue(&mut self, name: &[u8]) -> Option<QueueFigures> {
        let slot = self.live.queues.find(name)?;
        self.live.follow_flush(slot);
        self.rates.look(self.log.now_ms);
        self.rates.sample(slot, self.live.queues.at(slot));
        Some(self.figures_of(slot))
    }

    pub(super) fn figures_of(&mut self, slot: u32) -> QueueFigures {
        let next = self.live.queues.at_mut(slot).next_available();
        let queue = self.live.queues.at(slot);
        let (open, delayed) =
            queue.delivery().map_or((0, 0), |delivery| (delivery.open, delivery.delayed + delivery.dying));
        let put_s = queue.head_message().map(|message| self.put_second(message.place));
        let state = next.and_then(|seq| self.live.states.get(queue.id, seq)).unwrap_or_default();
        let counts = queue.counts();
        let rate = self.rates.of(slot, queue);
        QueueFigures {
            name: (&*queue.name).into(),
            waiting: queue.waiting(),
            open,
            delayed,
            dead: self.dead_letters_of(queue),
            oldest_s: put_s.map_or(0, |put_s| (self.log.now_ms / 1000).saturating_sub(u64::from(put_s))),
            bytes: queue.bytes,
            sets: queue.sets,
            gets: queue.gets,
            acked: counts.acked,
            returned: counts.returned,
            expired: counts.expired,
            refused: counts.refused + counts.dropped,
            open_full: counts.open_full,
            tries: u64::from(state.tries),
            in_per_1000_s: rate.into_per_1000_s.into(),
            out_per_1000_s: rate.out_per_1000_s.into(),
            children: queue.children().len() as u64,
            paused: queue.is_paused(),
            is_gate: queue.rules().is_some_and(|rules| rules.gate.tickets.is_some()) || self.gates.has(queue.id),
            sort_key: 0,
        }
    }
}
