//! The executors: one thread, pinned to one core, for each shard.

use std::future::pending;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::{Duration, Instant};

use glommio::timer::sleep;
use glommio::{ExecutorJoinHandle, LocalExecutorBuilder, Placement, PoolPlacement, Task, spawn_local};
use shards::pump::{Links, ShardHandle, links};
use shards::{Shard, ShardId};

use crate::access::{Crowd, Users};
use crate::admin::ask;
use crate::context::ShardContext;
use crate::net::handover::Handover;
use crate::net::sockets::ShardSockets;
use crate::net::{ShardNet, agent, datagrams, listener};
use crate::process::certificates::Certificates;
use crate::process::drain::Drain;
use crate::process::fault;
use crate::process::permits::Limit;
use crate::process::queue_config::QueueConfig;
use crate::process::settings::Settings;
use crate::process::stop::Stop;
use crate::session::roster::Roster;
use crate::web::desk::Desk;

/// Threads beside each shard's own, for: a commit, a sync, the log's files, the index, waiting for the stop, and reads of
/// bodies, so that three slow ones hold up none of these; and a handshake of TLS.
const BLOCKING_THREADS: usize = 9;
/// How long a shard may take to start, recovery apart.
const START_LIMIT: Duration = Duration::from_secs(10);
/// How often a shard that drains ends waits: one that another shard sent just before is there by then.
const DRAIN_SWEEP: Duration = Duration::from_secs(1);
/// How often a shard that stops looks whether the others are as far.
const STOP_POLL: Duration = Duration::from_millis(1);

/// How a shard's start went.
enum Started {
    Listening,
    Failed(String),
    /// The executor of this shard was not made, or has ended. Its join handle has the reason.
    Ended(usize),
}

/// Reports to the main thread how a shard's start went, once; when it is dropped before, that the shard has ended.
struct StartReport {
    number: usize,
    sender: Option<Sender<Started>>,
}

impl StartReport {
    fn send(mut self, started: Started) {
        // The main thread has given up waiting when it is not there any more.
        let _ = self.sender.take().map(|sender| sender.send(started));
    }
}

impl Drop for StartReport {
    fn drop(&mut self) {
        let _ = self.sender.take().map(|sender| sender.send(Started::Ended(self.number)));
    }
}

/// What the main thread shares with all shards.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Shared<'a> {
    pub(crate) settings: &'a Arc<Settings>,
    pub(crate) queue_config: &'a Arc<QueueConfig>,
    pub(crate) certificates: Option<&'a Arc<Certificates>>,
    pub(crate) users: &'a Option<Arc<Users>>,
    pub(crate) stop: &'a Arc<Stop>,
    pub(crate) drain: &'a Arc<Drain>,
}

/// All shards, running.
pub(crate) struct Executors {
    handles: Vec<ExecutorJoinHandle<()>>,
    /// Each shard sends one message when it has stopped.
    stopped: Receiver<()>,
}

