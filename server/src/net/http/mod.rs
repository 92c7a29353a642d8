//! HTTP for the operator's page, over sockets of our own: hyper reads requests and writes answers, and what an answer is
//! the [desk](crate::web::desk) decides.

pub(crate) mod places;
mod stream;

use std::cell::RefCell;
use std::convert::Infallible;
use std::future::poll_fn;
use std::io::Write;
use std::net::Shutdown;
use std::os::fd::AsRawFd;
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
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

use crate::access::Place as Crowded;
use crate::net::ShardNet;
use crate::net::arrival::{self, Door};
use crate::net::http::places::{Phase, Place};
use crate::net::http::stream::Bytes as HttpBytes;
use crate::net::listener::{listen, next};
use crate::net::socket::{WatchedSocket, unsent};
use crate::net::stream::Stream;
use crate::process::permits::{Limit, Permit};
use crate::session::peer::Peer;
use crate::web::desk::Desk;
use crate::web::response::{Refusal, Response};

/// Bytes of the head of a request.
const HEAD_BYTES_MAX: usize = 16 << 10;
/// How long a connection that ends takes what its client still sends, and how often it looks. Closed with input that was
/// not read, it would be reset, and the client might lose the answer.
const LINGER: Duration = Duration::from_secs(1);
const LINGER_LOOK: Duration = Duration::from_millis(10);
/// Reads of what a client still sends then, in one go.
const LINGER_READS: usize = 16;
/// What a client hears when all places are taken.
const TOO_MANY: &[u8] =
    b"HTTP/1.1 503 Service Unavailable\r\nconnection: close\r\ncontent-length: 0\r\nretry-after: 1\r\n\r\n";

/// Where clients of the page come in.
const DOOR: Door = Door {
    // An operator gets in beside a crowd of his own address.
    crowd_answer: None,
    plain_answer: b"HTTP/1.1 400 Bad Request\r\nconnection: close\r\ncontent-type: text/plain\r\n\
        content-length: 29\r\n\r\nthis port takes https, only.\n",
    serve,
};

/// Listens on a bound socket, and serves the page until the task is cancelled. `limit`: of its connections.
///
/// # Errors
/// When it cannot listen: another process has begun to listen there meanwhile, or there is no descriptor left.
pub(crate) fn start(socket: Socket, limit: &Arc<Limit>, net: &Rc<ShardNet>) -> Result<Task<()>, String> {
    Ok(spawn_local(accept(listen(socket, net)?, Arc::clone(limit), Rc::clone(net))))
}

async fn accept(listener: WatchedSocket, limit: Arc<Limit>, net: Rc<ShardNet>) {
    let mut last_line = None;
    loop {
        let socket = next(&listener, &net.context, &mut last_line).await;
        // A Unix socket has none of this.
        let _ = socket.set_tcp_nodelay(true);
        match limit.enter() {
            Ok(permit) => arrival::arrive(socket, permit, &net, DOOR),
            Err(_) => {
                // Best effort, as everything for a client that is not served.
                let _ = (&socket).write(TOO_MANY);
                let _ = socket.shutdown(Shutdown::Write);
            }
        }
        net.context.handle.pass().await;
    }
}

/// Serves a client until it goes, on a task of its own.
fn serve(stream: Stream, peer: Peer, permit: Permit, _: Option<Crowded>, net: &Rc<ShardNet>) {
    let place = Rc::new(net.places.enter(stream.as_raw_fd(), Instant::now()));
    net.tasks.spawn(converse(Rc::clone(net), stream, peer, place, permit));
}

/// Answers a client's requests until one side ends the connection.
async fn converse(net: Rc<ShardNet>, stream: Stream, peer: Peer, place: Rc<Place>, permit: Permit) {
    let desk = net.desk.get().expect("who listens has a desk");
    let stream = Rc::new(RefCell::new(stream));
    let service = service_fn(|request| respond(&net, desk, &place, peer, request));
    // Its timer stays unset: the places have an eye on slow clients.
    let mut builder = Builder::new();
    let serving = builder.max_header_size(HEAD_BYTES_MAX);
    let serving = serving.serve_connection(HttpBytes::new(&net, &stream, &place), service);
    let result = {
        let mut serving = pin!(serving);
        poll_fn(|context| {
            if net.places.stops() {
                serving.as_mut().graceful_shutdown();
            }
            serving.as_mut().poll(context)
        })
        .await
    };
    if let Err(error) = result {
        log::debug!("{peer}: a connection of the page ended: {error}");
    }
    linger(&net, &stream).await;
    // First the place, which has the number of the socket, and then the socket.
    drop(place);
    drop(stream);
    drop(permit);
}

/// Waits until the client has its answer, and takes what it still sends.
async fn linger(net: &ShardNet, stream: &RefCell<Stream>) {
    let _ = stream.borrow_mut().end();
    let began = Instant::now();
    while began.elapsed() < LINGER && !has_ended(net, stream) {
        if net.places.stops() && unsent(stream.borrow().as_raw_fd()) == 0 {
            break;
        }
        sleep(LINGER_LOOK).await;
    }
}

/// Throws away what has come, and tells whether the client has ended its side.
fn has_ended(net: &ShardNet, stream: &RefCell<Stream>) -> bool {
    let nothing = Context::from_waker(Waker::noop());
    let read = || stream.borrow_mut().poll_read(&nothing, &mut net.read_buffer.borrow_mut());
    let last = (0..LINGER_READS).map(|_| read()).find(|read| !matches!(read, Poll::Ready(Ok(1..))));
    matches!(last, Some(Poll::Ready(_)))
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
    let response = answer(net, desk, place, peer, request).await;
    place.begin(Phase::Taken, Instant::now());
    Ok(response.map(Full::new))
}

async fn answer(net: &ShardNet, desk: &Rc<Desk>, place: &Place, peer: Peer, request: Request<Incoming>) -> Response {
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
    let (desk, act) = (Rc::clone(desk), net.places.begin_act());
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
