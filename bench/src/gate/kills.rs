//! Restarts of the server while buyers ask, and when each of them is due.

use std::net::SocketAddr;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use super::setup;
use crate::options::Arguments;
use crate::restart::{self, Restarted};
use crate::workload::mixed;

/// Of so many kills one comes when all tickets are sold.
const SOLD_OUT_EACH: u32 = 5;
/// How long a kill is put off for a ticket that is to be told before it.
const TICKET_WAIT_MAX: Duration = Duration::from_millis(500);
/// A kill behind a ticket comes so much later at most, and one behind the server's return.
const BEHIND_TICKET_MAX: Duration = Duration::from_millis(4);
const BEHIND_RETURN_MAX: Duration = Duration::from_millis(20);
const LOOK_EVERY: Duration = Duration::from_micros(200);

/// What the buyers and the kills have in common.
#[derive(Debug)]
pub(super) struct Progress {
    pub(super) start: Instant,
    /// Buyers numbered below this may come.
    pub(super) may_come: AtomicU32,
    /// Buyers that have come.
    pub(super) came: AtomicU32,
    pub(super) seats: AtomicU32,
    /// Kills behind which the server is back.
    pub(super) returned: AtomicU32,
    /// The run is over, or has failed.
    pub(super) stop: AtomicBool,
    failure: Mutex<Option<String>>,
}

impl Progress {
    pub(super) fn new(may_come: u32) -> Progress {
        Progress {
            start: Instant::now(),
            may_come: AtomicU32::new(may_come),
            came: AtomicU32::new(0),
            seats: AtomicU32::new(0),
            returned: AtomicU32::new(0),
            stop: AtomicBool::new(false),
            failure: Mutex::new(None),
        }
    }

    pub(super) fn now_ns(&self) -> u64 {
        self.start.elapsed().as_nanos() as u64
    }

    pub(super) fn is_stopped(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }

    /// The run ends for this reason, if it has not before.
    pub(super) fn fail(&self, reason: String) {
        self.failure.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(reason);
        self.stop.store(true, Ordering::Relaxed);
    }

    pub(super) fn failure(&self) -> Option<String> {
        self.failure.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// When a kill is due, once as many buyers have come as may.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Moment {
    /// So long after the next ticket.
    BehindTicket(Duration),
    /// So long after the server came back from the last kill.
    BehindReturn(Duration),
}

/// All kills of a run.
#[derive(Clone, Copy, Debug)]
pub(super) struct Plan {
    tickets: u32,
    buyers: u32,
    kills: u32,
}

impl Plan {
    pub(super) fn new(options: &Arguments) -> Plan {
        let kills = options.restart_command.as_ref().map_or(0, |_| options.gate_kills.unwrap_or(1));
        Plan { tickets: options.gate.unwrap_or(1), buyers: options.buyers.unwrap_or(1), kills }
    }

    /// Kills that come when all tickets are sold.
    fn late(self) -> u32 {
        self.kills / SOLD_OUT_EACH
    }

    /// How many buyers come before the kill of this number, from 0. One at least comes behind the last kill.
    ///
    /// The last ticket is not sold before the early kills, but the last of those: for that one as many buyers more come as
    /// there are tickets, so that it may be between the last ticket and its commit.
    pub(super) fn may_come(self, kill: u32) -> u32 {
        let early = self.kills - self.late();
        let share = |whole: u32, part: u32, parts: u32| (u64::from(whole) * u64::from(part) / u64::from(parts)) as u32;
        let buyers = match kill {
            _ if kill >= self.kills => return self.buyers,
            _ if kill + 1 < early => share(self.tickets - 1, kill + 1, early),
            _ if kill + 1 == early => self.tickets.saturating_mul(2),
            _ => {
                let rest = self.buyers.saturating_sub(self.tickets.saturating_mul(2));
                self.tickets.saturating_mul(2).saturating_add(share(rest, kill + 1 - early, self.late() + 1))
            }
        };
        buyers.clamp(1, self.buyers - 1)
    }

