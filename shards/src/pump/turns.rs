//! A shard's turns. In one, everything that is ready gets its part: clients, other shards, commits, chores. Then the
//! reactor looks at sockets, timers and channels, and the next turn begins with what it found.
//!
//! glommio reaches its reactor only when no task is ready (or after its preempt timer, 100 ms), and its yields lead to
//! the next ready task. So what could go on for ever, as a client that streams, waits here for the next turn once the
//! one that is has lasted long enough.

use std::cell::Cell;
use std::time::{Duration, Instant};

use futures_lite::future::poll_once;
use glommio::timer::Timer;

use super::event::{Event, Growing};

/// How long a turn lasts before a task that has more to do waits for the next one. A look of the reactor takes some 5 us,
/// and a client beside one that streams waits for half of this, a round of that client, and a commit.
const TURN: Duration = Duration::from_micros(50);
/// The shortest sleep that ends with the reactor's next look.
const SHORTEST_SLEEP: Duration = Duration::from_micros(1);
const _: () = assert!(SHORTEST_SLEEP.as_nanos() < TURN.as_nanos());

/// When a shard's turn began, and the tasks that wait for the next one.
#[derive(Debug)]
pub(super) struct Turns {
    began: Cell<Instant>,
    /// When something was done last.
    active: Cell<Instant>,
    /// A task waits for the next one.
    next_needed: Event,
    /// How many turns have begun for the tasks that wait for one.
    begun: Growing,
}

impl Turns {
    pub(super) fn new() -> Turns {
        let now = Cell::new(Instant::now());
        Turns { began: now.clone(), active: now, next_needed: Event::default(), begun: Growing::default() }
    }

    /// Notes that something was done. Called where a clock is read anyway.
    pub(super) fn note_active(&self, now: Instant) {
        self.active.set(now);
    }

    /// Notes that the reactor has looked at everything. Returns how long the turn before took, if anything was done in it.
    pub(super) fn begin(&self, now: Instant) -> Option<Duration> {
        let began = self.began.replace(now);
        self.active.get().checked_duration_since(began).filter(|took| !took.is_zero())
    }

    /// Whether the turn has lasted so long that others must get theirs.
    pub(super) fn is_spent(&self, now: Instant) -> bool {
        now.saturating_duration_since(self.began.get()) >= TURN
    }

    /// Waits for the next turn.
    pub(super) async fn next(&self) {
        self.next_needed.notify();
        self.begun.beyond(self.begun.count()).await;
    }

    /// Waits until a task waits for the next turn, and then for the look of the reactor with which that begins.
    pub(super) async fn look(&self) {
        self.next_needed.wait().await;
        reactor_look().await;
    }

    /// Lets the tasks go on that wait for the turn that has begun.
    pub(super) fn go_on(&self) {
        self.begun.note(self.begun.count() + 1);
    }
}

/// Returns once the reactor has looked at sockets, timers and channels. A timer that is due when it is polled first ends
/// at once, and without the reactor: so one that was waited for is what counts.
async fn reactor_look() {
    let mut sleep = SHORTEST_SLEEP;
    loop {
        let mut timer = Timer::new(sleep);
        if poll_once(&mut timer).await.is_none() {
            timer.await;
            return;
        }
        sleep *= 2;
    }
}
