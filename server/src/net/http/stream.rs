//! A connection's bytes, as hyper reads and writes them.

use std::cell::RefCell;
use std::io;
use std::mem;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};
use std::time::Instant;

use hyper::rt::{Read, ReadBufCursor, Write};

use crate::net::ShardNet;
use crate::net::http::places::{Phase, Place};
use crate::net::stream::Stream;

/// A connection's bytes.
#[derive(Debug)]
pub(super) struct Bytes {
    net: Rc<ShardNet>,
    stream: Rc<RefCell<Stream>>,
    place: Rc<Place>,
    /// Something of the answer was written.
    has_written: bool,
}

impl Bytes {
    pub(super) fn new(net: &Rc<ShardNet>, stream: &Rc<RefCell<Stream>>, place: &Rc<Place>) -> Bytes {
        let (net, stream, place) = (Rc::clone(net), Rc::clone(stream), Rc::clone(place));
        Bytes { net, stream, place, has_written: false }
    }
}

impl Read for Bytes {
    fn poll_read(self: Pin<&mut Self>, context: &mut Context<'_>, mut into: ReadBufCursor<'_>) -> Poll<io::Result<()>> {
        let mut buffer = self.net.read_buffer.borrow_mut();
        let room = into.remaining().min(buffer.len());
        let n = ready!(self.stream.borrow_mut().poll_read(context, &mut buffer[..room]))?;
        into.put_slice(&buffer[..n]);
        match self.place.phase() {
            Phase::Idle if n > 0 => self.place.begin(Phase::Head, Instant::now()),
            _ => self.place.note_active(Instant::now()),
        }
        Poll::Ready(Ok(()))
    }
}

impl Write for Bytes {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let n = ready!(self.stream.borrow_mut().poll_write(context, bytes))?;
        self.has_written = true;
        self.place.note_active(Instant::now());
        Poll::Ready(Ok(n))
    }

    /// hyper flushes once all that it has is written.
    fn poll_flush(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.place.phase() == Phase::Taken && mem::take(&mut self.has_written) {
            self.place.begin(Phase::Idle, Instant::now());
        }
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(self.stream.borrow_mut().end())
    }
}
