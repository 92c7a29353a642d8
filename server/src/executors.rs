//! The executors: one thread, pinned to one core, for each shard.

use std::future::pending;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;

use glommio::timer::sleep;
use glommio::{ExecutorJoinHandle, LocalExecutorBuilder, Placement, PoolPlacement, Task};
use shards::Shard;
use shards::pump::{Links, ShardHandle, links};

use crate::memcache::control;
use crate::net::connection::Connections;
use crate::net::datagrams;
use crate::net::handover::Handover;
use crate::net::listener;
use crate::net::poller::Poller;
use crate::net::sockets::ShardSockets;
use crate::process::drain::Drain;
use crate::process::permits::Limit;
use crate::process::settings::Settings;
use crate::process::stop::Stop;

/// Threads beside each shard's own, for: a commit, a sync, the log's files, the index, waiting for the stop, and reads of
/// bodies, so that three slow ones hold up none of these.
const BLOCKING_THREADS: usize = 8;
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
pub(crate) struct Executors {
    handles: Vec<ExecutorJoinHandle<()>>,
    /// Each says once that it has stopped.
    stopped: Receiver<()>,
}

impl Executors {
    /// Starts all shards, and returns when all of them listen.
    ///
    /// # Errors
    /// One line, when one of them does not start.
    pub(crate) fn start(
        shards: Vec<Shard>,
        sockets: Vec<ShardSockets>,
        settings: &Arc<Settings>,
        stop: &Arc<Stop>,
        drain: &Arc<Drain>,
    ) -> Result<Executors, String> {
        let (ready, started) = channel();
        let (stopped, stops) = channel();
        let limit = Arc::new(Limit::new(settings.connections_max));
        let count = shards.len();
        let links = links(count as u16);
        let handovers: Arc<[Handover]> = (0..count).map(|_| Handover::default()).collect();
        let mut handles = Vec::new();
        for (number, ((shard, links), sockets)) in shards.into_iter().zip(links).zip(sockets).enumerate() {
            let shared = Shared {
                number,
                sockets,
                handovers: Arc::clone(&handovers),
                settings: Arc::clone(settings),
                limit: Arc::clone(&limit),
                stop: Arc::clone(stop),
                drain: Arc::clone(drain),
                stopped: stopped.clone(),
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
                // The preempt timer stays at its 100 ms: when it expires between the reactor's turn and the first task,
                // glommio sleeps although tasks are ready, and a short one does that on a busy machine. So tasks that
                // could run for long wait for the shard's next turn themselves.
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
        Ok(Executors { handles, stopped: stops })
    }

    /// Waits until all shards have stopped. What other threads do for them is not waited for: the log is safe, and a slow
    /// disk may hold them for long.
    ///
    /// # Errors
    /// One line, when one of them has ended badly.
    pub(crate) fn wait(self) -> Result<(), String> {
        for _ in 0..self.handles.len() {
            if self.stopped.recv().is_err() {
                for handle in self.handles {
                    handle.join().map_err(|e| format!("a shard has ended badly: {e}"))?;
                }
                return Err("a shard has ended, and did not say why".to_string());
            }
        }
        Ok(())
    }
}

/// What a shard is given.
struct Shared {
    number: usize,
    sockets: ShardSockets,
    handovers: Arc<[Handover]>,
    settings: Arc<Settings>,
    limit: Arc<Limit>,
    stop: Arc<Stop>,
    drain: Arc<Drain>,
    stopped: Sender<()>,
}

/// One shard's life.
async fn run(shard: Shard, links: Links, shared: Shared, ready: Ready) {
    let Shared { number, sockets, handovers, settings, limit, stop, drain, stopped } = shared;
    let handle = ShardHandle::start(shard, links, settings.pump).await;
    let begun = Poller::new().map_err(|error| format!("clients cannot be served: {error}")).and_then(|poller| {
        let connections = Rc::new(Connections::new(handle.clone(), Arc::clone(&settings), drain, limit, poller));
        Ok((serve(number, sockets, handovers, &connections)?, connections))
    });
    let (serving, connections) = match begun {
        Ok(begun) => begun,
        Err(what) => {
            // Main prints it and ends the process.
            ready.say(Started::Failed(what));
            return;
        }
    };
    if let (0, Some(interval)) = (number, settings.statistics_interval) {
        glommio::spawn_local(control::log_statistics(Rc::clone(&connections), interval)).detach();
    }
    if let Some(timeout) = settings.idle_timeout {
        glommio::spawn_local(Rc::clone(&connections).close_idle(timeout)).detach();
    }
    ready.say(Started::Listening);

    let said = Arc::clone(&stop);
    glommio::executor().spawn_blocking(move || said.wait()).await;
    for task in serving {
        task.cancel().await;
    }
    connections.finish().await;
    while !handle.is_idle() {
        sleep(STOP_POLL).await;
    }
    stop.is_quiet();
    while stop.quiet() < usize::from(settings.shards) {
        sleep(STOP_POLL).await;
    }
    let totals = handle.with_shard(|shard| shard.store().totals());
    stop.add_waiting(totals.queues, totals.messages);
    handle.stop().await;
    // Main ends the process when all have said so. Until then this thread is not to wait for those of its chores.
    let _ = stopped.send(());
    pending().await
}

/// Starts to take what comes in at a shard's sockets.
fn serve(
    number: usize,
    sockets: ShardSockets,
    handovers: Arc<[Handover]>,
    connections: &Rc<Connections>,
) -> Result<Vec<Task<()>>, String> {
    let mut tasks = Vec::new();
    glommio::spawn_local(Rc::clone(connections.poller()).run(connections.handle().clone())).detach();
    let handle = connections.handle().clone();
    glommio::spawn_local(Rc::clone(connections.tasks()).run(async move || handle.next_turn().await)).detach();
    for socket in sockets.tcp {
        let listener = listener::listen(socket, connections.poller())?;
        tasks.push(glommio::spawn_local(listener::accept(listener, Rc::clone(connections))));
    }
    if let Some(socket) = sockets.unix {
        let listener = listener::listen(socket, connections.poller())?;
        tasks.push(glommio::spawn_local(listener::accept_for_all(
            listener,
            Arc::clone(&handovers),
            Rc::clone(connections),
        )));
    }
    for socket in sockets.udp {
        let serving =
            datagrams::serve(socket, connections).map_err(|error| format!("UDP cannot be served: {error}"))?;
        tasks.push(glommio::spawn_local(serving));
    }
    let taking_over = listener::take_over(handovers, number, Rc::clone(connections));
    tasks.push(glommio::spawn_local(taking_over));
    Ok(tasks)
}
