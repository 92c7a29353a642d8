//! A socket of a shard's clients: reading, writing and accepting without blocking.

use std::future::poll_fn;
use std::io::{self, Read, Write};
use std::net::Shutdown;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};
use std::rc::Rc;
use std::task::{Context, Poll};

use nix::sys::socket::{MsgFlags, recv};
use socket2::Socket;

use crate::net::poller::Poller;

/// Reads of input that is thrown away: a client may send without an end.
const DISCARDS_MAX: usize = 64;

/// A socket that the thread's [`Poller`] watches.
#[derive(Debug)]
pub(super) struct WatchedSocket {
    socket: Socket,
    slot: usize,
    poller: Rc<Poller>,
}

impl WatchedSocket {
    /// Has the thread's poller watch a socket from now on.
    ///
    /// # Errors
    /// When the kernel has no memory for one more, or watches as many sockets for this user as it may.
    pub(super) fn new(socket: Socket, poller: &Rc<Poller>) -> io::Result<WatchedSocket> {
        socket.set_nonblocking(true)?;
        let slot = poller.add(&socket)?;
        Ok(WatchedSocket { socket, slot, poller: Rc::clone(poller) })
    }

    /// Reads what is there.
    pub(super) fn poll_read(&self, context: &Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<usize>> {
        let result = self.poll_input(context, || (&self.socket).read(buffer));
        if let Poll::Ready(Ok(n)) = result {
            let mut readiness = self.poller.socket(self.slot);
            readiness.readable = n == buffer.len() || readiness.ending;
        }
        result
    }

    /// Looks at what is there, once it is more than `seen` bytes; it stays there. As many again: no more comes.
    pub(super) fn poll_peek(&self, context: &Context<'_>, buffer: &mut [u8], seen: usize) -> Poll<io::Result<usize>> {
        let is_ending = self.poller.socket(self.slot).ending;
        self.poll_input(context, || match recv(self.as_raw_fd(), buffer, MsgFlags::MSG_PEEK)? {
            0 => Ok(0),
            bytes if bytes > seen || is_ending => Ok(bytes),
            // What comes behind it makes a new edge.
            _ => Err(io::ErrorKind::WouldBlock.into()),
        })
    }

    /// Takes bytes away that were looked at.
    ///
    /// # Errors
    /// When the connection is broken.
    pub(super) fn take(&self, bytes: &mut [u8]) -> io::Result<()> {
        (&self.socket).read_exact(bytes)
    }

    /// Accepts the next connection.
    ///
    /// # Errors
    /// When there is no descriptor or memory for it, or the client has gone already; the socket goes on listening.
    pub(super) async fn accept(&self) -> io::Result<Socket> {
        poll_fn(|context| self.poll_input(context, || self.socket.accept()).map_ok(|(socket, _)| socket)).await
    }

    /// Waits until the other side has ended its part, or the connection is broken. Input stays where it is.
    pub(super) fn poll_ending(&self, context: &Context<'_>) -> Poll<()> {
        let mut readiness = self.poller.socket(self.slot);
        if readiness.ending {
            return Poll::Ready(());
        }
        readiness.wait_for_input(context.waker());
        Poll::Pending
    }

    fn poll_input<T>(&self, context: &Context<'_>, mut input: impl FnMut() -> io::Result<T>) -> Poll<io::Result<T>> {
        let mut readiness = self.poller.socket(self.slot);
        while readiness.readable {
            match input() {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => readiness.readable = false,
                result => return Poll::Ready(result),
            }
        }
        readiness.wait_for_input(context.waker());
        Poll::Pending
    }

    /// Writes as much as there is room for. When there is none, the task is woken once there is.
    pub(super) fn poll_write(&self, context: &Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        loop {
            match (&self.socket).write(bytes) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                result => return Poll::Ready(result),
            }
        }
        self.poller.socket(self.slot).writer = Some(context.waker().clone());
        Poll::Pending
    }

    /// Whether the client's system has all that was sent, or will never have it.
    pub(super) fn is_delivered(&self) -> bool {
        unsent(self.as_raw_fd()) == 0 || !matches!(self.socket.take_error(), Ok(None))
    }

    /// Throws away what has come and was not read, some times as much as the buffer holds at the most.
    pub(super) fn discard_input(&self, buffer: &mut [u8]) {
        let read = (0..DISCARDS_MAX).map(|_| (&self.socket).read(buffer));
        read.take_while(|read| matches!(read, Ok(1..))).for_each(drop);
    }

    /// Ends this side.
    pub(super) fn shutdown(&self, how: Shutdown) -> io::Result<()> {
        self.socket.shutdown(how)
    }
}

nix::ioctl_read_bad!(unsent_of, nix::libc::TIOCOUTQ, nix::libc::c_int);

/// The bytes that were sent on a socket and have not reached the other side. None of what is no socket.
pub(super) fn unsent(socket: RawFd) -> usize {
    let mut bytes = 0;
    // SAFETY: this call writes one int to the address that it is given, and does not use the descriptor as anything but a
    // descriptor.
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

impl Drop for WatchedSocket {
    fn drop(&mut self) {
        self.poller.remove(self.slot);
    }
}
