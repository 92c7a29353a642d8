//! Accounts for every message: each that was stored comes out once, in its order, as it was. Where messages are opened and
//! acknowledged, each is acknowledged once, and comes again only to where that is promised.
//!
//! Nothing here knows of sockets or of time. A tick counts what happened, in the order in which it became known: what
//! was received at a tick was received before anything was sent at a later one.

mod bits;
mod broken;
mod excuses;
mod holds;
mod opens;
mod order;
#[cfg(test)]
mod tests;
mod verdict;

use std::collections::BTreeMap;

use hashbrown::{HashMap, HashSet};

use bits::Bits;
use excuses::{Epoch, Epochs, Excuses};
pub(crate) use holds::NEVER_NS;
use holds::{Holds, Message};
pub(crate) use opens::Opening;
use order::{Order, Tick};
pub(crate) use verdict::{Example, Fault, Verdict};

use crate::message::{self, Reading, Stamp};
use crate::workload::Spread;

const EXAMPLES_MAX: usize = 5;

/// One producer's messages, by their numbers.
#[derive(Debug, Default)]
struct Account {
    /// Numbers below this one were sent, or will be before anybody can know them.
    sent: u64,
    stored: Bits,
    received: Bits,
    /// Taken by a get, or acknowledged.
    done: Bits,
    epochs: Epochs,
}

/// What is known of all messages of a run.
#[derive(Debug)]
pub(crate) struct Verifier {
    run: u32,
    spread: Spread,
    accounts: Vec<Account>,
    order: Order,
    holds: Holds,
    /// Messages that were seen with two holders.
    shared: HashSet<Message>,
    /// By queue, how many opens broke before they were answered: each may have been given a message that comes again.
    unseen: HashMap<u32, u64>,
    excuses: Excuses,
    verdict: Verdict,
}

impl Verifier {
    pub(crate) fn new(run: u32, spread: Spread) -> Verifier {
        Verifier {
            run,
            spread,
            accounts: Vec::new(),
            order: Order::default(),
            holds: Holds::default(),
            shared: HashSet::new(),
            unseen: HashMap::new(),
            excuses: Excuses::default(),
            verdict: Verdict::default(),
        }
    }

    /// A new producer, whose numbers begin at 0. A connection that is made again is a new one: the server
    /// may handle what the old one sent before or after what the new one sends.
    pub(crate) fn producer(&mut self) -> u32 {
        self.accounts.push(Account::default());
        (self.accounts.len() - 1) as u32
    }

    /// A place for a connection that gets.
    pub(crate) fn consumer(&mut self) -> usize {
        self.order.consumer()
    }

    /// Something is about to be sent on a connection; the tick goes with it.
    pub(crate) fn sending(&mut self, consumer: usize) -> Tick {
        self.order.sending(consumer)
    }

    /// A message is about to be sent.
    pub(crate) fn sent(&mut self, producer: u32, number: u64) {
        let account = &mut self.accounts[producer as usize];
        account.sent = account.sent.max(number + 1);
        account.epochs.sent(number, self.excuses.epoch());
    }

    pub(crate) fn stored(&mut self, producer: u32, number: u64) {
        self.accounts[producer as usize].stored.set(number);
        self.verdict.stored += 1;
    }

    /// A get that was sent at `sent` has brought `body` out of `queue`, at `now_ns` of the run.
    pub(crate) fn received(&mut self, consumer: usize, sent: Tick, now_ns: u64, queue: u32, body: &[u8]) {
        self.verdict.received += 1;
        let Some(stamp) = self.expected(queue, body) else { return };
        let account = &mut self.accounts[stamp.producer as usize];
        if account.received.set(stamp.number) {
            if !self.taken_again(now_ns, queue, stamp) {
                self.fault(Fault::Doubled, example(queue, Some(stamp)));
            }
            return;
        }
        account.done.set(stamp.number);
        if self.unseen.is_empty() {
            // What comes again may have been out when a get broke, and was not passed by.
            self.excuses.received(sent, (stamp.queue, stamp.producer), stamp.number);
        }
        self.delivered_first(consumer, sent, queue, stamp);
    }

