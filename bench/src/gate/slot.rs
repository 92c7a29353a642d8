//! A connection, and the buyer that asks over it.

use crate::connection::Connection;
use crate::options::Arguments;
use crate::workload::{Act, mixed};

/// The first pause before a buyer asks again, and the longest. Each is up to twice the last.
const PAUSE_NS_MIN: u64 = 1_000_000;
const PAUSE_NS_MAX: u64 = 100_000_000;

/// What a buyer asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// Its ticket.
    First,
    /// To have it for good.
    Pay,
    /// Its ticket once more.
    Again,
}

impl Step {
    pub(super) fn act(self) -> Act {
        match self {
            Step::First | Step::Again => Act::Join,
            Step::Pay => Act::Pay,
        }
    }
}

/// A buyer on its way.
#[derive(Clone, Copy, Debug)]
pub(super) struct Errand {
    pub(super) buyer: u32,
    pub(super) step: Step,
    /// From when on its latency counts.
    pub(super) due_ns: u64,
    /// When the last request was sent.
    pub(super) sent_ns: u64,
    /// Requests that brought nothing.
    pub(super) attempts: u32,
    /// When the buyer came, or began to pay.
    pub(super) began_ns: u64,
    /// The first request's connection is dropped at once.
    drops: bool,
}

impl Errand {
    /// A buyer comes.
    pub(super) fn first(options: &Arguments, buyer: u32, due_ns: u64) -> Errand {
        let percent = u64::from(options.gate_unread.unwrap_or(0));
        let drops = mixed(u64::from(buyer)) % 100 < percent;
        Errand { buyer, step: Step::First, due_ns, sent_ns: 0, attempts: 0, began_ns: due_ns, drops }
    }

    /// A winner asks once more.
    pub(super) fn again(buyer: u32, now_ns: u64) -> Errand {
        Errand { buyer, step: Step::Again, due_ns: now_ns, sent_ns: 0, attempts: 0, began_ns: now_ns, drops: false }
    }

    /// The buyer has its ticket, and pays.
    pub(super) fn pay(&mut self, now_ns: u64) {
        (self.step, self.attempts, self.began_ns, self.drops) = (Step::Pay, 0, now_ns, false);
    }

    /// A request brought nothing. How long the buyer pauses before the next, in nanoseconds: not all as long.
    pub(super) fn fail(&mut self) -> u64 {
        let most_ns = (PAUSE_NS_MIN << self.attempts.min(16)).min(PAUSE_NS_MAX);
        self.attempts += 1;
        most_ns / 2 + mixed(u64::from(self.buyer) << 32 | u64::from(self.attempts)) % (most_ns / 2)
    }
}

#[derive(Debug)]
pub(super) struct Slot {
    pub(super) connection: Option<Connection>,
    /// The socket's buffer is full, or it is not connected yet.
    pub(super) waits_to_send: bool,
    /// None: the slot is idle.
    pub(super) errand: Option<Errand>,
}

impl Slot {
    pub(super) fn new(connection: Connection) -> Slot {
        Slot { connection: Some(connection), waits_to_send: false, errand: None }
    }

    /// The request has left, and its buyer does not read the answer.
    pub(super) fn drops_now(&self) -> bool {
        let is_sent = self.connection.as_ref().is_some_and(|connection| !connection.is_sending());
        is_sent && self.errand.is_some_and(|errand| errand.drops && errand.attempts == 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::options::tests::parse;

    #[test]
    fn pauses_grow_up_to_a_bound_and_differ() {
        let mut errand = Errand::again(7, 0);
        let pauses: Vec<u64> = (0..40).map(|_| errand.fail()).collect();
        assert!((500_000..1_000_000).contains(&pauses[0]) && (1_000_000..2_000_000).contains(&pauses[1]), "{pauses:?}");
        assert!(pauses[10..].iter().all(|pause| (50_000_000..100_000_000).contains(pause)), "{pauses:?}");
        assert_ne!(Errand::again(8, 0).fail(), pauses[0]);
    }

    #[test]
    fn a_share_of_the_buyers_does_not_read_its_first_answer() {
        let options = parse("--gate 5 --buyers 1000 --gate-unread 30").unwrap();
        let drops = (0..1000).filter(|buyer| Errand::first(&options, *buyer, 0).drops).count();
        assert!((250..350).contains(&drops), "{drops}");
        assert!(!Errand::first(&parse("--gate 5 --buyers 9").unwrap(), 0, 0).drops);
        let all = parse("--gate 5 --buyers 9 --gate-unread 100").unwrap();
        assert!((0..9).all(|buyer| Errand::first(&all, buyer, 0).drops));
    }
}
