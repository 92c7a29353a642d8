//! A connection: the conversation with one client on a stream, TCP or a Unix socket.

use std::future::poll_fn;
use std::io;
use std::mem;
use std::os::fd::AsRawFd;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use futures_lite::future::or;
use glommio::timer::sleep;
use protocol::reply;

use crate::access::Place;
use crate::conversation::{Carrier, Conversation};
use crate::net::ShardNet;
use crate::net::arrival::Door;
use crate::net::connections::Open;
use crate::net::stream::Stream;
use crate::process::permits::Permit;
use crate::session::peer::Peer;
use crate::session::{Control, ReplySink, Step};

/// A connection that waits for input keeps no buffer larger than this.
const KEPT_BYTES: usize = 2 << 10;
/// How long a client has to log in: it holds a place that another one could have.
const LOGIN_LIMIT: Duration = Duration::from_secs(10);
/// What is read at once of a client that has not logged in: what is not done with is held until then.
const BEFORE_LOGIN_BYTES: usize = 2 << 10;
/// Reply buffers that a shard keeps for its connections, and how large each may be.
const SPARE_REPLIES: usize = 64;
const SPARE_REPLY_BYTES: usize = 512 << 10;

/// One client on a stream.
#[derive(Debug)]
struct Connection {
    net: Rc<ShardNet>,
    stream: Stream,
    /// The last read filled its buffer.
    more_is_ready: bool,
    /// The last replies had to wait until the client had read others.
    send_waited: bool,
    /// The number of its seat.
    seat: u32,
    /// Whether it is closed when it is idle for long.
    is_timed: bool,
    _open: Open,
    _permit: Permit,
    _place: Option<Box<Place>>,
}

/// Where clients of memcache's protocol come in.
pub(super) const DOOR: Door =
    Door { plain_answer: reply::NEEDS_TLS, crowd_answer: Some(reply::TOO_MANY_CONNECTIONS_OF_ADDRESS), serve };

/// Serves a client until it goes, on a task of its own. `place`: among those of its address.
fn serve(stream: Stream, peer: Peer, permit: Permit, place: Option<Place>, net: &Rc<ShardNet>) {
    net.context.handle.note_connection_opened();
    let mut conversation = Conversation::new(&net.context, Instant::now());
    conversation.enter(stream.as_raw_fd(), peer);
    let connection = Connection {
        net: Rc::clone(net),
        seat: net.connections.seat(stream.as_raw_fd()),
        stream,
        more_is_ready: false,
        send_waited: false,
        is_timed: net.context.settings.idle_timeout.is_some(),
        _open: net.connections.open(),
        _permit: permit,
        // Few have one, and an idle connection is to be small.
        _place: place.map(Box::new),
    };
    net.tasks.spawn(connection.run(conversation));
}

