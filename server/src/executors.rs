//! The executors: one thread, pinned to one core, for each shard.

use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::mpsc::{Sender, channel};
use std::time::Duration;

use glommio::timer::sleep;
use glommio::{ExecutorJoinHandle, LocalExecutorBuilder, Placement, PoolPlacement};
use shards::Shard;
use shards::pump::{Links, ShardHandle, links};

use crate::connection::Connections;
use crate::drain::Drain;
use crate::listener::{self, Limit};
use crate::settings::Settings;
use crate::stop::Stop;

/// Submission queue entries of a ring; with many connections on a shard each has one for its next read.
const RING_DEPTH: usize = 1024;
/// Threads beside each shard's own, for: a commit or sync, the log's files, the index, and waiting for the stop.
const BLOCKING_THREADS: usize = 4;
/// How long a shard may take to start, recovery apart.
const START_LIMIT: Duration = Duration::from_secs(10);
/// How often a shard that stops looks whether the others are as far.
const STOP_POLL: Duration = Duration::from_millis(1);

/// What a shard says of its start.
enum Started {
    Listening,
    Failed(String),
    /// The executor of this shard was not made, so nothing of the shard ever ran. Its join handle knows why.
    NeverRan(usize),
}

/// Says how a shard's start went; also when the shard never gets to say anything.
struct Ready {
    number: usize,
    sender: Sender<Started>,
    ran: bool,
}

impl Ready {
    fn running(mut self) -> Ready {
        self.ran = true;
        self
    }

    fn say(&self, started: Started) {
        // Main has given up waiting when it is not there any more.
        let _ = self.sender.send(started);
    }
}

impl Drop for Ready {
    fn drop(&mut self) {
        if !self.ran {
            self.say(Started::NeverRan(self.number));
        }
    }
}

/// All shards, running.
pub(crate) struct Executors(Vec<ExecutorJoinHandle<()>>);

impl Executors {
    /// Starts all shards, and returns when all of them listen.
    ///
    /// # Errors
    /// One line, when one of them does not start.
    pub(crate) fn start(
        shards: Vec<Shard>,
        address: SocketAddr,
        settings: &Arc<Settings>,
        stop: &Arc<Stop>,
        drain: &Arc<Drain>,
    ) -> Result<Executors, String> {
        let (ready, started) = channel();
        let limit = Arc::new(Limit::new(settings.connections_max));
        let count = shards.len();
        let links = links(count as u16);
        let mut handles = Vec::new();
        for (number, (shard, links)) in shards.into_iter().zip(links).enumerate() {
            let shared = Shared {
                address,
                settings: Arc::clone(settings),
                limit: Arc::clone(&limit),
                stop: Arc::clone(stop),
                drain: Arc::clone(drain),
            };
            let ready = Ready { number, sender: ready.clone(), ran: false };
            // More shards than cores are placed by the kernel; else each has a core to itself.
            let placement = match settings.cores.get(number) {
                Some(core) if count <= settings.cores.len() => Placement::Fixed(*core),
                _ => Placement::Unbound,
            };
            let spawned = LocalExecutorBuilder::new(placement)
                .name("rushq-shard")
                .io_memory(0)
                .ring_depth(RING_DEPTH)
                // The preempt timer stays at its 100 ms: when it expires between the reactor's turn and the first task,
                // glommio sleeps although tasks are ready, and a short one does that on a busy machine. So tasks that
                // could run for long call `shards::pump::reactor_turn` themselves.
                .blocking_thread_pool_placement(PoolPlacement::Unbound(BLOCKING_THREADS))
                .spawn(move || run(shard, links, shared, ready.running()));
            handles.push(spawned.map_err(|e| format!("shard {number} cannot be started: {e}"))?);
        }
        for _ in 0..count {
            match started.recv_timeout(START_LIMIT) {
                Ok(Started::Listening) => {}
                Ok(Started::Failed(what)) => return Err(what),
                Ok(Started::NeverRan(number)) => {
                    let ended = handles.swap_remove(number).join();
                    let why = ended.err().map_or_else(|| "it ended at once".to_string(), |error| error.to_string());
                    return Err(format!("shard {number} has no executor: {why}"));
                }
                Err(_) => return Err(format!("not all {count} shards have started within {START_LIMIT:?}")),
            }
        }
        Ok(Executors(handles))
    }

    /// Waits until all shards have ended.
    ///
    /// # Errors
    /// One line, when one of them has ended badly.
    pub(crate) fn join(self) -> Result<(), String> {
        for handle in self.0 {
            handle.join().map_err(|e| format!("a shard has ended badly: {e}"))?;
        }
        Ok(())
    }
}

/// What all shards share.
struct Shared {
    address: SocketAddr,
    settings: Arc<Settings>,
    limit: Arc<Limit>,
    stop: Arc<Stop>,
    drain: Arc<Drain>,
}

/// One shard's life.
async fn run(shard: Shard, links: Links, shared: Shared, ready: Ready) {
    let Shared { address, settings, limit, stop, drain } = shared;
    let handle = ShardHandle::start(shard, links, settings.commit).await;
    let listener = match listener::bind(address) {
        Ok(listener) => listener,
        Err(what) => {
            // Main prints it and ends the process.
            ready.say(Started::Failed(what));
            return;
        }
    };
    let connections = Rc::new(Connections::new(handle.clone(), Arc::clone(&settings), drain));
    let accepting = glommio::spawn_local(listener::accept(listener, Rc::clone(&connections), limit));
    ready.say(Started::Listening);

    let said = Arc::clone(&stop);
    glommio::executor().spawn_blocking(move || said.wait()).await;
    accepting.cancel().await;
    connections.finish().await;
    while !handle.is_idle() {
        sleep(STOP_POLL).await;
    }
    stop.is_quiet();
    while stop.quiet() < usize::from(settings.shards) {
        sleep(STOP_POLL).await;
    }
    handle.stop().await;
}
