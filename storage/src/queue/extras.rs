//! What few queues have: rules, children, messages that are out, and counts of these.

use std::sync::Arc;

use super::delivery::Delivery;
use super::{Message, Queue};
use crate::log::entry::Seq;
use crate::queue::table::Slot;
use crate::settings::Settings;

/// What is counted of a queue since the start, beside its sets and gets.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    /// Open messages that were acknowledged.
    pub(crate) acked: u64,
    /// Open messages that came back.
    pub(crate) returned: u64,
    /// Messages that were dropped for their age, or since they were to be worth nothing by then.
    pub(crate) expired: u64,
    /// Messages that were not put, since the queue was full.
    pub(crate) refused: u64,
    /// Messages that were dropped to make room for another.
    pub(crate) dropped: u64,
    /// Opens that found as many open as there may be.
    pub(crate) open_full: u64,
}

impl Queue {
    /// What holds for the queue; `None`: the defaults.
    pub(crate) fn rules(&self) -> Option<&Arc<Settings>> {
        self.beyond.as_ref()?.rules.as_ref()
    }

    pub(crate) fn set_rules(&mut self, rules: Option<Arc<Settings>>) {
        if rules.is_some() || self.rules().is_some() {
            self.beyond.get_or_insert_default().rules = rules;
            self.forget_needless();
        }
    }

    /// Whether the queue was told to hand out no message.
    #[inline]
    pub(crate) fn is_paused(&self) -> bool {
        self.rules().is_some_and(|rules| rules.pause)
    }

    /// The queues that have every message put into this one.
    pub(crate) fn children(&self) -> &[Slot] {
        self.beyond.as_ref().map_or(&[], |beyond| &beyond.children)
    }

    pub(crate) fn set_children(&mut self, children: Vec<Slot>) {
        if !children.is_empty() || !self.children().is_empty() {
            self.beyond.get_or_insert_default().children = children;
            self.forget_needless();
        }
    }

    /// Whether a put is nothing but a put: there are no rules, and no children.
    #[inline]
    pub(crate) fn is_plain(&self) -> bool {
        self.beyond.as_ref().is_none_or(|beyond| beyond.rules.is_none() && beyond.children.is_empty())
    }

    pub(crate) fn counts(&self) -> Counts {
        self.beyond.as_ref().and_then(|beyond| beyond.counts.as_deref().copied()).unwrap_or_default()
    }

    pub(crate) fn count(&mut self, count: impl FnOnce(&mut Counts)) {
        count(self.beyond.get_or_insert_default().counts.get_or_insert_default());
    }

    /// When the age of the messages is looked at, in milliseconds since 1970; `None`: no time is set.
    pub(crate) fn age_timed_at(&self) -> Option<u64> {
        self.beyond.as_ref()?.age_timed_at
    }

    pub(crate) fn set_age_timed_at(&mut self, at_ms: Option<u64>) {
        if at_ms != self.age_timed_at() {
            self.beyond.get_or_insert_default().age_timed_at = at_ms;
            self.forget_needless();
        }
    }

    // ---- messages that are out ----

    /// What the queue has of messages that are out; `None`: none is.
    #[inline]
    pub(crate) fn delivery(&self) -> Option<&Delivery> {
        self.beyond.as_ref()?.delivery.as_deref()
    }

    /// The same, made where there is none.
    pub(crate) fn delivery_mut(&mut self) -> &mut Delivery {
        let head = self.head;
        self.beyond.get_or_insert_default().delivery.get_or_insert_with(|| Box::new(Delivery::new(head)))
    }

    /// Lets go of what the queue has of messages that are out, when none is.
    pub(crate) fn settle_delivery(&mut self) {
        if let Some(beyond) = &mut self.beyond {
            beyond.delivery.take_if(|delivery| delivery.is_needless());
            self.forget_needless();
        }
    }

    /// The message that is to be handed out next.
    pub(crate) fn next_available(&mut self) -> Option<Seq> {
        let first = |queue: &Queue, from| queue.messages_from(from).next().map(|(seq, _)| seq);
        let Some(mut delivery) = self.beyond.as_mut().and_then(|beyond| beyond.delivery.take()) else {
            return first(self, self.head);
        };
        let next = delivery.next(|from| first(self, from));
        self.beyond.get_or_insert_default().delivery = Some(delivery);
        next
    }

    /// The messages that may be handed out, in their order.
    pub(crate) fn available(&self) -> impl Iterator<Item = (Seq, &Message)> {
        let (returned, cursor) = match self.delivery() {
            Some(delivery) => (Some(delivery.returned()), delivery.cursor()),
            None => (None, self.head),
        };
        let message = |seq: Seq| (seq, self.message(seq).expect("what came back is there"));
        let mut returned = returned.into_iter().flatten().map(message).peekable();
        let is_out = |seq| self.delivery().is_some_and(|delivery| !delivery.is_available(seq));
        let mut ahead = self.messages_from(cursor).filter(move |(seq, _)| !is_out(*seq)).peekable();
        std::iter::from_fn(move || match (returned.peek(), ahead.peek()) {
            (Some((back, _)), Some((next, _))) if back == next => {
                returned.next();
                ahead.next()
            }
            (Some((back, _)), Some((next, _))) if back < next => returned.next(),
            (Some(_), None) => returned.next(),
            _ => ahead.next(),
        })
    }

    /// Messages that may be handed out.
    pub(crate) fn waiting(&self) -> u64 {
        self.depth() - self.delivery().map_or(0, Delivery::out)
    }
}
