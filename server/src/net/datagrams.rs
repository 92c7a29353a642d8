//! memcached's UDP: a datagram is a request, behind a header of request id, sequence number, datagram count and zero, 16
//! bits each, big-endian. The answer has the same header on each of its datagrams. Nothing is sent twice, by either side.

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
use protocol::reply;
use socket2::Socket;

use crate::conversation::Conversation;
use crate::memcache::session::{Control, Step};
use crate::memcache::trace;
use crate::net::connection::Connections;
use crate::session::peer::Peer;

const HEADER_BYTES: usize = 8;
/// Of an answer, header included: what passes most networks in one piece.
const DATAGRAM_BYTES_MAX: usize = 1400;
/// The largest datagram there is.
const READ_BYTES: usize = 64 << 10;
/// Of an answer. A sender can be forged, and then its victim gets the answer: what a small request can bring about is
/// bounded.
const ANSWER_DATAGRAMS_MAX: usize = 8;
const ANSWER_BYTES_MAX: usize = ANSWER_DATAGRAMS_MAX * (DATAGRAM_BYTES_MAX - HEADER_BYTES);
/// Requests that a shard has under way; while there are more, the kernel drops what comes.
const UNDER_WAY_MAX: usize = 1024;
/// How long receiving pauses when it fails, or when too many requests are under way.
const PAUSE: Duration = Duration::from_millis(1);

/// The request in a datagram and its id. `Err`: it says that it has more datagrams than this one. `None`: it is not of
/// this protocol.
fn request(datagram: &[u8]) -> Option<(u16, Result<&[u8], ()>)> {
    let (header, request) = datagram.split_at_checked(HEADER_BYTES)?;
    let word = |at: usize| u16::from_be_bytes([header[at], header[at + 1]]);
    let (id, count) = (word(0), word(4));
    Some((id, if count == 1 { Ok(request) } else { Err(()) }))
}

/// An answer's datagrams. None for an empty answer: nobody waits for one.
fn datagrams(id: u16, answer: &[u8]) -> impl Iterator<Item = Vec<u8>> {
    let pieces = answer.chunks(DATAGRAM_BYTES_MAX - HEADER_BYTES);
    let count = pieces.len() as u16;
    pieces.enumerate().map(move |(number, piece)| {
        let mut datagram = Vec::with_capacity(HEADER_BYTES + piece.len());
        for word in [id, number as u16, count, 0] {
            datagram.extend_from_slice(&word.to_be_bytes());
        }
        datagram.extend_from_slice(piece);
        datagram
    })
}

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
            let Some((id, request)) = request(&buffer[..length]) else { continue };
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
                server.handle().with_shard(|shard| shard.counters.bytes_written += sent);
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
    for datagram in datagrams(id, answer) {
        // The receiver is the same open file and must block for io_uring to wait, so this call alone does not.
        match sender.send_to_with_flags(&datagram, &to.into(), MsgFlags::MSG_DONTWAIT.bits()) {
            Ok(_) => sent += (datagram.len() - HEADER_BYTES) as u64,
            Err(error) => log::debug!("a datagram is lost: {error}"),
        }
    }
    sent
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_one_datagram() {
        assert_eq!(request(&[0x12, 0x34, 0, 0, 0, 1, 0, 0, b'x']), Some((0x1234, Ok(&b"x"[..]))));
        assert_eq!(request(&[0, 7, 0, 0, 0, 2, 0, 0, b'x']), Some((7, Err(()))));
        assert_eq!(request(&[0, 7, 0, 0, 0, 1, 0]), None);
    }

    #[test]
    fn an_answer_is_cut_into_datagrams() {
        let answer: Vec<u8> = (0..3000).map(|number| number as u8).collect();
        let datagrams: Vec<_> = datagrams(0x0102, &answer).collect();
        assert_eq!(datagrams.iter().map(Vec::len).collect::<Vec<_>>(), [1400, 1400, 8 + 3000 - 2 * 1392]);
        assert_eq!(datagrams[1][..HEADER_BYTES], [1, 2, 0, 1, 0, 3, 0, 0]);
        let joined: Vec<u8> = datagrams.iter().flat_map(|datagram| datagram[HEADER_BYTES..].to_vec()).collect();
        assert_eq!(joined, answer);
    }

    #[test]
    fn silence_is_no_datagram() {
        assert_eq!(datagrams(1, b"").count(), 0);
    }
}
