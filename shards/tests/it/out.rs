//! Which messages of a shard are out, as plain collections: what the engine's leases are held against.
//!
//! A message comes back at some moment after its lease has ended or its client is gone, and the engine does not say when.
//! Until it is seen, or the shard has done all that was due, it may be back.

use std::collections::{BTreeMap, BTreeSet};

use shards::{Client, Fate, Moment};

use crate::asked::{Holding, Open, Which};
use crate::history::{History, MessageId};

/// What holds an open message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Holder {
    Client(Client),
    Name(u8),
    Number,
}

#[derive(Debug, Clone, Copy)]
struct Held {
    name: u8,
    seq: u64,
    message: MessageId,
    holder: Holder,
    until: Option<Moment>,
}

/// What is out of a shard.
#[derive(Debug, Default)]
pub(crate) struct Out {
    /// By lease.
    held: BTreeMap<u64, Held>,
    /// What is kept back, until when.
    delayed: BTreeMap<MessageId, (u8, Moment)>,
    /// Clients whose end the shard has been told of, behind all that they had asked for.
    left: BTreeSet<Client>,
    /// All leases there were since the start.
    given: BTreeSet<u64>,
    /// Leases that clients were told of before.
    told_before: BTreeSet<u64>,
    told: BTreeSet<u64>,
}

impl Out {
    /// What is out after a crash: nothing. What clients were told of, they know.
    pub(crate) fn after_crash(self) -> Out {
        let mut told_before = self.told_before;
        told_before.extend(self.told);
        Out { told_before, ..Out::default() }
    }

    /// Notes that a client was told of a lease.
    pub(crate) fn tell(&mut self, lease: u64) {
        self.told.insert(lease);
    }

    /// The shard is told that a client is gone.
    pub(crate) fn leave(&mut self, client: Client) {
        self.left.insert(client);
    }

    /// Messages that may have come back, and were not seen since.
    pub(crate) fn coming_back(&self, now: Moment) -> BTreeSet<MessageId> {
        self.held.values().filter(|held| self.may_be_back(held, now)).map(|held| held.message).collect()
    }

    fn may_be_back(&self, held: &Held, now: Moment) -> bool {
        let is_gone = matches!(held.holder, Holder::Client(client) if self.left.contains(&client));
        is_gone || held.until.is_some_and(|until| until <= now)
    }

    /// The shard has done all that is due: what may be back is.
    pub(crate) fn all_is_back(&mut self, history: &mut History, now: Moment) {
        let back: Vec<u64> =
            self.held.iter().filter(|(_, held)| self.may_be_back(held, now)).map(|(lease, _)| *lease).collect();
        for lease in back {
            self.come_back(history, lease);
        }
        self.delayed.retain(|_, (_, until)| *until > now);
    }

    /// A message has come back by itself.
    fn come_back(&mut self, history: &mut History, lease: u64) {
        let held = self.held.remove(&lease).expect("the caller found it");
        history.fail(held.message);
    }

    /// The first message of a queue that must be handed out.
    pub(crate) fn first_to_hand_out(&self, history: &History, name: u8) -> Option<u64> {
        self.first_free(history, name).filter(|_| !history.is_paused(name))
    }

    /// The first message of a queue that is neither out nor delayed.
    fn first_free(&self, history: &History, name: u8) -> Option<u64> {
        let is_out = |message: MessageId| {
            self.delayed.contains_key(&message) || self.held.values().any(|held| held.message == message)
        };
        history.messages(name).find(|message| !is_out(message.flags)).map(|message| message.seq)
    }

    /// A message is handed out, or shown: no other has it, and it is the first.
    pub(crate) fn hand_out(&mut self, history: &mut History, name: u8, seq: u64, now: Moment) -> MessageId {
        let message = history.messages(name).find(|message| message.seq == seq).map(|message| message.flags);
        let message = message.unwrap_or_else(|| panic!("message {seq} of {} is not there", char::from(name)));
        let lease = self.held.iter().find(|(_, held)| held.message == message).map(|(lease, _)| *lease);
        if let Some(lease) = lease {
            let held = self.held[&lease];
            assert!(self.may_be_back(&held, now), "two holders at a time: {lease} is held by {held:?} at {now:?}");
            self.come_back(history, lease);
        }
        if let Some((_, until)) = self.delayed.remove(&message) {
            assert!(until <= now, "message {seq} is handed out at {now:?}, and kept back until {until:?}");
        }
        let first = self.first_free(history, name).expect("this one at the latest");
        assert!(seq <= first, "message {seq} is handed out, and {first} is there");
        message
    }

