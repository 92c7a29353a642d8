//! What comes of asking a store for something.

/// What came of a change that a store was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use = "what was asked for may not have been done"]
pub enum Attempt<T> {
    /// It is done.
    Done(T),
    /// The disk has no room for it. Nothing was changed.
    NoRoom,
    /// The disk is slower than what is asked of it: a segment is being prepared, a body is being read, or more is to be
    /// done than fits into one turn. Nothing that can be seen was changed. Ask again once the work that the store hands
    /// out has gone on: [`Store::segment_chore`](crate::Store::segment_chore) and its like.
    Wait,
}

impl<T> Attempt<T> {
    /// Whether it is done.
    pub(crate) fn is_done(&self) -> bool {
        matches!(self, Attempt::Done(_))
    }

    /// What the answer is when it was not done, as an attempt at something that is part of it.
    pub(crate) fn held_up<U>(&self) -> Option<Attempt<U>> {
        match self {
            Attempt::Done(_) => None,
            Attempt::NoRoom => Some(Attempt::NoRoom),
            Attempt::Wait => Some(Attempt::Wait),
        }
    }

    /// The same with another value.
    pub fn map<U>(self, f: impl FnOnce(T) -> U) -> Attempt<U> {
        match self {
            Attempt::Done(value) => Attempt::Done(f(value)),
            Attempt::NoRoom => Attempt::NoRoom,
            Attempt::Wait => Attempt::Wait,
        }
    }
}
