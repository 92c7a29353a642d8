//! Connections: the loop that reads what a client sends, has the session make operations of it, and sends the replies
//! once everything they tell is safe.

use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::io;
use std::mem;
use std::net::Shutdown;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use futures_lite::{AsyncRead, AsyncWriteExt};
use glommio::net::TcpStream;
use glommio::timer::sleep;
use shards::pump::{Gather, ShardHandle, reactor_turn};
use shards::{FrameNumber, Op, Outcome, ShardId};

use crate::control;
use crate::drain::Drain;
use crate::listener::Place;
use crate::session::{Backend, Session, Step};
use crate::settings::Settings;

/// Read from a socket at once.
const READ_BYTES: usize = 64 << 10;
/// A connection that waits for input keeps no buffer larger than this.
const KEPT_BYTES: usize = 2 << 10;
/// Reply buffers that a shard keeps for its connections, and how large they may be.
const SPARE_REPLIES: usize = 64;
const SPARE_REPLY_BYTES: usize = 512 << 10;
/// How long a stop waits for what clients have sent already, and for them to read their replies.
const STOP_LIMIT: Duration = Duration::from_secs(2);
const STOP_POLL: Duration = Duration::from_millis(1);

/// All connections of a shard, and what they share.
#[derive(Debug)]
pub(crate) struct Connections {
    handle: ShardHandle,
    settings: Arc<Settings>,
    drain: Arc<Drain>,
    started: Instant,
    /// Every connection reads into this one, and has dealt with it before another task runs.
    read_buffer: RefCell<Vec<u8>>,
    spare_replies: RefCell<Vec<Vec<u8>>>,
    /// By connection: who to wake when the server stops. `None`: a free place.
    readers: RefCell<Vec<Option<Waker>>>,
    free: RefCell<Vec<usize>>,
    open: Cell<usize>,
    /// When stopping connections stop at the latest.
    stop_at: Cell<Option<Instant>>,
}

impl Connections {
    pub(crate) fn new(handle: ShardHandle, settings: Arc<Settings>, drain: Arc<Drain>) -> Connections {
        Connections {
            handle,
            settings,
            drain,
            started: Instant::now(),
            read_buffer: RefCell::new(vec![0; READ_BYTES]),
            spare_replies: RefCell::default(),
            readers: RefCell::default(),
            free: RefCell::default(),
            open: Cell::new(0),
            stop_at: Cell::new(None),
        }
    }

    pub(crate) fn handle(&self) -> &ShardHandle {
        &self.handle
    }

    pub(crate) fn settings(&self) -> &Settings {
        &self.settings
    }

    pub(crate) fn is_draining(&self) -> bool {
        self.drain.is_on()
    }

    pub(crate) fn uptime(&self) -> Duration {
        self.started.elapsed()
    }

    /// Serves a client until it goes, on a task of its own.
    pub(crate) fn serve(self: &Rc<Connections>, stream: TcpStream, place: Place) {
        let reader = self.free.borrow_mut().pop().unwrap_or_else(|| {
            self.readers.borrow_mut().push(None);
            self.readers.borrow().len() - 1
        });
        self.open.set(self.open.get() + 1);
        self.handle.with_shard(|shard| {
            shard.curr_connections += 1;
            shard.counters.connections += 1;
        });
        let connection = Connection {
            server: Rc::clone(self),
            stream,
            session: Session::new(self.settings.rules()),
            gather: self.handle.gather(),
            input: Vec::new(),
            changed: 0,
            forwarded: 0,
            more_is_ready: false,
            reader,
            _place: place,
        };
        glommio::spawn_local(connection.run()).detach();
    }

    /// Lets every connection finish what its client has sent so far, and waits for that.
    pub(crate) async fn finish(&self) {
        let stop_at = Instant::now() + STOP_LIMIT;
        self.stop_at.set(Some(stop_at));
        self.readers.borrow_mut().iter_mut().filter_map(Option::take).for_each(Waker::wake);
        while self.open.get() > 0 && Instant::now() < stop_at + STOP_LIMIT {
            sleep(STOP_POLL).await;
        }
        if self.open.get() > 0 {
            log::warn!("{} clients do not read their replies and are cut off", self.open.get());
        }
    }
}

/// One client.
#[derive(Debug)]
struct Connection {
    server: Rc<Connections>,
    stream: TcpStream,
    session: Session,
    gather: Gather,
    /// Input that is no whole command yet.
    input: Vec<u8>,
    /// The frame that must be safe before the replies go.
    changed: FrameNumber,
    /// Operations whose outcomes come from other shards.
    forwarded: u64,
    /// The last read filled its buffer.
    more_is_ready: bool,
    /// Its place among the readers.
    reader: usize,
    _place: Place,
}

impl Connection {
    async fn run(mut self) {
        if let Err(error) = self.serve().await {
            log::debug!("a connection ended: {error}");
        }
        // What is on its way to the client still arrives.
        let _ = self.stream.shutdown(Shutdown::Write).await;
    }

