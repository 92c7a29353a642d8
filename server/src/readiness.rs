//! The sockets of a shard's clients: reading, writing and accepting without blocking, and waiting until that is possible.
//!
//! One epoll instance a shard collects which sockets are ready, and glommio waits for that instance alone. Its own streams
//! cost a request to the ring for every read, and each completion interrupts the shard at what it is doing: some tenth
//! of all that a command costs.
//!
//! Sockets are watched edge-triggered. What is noted here as readable is read until a read comes back short; what has
//! arrived since makes a new edge.

use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::io::{self, Read, Write};
use std::mem;
use std::net::Shutdown;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, IntoRawFd, RawFd};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use futures_lite::future::yield_now;
use futures_lite::{AsyncRead, AsyncWrite};
use glommio::net::TcpStream;
use glommio::timer::sleep;
use nix::errno::Errno;
use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};
use shards::pump::ShardHandle;
use socket2::Socket;

/// Sockets that are looked at in one turn.
const EVENTS_MAX: usize = 256;

/// Reads of input that is thrown away: a client may send without an end.
const DISCARDS_MAX: usize = 64;

/// How often sockets are looked at while the process has no descriptor left to wait by.
const LOOK_INTERVAL: Duration = Duration::from_millis(1);

/// What is known of a socket.
#[derive(Debug, Default)]
struct State {
    readable: bool,
    /// The other side has ended its part, or the connection is broken: reads go on until they say so.
    ending: bool,
    /// Whoever has asked for input last, and whether he still waits for it.
    reader: Option<Waker>,
    reader_waits: bool,
    writer: Option<Waker>,
}

impl State {
    fn wake_reader(&mut self) {
        if mem::take(&mut self.reader_waits) {
            self.reader.iter().for_each(Waker::wake_by_ref);
        }
    }

    /// Has the reader woken. It is the same one each time, so its waker is kept.
    fn wait_for_input(&mut self, reader: &Waker) {
        self.reader.get_or_insert_with(|| reader.clone()).clone_from(reader);
        self.reader_waits = true;
    }
}

/// Which of a shard's sockets are ready.
#[derive(Debug)]
pub(crate) struct Readiness {
    epoll: Epoll,
    /// By slot, which is what the kernel names a socket by.
    states: RefCell<Vec<State>>,
    free: RefCell<Vec<usize>>,
    /// When sockets were found to be ready last.
    looked_at: Cell<Instant>,
}

impl Readiness {
    /// # Errors
    /// What the operating system says: there may be no descriptors left.
    pub(crate) fn new() -> io::Result<Rc<Readiness>> {
        let epoll = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC)?;
        let (states, free, looked_at) = (RefCell::default(), RefCell::default(), Cell::new(Instant::now()));
        Ok(Rc::new(Readiness { epoll, states, free, looked_at }))
    }

    /// When what is read now was there: one clock for all sockets that became ready together.
    pub(crate) fn looked_at(&self) -> Instant {
        self.looked_at.get()
    }

    /// Notes that a socket, on which there was more than a read took, is read again now.
    pub(crate) fn look_again(&self) {
        self.looked_at.set(Instant::now());
    }

    /// Watches a socket from now on, for this thread.
    ///
    /// # Errors
    /// What the operating system says.
    pub(crate) fn watch(self: &Rc<Readiness>, socket: Socket) -> io::Result<WatchedSocket> {
        socket.set_nonblocking(true)?;
        let slot = self.free.borrow_mut().pop().unwrap_or_else(|| {
            self.states.borrow_mut().push(State::default());
            self.states.borrow().len() - 1
        });
        let watched = WatchedSocket { socket, slot, readiness: Rc::clone(self) };
        let interest = EpollFlags::EPOLLIN | EpollFlags::EPOLLOUT | EpollFlags::EPOLLRDHUP | EpollFlags::EPOLLET;
        self.epoll.add(&watched.socket, EpollEvent::new(interest, slot as u64))?;
        Ok(watched)
    }

    /// Wakes all that wait for input, ready or not: the server stops.
    pub(crate) fn wake_readers(&self) {
        self.states.borrow_mut().iter_mut().for_each(State::wake_reader);
    }

    /// Wakes those whose sockets become ready, for ever.
    ///
    /// It looks a second time once they have had their turn, and before what they changed is committed: clients that were
    /// answered together ask again together, and the later ones are here by then.
    pub(crate) async fn run(self: Rc<Readiness>, shard: ShardHandle) {
        loop {
            if self.look() > 0 {
                shard.note_look(self.looked_at());
                yield_now().await;
                self.look();
            }
            doorbell(&self.epoll).await;
        }
    }

    /// Wakes those whose sockets are ready now. Returns how many sockets that were.
    fn look(&self) -> usize {
        let mut events = [EpollEvent::empty(); EVENTS_MAX];
        let ready = match self.epoll.wait(&mut events, EpollTimeout::ZERO) {
            Err(Errno::EINTR) => 0,
            ready => ready.expect("the descriptor is an epoll instance's, and the events are in memory"),
        };
        if ready > 0 {
            self.looked_at.set(Instant::now());
        }
        events[..ready].iter().for_each(|event| self.note(event));
        ready
    }

    fn note(&self, event: &EpollEvent) {
        let is = |flags: EpollFlags| event.events().intersects(flags);
        let mut states = self.states.borrow_mut();
        let state = &mut states[event.data() as usize];
        state.ending |= is(EpollFlags::EPOLLRDHUP | EpollFlags::EPOLLHUP | EpollFlags::EPOLLERR);
        if is(EpollFlags::EPOLLIN) || state.ending {
            state.readable = true;
            state.wake_reader();
        }
        if is(EpollFlags::EPOLLOUT) || state.ending {
            state.writer.take().into_iter().for_each(Waker::wake);
        }
    }
}

