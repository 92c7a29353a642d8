//! The connections of the operator's page: what each of them waits for, and how they end.

use std::cell::{Cell, RefCell};
use std::os::fd::RawFd;
use std::rc::Rc;
use std::time::{Duration, Instant};

use glommio::timer::sleep;
use nix::sys::socket::{Shutdown, shutdown};

/// How often connections are looked for whose clients are too slow.
const SWEEP: Duration = Duration::from_secs(1);
/// How long a client may be silent between two requests.
const IDLE_MAX: Duration = Duration::from_secs(75);
/// How long the head of a request may take.
const HEAD_MAX: Duration = Duration::from_secs(5);
/// How long a client may send nothing of a body, or take nothing of an answer.
const STALL_MAX: Duration = Duration::from_secs(10);
/// How long a whole body, or a whole answer, may take.
const WHOLE_MAX: Duration = Duration::from_secs(90);
/// How long a stop waits for answers that are under way.
const STOP_ANSWERS: Duration = Duration::from_secs(2);
const STOP_POLL: Duration = Duration::from_millis(1);

/// What a connection waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    /// The next request.
    Idle,
    /// The rest of a request's head.
    Head,
    /// The rest of a request's body.
    Body,
    /// The server.
    Answer,
    /// Its client, to take the answer.
    Taken,
}

/// A connection.
#[derive(Debug, Clone, Copy)]
struct Seat {
    /// Its socket, open as long as the seat is taken.
    socket: RawFd,
    phase: Phase,
    /// When the phase began, and when the client last did something in it.
    began: Instant,
    active: Instant,
}

impl Seat {
    fn is_too_slow(&self, now: Instant) -> bool {
        let (whole, since) = (now - self.began, now - self.active);
        match self.phase {
            Phase::Idle => whole >= IDLE_MAX,
            Phase::Head => whole >= HEAD_MAX,
            Phase::Body | Phase::Taken => whole >= WHOLE_MAX || since >= STALL_MAX,
            Phase::Answer => false,
        }
    }
}

/// The connections that there are.
#[derive(Debug, Default)]
pub(crate) struct Places {
    seats: RefCell<Vec<Option<Seat>>>,
    /// Acts that go on although their client has gone.
    acts: Cell<usize>,
    stops: Cell<bool>,
}

impl Places {
    /// A place for a connection.
    pub(super) fn enter(self: &Rc<Places>, socket: RawFd, now: Instant) -> Place {
        let mut seats = self.seats.borrow_mut();
        let free = seats.iter().position(Option::is_none).unwrap_or(seats.len());
        if free == seats.len() {
            seats.push(None);
        }
        seats[free] = Some(Seat { socket, phase: Phase::Idle, began: now, active: now });
        Place { places: Rc::clone(self), seat: free }
    }

    /// Has a stop wait for an act, until what this returns is dropped.
    pub(super) fn begin_act(self: &Rc<Places>) -> impl Sized + use<> {
        struct Act(Rc<Places>);
        impl Drop for Act {
            fn drop(&mut self) {
                self.0.acts.set(self.0.acts.get() - 1);
            }
        }
        self.acts.set(self.acts.get() + 1);
        Act(Rc::clone(self))
    }

    /// Ends connections whose clients are too slow, for ever.
    pub(crate) async fn end_slow(self: Rc<Places>) {
        loop {
            sleep(SWEEP).await;
            let now = Instant::now();
            self.end(|seat| seat.is_too_slow(now));
        }
    }

    /// Ends all connections but those that have a request which is being answered: the server stops.
    pub(crate) fn begin_stop(&self) {
        self.stops.set(true);
        self.end(|seat| !matches!(seat.phase, Phase::Answer | Phase::Taken));
    }

    pub(super) fn stops(&self) -> bool {
        self.stops.get()
    }

    /// Waits until the last connection has ended, and the last act; ends those connections that take long.
    pub(crate) async fn all_gone(&self) {
        let began = Instant::now();
        let mut ended = false;
        while self.acts.get() > 0 || self.seats.borrow().iter().any(Option::is_some) {
            if !ended && began.elapsed() >= STOP_ANSWERS {
                ended = true;
                self.end(|_| true);
            }
            sleep(STOP_POLL).await;
        }
    }

    /// Ends connections. Their tasks wake up to one that has ended, whatever they wait for.
    fn end(&self, which: impl Fn(&Seat) -> bool) {
        for seat in self.seats.borrow().iter().flatten().filter(|seat| which(seat)) {
            if let Err(error) = shutdown(seat.socket, Shutdown::Both) {
                log::debug!("a connection of the page has gone by itself: {error}");
            }
        }
    }
}

/// A connection's place. It is left before its socket is closed.
#[derive(Debug)]
pub(super) struct Place {
    places: Rc<Places>,
    seat: usize,
}

impl Place {
    pub(super) fn phase(&self) -> Phase {
        self.places.seats.borrow()[self.seat].expect("it is taken").phase
    }

    /// Notes what the connection waits for from now on.
    pub(super) fn begin(&self, phase: Phase, now: Instant) {
        if let Some(seat) = &mut self.places.seats.borrow_mut()[self.seat] {
            *seat = Seat { phase, began: now, active: now, ..*seat };
        }
    }

    /// Notes that the client has sent or taken something.
    pub(super) fn note_active(&self, now: Instant) {
        if let Some(seat) = &mut self.places.seats.borrow_mut()[self.seat] {
            seat.active = now;
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.places.seats.borrow_mut()[self.seat] = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_that_is_left_is_free() {
        let (places, now) = (Rc::new(Places::default()), Instant::now());
        let mut taken: Vec<Place> = (0..3).map(|_| places.enter(-1, now)).collect();
        drop(taken.swap_remove(1));
        let again = places.enter(-1, now);
        again.begin(Phase::Answer, now);
        assert_eq!((again.seat, again.phase(), places.seats.borrow().len()), (1, Phase::Answer, 3));
    }

    #[test]
    fn who_is_slow_in_any_phase_is_found_and_who_waits_for_the_server_is_not() {
        let start = Instant::now();
        let seconds = |phase, active: fn(u64) -> u64| {
            (0..10_000).find(|second| {
                let at = |second| start + Duration::from_secs(second);
                let seat = Seat { socket: -1, phase, began: start, active: at(active(*second)) };
                seat.is_too_slow(at(*second))
            })
        };
        assert_eq!(seconds(Phase::Idle, |_| 0), Some(75));
        assert_eq!(seconds(Phase::Head, |second| second), Some(5), "byte by byte is no way to hold a place");
        for phase in [Phase::Body, Phase::Taken] {
            assert_eq!(seconds(phase, |_| 0), Some(10));
            assert_eq!(seconds(phase, |second| second), Some(90));
        }
        assert_eq!(seconds(Phase::Answer, |_| 0), None);
    }
}
