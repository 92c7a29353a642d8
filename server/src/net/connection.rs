//! Connections: the loop that reads what a client sends, has the session make operations of it, and sends the replies
//! once everything they tell is safe. TCP and Unix sockets alike.

use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::io;
use std::mem;
use std::net::Shutdown;
use std::ops::Deref;
use std::os::fd::{AsRawFd, RawFd};
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use futures_lite::AsyncWrite;
use futures_lite::future::yield_now;
use glommio::timer::sleep;
use log::log_enabled;
use nix::sys::socket::{Shutdown as How, shutdown};
use shards::pump::ShardHandle;
use socket2::Socket;

use crate::conversation::Conversation;
use crate::memcache::session::Step;
use crate::memcache::trace;
use crate::net::patience::Patience;
use crate::net::poller::Poller;
use crate::net::socket::{WatchedSocket, unsent};
use crate::net::tasks::Tasks;
use crate::process::drain::Drain;
use crate::process::permits::{Limit, Place};
use crate::process::settings::Settings;
use crate::session::peer::Peer;

/// Read from a socket at once.
const READ_BYTES: usize = 64 << 10;
/// A connection that waits for input keeps no buffer larger than this.
const KEPT_BYTES: usize = 2 << 10;
/// Reply buffers that a shard keeps for its connections, and how large they may be.
const SPARE_REPLIES: usize = 64;
const SPARE_REPLY_BYTES: usize = 512 << 10;
/// How long a stop goes on to read what clients send.
const STOP_READS: Duration = Duration::from_secs(2);
/// How often idle connections are looked for.
const IDLE_SWEEP: Duration = Duration::from_secs(1);
const STOP_POLL: Duration = Duration::from_millis(1);
/// How often a stop looks how far clients have read.
const STOP_LOOK: Duration = Duration::from_millis(50);

/// The time of activity of a client that waits for the server.
const WAITED_FOR: u32 = u32::MAX;

/// What others need to know of a connection.
#[derive(Debug, Default)]
struct Seat {
    /// Its socket, open as long as the seat is taken.
    socket: Option<RawFd>,
    /// When it last sent or took something; [`WAITED_FOR`]: it waits for the server, so it is not idle.
    active_seconds: u32,
}

/// All connections of a shard, and what they share.
#[derive(Debug)]
pub(crate) struct Connections {
    handle: ShardHandle,
    settings: Arc<Settings>,
    drain: Arc<Drain>,
    limit: Arc<Limit>,
    poller: Rc<Poller>,
    tasks: Rc<Tasks>,
    started: Instant,
    /// Every connection reads into this one, and has dealt with it before another task runs.
    read_buffer: RefCell<Vec<u8>>,
    spare_replies: RefCell<Vec<Vec<u8>>>,
    seats: RefCell<Vec<Seat>>,
    /// The seats that nobody has.
    free: RefCell<Vec<usize>>,
    /// Seconds since the start, as the last sweep for idle connections knows them.
    now_seconds: Cell<u32>,
    open: Cell<usize>,
    /// When a server that stops reads nothing more.
    stop_at: Cell<Option<Instant>>,
}

impl Connections {
    pub(crate) fn new(
        handle: ShardHandle,
        settings: Arc<Settings>,
        drain: Arc<Drain>,
        limit: Arc<Limit>,
        poller: Rc<Poller>,
    ) -> Connections {
        Connections {
            handle,
            settings,
            drain,
            limit,
            poller,
            tasks: Tasks::new(),
            started: Instant::now(),
            read_buffer: RefCell::new(vec![0; READ_BYTES]),
            spare_replies: RefCell::default(),
            seats: RefCell::default(),
            free: RefCell::default(),
            now_seconds: Cell::new(0),
            open: Cell::new(0),
            stop_at: Cell::new(None),
        }
    }

    pub(crate) fn handle(&self) -> &ShardHandle {
        &self.handle
    }

    pub(crate) fn poller(&self) -> &Rc<Poller> {
        &self.poller
    }

    /// What serves its clients.
    pub(crate) fn tasks(&self) -> &Rc<Tasks> {
        &self.tasks
    }

    pub(crate) fn settings(&self) -> &Settings {
        &self.settings
    }

    pub(crate) fn is_draining(&self) -> bool {
        self.drain.is_on()
    }

    pub(crate) fn limit(&self) -> &Arc<Limit> {
        &self.limit
    }

    pub(crate) fn uptime(&self) -> Duration {
        self.started.elapsed()
    }

