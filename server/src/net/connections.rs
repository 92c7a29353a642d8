//! The connections of a shard: which are there, when each was active last, and how they end.

use std::cell::{Cell, RefCell};
use std::mem;
use std::os::fd::RawFd;
use std::rc::Rc;
use std::time::{Duration, Instant};

use glommio::timer::sleep;
use nix::sys::socket::{Shutdown, shutdown};

use crate::net::patience::Patience;
use crate::net::socket::unsent;

/// How long a stop goes on to read what clients send.
const STOP_READS: Duration = Duration::from_secs(2);
/// How often idle connections are looked for.
const IDLE_SWEEP: Duration = Duration::from_secs(1);
const STOP_POLL: Duration = Duration::from_millis(1);
/// How often a stop looks how far clients have read.
pub(super) const STOP_LOOK: Duration = Duration::from_millis(50);

/// The time of activity of a client that waits for the server.
const WAITED_FOR: u32 = u32::MAX;

/// What the sweep for idle connections and a stop need of a connection.
#[derive(Debug, Default)]
struct Seat {
    /// Its socket, open as long as the seat is taken.
    socket: Option<RawFd>,
    /// When it last sent or took something, in seconds since the start; [`WAITED_FOR`]: the client waits for the server, so
    /// it is not idle.
    active_seconds: u32,
}

/// The connections of a shard.
#[derive(Debug)]
pub(crate) struct Connections {
    seats: RefCell<Vec<Seat>>,
    /// The seats that no connection has.
    free: RefCell<Vec<u32>>,
    started: Instant,
    /// Seconds since the start, as of the last sweep for idle connections.
    now_seconds: Cell<u32>,
    /// Clients that are being served, those of datagrams too.
    open: Cell<usize>,
    /// When a server that stops reads nothing more.
    stop_at: Cell<Option<Instant>>,
}

impl Connections {
    pub(crate) fn new() -> Rc<Connections> {
        Rc::new(Connections {
            seats: RefCell::default(),
            free: RefCell::default(),
            started: Instant::now(),
            now_seconds: Cell::new(0),
            open: Cell::new(0),
            stop_at: Cell::new(None),
        })
    }

    /// Has a stop wait for a client.
    pub(super) fn open(self: &Rc<Connections>) -> Open {
        self.open.set(self.open.get() + 1);
        Open(Rc::clone(self))
    }

    /// Gives a connection a seat, whose number is its own until it [leaves](Self::leave).
    pub(super) fn seat(&self, socket: RawFd) -> u32 {
        let seat = self.free.borrow_mut().pop().unwrap_or_else(|| {
            self.seats.borrow_mut().push(Seat::default());
            self.seats.borrow().len() as u32 - 1
        });
        self.seats.borrow_mut()[seat as usize] = Seat { socket: Some(socket), active_seconds: self.now_seconds.get() };
        seat
    }

    /// Takes a seat back, before its socket is closed.
    pub(super) fn leave(&self, seat: u32) {
        let left = mem::take(&mut self.seats.borrow_mut()[seat as usize]);
        assert!(left.socket.is_some(), "a seat is left once");
        self.free.borrow_mut().push(seat);
    }

    /// Notes that a connection is idle from now on: the server waits for its client.
    pub(super) fn note_idle(&self, seat: u32) {
        self.seats.borrow_mut()[seat as usize].active_seconds = self.now_seconds.get();
    }

    /// Notes that a connection's client waits for the server.
    pub(super) fn note_busy(&self, seat: u32) {
        self.seats.borrow_mut()[seat as usize].active_seconds = WAITED_FOR;
    }

    /// Closes connections that have been idle for `timeout`, for ever. One sweep over all of them every second costs less
    /// than a timer for each.
    pub(crate) async fn close_idle(self: Rc<Connections>, timeout: Duration) {
        loop {
            sleep(IDLE_SWEEP).await;
            self.now_seconds.set(self.started.elapsed().as_secs() as u32);
            let idle_since = u64::from(self.now_seconds.get()).checked_sub(timeout.as_secs());
            let seats = self.seats.borrow();
            let idle =
                seats.iter().filter(|seat| idle_since.is_some_and(|since| u64::from(seat.active_seconds) < since));
            for socket in idle.filter_map(|seat| seat.socket) {
                // Its task wakes up to a connection that has ended, whether it waits for input or to send.
                if let Err(error) = shutdown(socket, Shutdown::Both) {
                    log::debug!("an idle connection has gone by itself: {error}");
                }
            }
        }
    }

    /// Has connections read for a little longer only: the server stops.
    pub(super) fn begin_stop(&self) {
        self.stop_at.set(Some(Instant::now() + STOP_READS));
    }

    /// For how long the server still reads; `None`: it does not stop.
    pub(super) fn stops(&self) -> Option<Duration> {
        self.stop_at.get().map(|stop_at| stop_at.saturating_duration_since(Instant::now()))
    }

    /// Waits until every client has been served and has its replies, as long as the clients keep up, and for
    /// `stop_timeout` at most.
    pub(super) async fn all_served(&self, stop_timeout: Duration) {
        let mut looked_at = Instant::now();
        let mut patience = Patience::new(looked_at, stop_timeout);
        while self.open.get() > 0 {
            let now = Instant::now();
            if now >= looked_at + STOP_LOOK {
                looked_at = now;
                let seats = self.seats.borrow();
                let sockets = seats.iter().enumerate().filter_map(|(seat, it)| Some((seat, it.socket?)));
                let unsent = sockets.map(|(seat, socket)| (seat, unsent(socket)));
                if !patience.lasts(now, self.open.get(), unsent) {
                    log::warn!("{} clients have not read their replies and are cut off", self.open.get());
                    break;
                }
            }
            sleep(STOP_POLL).await;
        }
    }
}

/// A client that is being served. A stop waits until it is dropped.
#[derive(Debug)]
pub(super) struct Open(Rc<Connections>);

impl Drop for Open {
    fn drop(&mut self) {
        self.0.open.set(self.0.open.get() - 1);
    }
}