    /// What a body says that it is, if it can be: it was sent, and is whole. A fault is counted otherwise.
    fn expected(&mut self, queue: u32, body: &[u8]) -> Option<Stamp> {
        let stamp = match message::read(body) {
            Reading::Whole(stamp) if stamp.run == self.run => stamp,
            Reading::Whole(_) | Reading::Unstamped => {
                let text = body[..body.len().min(40)].escape_ascii().to_string();
                self.fault(Fault::Foreign, Example { queue, producer: None, number: None, text: Some(text) });
                return None;
            }
            Reading::Corrupted(stamp) => {
                // What the stamp says may be what was corrupted: it clears a message, but accuses none.
                let stamp = stamp.filter(|stamp| self.is_expected(stamp, queue));
                if let Some(stamp) = stamp {
                    let account = &mut self.accounts[stamp.producer as usize];
                    account.received.set(stamp.number);
                    account.done.set(stamp.number);
                }
                self.fault(Fault::Corrupted, example(queue, stamp));
                return None;
            }
        };
        if !self.was_sent(&stamp) {
            self.fault(Fault::Corrupted, example(queue, Some(stamp)));
            return None;
        }
        if stamp.queue != queue {
            self.fault(Fault::Misplaced, example(queue, Some(stamp)));
        }
        Some(stamp)
    }

    /// The gets of this connection that were sent before `oldest` are answered; None: all are.
    pub(crate) fn answered(&mut self, consumer: usize, oldest: Option<Tick>) {
        self.order.answered(consumer, oldest);
    }

    /// What came of it, in the end.
    pub(crate) fn finish(mut self, are_empty: bool) -> Verdict {
        if !are_empty {
            // What is missing may still be in there.
            return self.verdict;
        }
        // By queue, in the order in which they were sent as far as that is known.
        let mut excusable: BTreeMap<u32, Vec<(Epoch, Stamp)>> = BTreeMap::new();
        for producer in 0..self.accounts.len() {
            let account = std::mem::take(&mut self.accounts[producer]);
            let producer = producer as u32;
            for number in self.missing(&account, producer).collect::<Vec<u64>>() {
                let queue = self.spread.queue(producer, number);
                let stamp = Stamp { run: self.run, producer, queue, number };
                match self.excuses.may_excuse((queue, producer), number, &account.epochs) {
                    Some(epoch) => excusable.entry(queue).or_default().push((epoch, stamp)),
                    None => self.fault(Fault::Lost, example(queue, Some(stamp))),
                }
            }
        }
        for (queue, mut missing) in excusable {
            missing.sort_by_key(|(epoch, _)| *epoch);
            let epochs: Vec<Epoch> = missing.iter().map(|(epoch, _)| *epoch).collect();
            let excused = self.excuses.count(queue, &epochs);
            self.verdict.excused += excused as u64;
            for (_, stamp) in &missing[excused..] {
                self.fault(Fault::Lost, example(queue, Some(*stamp)));
            }
        }
        self.verdict
    }

    fn was_sent(&self, stamp: &Stamp) -> bool {
        self.accounts.get(stamp.producer as usize).is_some_and(|account| stamp.number < account.sent)
    }

    fn is_expected(&self, stamp: &Stamp, queue: u32) -> bool {
        let known = stamp.run == self.run && stamp.queue == queue && self.was_sent(stamp);
        known && !self.accounts[stamp.producer as usize].received.get(stamp.number)
    }

    fn fault(&mut self, fault: Fault, example: Example) {
        self.verdict.add(fault, example, EXAMPLES_MAX);
    }
}

fn example(queue: u32, stamp: Option<Stamp>) -> Example {
    Example { queue, producer: stamp.map(|it| it.producer), number: stamp.map(|it| it.number), text: None }
}
