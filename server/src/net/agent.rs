//! HAProxy's agent-check: a connection is answered with one line that says how much to send here, and closed.

use std::io::Write;
use std::net::Shutdown;
use std::rc::Rc;
use std::time::{Duration, Instant};

use glommio::spawn_local;
use shards::pump::Gather;
use socket2::Socket;

use crate::admin::ask;
use crate::admin::disk::Disk;
use crate::admin::weight::{self, Load};
use crate::net::ShardNet;
use crate::net::listener;

/// How long an answer serves for others who ask: that many ask costs no more than that one does.
const LASTS: Duration = Duration::from_millis(100);
/// What an agent that sends something is allowed to send; HAProxy's `agent-send` is a line.
const INPUT_BYTES: usize = 512;

/// Answers on a bound socket until the process ends: while the server stops, that it does.
///
/// # Errors
/// When it cannot listen: another process has begun to listen there meanwhile, or there is no descriptor left.
pub(crate) fn start(socket: Socket, net: &Rc<ShardNet>) -> Result<(), String> {
    let listener = listener::listen(socket, net)?;
    let net = Rc::clone(net);
    let disk = Disk::of(net.context.settings.directory.clone());
    spawn_local(async move {
        let gather = net.context.handle.gather();
        let (mut line, mut made_at) = (String::new(), None::<Instant>);
        let mut last_line = None;
        loop {
            let socket = listener::next(&listener, &net.context, &mut last_line).await;
            let stops = net.connections.stops().is_some();
            if stops || made_at.is_none_or(|made_at| made_at.elapsed() >= LASTS) {
                line = weight::line(&load(&net, &disk, &gather, stops).await);
                made_at = Some(Instant::now());
            }
            answer(&socket, &line);
            net.context.handle.pass().await;
        }
    })
    .detach();
    Ok(())
}

async fn load(net: &ShardNet, disk: &Rc<Disk>, gather: &Gather, stops: bool) -> Load {
    let settings = &net.context.settings;
    let load = Load { stops, drains: net.context.drain.is_on(), ..Load::default() };
    if load.stops || load.drains {
        // Shards that stop need not answer.
        return load;
    }
    let shards = ask::figures(&net.context.handle, gather).await;
    Load { room: disk.room(), ..load }.with(&shards, settings.memory_bytes as u64)
}

/// Sends the line and closes. The socket is new, so there is room for a line, and none waits for the other side.
fn answer(mut socket: &Socket, line: &str) {
    let sent = socket.set_nonblocking(true).and_then(|()| socket.write_all(line.as_bytes()));
    if let Err(error) = sent.and_then(|()| socket.shutdown(Shutdown::Write)) {
        log::debug!("an agent-check has gone before its answer: {error}");
    }
    // What was sent and is not read would have the kernel take the line back.
    let _ = socket.recv(&mut [std::mem::MaybeUninit::uninit(); INPUT_BYTES]);
}