    fn moment(self, kill: u32) -> Moment {
        let none_comes = kill > 0 && self.may_come(kill) == self.may_come(kill - 1);
        let random = mixed(u64::from(kill) << 32 | u64::from(self.buyers));
        let part = |whole: Duration| whole.mul_f64((random >> 32) as f64 / f64::from(u32::MAX));
        if random.is_multiple_of(2) && !none_comes {
            Moment::BehindTicket(part(BEHIND_TICKET_MAX))
        } else {
            Moment::BehindReturn(part(BEHIND_RETURN_MAX))
        }
    }
}

/// Runs the command as often as planned, each time when it is due. A failure of it ends the run.
pub(super) fn kill(options: &Arguments, address: &SocketAddr, plan: Plan, progress: &Progress) -> Vec<Restarted> {
    let Some(command) = &options.restart_command else { return Vec::new() };
    let mut kills = Vec::new();
    let mut seats = 0;
    for kill in 0..plan.kills {
        wait_for(plan, kill, seats, progress);
        seats = progress.seats.load(Ordering::Relaxed);
        // Buyers come while the server is away, too.
        progress.may_come.store(plan.may_come(kill + 1), Ordering::Relaxed);
        let restarted = restart::restart(command, progress.start, progress.start.elapsed(), &progress.stop);
        let failure = restarted.failure.clone().map(|reason| format!("the restart command: {reason}"));
        let is_stopped = progress.is_stopped();
        kills.push(restarted);
        let returned = || setup::wait_for_return(options, address, || progress.is_stopped());
        if let Err(reason) = failure.map_or_else(returned, Err) {
            progress.fail(reason);
        }
        if is_stopped || progress.is_stopped() {
            break;
        }
        progress.returned.fetch_add(1, Ordering::Relaxed);
    }
    kills
}

/// Returns when the kill is due. `seats`: how many were told before the last.
fn wait_for(plan: Plan, kill: u32, seats: u32, progress: &Progress) {
    let until = |happened: &dyn Fn() -> bool| {
        while !happened() && !progress.is_stopped() {
            thread::sleep(LOOK_EVERY);
        }
    };
    let returned = Instant::now();
    match plan.moment(kill) {
        Moment::BehindTicket(delay) => {
            until(&|| progress.came.load(Ordering::Relaxed) >= plan.may_come(kill));
            let came = Instant::now();
            let is_told = || progress.seats.load(Ordering::Relaxed) > seats;
            until(&|| is_told() || came.elapsed() >= TICKET_WAIT_MAX);
            thread::sleep(delay);
        }
        Moment::BehindReturn(delay) => {
            until(&|| progress.came.load(Ordering::Relaxed) >= plan.may_come(kill));
            until(&|| returned.elapsed() >= delay);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn most_kills_are_before_the_last_ticket_and_all_before_the_last_buyer() {
        let plan = Plan { tickets: 20, buyers: 2000, kills: 10 };
        let limits: Vec<u32> = (0..=10).map(|kill| plan.may_come(kill)).collect();
        assert_eq!(limits, [2, 4, 7, 9, 11, 14, 16, 40, 693, 1346, 2000]);
        assert!(limits.is_sorted());
        for plan in [
            Plan { tickets: 1, buyers: 2, kills: 7 },
            Plan { tickets: 5, buyers: 3, kills: 100 },
            Plan { tickets: 100_000_000, buyers: 9, kills: 5 },
            Plan { tickets: 100, buyers: 5000, kills: 1000 },
        ] {
            let limits: Vec<u32> = (0..plan.kills).map(|kill| plan.may_come(kill)).collect();
            assert!(limits.is_sorted() && limits.iter().all(|limit| (1..plan.buyers).contains(limit)), "{limits:?}");
            assert_eq!(plan.may_come(plan.kills), plan.buyers);
        }
        assert_eq!(Plan { tickets: 20, buyers: 30, kills: 0 }.may_come(0), 30);
        assert_eq!(Plan { tickets: 20, buyers: 3000, kills: 1 }.may_come(0), 40);
    }

    #[test]
    fn kills_come_behind_tickets_and_behind_returns() {
        let plan = Plan { tickets: 200, buyers: 2000, kills: 100 };
        let behind_tickets = (0..100).filter(|kill| matches!(plan.moment(*kill), Moment::BehindTicket(_))).count();
        assert!((30..70).contains(&behind_tickets), "{behind_tickets}");
        for kill in 0..100 {
            let (Moment::BehindTicket(delay) | Moment::BehindReturn(delay)) = plan.moment(kill);
            assert!(delay <= BEHIND_RETURN_MAX);
        }
        // Where no buyer comes before a kill, there is no ticket behind which it could come.
        let plan = Plan { tickets: 1, ..plan };
        assert!((1..60).all(|kill| matches!(plan.moment(kill), Moment::BehindReturn(_))));
    }
}