impl Connection {
    /// Serves the client to its end.
    #[allow(
        clippy::manual_async_fn,
        reason = "that would hold its arguments twice, and an idle connection is little else"
    )]
    fn run(mut self, mut conversation: Conversation) -> impl Future<Output = ()> {
        async move {
            match conversation.drive(&mut self).await {
                Ok(()) if self.net.connections.stops().is_some() => self.wait_for_delivery().await,
                Ok(()) => {}
                Err(error) => log::debug!("{}: the connection ended: {error}", conversation.session.who()),
            }
            // What is on its way to the client still arrives.
            let _ = self.stream.end();
            // Out of the roster before its socket is closed, whose number may be another's then.
            drop(conversation);
        }
    }

    /// Waits until the client has its replies, or reads no more.
    async fn wait_for_delivery(&self) {
        let most = self.net.context.settings.stop_timeout;
        // Boxed, since an idle connection is to be small.
        Box::pin(self.stream.wait_for_delivery(most, &self.net.read_buffer)).await;
    }

    /// Reads once of a client that has to log in, and has not for too long at some time. `None`: as for all others.
    async fn read_login(&mut self, conversation: &mut Conversation) -> io::Result<Option<Step>> {
        let left = LOGIN_LIMIT.saturating_sub(conversation.age());
        let late = async {
            sleep(left).await;
            Ok(None)
        };
        or(poll_fn(|context| self.poll_input(context, conversation)), late).await
    }

    /// Reads what is there, and has the conversation go through it. `None`: the client has gone, or the server stops.
    fn poll_input(&mut self, context: &Context<'_>, conversation: &mut Conversation) -> Poll<io::Result<Option<Step>>> {
        if self.is_to_leave(conversation) {
            return Poll::Ready(Ok(None));
        }
        let mut buffer = self.net.read_buffer.borrow_mut();
        let room = match conversation.session.is_before_login() {
            true => BEFORE_LOGIN_BYTES,
            false => buffer.len(),
        };
        let n = match self.stream.poll_read(context, &mut buffer[..room])? {
            Poll::Ready(0) => return Poll::Ready(Ok(None)),
            Poll::Ready(n) => n,
            // A server that stops serves what has arrived, and waits for nothing more.
            Poll::Pending if self.net.connections.stops().is_some() => return Poll::Ready(Ok(None)),
            Poll::Pending => return Poll::Pending,
        };
        self.more_is_ready = self.stream.more_is_ready(n, room);
        if self.is_timed {
            self.net.connections.note_busy(self.seat);
        }
        conversation.session.answers.out = self.net.spare_replies.borrow_mut().pop().unwrap_or_default();
        Poll::Ready(Ok(Some(conversation.step(&buffer[..n], self.net.poller.looked_at()))))
    }

    /// A client that is idle costs no buffers.
    fn release_buffers(&self, conversation: &mut Conversation) {
        conversation.shrink(KEPT_BYTES);
        let out = mem::take(&mut conversation.session.answers.out);
        assert!(out.is_empty(), "its replies are sent");
        let mut spare = self.net.spare_replies.borrow_mut();
        if out.capacity() > 0 && out.capacity() <= SPARE_REPLY_BYTES && spare.len() < SPARE_REPLIES {
            spare.push(out);
        }
    }
}

impl Carrier for Connection {
    /// Reads once. `None`: the client has gone, or the server stops.
    async fn read(&mut self, conversation: &mut Conversation) -> io::Result<Option<Step>> {
        self.release_buffers(conversation);
        if self.is_timed {
            self.net.connections.note_idle(self.seat);
        }
        if mem::take(&mut self.more_is_ready) {
            // A socket with data ready never makes its task wait.
            conversation.others_first().await;
            self.net.poller.look_again();
        }
        if conversation.session.is_before_login() {
            // Boxed, since an idle connection is to be small.
            return Box::pin(self.read_login(conversation)).await;
        }
        poll_fn(|context| self.poll_input(context, conversation)).await
    }

    fn refusal(&self, _: Control) -> Option<&'static [u8]> {
        None
    }

    /// Whether the server stops, and the client does not keep up: what it has asked for and was not done stays undone, so
    /// that no message is taken for which the client would have to be waited for. A get that was answered in part goes on.
    fn is_to_leave(&self, conversation: &Conversation) -> bool {
        let stops = self.net.connections.stops();
        stops.is_some_and(|left| self.send_waited || left.is_zero()) && !conversation.session.is_amid_get()
    }

    fn release(&self, conversation: &mut Conversation) {
        self.release_buffers(conversation);
    }

    fn poll_gone(&mut self, context: &Context<'_>) -> Poll<()> {
        self.stream.poll_gone(context)
    }

    async fn close(&mut self, conversation: &mut Conversation) -> io::Result<()> {
        self.stream.end()?;
        self.release_buffers(conversation);
        self.wait_for_delivery().await;
        Ok(())
    }
}

impl ReplySink for Connection {
    async fn send(&mut self, replies: &[u8], sent: &mut u64) -> io::Result<()> {
        self.send_waited = false;
        let mut left = replies;
        while !left.is_empty() {
            let n = poll_fn(|context| {
                let written = self.stream.poll_write(context, left);
                if written.is_pending() {
                    // From here on the server waits for the client.
                    self.send_waited = true;
                    if self.is_timed {
                        self.net.connections.note_idle(self.seat);
                    }
                }
                written
            })
            .await?;
            left = &left[n..];
            *sent += n as u64;
        }
        if self.send_waited && self.is_timed {
            self.net.connections.note_busy(self.seat);
        }
        Ok(())
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.net.connections.leave(self.seat);
        self.net.context.handle.note_connection_closed();
    }
}