/// Waits until some socket has become ready.
///
/// glommio can wait for nothing but its own sockets and files. A descriptor that it takes for a stream's it only polls,
/// as long as nobody reads from that stream: so the read is begun, and never done. It closes its descriptor in the end;
/// while there is none left for it to have, this looks now and then.
async fn doorbell(epoll: &Epoll) {
    let Ok(descriptor) = epoll.0.try_clone() else {
        sleep(LOOK_INTERVAL).await;
        return;
    };
    // SAFETY: the descriptor is open, and the stream's alone.
    #[allow(unsafe_code)]
    let mut stream = unsafe { TcpStream::from_raw_fd(descriptor.into_raw_fd()) };
    let mut begun = false;
    poll_fn(|context| {
        if begun {
            return Poll::Ready(());
        }
        begun = true;
        Pin::new(&mut stream).poll_read(context, &mut []).map(|_| ())
    })
    .await;
}

/// A socket that the thread's [`Readiness`] watches.
#[derive(Debug)]
pub(crate) struct WatchedSocket {
    socket: Socket,
    slot: usize,
    readiness: Rc<Readiness>,
}

impl WatchedSocket {
    /// Reads what is there.
    pub(crate) fn poll_read(&self, context: &Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<usize>> {
        let result = self.poll_input(context, || (&self.socket).read(buffer));
        if let Poll::Ready(Ok(n)) = result {
            let state = &mut self.readiness.states.borrow_mut()[self.slot];
            state.readable = n == buffer.len() || state.ending;
        }
        result
    }

    /// Accepts the next connection.
    ///
    /// # Errors
    /// What the operating system says; the socket goes on listening.
    pub(crate) async fn accept(&self) -> io::Result<Socket> {
        poll_fn(|context| self.poll_input(context, || self.socket.accept()).map_ok(|(socket, _)| socket)).await
    }

    fn poll_input<T>(&self, context: &Context<'_>, mut input: impl FnMut() -> io::Result<T>) -> Poll<io::Result<T>> {
        let mut states = self.readiness.states.borrow_mut();
        let state = &mut states[self.slot];
        while state.readable {
            match input() {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => state.readable = false,
                result => return Poll::Ready(result),
            }
        }
        state.wait_for_input(context.waker());
        Poll::Pending
    }

    /// Whether the client's system has all that was sent, or will never have it.
    pub(crate) fn is_delivered(&self) -> bool {
        unsent(self.as_raw_fd()) == 0 || !matches!(self.socket.take_error(), Ok(None))
    }

    /// Throws away what has come and was not read, some times as much as the buffer holds at the most.
    pub(crate) fn discard_input(&self, buffer: &mut [u8]) {
        let read = (0..DISCARDS_MAX).map(|_| (&self.socket).read(buffer));
        read.take_while(|read| matches!(read, Ok(1..))).for_each(drop);
    }

    /// Ends this side.
    pub(crate) fn shutdown(&self, how: Shutdown) -> io::Result<()> {
        self.socket.shutdown(how)
    }
}

nix::ioctl_read_bad!(unsent_of, nix::libc::TIOCOUTQ, nix::libc::c_int);

/// The bytes that were sent on a socket and have not reached the other side. None of what is no socket.
pub(crate) fn unsent(socket: RawFd) -> usize {
    let mut bytes = 0;
    // SAFETY: this call writes one int to where it is told, whatever the descriptor is.
    #[allow(unsafe_code)]
    let asked = unsafe { unsent_of(socket, &mut bytes) };
    asked.ok().and_then(|_| usize::try_from(bytes).ok()).unwrap_or(0)
}

impl AsRawFd for WatchedSocket {
    fn as_raw_fd(&self) -> RawFd {
        self.socket.as_fd().as_raw_fd()
    }
}

impl AsFd for WatchedSocket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

impl AsyncWrite for WatchedSocket {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        loop {
            match (&self.socket).write(bytes) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                result => return Poll::Ready(result),
            }
        }
        self.readiness.states.borrow_mut()[self.slot].writer = Some(context.waker().clone());
        Poll::Pending
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_close(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(self.shutdown(Shutdown::Write))
    }
}

impl Drop for WatchedSocket {
    fn drop(&mut self) {
        // The kernel forgets the socket when it is closed, which is before anybody is asked about its slot again.
        self.readiness.states.borrow_mut()[self.slot] = State::default();
        self.readiness.free.borrow_mut().push(self.slot);
    }
}
