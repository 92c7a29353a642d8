//! A gate under a rush: many buyers, few tickets. All that the buyers are told is kept, and checked at the end.

mod after;
mod check;
mod kills;
mod ledger;
mod rush;
mod setup;
mod slot;
mod told;
mod wire;

use std::net::SocketAddr;
use std::sync::atomic::Ordering;
use std::thread;
use std::time::{Duration, SystemTime};

use crate::connection::{CONNECT_TIMEOUT, Connection, Server, reachable};
use crate::options::Arguments;
use crate::restart::Restarted;
use crate::usage;
#[cfg(test)]
pub(crate) use check::Told;
use check::{Evidence, Message, check};
pub(crate) use check::{Sentence, Verdict};
use kills::{Plan, Progress};
pub(crate) use ledger::{First, Ledger};
use rush::Rush;
pub(crate) use setup::{sell_out, set_up};

/// What buyers of the run are called besides their numbers.
const RUN: u32 = 0;

/// All that is known of a rush.
#[derive(Debug)]
pub(crate) struct Rushed {
    pub(crate) began: SystemTime,
    /// Until the last buyer was answered.
    pub(crate) took: Duration,
    pub(crate) ledger: Ledger,
    pub(crate) kills: Vec<Restarted>,
    /// How much of a core the buyers used.
    pub(crate) cpu_share: f64,
    pub(crate) server_cpu: Option<Duration>,
    /// None: the run failed before.
    pub(crate) checked: Option<Checked>,
    pub(crate) failure: Option<String>,
}

/// What came of the gate behind the rush.
#[derive(Debug)]
pub(crate) struct Checked {
    pub(crate) verdict: Verdict,
    pub(crate) messages: u64,
    /// Buyers that asked once more at the end.
    pub(crate) asked_again: u64,
    /// What the server tells of the gate.
    pub(crate) figures: Option<String>,
}

impl Rushed {
    pub(crate) fn is_good(&self) -> bool {
        self.failure.is_none() && self.checked.as_ref().is_some_and(|checked| checked.verdict.is_clean())
    }

    /// Kills that began behind the first seat's answer and before the last one's.
    pub(crate) fn kills_between(&self) -> usize {
        let Some((first_ns, last_ns)) = self.ledger.seats_told() else { return 0 };
        let at = |kill: &&Restarted| (first_ns..last_ns).contains(&(kill.at.as_nanos() as u64));
        self.kills.iter().filter(at).count()
    }
}

/// Makes the gate, and lets the buyers come.
///
/// # Errors
/// When the gate cannot be made, or a connection.
pub(crate) fn run(options: &Arguments) -> Result<Rushed, String> {
    let address = reachable(options)?;
    if let Some(pid) = options.server_pid.filter(|pid| usage::of_process(*pid).is_none()) {
        return Err(format!("there is no process {pid}"));
    }
    usage::allow_connections();
    set_up(options, &address)?;
    let began = SystemTime::now();
    let connect = |number: usize| {
        Connection::new(&Server::plain(address), CONNECT_TIMEOUT)
            .map_err(|error| format!("cannot connect to {address}, with {number} connections made: {error}"))
    };
    let count = options.clients.min(options.buyers.unwrap_or(1) as usize);
    let connections = (0..count).map(connect).collect::<Result<Vec<Connection>, String>>()?;
    let plan = Plan::new(options);
    let progress = Progress::new(plan.may_come(0));
    let rush = Rush::new(options, address, connections, &progress)?;
    let mut rushed = let_come(options, &address, rush, (plan, &progress), began);
    if rushed.failure.is_none() {
        match look(options, &address, &mut rushed.ledger, &progress) {
            Ok(checked) => rushed.checked = Some(checked),
            Err(reason) => rushed.failure = Some(format!("the gate cannot be checked: {reason}")),
        }
    }
    Ok(rushed)
}

