//! Which client sends when, where there is a rate.

use nix::sys::time::TimeSpec;
use nix::sys::timerfd::{ClockId, Expiration, TimerFd, TimerFlags, TimerSetTimeFlags};

use super::client::Client;
use super::{GRACE_NS, Worker};
use crate::options::{Arguments, Role};
use crate::schedule::{Schedule, Waiting};

/// The kernel may wake a thread so much later than it asked for.
const TIMER_SLACK_NS: u64 = 1_000;

/// Clients that share a schedule: whichever has room sends what is due.
#[derive(Debug)]
struct Group {
    schedule: Schedule,
    clients: Vec<usize>,
    next: usize,
    /// The last look found no connection with room.
    is_full: bool,
    is_done: bool,
}

#[derive(Debug)]
pub(super) struct Pace {
    groups: Vec<Group>,
    /// By client.
    group_of: Vec<Option<usize>>,
    /// Each client has a schedule of its own.
    is_each: bool,
    waiting: Waiting,
    pub(super) timer: TimerFd,
    /// When the timer goes off.
    armed_ns: Option<u64>,
}

impl Pace {
    pub(super) fn new(options: &Arguments, clients: &[Client], thread: usize, end_ns: u64) -> Result<Pace, String> {
        let no_timer = |error: nix::Error| format!("cannot set a timer: {error}");
        let timer = TimerFd::new(ClockId::CLOCK_MONOTONIC, TimerFlags::TFD_NONBLOCK).map_err(no_timer)?;
        let mut group_of = vec![None; clients.len()];
        let mut groups = Vec::new();
        for (rate, of_consumers) in [(options.rate, false), (options.consumer_rate, true)] {
            let members = clients.iter().enumerate().filter(|(_, it)| (it.role == Role::Consumer) == of_consumers);
            let members: Vec<usize> = members.map(|(number, _)| number).collect();
            let Some(rate) = rate.filter(|_| !members.is_empty()) else {
                continue;
            };
            members.iter().for_each(|number| group_of[*number] = Some(groups.len()));
            // Client i belongs to thread i modulo the number of threads, so the first threads have any of a few.
            let roles = options.roles();
            let all = roles.iter().enumerate();
            let threads = all.filter(|(_, role)| (**role == Role::Consumer) == of_consumers);
            let mut threads: Vec<usize> = threads.map(|(number, _)| number % options.threads).collect();
            threads.sort_unstable();
            threads.dedup();
            let part = threads.iter().position(|it| *it == thread).unwrap_or(0);
            let schedule = Schedule::new(rate, part, threads.len(), end_ns);
            groups.push(Group { schedule, clients: members, next: 0, is_full: false, is_done: false });
        }
        let is_each = options.rate_limiting.is_some();
        Ok(Pace { groups, group_of, is_each, waiting: Waiting::default(), timer, armed_ns: None })
    }

    pub(super) fn is_paced(&self, client: usize) -> bool {
        self.is_each || self.group_of[client].is_some()
    }

    /// There is more to come for the client, as far as its group's schedule knows.
    pub(super) fn goes_on(&self, client: usize) -> bool {
        self.group_of[client].is_none_or(|group| !self.groups[group].is_done)
    }

    /// A client may be given its next request.
    pub(super) fn has_room(&mut self, number: usize, client: &mut Client, pipeline: usize) {
        if client.has_room(pipeline) {
            if let Some(group) = self.group_of[number] {
                self.groups[group].is_full = false;
            }
            if let Some(due_ns) = client.schedule.as_ref().and_then(Schedule::due).filter(|_| !client.is_waiting) {
                client.is_waiting = true;
                self.waiting.push(due_ns, number);
            }
        }
    }

