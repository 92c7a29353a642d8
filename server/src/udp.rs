//! memcached's UDP: one request a datagram, and an answer of a few datagrams. Nothing is sent twice, by either side.

use std::cell::Cell;
use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::os::fd::{FromRawFd, IntoRawFd};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Duration;

use futures_lite::AsyncWrite;
use glommio::net::UdpSocket;
use glommio::timer::sleep;
use nix::sys::socket::MsgFlags;
use protocol::{datagram, reply};
use socket2::Socket;

use crate::connection::Connections;
use crate::conversation::Conversation;
use crate::peer::Peer;
use crate::session::{Control, Step};
use crate::trace;

/// The largest datagram there is.
const READ_BYTES: usize = 64 << 10;
/// Of an answer. A sender can be forged, and then its victim gets the answer: what a small request can bring about is
/// bounded.
const ANSWER_DATAGRAMS_MAX: usize = 8;
const ANSWER_BYTES_MAX: usize = ANSWER_DATAGRAMS_MAX * datagram::ANSWER_PIECE_BYTES_MAX;
/// Requests that a shard has under way; while there are more, the kernel drops what comes.
const UNDER_WAY_MAX: usize = 1024;
/// How long receiving pauses when it fails, or when too many requests are under way.
const PAUSE: Duration = Duration::from_millis(1);

/// Gathers an answer, up to a limit.
#[derive(Debug, Default)]
struct Answer(Vec<u8>);

impl AsyncWrite for Answer {
    fn poll_write(mut self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        if self.0.len() + bytes.len() > ANSWER_BYTES_MAX {
            return Poll::Ready(Err(ErrorKind::FileTooLarge.into()));
        }
        self.0.extend_from_slice(bytes);
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_close(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

/// Serves a UDP socket until it is cancelled.
///
/// # Errors
/// When the socket cannot be set up.
pub(crate) fn serve(socket: Socket, server: &Rc<Connections>) -> io::Result<impl Future<Output = ()> + use<>> {
    // Sent by a plain socket: glommio's sends one byte when the send buffer is full.
    let sender = Rc::new(socket.try_clone()?);
    let server = Rc::clone(server);
    Ok(async move {
        // SAFETY: the descriptor is a UDP socket, and ours alone. glommio has no safe way for one that is bound already.
        #[allow(unsafe_code)]
        let receiver = unsafe { UdpSocket::from_raw_fd(socket.into_raw_fd()) };
        let under_way = Rc::new(Cell::new(0));
        let tasks = Rc::clone(server.tasks());
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
            let (server, sender, under_way) = (Rc::clone(&server), Rc::clone(&sender), Rc::clone(&under_way));
            under_way.set(under_way.get() + 1);
            tasks.spawn(async move {
                let answer = match request {
                    Ok(request) => answer(&server, Peer::Udp(from), &request).await,
                    Err(()) => reply::MULTI_PACKET_REQUEST.to_vec(),
                };
                trace::replies(Peer::Udp(from), &answer);
                let sent = send(&sender, from, id, &answer);
                server.handle().count(|counters| counters.bytes_written += sent);
                under_way.set(under_way.get() - 1);
            });
        }
    })
}

/// Does what is in a request, and returns what is to be said.
async fn answer(server: &Rc<Connections>, peer: Peer, request: &[u8]) -> Vec<u8> {
    let open = server.open();
    let mut conversation = Conversation::new(&open);
    conversation.session.peer = peer;
    let mut answer = Answer::default();
    conversation.session.counters.bytes_read += request.len() as u64;
    let mut step = conversation.step(&open, request);
    loop {
        let mut is_all = false;
        while !is_all {
            is_all = conversation.settle(&open).await;
            answer.0.append(&mut conversation.session.replies.out);
        }
        if let Step::Control(control) = step {
            if is_listing(control) {
                answer.0.extend_from_slice(reply::NOT_BY_UDP);
            } else if conversation.answer(control, &open, &mut answer).await.is_err() {
                return reply::TOO_LONG_FOR_UDP.to_vec();
            }
            answer.0.append(&mut conversation.session.replies.out);
        }
        // Nothing waits between here and the datagrams.
        conversation.answered(&open);
        if answer.0.len() > ANSWER_BYTES_MAX {
            return reply::TOO_LONG_FOR_UDP.to_vec();
        }
        match step {
            Step::Control(_) | Step::RoundFull => open.handle().pass().await,
            Step::Stalled => conversation.wait_for_disk(&open).await,
            Step::NeedInput if conversation.is_amid_command() => {
                answer.0.extend_from_slice(reply::MULTI_PACKET_REQUEST);
                return answer.0;
            }
            Step::NeedInput | Step::Close => return answer.0,
        }
        step = conversation.step(&open, &[]);
    }
}

/// Whether the answer to a command grows with what the server has. A checkpoint's and a reset's are a word, and those of
/// plain `stats` are bounded.
fn is_listing(control: Control) -> bool {
    match control {
        Control::StatsQueue | Control::StatsCores | Control::StatsLatency | Control::StatsSettings => true,
        Control::Stats | Control::StatsReset | Control::Checkpoint => false,
    }
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