/// The rush itself, with its kills.
fn let_come(
    options: &Arguments,
    address: &SocketAddr,
    rush: Rush<'_>,
    (plan, progress): (Plan, &Progress),
    began: SystemTime,
) -> Rushed {
    let server_cpu = || options.server_pid.and_then(usage::of_process);
    thread::scope(|scope| {
        let killing = scope.spawn(|| kills::kill(options, address, plan, progress));
        let (server_before, cpu_before) = (server_cpu(), usage::of_this_thread());
        let (ledger, outcome) = rush.run();
        let took = progress.start.elapsed();
        // The last buyers may have been answered before the last command ended.
        progress.stop.store(outcome.is_err(), Ordering::Relaxed);
        let cpu_share = (usage::of_this_thread() - cpu_before).as_secs_f64() / took.as_secs_f64().max(1e-9);
        let server_cpu = server_cpu().zip(server_before).and_then(|(after, before)| after.checked_sub(before));
        let kills = killing.join();
        let panicked = kills.is_err().then(|| String::from("a thread panicked"));
        let failure = outcome.err().or(panicked).or_else(|| progress.failure());
        let kills = kills.unwrap_or_default();
        Rushed { began, took, ledger, kills, cpu_share, server_cpu, checked: None, failure }
    })
}

/// Has the winners ask once more, and some who were refused; empties the queue; and checks all of it.
fn look(
    options: &Arguments,
    address: &SocketAddr,
    ledger: &mut Ledger,
    progress: &Progress,
) -> Result<Checked, String> {
    let again = [ledger.winners.as_slice(), &ledger.some_refused].concat();
    let asks = after::ask_again(options, address, &again, || progress.now_ns())?;
    ledger.asks.extend(asks);
    let queue: Vec<Message> = after::drain(options, address)?;
    let figures = after::figures(options, address)?;
    let evidence = Evidence {
        tickets: options.gate.unwrap_or(0),
        buyers: options.buyers.unwrap_or(0),
        asks: &ledger.asks,
        queue: &queue,
        given: figures.as_deref().and_then(|figures| after::figure(figures, "given")),
    };
    let verdict = check(&evidence);
    Ok(Checked { verdict, messages: queue.len() as u64, asked_again: again.len() as u64, figures })
}

#[cfg(test)]
pub(crate) mod tests {
    use super::check::{Ask, Told};
    use super::*;

    const MS: u64 = 1_000_000;

    /// What comes of a run in which buyers were told this, at these milliseconds: the first request was sent after one.
    pub(crate) fn rushed(
        options: &Arguments,
        began: SystemTime,
        told: &[(u32, u64, Told)],
        kills: &[Duration],
    ) -> Rushed {
        let mut ledger = Ledger::new();
        ledger.sent(MS);
        let mut came = Vec::new();
        for (buyer, at, told) in told.iter().copied() {
            let ask = Ask { buyer, sent_ns: MS, told: Some((at * MS, told)) };
            if came.contains(&buyer) {
                ledger.asks.push(ask);
            } else {
                ledger.first(ask, MS);
            }
            came.push(buyer);
        }
        let queue: Vec<Message> = ledger.winners.iter().copied().map(Message::Of).collect();
        let (tickets, buyers) = (options.gate.unwrap(), options.buyers.unwrap());
        let verdict = check(&Evidence { tickets, buyers, asks: &ledger.asks, queue: &queue, given: None });
        let checked = Checked { verdict, messages: queue.len() as u64, asked_again: 0, figures: None };
        Rushed {
            began,
            took: Duration::from_millis(20),
            ledger,
            kills: kills.iter().map(|at| Restarted { at: *at, ..Restarted::default() }).collect(),
            cpu_share: 0.5,
            server_cpu: None,
            checked: Some(checked),
            failure: None,
        }
    }

    #[test]
    fn a_run_is_good_only_if_it_ended_and_all_sentences_hold() {
        let options = crate::options::tests::parse("--gate 1 --buyers 2").unwrap();
        let run = |told: &[(u32, u64, Told)]| rushed(&options, SystemTime::UNIX_EPOCH, told, &[]);
        let right = [(0, 2, Told::Seat(1)), (1, 3, Told::Refused)];
        assert!(run(&right).is_good());
        assert!(!Rushed { failure: Some(String::from("x")), ..run(&right) }.is_good());
        assert!(!Rushed { checked: None, ..run(&right) }.is_good());
        assert!(!run(&[(0, 2, Told::Seat(1)), (1, 3, Told::Seat(1))]).is_good());
    }

    #[test]
    fn kills_are_between_the_first_seat_and_the_last() {
        let options = crate::options::tests::parse("--gate 2 --buyers 2").unwrap();
        let told = [(0, 2, Told::Seat(1)), (1, 6, Told::Seat(2))];
        let kills = [1, 2, 5, 6].map(Duration::from_millis);
        assert_eq!(rushed(&options, SystemTime::UNIX_EPOCH, &told, &kills).kills_between(), 2);
    }
}
