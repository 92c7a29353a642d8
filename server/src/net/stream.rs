//! A client's stream: its socket as it is, or TLS over it. What serves a client, in any protocol, cannot tell.

use std::cell::{RefCell, RefMut};
use std::io;
use std::mem;
use std::net::Shutdown;
use std::os::fd::{AsRawFd, RawFd};
use std::rc::Rc;
use std::task::{Context, Poll, Waker, ready};
use std::time::{Duration, Instant};

use glommio::timer::sleep;

use crate::net::READ_BYTES;
use crate::net::connections::STOP_LOOK;
use crate::net::patience::Patience;
use crate::net::socket::{WatchedSocket, unsent};
use crate::net::tls::{OVERHEAD_MAX, Plain, SEALED_MAX, Tls};

/// Reads that bring no plaintext, in one go: a client may send records without any, and without an end.
const EMPTY_READS_MAX: usize = 4;
/// Plaintext that is read while nothing asks for it, to see whether the client has ended.
const AHEAD_BYTES_MAX: usize = 64 << 10;

/// A buffer for ciphertext, which all streams of a shard share: each has gone through it before another one runs.
#[derive(Debug, Default, Clone)]
pub(super) struct Records(Rc<RefCell<Vec<u8>>>);

impl Records {
    pub(super) fn borrow(&self) -> RefMut<'_, Vec<u8>> {
        let mut records = self.0.borrow_mut();
        if records.is_empty() {
            // A server without TLS has none.
            records.resize(READ_BYTES.max(SEALED_MAX) + OVERHEAD_MAX, 0);
        }
        records
    }
}

/// One client's stream.
#[derive(Debug)]
pub(super) struct Stream {
    socket: WatchedSocket,
    /// `None`: the bytes of the socket are the client's.
    over: Option<Box<Secured>>,
}

/// TLS over the socket.
#[derive(Debug)]
struct Secured {
    tls: Tls,
    records: Records,
    /// Bytes of plaintext whose records the socket has not taken in whole.
    sealed: usize,
    /// The last read of the socket filled the buffer.
    is_full: bool,
}

impl Stream {
    pub(super) fn plain(socket: WatchedSocket) -> Stream {
        Stream { socket, over: None }
    }

    /// `tls`: its handshake is done.
    pub(super) fn secured(socket: WatchedSocket, tls: Tls, records: Records) -> Stream {
        Stream { socket, over: Some(Box::new(Secured { tls, records, sealed: 0, is_full: false })) }
    }

    /// Reads what is there, as far as `buffer` goes. 0: the client has ended its part.
    pub(super) fn poll_read(&mut self, context: &Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<usize>> {
        match &mut self.over {
            None => self.socket.poll_read(context, buffer),
            Some(secured) => secured.poll_read(&self.socket, context, buffer),
        }
    }

    /// Whether there may be more to read, after a read that brought `read` bytes into a buffer of so many.
    pub(super) fn more_is_ready(&self, read: usize, buffer: usize) -> bool {
        match &self.over {
            None => read == buffer,
            Some(secured) => secured.is_full || secured.tls.has_more(),
        }
    }

    /// Writes some of `bytes`, which are not empty. When there is no room, the task is woken once there is, and the next call
    /// gets bytes that begin as these.
    pub(super) fn poll_write(&mut self, context: &Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match &mut self.over {
            None => self.socket.poll_write(context, bytes),
            Some(secured) => secured.poll_write(&self.socket, context, bytes),
        }
    }

    /// Waits until the client has ended its part, or the connection is broken. Input stays for later reads; of a client that
    /// has sent much, only they see the end.
    pub(super) fn poll_gone(&mut self, context: &Context<'_>) -> Poll<()> {
        let gone = self.socket.poll_ending(context);
        match &mut self.over {
            Some(secured) if gone.is_pending() => secured.poll_gone(&self.socket, context),
            _ => gone,
        }
    }

    /// Ends this side. What is on its way to the client still arrives.
    ///
    /// # Errors
    /// When the connection is broken.
    pub(super) fn end(&mut self) -> io::Result<()> {
        if let Some(secured) = &mut self.over {
            secured.tls.say_goodbye();
            // Best effort: a client that has not read the last replies gets no word.
            let _ = poll_flush(&mut secured.tls, &self.socket, &Context::from_waker(Waker::noop()));
        }
        self.socket.shutdown(Shutdown::Write)
    }

    /// Waits until the client has what was sent, or reads no more, and for `most` at the most. The kernel takes those bytes
    /// back that are on their way when a socket is closed whose input was not read, or comes later; so what has come is
    /// read, into `buffer`, and thrown away.
    pub(super) async fn wait_for_delivery(&self, most: Duration, buffer: &RefCell<Vec<u8>>) {
        wait_for_delivery(&self.socket, most, buffer).await;
    }
}

/// As [`Stream::wait_for_delivery`].
pub(super) async fn wait_for_delivery(socket: &WatchedSocket, most: Duration, buffer: &RefCell<Vec<u8>>) {
    const ONE: usize = 0;
    let mut patience = Patience::new(Instant::now(), most);
    while !socket.is_delivered() {
        let unsent = [(ONE, unsent(socket.as_raw_fd()))];
        if !patience.lasts(Instant::now(), 1, unsent.into_iter()) {
            break;
        }
        sleep(STOP_LOOK).await;
    }
    socket.discard_input(&mut buffer.borrow_mut());
}

impl AsRawFd for Stream {
    fn as_raw_fd(&self) -> RawFd {
        self.socket.as_raw_fd()
    }
}

impl Secured {
    fn poll_read(
        &mut self,
        socket: &WatchedSocket,
        context: &Context<'_>,
        buffer: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        let ahead = self.tls.take_ahead(buffer);
        if ahead > 0 {
            return Poll::Ready(Ok(ahead));
        }
        for _ in 0..EMPTY_READS_MAX {
            if self.tls.has_ended {
                return Poll::Ready(Ok(0));
            }
            let plain = ready!(self.poll_open(socket, context, buffer))?;
            if plain > 0 {
                return Poll::Ready(Ok(plain));
            }
        }
        context.waker().wake_by_ref();
        Poll::Pending
    }