impl Executors {
    /// Starts all shards, and returns when all of them listen.
    ///
    /// # Errors
    /// When a shard cannot have an executor or listen, or does not start in time.
    pub(crate) fn start(
        shards: Vec<Shard>,
        sockets: Vec<ShardSockets>,
        Shared { settings, queue_config, certificates, users, stop, drain }: Shared<'_>,
    ) -> Result<Executors, String> {
        let (started, starts) = channel();
        let (stopped, stops) = channel();
        let limit = Arc::new(Limit::new(settings.connections_max));
        let crowd = settings.connections_per_address.map(|max| Arc::new(Crowd::new(max)));
        let roster = Arc::new(Roster::new(shards.len() as u16));
        let count = shards.len();
        let links = links(count as u16);
        let handovers: Arc<[Handover]> = (0..count).map(|_| Handover::default()).collect();
        let mut handles = Vec::new();
        for (number, ((shard, links), sockets)) in shards.into_iter().zip(links).zip(sockets).enumerate() {
            let parts = Parts {
                number,
                sockets,
                handovers: Arc::clone(&handovers),
                settings: Arc::clone(settings),
                queue_config: Arc::clone(queue_config),
                certificates: certificates.map(Arc::clone),
                crowd: crowd.clone(),
                users: users.clone(),
                limit: Arc::clone(&limit),
                roster: Arc::clone(&roster),
                stop: Arc::clone(stop),
                drain: Arc::clone(drain),
                stopped: stopped.clone(),
            };
            let report = StartReport { number, sender: Some(started.clone()) };
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
                .spawn(move || run(shard, links, parts, report));
            handles.push(spawned.map_err(|e| format!("shard {number} cannot be started: {e}"))?);
        }
        for _ in 0..count {
            match starts.recv_timeout(START_LIMIT) {
                Ok(Started::Listening) => {}
                Ok(Started::Failed(what)) => return Err(what),
                Ok(Started::Ended(number)) => {
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
    /// When a shard has ended by itself.
    pub(crate) fn wait(self) -> Result<(), String> {
        for _ in 0..self.handles.len() {
            if self.stopped.recv().is_err() {
                for handle in self.handles {
                    handle.join().map_err(|e| format!("a shard has ended badly: {e}"))?;
                }
                return Err("a shard has ended, and gave no reason".to_string());
            }
        }
        Ok(())
    }
}

/// What a shard is made of and shares with others.
struct Parts {
    number: usize,
    sockets: ShardSockets,
    handovers: Arc<[Handover]>,
    settings: Arc<Settings>,
    queue_config: Arc<QueueConfig>,
    certificates: Option<Arc<Certificates>>,
    crowd: Option<Arc<Crowd>>,
    users: Option<Arc<Users>>,
    limit: Arc<Limit>,
    roster: Arc<Roster>,
    stop: Arc<Stop>,
    drain: Arc<Drain>,
    stopped: Sender<()>,
}

/// One shard's life.
async fn run(mut shard: Shard, links: Links, parts: Parts, report: StartReport) {
    let Parts {
        number,
        sockets,
        handovers,
        settings,
        queue_config,
        certificates,
        crowd,
        users,
        limit,
        roster,
        stop,
        drain,
        stopped,
    } = parts;
    let (version, patterns) = queue_config.current();
    shard.begin_with_patterns(patterns);
    let handle = ShardHandle::start(shard, links, settings.pump, fault::end_at_disk).await;
    spawn_local(follow(queue_config, version, handle.clone())).detach();
    spawn_local(end_waits(Arc::clone(&drain), handle.clone())).detach();
    let started = Instant::now();
    let context = Rc::new(ShardContext {
        handle: handle.clone(),
        settings,
        certificates,
        drain,
        limit,
        crowd,
        users,
        roster,
        started,
    });
    let begun = ShardNet::new(&context).map_err(|error| format!("clients cannot be served: {error}"));
    let begun = begun.and_then(|net| Ok((start_serving(number, sockets, handovers, &net)?, net)));
    let (serving, net) = match begun {
        Ok(begun) => begun,
        // The main thread prints it and ends the process.
        Err(what) => return report.send(Started::Failed(what)),
    };
    if let (0, Some(interval)) = (number, context.settings.statistics_interval) {
        spawn_local(ask::log_statistics(Rc::clone(&context), interval)).detach();
    }
    if let Some(users) = &context.users {
        spawn_local(Rc::clone(&net).close_those_out(ShardId(number as u16), Arc::clone(users))).detach();
    }
    report.send(Started::Listening);

    let requested = Arc::clone(&stop);
    glommio::executor().spawn_blocking(move || requested.wait()).await;
    for task in serving {
        task.cancel().await;
    }
    net.finish().await;
    while !handle.is_idle() {
        sleep(STOP_POLL).await;
    }
    stop.note_quiet();
    while stop.quiet_shards() < usize::from(context.settings.shards) {
        sleep(STOP_POLL).await;
    }
    let totals = handle.totals();
    stop.add_left(totals.queues, totals.messages);
    handle.stop().await;
    // The main thread ends the process when every shard has sent this. Until then this thread is not to wait for those
    // of its chores.
    let _ = stopped.send(());
    pending().await
}

/// Has a shard hear what the file of `--queue-config` says after this version.
async fn follow(queue_config: Arc<QueueConfig>, mut version: u64, handle: ShardHandle) {
    loop {
        let (next, patterns) = queue_config.after(version).await;
        handle.set_patterns(patterns);
        version = next;
    }
}

/// Has a shard end the waits of its queues with nothing while the server drains.
async fn end_waits(drain: Arc<Drain>, handle: ShardHandle) {
    loop {
        drain.begun().await;
        handle.end_waits();
        sleep(DRAIN_SWEEP).await;
    }
}

/// Starts to take what comes in at a shard's sockets. Cancelling the tasks ends that.
fn start_serving(
    number: usize,
    sockets: ShardSockets,
    handovers: Arc<[Handover]>,
    net: &Rc<ShardNet>,
) -> Result<Vec<Task<()>>, String> {
    net.start();
    for socket in sockets.agent {
        // Not among the tasks: it tells of the stop until the process ends.
        agent::start(socket, net)?;
    }
    let mut tasks = Vec::new();
    for socket in sockets.tcp {
        tasks.push(listener::start(socket, net)?);
    }
    if let Some(socket) = sockets.unix {
        tasks.push(listener::start_for_all(socket, Arc::clone(&handovers), net)?);
    }
    for socket in sockets.udp {
        tasks.push(datagrams::start(socket, net)?);
    }
    // The first shard serves the page.
    if let Some(desk) = (number == 0).then(|| Desk::open(&net.context)).flatten() {
        tasks.extend(net.serve_page(sockets.admin, desk)?);
    }
    tasks.push(spawn_local(listener::take_over(handovers, number, Rc::clone(net))));
    Ok(tasks)
}
