//! A run: threads, each with its clients, until the time or the requests are up.

use std::net::{TcpStream, ToSocketAddrs};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags};

use crate::client::Client;
use crate::load::Load;
use crate::options::Options;
use crate::tally::{Report, Tally};

const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// A server that is silent for so long does not answer any more.
const SILENCE_MAX: Duration = Duration::from_secs(10);
/// How often a thread looks at the clock and for the end of the others when nothing comes.
const TICK_MS: u8 = 100;
const EVENTS_MAX: usize = 256;

/// Connects all clients, and then puts the load on.
pub(crate) fn run(options: &Options) -> Result<Report, String> {
    let body = vec![b'x'; options.data_size];
    let clients_all = options.threads * options.clients;
    let mut threads: Vec<Vec<Client<'_>>> = Vec::new();
    for thread in 0..options.threads {
        let clients = (0..options.clients).map(|client| {
            let load = Load::new(options, &body, thread * options.clients + client, clients_all);
            Ok(Client::new(connect(options)?, load, options.requests))
        });
        threads.push(clients.collect::<Result<_, String>>()?);
    }
    let failed = AtomicBool::new(false);
    let start = Instant::now();
    let tallies: Vec<Result<Tally, String>> = thread::scope(|scope| {
        let spawn = |clients| scope.spawn(|| put_load(options, clients, start, &failed));
        let handles: Vec<_> = threads.into_iter().map(spawn).collect();
        handles.into_iter().map(|handle| handle.join().map_err(|_| String::from("a thread panicked"))?).collect()
    });
    let took = start.elapsed();
    let mut tally = Tally::new();
    for other in tallies {
        tally.add(&other?);
    }
    let cut_short = options.requests.is_some() && took >= options.time_max();
    Ok(Report { tally, took, cut_short })
}

fn connect(options: &Options) -> Result<TcpStream, String> {
    let (server, port) = (options.server.as_str(), options.port);
    let unreachable = |reason: String| format!("cannot reach {server}:{port}: {reason}");
    let addresses = (server, port).to_socket_addrs().map_err(|error| unreachable(error.to_string()))?;
    let mut reason = String::from("no address");
    for address in addresses {
        match TcpStream::connect_timeout(&address, CONNECT_TIMEOUT) {
            Ok(socket) => {
                let ready = socket.set_nodelay(true).and_then(|()| socket.set_nonblocking(true));
                return ready.map(|()| socket).map_err(|error| unreachable(error.to_string()));
            }
            Err(error) => reason = error.to_string(),
        }
    }
    Err(unreachable(reason))
}

/// One thread's part. When it fails, the others stop too.
fn put_load(options: &Options, clients: Vec<Client<'_>>, start: Instant, failed: &AtomicBool) -> Result<Tally, String> {
    let mut tally = Tally::new();
    let outcome = serve(options, clients, start, failed, &mut tally);
    if outcome.is_err() {
        failed.store(true, Ordering::Relaxed);
    }
    outcome.map(|()| tally)
}

fn serve(
    options: &Options,
    mut clients: Vec<Client<'_>>,
    start: Instant,
    failed: &AtomicBool,
    tally: &mut Tally,
) -> Result<(), String> {
    let no_epoll = |error: nix::Error| format!("cannot wait for sockets: {error}");
    let epoll = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC).map_err(no_epoll)?;
    let event = |number: usize, client: &Client<'_>| {
        let output = if client.is_sending() { EpollFlags::EPOLLOUT } else { EpollFlags::empty() };
        EpollEvent::new(EpollFlags::EPOLLIN | output, number as u64)
    };
    let mut busy = 0;
    for (number, client) in clients.iter_mut().enumerate() {
        busy += usize::from(client.begin(options.pipeline, Instant::now())?);
        epoll.add(&client.socket, event(number, client)).map_err(no_epoll)?;
    }
    let end = start + options.time_max();
    let mut heard = Instant::now();
    let mut events = [EpollEvent::empty(); EVENTS_MAX];
    while busy > 0 && !failed.load(Ordering::Relaxed) {
        let ready = match epoll.wait(&mut events, TICK_MS) {
            Err(nix::Error::EINTR) => 0,
            ready => ready.map_err(no_epoll)?,
        };
        let now = Instant::now();
        if ready > 0 && now < end {
            heard = now;
        } else if now.duration_since(heard) > SILENCE_MAX {
            return Err(format!("{busy} clients have had no answer for {} seconds", SILENCE_MAX.as_secs()));
        }
        for ready in &events[..ready] {
            let number = ready.data() as usize;
            let client = &mut clients[number];
            let was_sending = client.is_sending();
            client.send()?;
            if ready.events() != EpollFlags::EPOLLOUT && client.receive(tally)? {
                let now = Instant::now();
                busy -= usize::from(now >= end || !client.begin(options.pipeline, now)?);
            }
            if was_sending != client.is_sending() {
                epoll.modify(&client.socket, &mut event(number, client)).map_err(no_epoll)?;
            }
        }
    }
    Ok(())
}