    /// Reads the socket once, and opens the records that are whole.
    fn poll_open(
        &mut self,
        socket: &WatchedSocket,
        context: &Context<'_>,
        buffer: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        let mut records = self.records.borrow();
        let kept = self.tls.kept.len();
        records[..kept].copy_from_slice(&self.tls.kept);
        let mut came = 0;
        if !self.tls.has_whole() {
            if kept >= READ_BYTES {
                return Poll::Ready(Err(io::Error::other("a message of TLS has no end")));
            }
            came = ready!(socket.poll_read(context, &mut records[kept..READ_BYTES]))?;
            self.is_full = came == READ_BYTES - kept;
            // Without TLS' word for it. A command that was cut off is not done, so nothing is gained by that.
            self.tls.has_ended = came == 0;
        }
        let mut plain = Plain::new(buffer);
        let used = self.tls.open(&mut records[..kept + came], &mut plain);
        let used = match used {
            Ok(used) => used,
            Err(error) => {
                // The client has the reason, if it takes it now.
                let _ = poll_flush(&mut self.tls, socket, &Context::from_waker(Waker::noop()));
                return Poll::Ready(Err(io::Error::new(io::ErrorKind::InvalidData, error)));
            }
        };
        self.tls.kept.clear();
        self.tls.kept.extend_from_slice(&records[used..kept + came]);
        if self.tls.kept.is_empty() {
            self.tls.kept = Vec::new();
        }
        Poll::Ready(Ok(plain.bytes))
    }

    fn poll_write(&mut self, socket: &WatchedSocket, context: &Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        loop {
            ready!(poll_flush(&mut self.tls, socket, context))?;
            if self.sealed > 0 {
                return Poll::Ready(Ok(mem::take(&mut self.sealed)));
            }
            let mut records = self.records.borrow();
            let (sealed, length) = self.tls.seal(bytes, &mut records)?;
            let written = match socket.poll_write(context, &records[..length]) {
                Poll::Ready(written) => written?,
                Poll::Pending => 0,
            };
            if written == length {
                return Poll::Ready(Ok(sealed));
            }
            self.sealed = sealed;
            self.tls.outgoing.extend_from_slice(&records[written..length]);
        }
    }

    fn poll_gone(&mut self, socket: &WatchedSocket, context: &Context<'_>) -> Poll<()> {
        // Only reading shows whether a client has ended by TLS' word for it and goes on listening.
        for _ in 0..EMPTY_READS_MAX {
            if self.tls.has_ended {
                return Poll::Ready(());
            }
            if self.tls.ahead_bytes() >= AHEAD_BYTES_MAX {
                return Poll::Pending;
            }
            if ready!(self.poll_open(socket, context, &mut [])).is_err() {
                return Poll::Ready(());
            }
        }
        context.waker().wake_by_ref();
        Poll::Pending
    }
}

/// Sends the records that the socket has not taken.
pub(super) fn poll_flush(tls: &mut Tls, socket: &WatchedSocket, context: &Context<'_>) -> Poll<io::Result<()>> {
    while !tls.outgoing.is_empty() {
        let written = ready!(socket.poll_write(context, &tls.outgoing))?;
        tls.outgoing.drain(..written);
    }
    tls.outgoing = Vec::new();
    Poll::Ready(Ok(()))
}