    /// Serves a client until it goes, on a task of its own.
    pub(crate) fn serve(self: &Rc<Connections>, socket: Socket, place: Place) {
        let socket = match WatchedSocket::new(socket, &self.poller) {
            Ok(socket) => socket,
            Err(error) => {
                log::warn!("a connection cannot be served: {error}");
                return;
            }
        };
        let seat = self.free.borrow_mut().pop().unwrap_or_else(|| {
            self.seats.borrow_mut().push(Seat::default());
            self.seats.borrow().len() - 1
        });
        let active_seconds = self.now_seconds.get();
        self.seats.borrow_mut()[seat] = Seat { socket: Some(socket.as_raw_fd()), active_seconds };
        self.handle.with_shard(|shard| {
            shard.curr_connections += 1;
            shard.counters.connections += 1;
        });
        let connection = Connection {
            open: self.open(),
            socket,
            conversation: Conversation::new(self),
            more_is_ready: false,
            send_waited: false,
            seat,
            is_timed: self.settings.idle_timeout.is_some(),
            _place: place,
        };
        self.tasks.spawn(connection.run());
    }

    /// Has the stop wait for a client.
    pub(crate) fn open(self: &Rc<Connections>) -> Open {
        self.open.set(self.open.get() + 1);
        Open(Rc::clone(self))
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
                if let Err(error) = shutdown(socket, How::Both) {
                    log::debug!("an idle connection has gone by itself: {error}");
                }
            }
        }
    }

    /// Lets every connection finish what its client has sent so far, as far as the client keeps up, and waits until the
    /// replies are with the clients.
    pub(crate) async fn finish(&self) {
        let now = Instant::now();
        self.stop_at.set(Some(now + STOP_READS));
        self.handle.refuse_to_wait();
        self.poller.wake_readers();
        let mut patience = Patience::new(now, self.settings.stop_timeout);
        let mut looked_at = now;
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

    /// Whether the server stops, and for how long it still reads then.
    fn stops(&self) -> Option<Duration> {
        self.stop_at.get().map(|stop_at| stop_at.saturating_duration_since(Instant::now()))
    }
}

/// A client that is being served. The server stops when it is dropped, or after a while without that.
#[derive(Debug)]
pub(crate) struct Open(Rc<Connections>);

impl Deref for Open {
    type Target = Connections;

    fn deref(&self) -> &Connections {
        &self.0
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.0.open.set(self.0.open.get() - 1);
    }
}

/// One client on a stream.
#[derive(Debug)]
struct Connection {
    open: Open,
    socket: WatchedSocket,
    conversation: Conversation,
    /// The last read filled its buffer.
    more_is_ready: bool,
    /// The last replies had to wait until the client had read others.
    send_waited: bool,
    /// The number of its seat.
    seat: usize,
    /// Whether it is closed when it is idle for long.
    is_timed: bool,
    _place: Place,
}

impl Connection {
    async fn run(mut self) {
        match self.serve().await {
            Ok(()) if self.open.stops().is_some() => self.deliver().await,
            Ok(()) => {}
            Err(error) => log::debug!("{}: the connection ended: {error}", self.conversation.session.peer),
        }
        // What is on its way to the client still arrives.
        let _ = self.socket.shutdown(Shutdown::Write);
    }

    /// Ends the connection of a client that may have sent more, or be at it.
    async fn close(&mut self) -> io::Result<()> {
        self.socket.shutdown(Shutdown::Write)?;
        self.release_buffers();
        self.deliver().await;
        Ok(())
    }

    /// Waits until the client has its replies, or reads no more. The kernel takes those back that are on their way when a
    /// socket is closed whose input was not read, or comes later.
    async fn deliver(&mut self) {
        let mut patience = Patience::new(Instant::now(), self.open.settings.stop_timeout);
        while !self.socket.is_delivered() {
            let unsent = [(self.seat, unsent(self.socket.as_raw_fd()))];
            if !patience.lasts(Instant::now(), 1, unsent.into_iter()) {
                break;
            }
            sleep(STOP_LOOK).await;
        }
        self.socket.discard_input(&mut self.open.read_buffer.borrow_mut());
    }

    /// The only loop that awaits a client's socket.
    async fn serve(&mut self) -> io::Result<()> {
        loop {
            let Some(mut step) = self.read().await? else { return Ok(()) };
            loop {
                while !self.conversation.settle(&self.open).await {
                    self.send().await?;
                    self.others_first().await;
                }
                if let Step::Control(control) = step {
                    let sent = self.conversation.answer(control, &self.open, &mut self.socket).await?;
                    self.conversation.session.counters.bytes_written += sent;
                }
                self.send().await?;
                self.conversation.answered(&self.open);
                match step {
                    Step::NeedInput => break,
                    Step::Close => return self.close().await,
                    Step::RoundFull | Step::Control(_) | Step::Stalled if self.is_to_leave() => return Ok(()),
                    Step::Stalled => self.conversation.wait_for_disk(&self.open).await,
                    Step::RoundFull | Step::Control(_) => self.others_first().await,
                }
                step = self.step(&[]);
            }
            self.release_buffers();
            if self.more_is_ready {
                // A socket with data ready never makes its task wait.
                self.others_first().await;
                self.open.poller.look_again();
            }
        }
    }

