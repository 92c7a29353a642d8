//! A run: threads, each with its clients, until the time or the requests are up; then, if it is verified, the queues
//! are emptied.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{self, Receiver};
use std::sync::{Barrier, Mutex, OnceLock, PoisonError};
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use crate::connection::{CONNECT_TIMEOUT, Connection, Server, reachable};
use crate::drain::{self, Drained};
use crate::gate;
use crate::live::Live;
use crate::options::{Arguments, Role};
use crate::restart::{self, Gap, Restarted};
use crate::tally::{Second, Tally};
use crate::tls::Tls;
use crate::usage;
use crate::verify::{Verdict, Verifier};
use crate::worker::{Client, Ended, Shared, Worker, be_punctual};
use crate::workload::Spread;

/// All that is known of a run.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub(crate) began: SystemTime,
    pub(crate) took: Duration,
    pub(crate) tally: Tally,
    pub(crate) seconds: Vec<Second>,
    pub(crate) threads: Vec<Ended>,
    /// What the server used, where its process is known.
    pub(crate) server_cpu: Option<Duration>,
    pub(crate) restarted: Option<(Restarted, Gap)>,
    pub(crate) drained: Option<Drained>,
    pub(crate) verdict: Option<Verdict>,
}

impl Outcome {
    /// Why the run ended before its time, if it did.
    pub(crate) fn failure(&self) -> Option<&str> {
        self.threads.iter().find_map(|thread| thread.failure.as_deref())
    }

    pub(crate) fn sum(&self, of: impl Fn(&Ended) -> u64) -> u64 {
        self.threads.iter().map(of).sum()
    }

    /// The run came to its end, and nothing was wrong with the messages.
    pub(crate) fn is_good(&self) -> bool {
        let restarted = self.restarted.as_ref().is_none_or(|(restarted, _)| restarted.failure.is_none());
        self.failure().is_none() && restarted && self.verdict.as_ref().is_none_or(Verdict::is_clean)
    }
}

/// Connects all clients, and then puts the load on.
pub(crate) fn run(options: &Arguments) -> Result<Outcome, String> {
    let server = Server { address: reachable(options)?, tls: Tls::new(options)? };
    if options.gate_refusals {
        gate::set_up(options, &server.address)?;
        gate::sell_out(options, &server.address)?;
    }
    if let Some(pid) = options.server_pid
        && usage::of_process(pid).is_none()
    {
        return Err(format!("there is no process {pid}"));
    }
    be_punctual();
    usage::allow_connections();
    let roles = options.roles();
    let began = SystemTime::now();
    let run = options.verifies().then(|| run_number(began));
    let mut verifier = run.map(|run| Verifier::new(run, Spread::new(options)));
    if let Some(verifier) = verifier.as_mut().filter(|_| options.restart_command.is_some()) {
        verifier.expect_restart();
    }
    let clients = connect(options, &server, &roles, verifier.as_mut())?;
    let shared = Shared {
        options,
        server,
        barrier: Barrier::new(options.threads + 1),
        start: OnceLock::new(),
        stop: AtomicBool::new(false),
        producers_left: AtomicUsize::new(roles.iter().filter(|role| **role == Role::Producer).count()),
        run,
        verifier: verifier.map(Mutex::new),
        gap: options.restart_command.as_ref().map(|_| Mutex::new(Gap::default())),
    };
    let mut outcome = put_load(&shared, clients, began)?;
    if options.gate_refusals && outcome.tally.hits > 0 {
        let tickets = outcome.tally.hits;
        let failure = format!("{tickets} more buyers were given a ticket of a gate that was sold out");
        outcome.threads[0].failure.get_or_insert(failure);
    }
    let (gap, verifier, start) = (shared.gap, shared.verifier, *shared.start.get_or_init(Instant::now));
    outcome.restarted = outcome.restarted.map(|(restarted, _)| {
        (restarted, gap.map(|gap| gap.into_inner().unwrap_or_else(PoisonError::into_inner)).unwrap_or_default())
    });
    if let (Some(verifier), Some(run)) = (verifier, run) {
        let mut verifier = verifier.into_inner().unwrap_or_else(PoisonError::into_inner);
        let drained = match outcome.failure() {
            None => drain::drain(options, run, &shared.server, &mut verifier, || start.elapsed().as_nanos() as u64),
            Some(_) => Err(String::from("the run failed")),
        };
        let mut verdict = verifier.finish(drained.is_ok());
        verdict.not_drained = drained.as_ref().err().cloned();
        outcome.drained = drained.ok();
        outcome.verdict = Some(verdict);
    }
    Ok(outcome)
}

