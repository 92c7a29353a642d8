//! memcached's UDP: one request a datagram, and an answer of a few datagrams. Nothing is sent twice, by either side.

use std::cell::Cell;
use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::os::fd::{FromRawFd, IntoRawFd};
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use glommio::net::UdpSocket;
use glommio::timer::sleep;
use glommio::{Task, spawn_local};
use log::log_enabled;
use nix::sys::socket::MsgFlags;
use protocol::{datagram, reply};
use socket2::Socket;

use crate::conversation::{Carrier, Conversation};
use crate::memcache::trace;
use crate::net::ShardNet;
use crate::session::peer::{Peer, Who};
use crate::session::{Control, ReplySink, Step};

/// The largest datagram there is.
const READ_BYTES: usize = 64 << 10;
/// The most datagrams of an answer. A sender can be forged, and then its victim gets the answer: so a small request has no
/// answer without bound.
const ANSWER_DATAGRAMS_MAX: usize = 8;
const ANSWER_BYTES_MAX: usize = ANSWER_DATAGRAMS_MAX * datagram::ANSWER_PIECE_BYTES_MAX;
/// Requests that a shard has under way; while there are more, the kernel drops what comes.
const UNDER_WAY_MAX: usize = 1024;
/// How long receiving pauses when it fails, or when too many requests are under way.
const PAUSE: Duration = Duration::from_millis(1);

/// A request and its answer.
#[derive(Debug)]
struct Exchange<'a> {
    /// `None`: the conversation has it.
    request: Option<&'a [u8]>,
    read_at: Instant,
    answer: Vec<u8>,
}

impl Carrier for Exchange<'_> {
    async fn read(&mut self, conversation: &mut Conversation) -> io::Result<Option<Step>> {
        let Some(request) = self.request.take() else {
            if conversation.is_amid_command() {
                self.answer.extend_from_slice(reply::MULTI_PACKET_REQUEST);
            }
            return Ok(None);
        };
        Ok(Some(conversation.step(request, self.read_at)))
    }

    /// Whether the answer to a command grows with what the server has. A checkpoint's and a reset's are a word, and
    /// those of plain `stats` are bounded.
    fn refusal(&self, control: Control) -> Option<&'static [u8]> {
        match control {
            Control::StatsQueue
            | Control::StatsQueues
            | Control::StatsConns
            | Control::StatsCores
            | Control::StatsLatency
            | Control::StatsSettings => Some(reply::NOT_BY_UDP),
            Control::Stats | Control::StatsReset | Control::Checkpoint => None,
        }
    }

    fn is_to_leave(&self, _: &Conversation) -> bool {
        false
    }

    fn release(&self, _: &mut Conversation) {}

    /// A datagram has no connection, so nothing waits for one.
    fn poll_gone(&mut self, _: &Context<'_>) -> Poll<()> {
        Poll::Pending
    }

    async fn close(&mut self, _: &mut Conversation) -> io::Result<()> {
        Ok(())
    }
}

impl ReplySink for Exchange<'_> {
    /// # Errors
    /// When the answer is longer than [`ANSWER_BYTES_MAX`].
    async fn send(&mut self, replies: &[u8], _: &mut u64) -> io::Result<()> {
        if self.answer.len() + replies.len() > ANSWER_BYTES_MAX {
            return Err(ErrorKind::FileTooLarge.into());
        }
        self.answer.extend_from_slice(replies);
        Ok(())
    }
}

/// Starts to serve a UDP socket, until the task is cancelled.
///
/// # Errors
/// When there is no descriptor left.
pub(crate) fn start(socket: Socket, net: &Rc<ShardNet>) -> Result<Task<()>, String> {
    // Sent by a plain socket: glommio's sends one byte when the send buffer is full.
    let sender = socket.try_clone().map_err(|error| format!("UDP cannot be served: {error}"))?;
    Ok(spawn_local(serve(socket, Rc::new(sender), Rc::clone(net))))
}

async fn serve(socket: Socket, sender: Rc<Socket>, net: Rc<ShardNet>) {
    // SAFETY: the descriptor is a UDP socket, and ours alone. glommio has no safe way for one that is bound already.
    #[allow(unsafe_code)]
    let receiver = unsafe { UdpSocket::from_raw_fd(socket.into_raw_fd()) };
    let under_way = Rc::new(Cell::new(0));
    let mut buffer = vec![0; READ_BYTES];
    loop {
        if under_way.get() >= UNDER_WAY_MAX {
            sleep(PAUSE).await;
            continue;
        }
        let (length, from) = match receiver.recv_from(&mut buffer).await {
            Ok(received) => received,
            Err(error) => {
                log::warn!("a datagram cannot be received: {error}; trying again");
                sleep(PAUSE).await;
                continue;
            }
        };
        let Some((id, request)) = datagram::request(&buffer[..length]) else { continue };
        let request = request.map(<[u8]>::to_vec);
        let (client, sender, under_way) = (Rc::clone(&net), Rc::clone(&sender), Rc::clone(&under_way));
        under_way.set(under_way.get() + 1);
        net.tasks.spawn(async move {
            let peer = Peer::Udp(from);
            let answer = match request {
                Ok(request) => answer(&client, peer, &request).await,
                Err(()) => refused(peer, reply::MULTI_PACKET_REQUEST),
            };
            let sent = send(&sender, from, id, &answer);
            client.context.handle.count(|counters| counters.bytes_written += sent);
            under_way.set(under_way.get() - 1);
        });
    }
}

/// Does what is in a request, and returns the answer.
async fn answer(net: &ShardNet, peer: Peer, request: &[u8]) -> Vec<u8> {
    let _open = net.connections.open();
    let read_at = Instant::now();
    let mut conversation = Conversation::new(&net.context, read_at);
    conversation.session.peer = peer;
    conversation.session.is_by_datagram = true;
    let mut exchange = Exchange { request: Some(request), read_at, answer: Vec::new() };
    match conversation.drive(&mut exchange).await {
        Ok(()) => exchange.answer,
        Err(_) => refused(peer, reply::TOO_LONG_FOR_UDP),
    }
}

/// A whole answer that no session gives.
fn refused(peer: Peer, text: &[u8]) -> Vec<u8> {
    if log_enabled!(log::Level::Trace) {
        trace::replies(&Who { peer, user: None }, text);
    }
    text.to_vec()
}

/// Sends an answer, and returns how many bytes of it went. What the send buffer has no room for is lost, as any datagram
/// may be.
fn send(sender: &Socket, to: SocketAddr, id: u16, answer: &[u8]) -> u64 {
    let mut sent = 0;
    for datagram in datagram::datagrams(id, answer) {
        // The receiver is the same open file and must block for io_uring to wait, so this call alone does not.
        match sender.send_to_with_flags(&datagram, &to.into(), MsgFlags::MSG_DONTWAIT.bits()) {
            Ok(_) => sent += (datagram.len() - datagram::HEADER_BYTES) as u64,
            Err(error) => log::debug!("a datagram is lost: {error}"),
        }
    }
    sent
}