    /// The only loop that awaits a client's socket.
    async fn serve(&mut self) -> io::Result<()> {
        loop {
            let Some(mut step) = self.read().await? else { return Ok(()) };
            loop {
                self.settle().await;
                if let Step::Control(control) = step {
                    let (server, out) = (&self.server, &mut self.session.out);
                    control::answer(control, server, &self.gather, out, &mut self.stream).await?;
                }
                self.send().await?;
                match step {
                    Step::NeedInput => break,
                    Step::Close => return Ok(()),
                    Step::RoundFull | Step::Control(_) => step = self.step(&[]),
                }
            }
            self.release_buffers();
            if self.more_is_ready {
                // A socket with data ready never makes its task wait: others must have their turn.
                reactor_turn().await;
            }
        }
    }

    /// Reads once, and goes through what came. `None`: the client has gone, or the server stops.
    async fn read(&mut self) -> io::Result<Option<Step>> {
        let server = Rc::clone(&self.server);
        poll_fn(|context| self.poll_read(&server, context)).await
    }

    fn poll_read(&mut self, server: &Connections, context: &mut Context<'_>) -> Poll<io::Result<Option<Step>>> {
        let stop_at = server.stop_at.get();
        if stop_at.is_some_and(|stop_at| Instant::now() >= stop_at) {
            return Poll::Ready(Ok(None));
        }
        let mut buffer = server.read_buffer.borrow_mut();
        match Pin::new(&mut self.stream).poll_read(context, &mut buffer) {
            Poll::Ready(Ok(0)) => Poll::Ready(Ok(None)),
            Poll::Ready(Ok(n)) => {
                self.session.counters.bytes_read += n as u64;
                self.more_is_ready = n == buffer.len();
                Poll::Ready(Ok(Some(self.step(&buffer[..n]))))
            }
            Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
            // A server that stops serves what has arrived, and waits for nothing more.
            Poll::Pending if stop_at.is_some() => Poll::Ready(Ok(None)),
            Poll::Pending => {
                server.readers.borrow_mut()[self.reader] = Some(context.waker().clone());
                Poll::Pending
            }
        }
    }

    /// Has the session go on with what was left and what came.
    fn step(&mut self, came: &[u8]) -> Step {
        if self.session.out.capacity() == 0 {
            self.session.out = self.server.spare_replies.borrow_mut().pop().unwrap_or_default();
        }
        let mut backend = ShardBackend {
            handle: &self.server.handle,
            draining: self.server.is_draining(),
            gather: &self.gather,
            changed: &mut self.changed,
            forwarded: &mut self.forwarded,
        };
        if self.input.is_empty() {
            let (done, step) = self.session.run(came, &mut backend);
            self.input.extend_from_slice(&came[done..]);
            return step;
        }
        self.input.extend_from_slice(came);
        let (done, step) = self.session.run(&self.input, &mut backend);
        self.input.drain(..done);
        step
    }

    /// Waits until all replies are written and may be sent.
    async fn settle(&mut self) {
        let forwarded = mem::take(&mut self.forwarded);
        if forwarded > 0 {
            self.gather.complete().await;
            let session = &mut self.session;
            self.gather.take(|outcome| session.deliver(outcome));
            self.session.counters.forwarded += forwarded;
        }
        assert!(self.session.is_settled(), "every command has its reply");
        let counted = mem::take(&mut self.session.counters);
        self.server.handle.with_shard(|shard| shard.counters.add(&counted));
        self.server.handle.settled(mem::take(&mut self.changed)).await;
    }

    async fn send(&mut self) -> io::Result<()> {
        self.session.counters.bytes_written += self.session.out.len() as u64;
        if !self.session.out.is_empty() {
            self.stream.write_all(&self.session.out).await?;
            self.session.out.clear();
        }
        Ok(())
    }

    /// A client that is idle costs no buffers.
    fn release_buffers(&mut self) {
        if self.input.is_empty() && self.input.capacity() > KEPT_BYTES {
            self.input = Vec::new();
        }
        let out = mem::take(&mut self.session.out);
        let mut spare = self.server.spare_replies.borrow_mut();
        if out.capacity() > 0 && out.capacity() <= SPARE_REPLY_BYTES && spare.len() < SPARE_REPLIES {
            spare.push(out);
        }
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        let server = &self.server;
        server.readers.borrow_mut()[self.reader] = None;
        server.free.borrow_mut().push(self.reader);
        server.open.set(server.open.get() - 1);
        server.handle.with_shard(|shard| shard.curr_connections -= 1);
    }
}

/// Applies what is this shard's, and sends what is another's.
struct ShardBackend<'a> {
    handle: &'a ShardHandle,
    draining: bool,
    gather: &'a Gather,
    changed: &'a mut FrameNumber,
    forwarded: &'a mut u64,
}

impl Backend for ShardBackend<'_> {
    fn shards(&self) -> u16 {
        self.handle.shards()
    }

    fn is_draining(&self) -> bool {
        self.draining
    }

    fn owner_of(&self, queue: &[u8]) -> ShardId {
        self.handle.owner_of(queue)
    }

    fn submit(&mut self, to: ShardId, op: Op<'_>) -> Option<Outcome> {
        if to == self.handle.id() {
            let (outcome, frame) = self.handle.apply(op);
            *self.changed = frame.max(*self.changed);
            return Some(outcome);
        }
        self.gather.push(to, op);
        *self.forwarded += 1;
        None
    }
}