/// A number that no other run is likely to have.
fn run_number(began: SystemTime) -> u32 {
    let since = began.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&since.as_nanos().to_le_bytes());
    hasher.update(&std::process::id().to_le_bytes());
    hasher.finalize()
}

/// The clients of each thread, connected.
fn connect(
    options: &Arguments,
    server: &Server,
    roles: &[Role],
    mut verifier: Option<&mut Verifier>,
) -> Result<Vec<Vec<Client>>, String> {
    let mut threads: Vec<Vec<Client>> = (0..options.threads).map(|_| Vec::new()).collect();
    for (number, role) in roles.iter().enumerate() {
        let connection = Connection::new(server, CONNECT_TIMEOUT).map_err(|error| {
            format!("cannot connect to {}, with {number} connections made: {error}", server.address)
        })?;
        let names = verifier.as_mut().map_or((number as u32, 0), |it| (it.producer(), it.consumer()));
        threads[number % options.threads].push(Client::new(options, *role, number, connection, names));
    }
    Ok(threads)
}

fn put_load(shared: &Shared<'_>, threads: Vec<Vec<Client>>, began: SystemTime) -> Result<Outcome, String> {
    let options = shared.options;
    let (sender, seconds) = mpsc::channel();
    let workers = threads.into_iter().enumerate();
    let workers = workers.map(|(number, clients)| Worker::new(shared, clients, number, sender.clone()));
    let workers: Vec<Worker<'_>> = workers.collect::<Result<_, String>>()?;
    drop(sender);
    let server_cpu = || options.server_pid.and_then(usage::of_process);
    let over = AtomicBool::new(false);
    thread::scope(|scope| {
        let handles: Vec<_> = workers.into_iter().map(|worker| scope.spawn(|| worker.run())).collect();
        let cpu_before = server_cpu();
        shared.barrier.wait();
        let start = *shared.start.get_or_init(Instant::now);
        let restarting = options.restart_command.as_ref().map(|command| {
            let over = &over;
            scope.spawn(move || restart::restart(command, start, options.restart_at(), over))
        });
        let (tally, course) = collect(&seconds, options);
        let threads: Result<Vec<Ended>, String> = handles.into_iter().map(|it| it.join().map_err(panicked)).collect();
        over.store(true, Ordering::Relaxed);
        let threads = threads?;
        let restarted = restarting.map(|it| it.join().map_err(panicked)).transpose()?;
        let server_cpu = server_cpu().zip(cpu_before).and_then(|(after, before)| after.checked_sub(before));
        Ok(Outcome {
            began,
            took: Duration::from_nanos(threads.iter().map(|thread| thread.took_ns).max().unwrap_or(0)),
            tally,
            seconds: course,
            threads,
            server_cpu,
            restarted: restarted.map(|restarted| (restarted, Gap::default())),
            drained: None,
            verdict: None,
        })
    })
}

fn panicked(_: Box<dyn std::any::Any + Send>) -> String {
    String::from("a thread panicked")
}

/// Adds up what the threads tell of each second, and shows it, until they end.
fn collect(seconds: &Receiver<(u64, Box<Tally>)>, options: &Arguments) -> (Tally, Vec<Second>) {
    let mut total = Tally::new();
    let mut course = Vec::new();
    let mut pending: BTreeMap<u64, (usize, Box<Tally>)> = BTreeMap::new();
    let live = Live::new(options);
    let mut close = |number: u64, tally: &Tally, live: &Live| {
        let second = Second::new(number, tally);
        live.show(&second);
        course.push(second);
        total.add(tally);
    };
    for (number, tally) in seconds {
        let (threads, sum) = pending.entry(number).or_insert_with(|| (0, Box::new(Tally::new())));
        *threads += 1;
        sum.add(&tally);
        while let Some(first) = pending.first_entry().filter(|first| first.get().0 == options.threads) {
            let (number, (_, tally)) = first.remove_entry();
            close(number, &tally, &live);
        }
    }
    // A thread that ended early, or was busy for longer than a second, leaves seconds out.
    for (number, (_, tally)) in pending {
        close(number, &tally, &live);
    }
    live.finish();
    (total, course)
}