    /// Lets all other clients that are ready have a round, and after a while everything else of the shard its part.
    async fn others_first(&self) {
        yield_now().await;
        self.open.handle.pass().await;
    }

    /// Whether the server stops, and the client does not keep up: what it has asked for and was not done stays undone, so
    /// that no message is taken for which the client would have to be waited for. A get that was answered in part goes on.
    fn is_to_leave(&self) -> bool {
        let stops = self.open.stops();
        stops.is_some_and(|left| self.send_waited || left.is_zero()) && !self.conversation.session.is_amid_get()
    }

    /// Reads once, and goes through what came. `None`: the client has gone, or the server stops.
    async fn read(&mut self) -> io::Result<Option<Step>> {
        let server = Rc::clone(&self.open.0);
        poll_fn(|context| self.poll_read(&server, context)).await
    }

    fn poll_read(&mut self, server: &Connections, context: &Context<'_>) -> Poll<io::Result<Option<Step>>> {
        if self.is_to_leave() {
            return Poll::Ready(Ok(None));
        }
        let mut buffer = server.read_buffer.borrow_mut();
        match self.socket.poll_read(context, &mut buffer) {
            Poll::Ready(Ok(0)) => Poll::Ready(Ok(None)),
            Poll::Ready(Ok(n)) => {
                self.conversation.session.counters.bytes_read += n as u64;
                self.more_is_ready = n == buffer.len();
                self.note_peer();
                self.conversation.read_at(server.poller.looked_at());
                Poll::Ready(Ok(Some(self.step(&buffer[..n]))))
            }
            Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
            // A server that stops serves what has arrived, and waits for nothing more.
            Poll::Pending if server.stops().is_some() => Poll::Ready(Ok(None)),
            Poll::Pending => Poll::Pending,
        }
    }

    fn step(&mut self, came: &[u8]) -> Step {
        self.note_activity(WAITED_FOR);
        let out = &mut self.conversation.session.replies.out;
        if out.capacity() == 0 {
            *out = self.open.spare_replies.borrow_mut().pop().unwrap_or_default();
        }
        self.conversation.step(&self.open, came)
    }

    async fn send(&mut self) -> io::Result<()> {
        let out = mem::take(&mut self.conversation.session.replies.out);
        trace::replies(self.conversation.session.peer, &out);
        let mut sent = 0;
        self.send_waited = false;
        while sent < out.len() {
            let written = poll_fn(|context| {
                let written = Pin::new(&mut self.socket).poll_write(context, &out[sent..]);
                if written.is_pending() {
                    // From here on the client is waited for.
                    self.send_waited = true;
                    self.note_activity(self.open.now_seconds.get());
                }
                written
            });
            let written = written.await?;
            sent += written;
            self.conversation.session.counters.bytes_written += written as u64;
        }
        self.note_activity(self.open.now_seconds.get());
        let session = &mut self.conversation.session;
        session.replies.out = out;
        session.replies.out.clear();
        Ok(())
    }

    /// Looks at who the client is, if the log will say it. Once the client has gone the kernel does not tell any more.
    fn note_peer(&mut self) {
        let peer = &mut self.conversation.session.peer;
        if log_enabled!(log::Level::Debug) && matches!(peer, Peer::Unknown) {
            *peer = Peer::of(&self.socket);
        }
    }

    /// Notes when the client was active last, if it matters.
    #[inline]
    fn note_activity(&self, seconds: u32) {
        if self.is_timed {
            self.open.seats.borrow_mut()[self.seat].active_seconds = seconds;
        }
    }

    /// A client that is idle costs no buffers.
    fn release_buffers(&mut self) {
        self.conversation.shrink(KEPT_BYTES);
        let out = mem::take(&mut self.conversation.session.replies.out);
        let mut spare = self.open.spare_replies.borrow_mut();
        if out.capacity() > 0 && out.capacity() <= SPARE_REPLY_BYTES && spare.len() < SPARE_REPLIES {
            spare.push(out);
        }
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.open.seats.borrow_mut()[self.seat] = Seat::default();
        self.open.free.borrow_mut().push(self.seat);
        self.open.handle.with_shard(|shard| shard.curr_connections -= 1);
    }
}