    /// A message is opened. `message`: by the flags that came with it.
    pub(crate) fn open(
        &mut self,
        history: &mut History,
        by: Client,
        open: &Open,
        (lease, message): (u64, MessageId),
        now: Moment,
    ) {
        let Open { name, holder, lease_s, .. } = *open;
        let lease_ms = lease_s.map(|lease_s| u64::from(lease_s) * 1000);
        let (holder, until) = match holder {
            Holding::Connection { .. } => (Holder::Client(by), lease_ms.map(|ms| now.after_ms(ms))),
            Holding::Name(by) => (Holder::Name(by), Some(now.after_ms(lease_ms.unwrap_or(60_000)))),
            Holding::Number => (Holder::Number, Some(now.after_ms(lease_ms.unwrap_or(60_000)))),
        };
        if let Holding::Connection { max } = open.holder {
            assert!(self.held_by(by, name) < max as usize, "{by:?} has {max} of {} open", char::from(name));
            assert!(!self.left.contains(&by), "{by:?} is gone, and a message is opened for it");
        }
        if let Some(held) = self.held.get_mut(&lease) {
            assert!(matches!(holder, Holder::Name(_)), "{lease} is given again");
            assert_eq!((held.message, held.holder, held.name), (message, holder, name), "{lease} is another's");
            held.until = until;
            return;
        }
        assert!(!history.is_paused(name), "{} is paused, and {lease} is given", char::from(name));
        assert!(!self.told_before.contains(&lease) && self.given.insert(lease), "{lease} is given again");
        let seq = history.messages(name).find(|other| other.flags == message).map(|message| message.seq);
        let seq = seq.unwrap_or_else(|| panic!("message {message} of {} is not there", char::from(name)));
        self.hand_out(history, name, seq, now);
        history.try_again(message, lease as u8);
        if let Holder::Name(_) = holder {
            let before = self.held.iter().find(|(_, held)| (held.name, held.holder) == (name, holder));
            if let Some((before, held)) = before {
                assert!(self.may_be_back(held, now), "{holder:?} has {before} already");
                let before = *before;
                self.come_back(history, before);
            }
        }
        self.held.insert(lease, Held { name, seq, message, holder, until });
    }

    /// How many a client's connection has open of a queue.
    pub(crate) fn held_by(&self, client: Client, name: u8) -> usize {
        self.held.values().filter(|held| (held.name, held.holder) == (name, Holder::Client(client))).count()
    }

    /// The leases that are meant.
    fn find(&self, by: Client, name: u8, which: Which) -> Vec<u64> {
        let is_meant = |(lease, held): &(&u64, &Held)| {
            held.name == name
                && match which {
                    Which::Mine => held.holder == Holder::Client(by),
                    Which::Name(name) => held.holder == Holder::Name(name),
                    Which::Lease(number) => number == **lease,
                }
        };
        self.held.iter().filter(is_meant).map(|(lease, _)| *lease).collect()
    }

    /// What is meant has ended, as was asked for.
    pub(crate) fn end(
        &mut self,
        history: &mut History,
        by: Client,
        (name, which, fate): (u8, Which, Fate),
        now: Moment,
    ) {
        let ended = self.find(by, name, which);
        assert!(
            which == Which::Mine || ended.len() == 1,
            "{which:?} of {} is ended, which is not open",
            char::from(name)
        );
        for lease in ended {
            let held = self.held.remove(&lease).expect("just found");
            let delay_s = match fate {
                Fate::Acknowledge => {
                    history.take(name, held.seq);
                    None
                }
                Fate::Abort { delay_s } => {
                    history.fail(held.message);
                    delay_s
                }
                Fate::Release { delay_s } => delay_s,
                Fate::Bury => unreachable!("no client buries here"),
            };
            if let Some(delay_s @ 1..) = delay_s {
                self.delayed.insert(held.message, (name, now.after_ms(u64::from(delay_s) * 1000)));
            }
        }
    }

    /// What is meant was not found.
    pub(crate) fn not_found(&mut self, history: &mut History, by: Client, name: u8, which: Which, now: Moment) {
        for lease in self.find(by, name, which) {
            let held = self.held[&lease];
            assert!(self.may_be_back(&held, now), "{lease} is not found at {now:?}: {held:?}");
            self.come_back(history, lease);
        }
    }

    /// The end of a lease was set.
    pub(crate) fn touch(
        &mut self,
        history: &mut History,
        by: Client,
        name: u8,
        (which, lease_s): (Which, i64),
        now: Moment,
    ) {
        let touched = self.find(by, name, which);
        assert!(!touched.is_empty(), "{which:?} of {} is touched, which is not open", char::from(name));
        let lease = touched[0];
        if lease_s < 0 {
            return self.come_back(history, lease);
        }
        let held = self.held.get_mut(&lease).expect("just found");
        held.until = match (lease_s, held.holder) {
            (0, Holder::Client(_)) => None,
            (0, _) => Some(now.after_ms(60_000)),
            (lease_s, _) => Some(now.after_ms(lease_s.cast_unsigned() * 1000)),
        };
    }

    /// A queue is dropped, with all that is out of it.
    pub(crate) fn drop_queue(&mut self, name: u8) {
        self.held.retain(|_, held| held.name != name);
        self.delayed.retain(|_, (of, _)| *of != name);
    }

    /// The clients that hold something.
    pub(crate) fn clients(&self) -> impl Iterator<Item = Client> {
        self.held.values().filter_map(|held| match held.holder {
            Holder::Client(client) => Some(client),
            Holder::Name(_) | Holder::Number => None,
        })
    }

    /// Holds it against the queues: what is out is there.
    pub(crate) fn check(&self, history: &History) {
        for (lease, held) in &self.held {
            let is_there = history.messages(held.name).any(|message| message.seq == held.seq);
            assert!(is_there, "{lease} is open and gone: {held:?}");
        }
    }
}
