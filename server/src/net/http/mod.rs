//! HTTP for the operator's page, over sockets of our own: hyper reads requests and writes answers, and what an answer is
//! the [desk](crate::web::desk) decides.

pub(crate) mod places;
mod stream;

use std::convert::Infallible;
use std::future::poll_fn;
use std::io::Write;
use std::net::Shutdown;
use std::os::fd::AsRawFd;
use std::pin::pin;
use std::rc::Rc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use glommio::timer::sleep;
use glommio::{Task, spawn_local};
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper::body::{Body, Incoming};
use hyper::server::conn::http1::Builder;
use hyper::service::service_fn;
use hyper::{Request, StatusCode};
use socket2::Socket;

use crate::net::ShardNet;
use crate::net::http::places::{Phase, Place};
use crate::net::http::stream::Stream;
use crate::net::listener::{listen, next};
use crate::net::socket::WatchedSocket;
use crate::session::peer::Peer;
use crate::web::desk::Desk;
use crate::web::response::{Refusal, Response};

/// Bytes of the head of a request.
const HEAD_BYTES_MAX: usize = 16 << 10;
/// How long a connection that ends takes what its client still sends, and how often it looks. Closed with input that was
/// not read, it would be reset, and the client might lose the answer.
const LINGER: Duration = Duration::from_secs(1);
const LINGER_LOOK: Duration = Duration::from_millis(10);
/// What a client hears when all places are taken.
const TOO_MANY: &[u8] =
    b"HTTP/1.1 503 Service Unavailable\r\nconnection: close\r\ncontent-length: 0\r\nretry-after: 1\r\n\r\n";

/// Listens on a bound socket, and serves the page until the task is cancelled.
///
/// # Errors
/// When it cannot listen: another process has begun to listen there meanwhile, or there is no descriptor left.
pub(crate) fn start(socket: Socket, net: &Rc<ShardNet>, desk: &Rc<Desk>) -> Result<Task<()>, String> {
    Ok(spawn_local(accept(listen(socket, net)?, Rc::clone(net), Rc::clone(desk))))
}

async fn accept(listener: WatchedSocket, net: Rc<ShardNet>, desk: Rc<Desk>) {
    let mut last_line = None;
    loop {
        let socket = next(&listener, &net.context, &mut last_line).await;
        // A Unix socket has none of this.
        let _ = socket.set_tcp_nodelay(true);
        serve(socket, &net, &desk);
        net.context.handle.pass().await;
    }
}

/// Serves a client until it goes, on a task of its own.
fn serve(socket: Socket, net: &Rc<ShardNet>, desk: &Rc<Desk>) {
    let Some(place) = net.places.enter(socket.as_raw_fd(), Instant::now()) else {
        // Best effort, as everything for a client that is not served.
        let _ = (&socket).write(TOO_MANY);
        let _ = socket.shutdown(Shutdown::Write);
        return;
    };
    let socket = match WatchedSocket::new(socket, &net.poller) {
        Ok(socket) => socket,
        Err(error) => {
            log::warn!("a connection of the page cannot be served: {error}");
            return;
        }
    };
    let desk = Rc::clone(desk);
    net.tasks.spawn(converse(Rc::clone(net), desk, Rc::new(socket), Rc::new(place)));
}

/// Answers a client's requests until one side ends the connection.
async fn converse(net: Rc<ShardNet>, desk: Rc<Desk>, socket: Rc<WatchedSocket>, place: Rc<Place>) {
    let peer = Peer::of(&*socket);
    let stream =
        Stream { net: Rc::clone(&net), socket: Rc::clone(&socket), place: Rc::clone(&place), has_written: false };
    let service = service_fn(|request| respond(&net, &desk, &place, peer, request));
    // Its timer stays unset: the places have an eye on slow clients.
    let serving = Builder::new().max_header_size(HEAD_BYTES_MAX).serve_connection(stream, service);
    let result = {
        let mut serving = pin!(serving);
        poll_fn(|context| {
            if place.places().stops() {
                serving.as_mut().graceful_shutdown();
            }
            serving.as_mut().poll(context)
        })
        .await
    };
    if let Err(error) = result {
        log::debug!("{peer}: a connection of the page ended: {error}");
    }
    linger(&net, &socket, &place).await;
    // First the place, which has the number of the socket, and then the socket.
    drop(place);
    drop(socket);
}

/// Waits until the client has its answer, and takes what it still sends.
async fn linger(net: &ShardNet, socket: &WatchedSocket, place: &Place) {
    let _ = socket.shutdown(Shutdown::Write);
    let began = Instant::now();
    while began.elapsed() < LINGER && !socket.has_ended() {
        socket.discard_input(&mut net.read_buffer.borrow_mut());
        if place.places().stops() && socket.is_delivered() {
            break;
        }
        sleep(LINGER_LOOK).await;
    }
}

/// Answers a request.
async fn respond(
    net: &Rc<ShardNet>,
    desk: &Rc<Desk>,
    place: &Place,
    peer: Peer,
    request: Request<Incoming>,
) -> Result<hyper::Response<Full<Bytes>>, Infallible> {
    place.begin(Phase::Body, Instant::now());
    // One that asks without a pause does not keep others waiting.
    net.context.handle.pass().await;
    let response = answer(desk, place, peer, request).await;
    place.begin(Phase::Taken, Instant::now());
    Ok(response.map(Full::new))
}

async fn answer(desk: &Rc<Desk>, place: &Place, peer: Peer, request: Request<Incoming>) -> Response {
    let (parts, body) = request.into_parts();
    let admitted = match desk.admit(&parts, peer).await {
        Ok(admitted) => admitted,
        Err(refusal) => return refusal.response(),
    };
    let body = match read(body, desk.body_bytes_max(&parts.method)).await {
        Ok(body) => body,
        Err(refusal) => return refusal.response(),
    };
    place.begin(Phase::Answer, Instant::now());
    if !admitted.is_act() {
        return desk.answer(admitted, parts, body).await;
    }
    // An act is done to its end, and told to the log, though its client goes meanwhile.
    let (desk, act) = (Rc::clone(desk), place.places().begin_act());
    let done = spawn_local(async move {
        let response = desk.answer(admitted, parts, body).await;
        drop(act);
        response
    });
    done.detach().await.expect("it is not cancelled")
}

/// Reads the body of a request.
///
/// # Errors
/// When it is larger than that, or does not come.
async fn read(body: Incoming, bytes_max: usize) -> Result<Bytes, Refusal> {
    let too_large = || Refusal::new(StatusCode::PAYLOAD_TOO_LARGE, format!("the body has more than {bytes_max} bytes"));
    if body.size_hint().lower() > bytes_max as u64 {
        return Err(too_large());
    }
    match Limited::new(body, bytes_max).collect().await {
        Ok(body) => Ok(body.to_bytes()),
        Err(error) if error.is::<LengthLimitError>() => Err(too_large()),
        Err(error) => Err(Refusal::bad(format!("the body did not come: {error}"))),
    }
}