    /// Lets the timer go off when the next request is due that a connection has room for.
    pub(super) fn arm(&mut self, now_ns: u64) -> Result<(), String> {
        let groups = self.groups.iter().filter(|group| !group.is_full && !group.is_done);
        let next = groups.filter_map(|group| group.schedule.due()).chain(self.waiting.next()).min();
        let Some(next_ns) = next.filter(|next_ns| self.armed_ns != Some(*next_ns)) else {
            return Ok(());
        };
        let wait = std::time::Duration::from_nanos(next_ns.saturating_sub(now_ns).max(1));
        let when = Expiration::OneShot(TimeSpec::from_duration(wait));
        self.timer.set(when, TimerSetTimeFlags::empty()).map_err(|error| format!("cannot set a timer: {error}"))?;
        self.armed_ns = Some(next_ns);
        Ok(())
    }

    /// The timer has gone off.
    pub(super) fn disarm(&mut self) {
        // It does not block, and has nothing to say.
        let _ = self.timer.wait();
        self.armed_ns = None;
    }
}

/// Asks for wake-ups on time; without it, they come up to 50 microseconds late.
pub(crate) fn be_punctual() {
    // It is no more than a wish.
    let _ = nix::sys::prctl::set_timerslack(TIMER_SLACK_NS);
}

impl Worker<'_> {
    /// Sends what is due.
    pub(super) fn release(&mut self, now_ns: u64) -> Result<(), String> {
        for group in 0..self.pace.groups.len() {
            self.release_group(group, now_ns)?;
        }
        while let Some(number) = self.pace.waiting.pop(now_ns) {
            self.clients[number].is_waiting = false;
            let pipeline = self.shared.options.pipeline;
            let over = now_ns >= self.end_ns + GRACE_NS;
            while self.clients[number].has_room(pipeline) && !over {
                let Some(due_ns) = self.clients[number].schedule.as_mut().and_then(|it| it.take(now_ns)) else {
                    break;
                };
                self.fill(number, 1, due_ns);
            }
            self.send(number).or_else(|trouble| self.lose(number, trouble))?;
            self.settle_paced(number)?;
        }
        Ok(())
    }

    fn release_group(&mut self, at: usize, now_ns: u64) -> Result<(), String> {
        let pipeline = self.shared.options.pipeline;
        if self.pace.groups[at].is_done {
            return Ok(());
        }
        let mut dirty = Vec::new();
        let over = self.is_over(self.pace.groups[at].clients[0], now_ns);
        while !over
            && !self.pace.groups[at].is_full
            && self.pace.groups[at].schedule.due().is_some_and(|due_ns| due_ns <= now_ns)
        {
            let group = &self.pace.groups[at];
            let count = group.clients.len();
            let turn = (0..count).map(|step| (group.next + step) % count);
            let Some(found) = turn.into_iter().find(|turn| self.clients[group.clients[*turn]].has_room(pipeline))
            else {
                self.pace.groups[at].is_full = true;
                break;
            };
            let group = &mut self.pace.groups[at];
            group.next = (found + 1) % count;
            let number = group.clients[found];
            if let Some(due_ns) = group.schedule.take(now_ns) {
                self.fill(number, 1, due_ns);
                dirty.push(number);
            }
        }
        for number in dirty {
            self.send(number).or_else(|trouble| self.lose(number, trouble))?;
        }
        let group = &mut self.pace.groups[at];
        let exhausted = group.clients.iter().all(|number| self.clients[*number].left == Some(0));
        if over || exhausted || group.schedule.due().is_none() {
            if now_ns >= self.end_ns + GRACE_NS {
                self.ended.unsent += group.schedule.overdue(now_ns);
            }
            group.is_done = true;
            for number in group.clients.clone() {
                self.settle(number)?;
            }
        }
        Ok(())
    }

    /// Puts a client with a schedule of its own back among those that wait, or ends it.
    fn settle_paced(&mut self, number: usize) -> Result<(), String> {
        let client = &mut self.clients[number];
        let due_ns = client.schedule.as_ref().and_then(Schedule::due);
        if due_ns.is_none() {
            client.left = Some(0);
        }
        self.settle(number)
    }

    /// Requests of clients with schedules of their own that were due and never sent.
    pub(super) fn count_unsent(&mut self) {
        let overdue = self.clients.iter().filter(|it| it.left != Some(0)).filter_map(|it| it.schedule.as_ref());
        self.ended.unsent += overdue.map(|schedule| schedule.overdue(u64::MAX)).sum::<u64>();
    }
}
