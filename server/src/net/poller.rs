//! Which of a shard's sockets are ready, and waiting until one is.
//!
//! One epoll instance a shard collects which sockets are ready, and glommio waits for that instance alone. Its own streams
//! cost a request to the ring for every read, and each completion interrupts the shard at what it is doing: some tenth
//! of all that a command costs.
//!
//! Sockets are watched edge-triggered. What is noted here as readable is read until a read comes back short; what has
//! arrived since makes a new edge.

use std::cell::{Cell, RefCell, RefMut};
use std::future::poll_fn;
use std::io;
use std::mem;
use std::os::fd::{FromRawFd, IntoRawFd};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Poll, Waker};
use std::time::{Duration, Instant};

use futures_lite::AsyncRead;
use futures_lite::future::yield_now;
use glommio::net::TcpStream;
use glommio::timer::sleep;
use nix::errno::Errno;
use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};
use shards::pump::ShardHandle;
use socket2::Socket;

/// Sockets that are looked at in one turn.
const EVENTS_MAX: usize = 256;

/// How often sockets are looked at while the process has no descriptor left to wait by.
const LOOK_INTERVAL: Duration = Duration::from_millis(1);

/// Whether a socket is ready, and the tasks that it wakes.
#[derive(Debug, Default)]
pub(super) struct Readiness {
    pub(super) readable: bool,
    /// The other side has ended its part, or the connection is broken: reads go on until they end or fail.
    pub(super) ending: bool,
    /// The task that asked for input last. It is woken if `reader_waits`.
    reader: Option<Waker>,
    reader_waits: bool,
    /// The task that waits until the socket takes more output.
    pub(super) writer: Option<Waker>,
}

impl Readiness {
    fn wake_reader(&mut self) {
        if mem::take(&mut self.reader_waits) {
            self.reader.iter().for_each(Waker::wake_by_ref);
        }
    }

    /// Has the reader woken. It is the same one each time, so its waker is kept.
    pub(super) fn wait_for_input(&mut self, reader: &Waker) {
        self.reader.get_or_insert_with(|| reader.clone()).clone_from(reader);
        self.reader_waits = true;
    }
}

/// Which of a shard's sockets are ready.
#[derive(Debug)]
pub(super) struct Poller {
    epoll: Epoll,
    /// By slot, which is what the kernel names a socket by.
    sockets: RefCell<Vec<Readiness>>,
    free: RefCell<Vec<usize>>,
    /// When sockets were found to be ready last.
    looked_at: Cell<Instant>,
}

impl Poller {
    /// # Errors
    /// When there is no descriptor left, or no memory.
    pub(super) fn new() -> io::Result<Rc<Poller>> {
        let epoll = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC)?;
        let (sockets, free, looked_at) = (RefCell::default(), RefCell::default(), Cell::new(Instant::now()));
        Ok(Rc::new(Poller { epoll, sockets, free, looked_at }))
    }

    /// When what is read now was there: one clock for all sockets that became ready together.
    pub(super) fn looked_at(&self) -> Instant {
        self.looked_at.get()
    }

    /// Notes that a socket, on which there was more than a read took, is read again now.
    pub(super) fn look_again(&self) {
        self.looked_at.set(Instant::now());
    }

    /// Watches a socket from now on, for this thread. Returns its slot, which is its own until it is
    /// [removed](Self::remove).
    ///
    /// # Errors
    /// When the kernel has no memory for one more, or watches as many sockets for this user as it may.
    pub(super) fn add(&self, socket: &Socket) -> io::Result<usize> {
        let slot = self.free.borrow_mut().pop().unwrap_or_else(|| {
            self.sockets.borrow_mut().push(Readiness::default());
            self.sockets.borrow().len() - 1
        });
        let interest = EpollFlags::EPOLLIN | EpollFlags::EPOLLOUT | EpollFlags::EPOLLRDHUP | EpollFlags::EPOLLET;
        if let Err(error) = self.epoll.add(socket, EpollEvent::new(interest, slot as u64)) {
            self.remove(slot);
            return Err(error.into());
        }
        Ok(slot)
    }

    /// Gives back the slot of a socket that is closed before anything else runs on this thread: the kernel forgets it then.
    pub(super) fn remove(&self, slot: usize) {
        self.sockets.borrow_mut()[slot] = Readiness::default();
        self.free.borrow_mut().push(slot);
    }

    /// The socket of a slot.
    pub(super) fn socket(&self, slot: usize) -> RefMut<'_, Readiness> {
        RefMut::map(self.sockets.borrow_mut(), |sockets| &mut sockets[slot])
    }

    /// Wakes every task that waits for input, whether its socket is ready or not: the server stops.
    pub(super) fn wake_readers(&self) {
        self.sockets.borrow_mut().iter_mut().for_each(Readiness::wake_reader);
    }

    /// Wakes the tasks whose sockets become ready, for ever.
    ///
    /// It looks a second time once those tasks have run, and before what they changed is committed: clients that were
    /// answered together ask again together, and the requests of the later ones are there by then.
    pub(super) async fn run(self: Rc<Poller>, shard: ShardHandle) {
        loop {
            if self.look() > 0 {
                shard.note_look(self.looked_at());
                yield_now().await;
                self.look();
            }
            epoll_ready(&self.epoll).await;
        }
    }

    /// Wakes the tasks whose sockets are ready now. Returns how many sockets that were.
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
        let mut socket = self.socket(event.data() as usize);
        socket.ending |= is(EpollFlags::EPOLLRDHUP | EpollFlags::EPOLLHUP | EpollFlags::EPOLLERR);
        if is(EpollFlags::EPOLLIN) || socket.ending {
            socket.readable = true;
            socket.wake_reader();
        }
        if is(EpollFlags::EPOLLOUT) || socket.ending {
            socket.writer.take().into_iter().for_each(Waker::wake);
        }
    }
}

/// Waits until some socket has become ready.
///
/// glommio waits for its own sockets and files only, and has no call that polls a descriptor. But a read of a stream
/// begins by polling its descriptor: so a copy of the epoll instance's descriptor is wrapped as a stream, a read of no
/// bytes is begun, and the read itself is never done. The stream closes its descriptor when it is dropped. While the
/// process has no descriptor left for the copy, the sockets are looked at every [`LOOK_INTERVAL`].
async fn epoll_ready(epoll: &Epoll) {
    let Ok(descriptor) = epoll.0.try_clone() else {
        sleep(LOOK_INTERVAL).await;
        return;
    };
    // SAFETY: the descriptor is open, and the stream's alone. It is no socket's, and the stream only polls and closes it.
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
