//! What a client asks for next.

use crate::options::{Arguments, Pattern, Reliable, Role, Sizes};

/// What tells apart what a consumer has open.
pub(crate) type Slot = u64;

/// A request, before it is bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Request {
    pub(crate) act: Act,
    /// The queue's place among the run's queues.
    pub(crate) queue: u32,
    /// The client's count of its sets, or of its gets.
    pub(crate) number: u64,
}

impl Request {
    /// The queue for what a connection holds, or the number of the name.
    pub(crate) fn slot(&self) -> Slot {
        match self.act {
            Act::OpenNamed | Act::Delete => self.number,
            _ => u64::from(self.queue),
        }
    }
}

/// What a request does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Act {
    Set,
    /// Takes a message for good.
    Get,
    /// Opens a message for the connection.
    Open,
    /// Acknowledges what the connection has open.
    Close,
    /// Acknowledges, and opens the next.
    CloseOpen,
    /// Opens a message under a name.
    OpenNamed,
    /// Acknowledges what is open under a name.
    Delete,
    /// Asks a gate for a ticket. The producer and the number are the buyer.
    Join,
    /// Tells a gate that the buyer has paid.
    Pay,
}

impl Act {
    pub(crate) fn is_set(self) -> bool {
        self == Act::Set
    }

    /// It brings a message that is to be acknowledged.
    pub(crate) fn opens(self) -> bool {
        matches!(self, Act::Open | Act::CloseOpen | Act::OpenNamed)
    }

    pub(crate) fn acknowledges(self) -> bool {
        matches!(self, Act::Close | Act::CloseOpen | Act::Delete)
    }
}

/// Which queue a producer's message goes to. It follows from the message's number, so it need not be remembered.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Spread {
    pub(crate) queues: u64,
    pub(crate) pattern: Pattern,
}

impl Spread {
    pub(crate) fn new(options: &Arguments) -> Spread {
        Spread { queues: options.queues(), pattern: options.key_pattern }
    }

    /// The queue of a producer's message.
    pub(crate) fn queue(&self, producer: u32, number: u64) -> u32 {
        let start = mixed(u64::from(producer));
        match self.pattern {
            Pattern::Random => self.scaled(mixed(start.wrapping_add(number))),
            Pattern::Sequential => ((u64::from(self.scaled(start)) + number) % self.queues) as u32,
        }
    }

    /// The queue that a client looks into for its get of this number. One after the other, gets go where the client's
    /// sets went; at random, they are as independent of the sets as different clients' sets are of each other.
    fn queue_of_get(&self, client: u32, number: u64) -> u32 {
        match self.pattern {
            Pattern::Random => self.scaled(mixed(!mixed(u64::from(client)).wrapping_add(number))),
            Pattern::Sequential => self.queue(client, number),
        }
    }

    /// A number below the number of queues, all as likely.
    fn scaled(&self, random: u64) -> u32 {
        ((u128::from(random) * u128::from(self.queues)) >> 64) as u32
    }
}

/// The finalizer of splitmix64: numbers in a row become numbers with nothing in common.
pub(crate) fn mixed(number: u64) -> u64 {
    let mut bits = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    bits = (bits ^ bits >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    bits = (bits ^ bits >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    bits ^ bits >> 31
}

/// The size of a message.
pub(crate) fn size(sizes: Sizes, producer: u32, number: u64) -> usize {
    let span = (sizes.max - sizes.min) as u64 + 1;
    if span == 1 { sizes.min } else { sizes.min + (mixed(number ^ u64::from(producer) << 40) % span) as usize }
}

/// One client's requests.
#[derive(Debug)]
pub(crate) struct Workload {
    /// Sets and gets in a round of the ratio.
    sets: u64,
    gets: u64,
    turn: u64,
    spread: Spread,
    pub(crate) producer: u32,
    sets_made: u64,
    gets_made: u64,
    reliable: Option<Reliable>,
    /// Each get is another buyer's, who asks for a ticket.
    joins: bool,
    /// The acknowledgement that follows the open before it.
    pending: Option<Request>,
}

impl Workload {
    /// Clients begin at different places in the ratio's round, so that not all set at the same time.
    pub(crate) fn new(options: &Arguments, role: Role, client: usize, producer: u32) -> Workload {
        let (sets, gets) = match role {
            _ if options.gate_refusals => (0, 1),
            Role::Mixed => (u64::from(options.ratio.sets), u64::from(options.ratio.gets)),
            Role::Producer => (1, 0),
            Role::Consumer => (0, 1),
        };
        let turn = client as u64 % (sets + gets);
        Workload {
            sets,
            gets,
            turn,
            spread: Spread::new(options),
            producer,
            sets_made: 0,
            gets_made: 0,
            reliable: options.reliable,
            joins: options.gate_refusals,
            pending: None,
        }
    }

    pub(crate) fn next(&mut self) -> Request {
        if let Some(acknowledgement) = self.pending.take() {
            return acknowledgement;
        }
        let is_set = self.turn < self.sets;
        self.turn += 1;
        if self.turn == self.sets + self.gets {
            self.turn = 0;
        }
        let made = if is_set { &mut self.sets_made } else { &mut self.gets_made };
        let number = *made;
        *made += 1;
        let queue = if is_set {
            self.spread.queue(self.producer, number)
        } else {
            self.spread.queue_of_get(self.producer, number)
        };
        let (act, acknowledgement) = match self.reliable {
            _ if is_set => (Act::Set, None),
            _ if self.joins => (Act::Join, None),
            None => (Act::Get, None),
            Some(Reliable::OpenClose) => (Act::Open, Some(Act::Close)),
            Some(Reliable::CloseOpen) => (Act::CloseOpen, None),
            Some(Reliable::Named) => (Act::OpenNamed, Some(Act::Delete)),
        };
        self.pending = acknowledgement.map(|act| Request { act, queue, number });
        Request { act, queue, number }
    }

    /// The acknowledgement that is not made yet; it is made no more.
    pub(crate) fn take_pending(&mut self) -> Option<Request> {
        self.pending.take()
    }

    /// An open brought nothing: there is nothing to acknowledge.
    pub(crate) fn brought_nothing(&mut self, open: &Request) {
        self.pending = self.pending.take().filter(|it| (it.queue, it.number) != (open.queue, open.number));
    }

    /// Goes on as another producer, whose messages are counted from 0.
    pub(crate) fn become_producer(&mut self, producer: u32) {
        self.producer = producer;
        self.sets_made = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::options::tests::parse;

    #[test]
    fn gets_follow_sets_one_after_the_other() {
        let options = parse("--ratio 2:1 --key-maximum 2 --key-pattern S:S").unwrap();
        let mut workload = Workload::new(&options, Role::Mixed, 0, 7);
        let asked: Vec<Request> = (0..6).map(|_| workload.next()).collect();
        let kinds: Vec<bool> = asked.iter().map(|request| request.act.is_set()).collect();
        assert_eq!(kinds, [true, true, false, true, true, false]);
        let first = asked[0].queue;
        let sets: Vec<u32> = asked.iter().filter(|request| request.act.is_set()).map(|request| request.queue).collect();
        assert_eq!(sets, [first, (first + 1) % 3, (first + 2) % 3, first]);
        assert_eq!((asked[2].queue, asked[5].queue), (first, (first + 1) % 3));
        assert_eq!(asked[4].number, 3);
    }

    #[test]
    fn random_queues_are_all_as_likely() {
        let options = parse("--key-maximum 15").unwrap();
        for role in [Role::Producer, Role::Consumer] {
            let mut counts = [0; 16];
            for client in 0..16 {
                let mut workload = Workload::new(&options, role, client, client as u32);
                for number in 0..1000 {
                    let request = workload.next();
                    assert_eq!((request.act.is_set(), request.number), (role == Role::Producer, number));
                    counts[request.queue as usize] += 1;
                }
            }
            assert!(counts.iter().all(|count| (850..1150).contains(count)), "{counts:?}");
        }
    }

    #[test]
    fn each_open_is_followed_by_its_acknowledgement() {
        for (way, open, acknowledgement) in
            [("open-close", Act::Open, Act::Close), ("named", Act::OpenNamed, Act::Delete)]
        {
            let options = parse(&format!("--reliable {way}")).unwrap();
            let mut workload = Workload::new(&options, Role::Consumer, 0, 0);
            for number in 0..5 {
                let (first, second) = (workload.next(), workload.next());
                assert_eq!((first.act, first.number), (open, number));
                assert_eq!(second, Request { act: acknowledgement, ..first });
            }
            let open = workload.next();
            workload.brought_nothing(&open);
            assert_eq!((workload.take_pending(), workload.next().number), (None, 6));
        }
        let options = parse("--reliable close-open --ratio 1:2").unwrap();
        let mut workload = Workload::new(&options, Role::Mixed, 0, 0);
        let acts: Vec<Act> = (0..4).map(|_| workload.next().act).collect();
        assert_eq!(acts, [Act::Set, Act::CloseOpen, Act::CloseOpen, Act::Set]);
    }

    #[test]
    fn each_buyer_that_is_to_be_refused_is_another() {
        let options = parse("--gate 5 --gate-refusals").unwrap();
        let mut workload = Workload::new(&options, Role::Mixed, 1, 1);
        let asked: Vec<Request> = (0..3).map(|_| workload.next()).collect();
        assert_eq!(asked, [0, 1, 2].map(|number| Request { act: Act::Join, queue: 0, number }));
    }

    #[test]
    fn clients_begin_in_turn() {
        let options = parse("").unwrap();
        assert!(Workload::new(&options, Role::Mixed, 0, 0).next().act.is_set());
        assert!(!Workload::new(&options, Role::Mixed, 1, 1).next().act.is_set());
    }

    #[test]
    fn a_queue_follows_from_producer_and_number() {
        let options = parse("").unwrap();
        let mut workload = Workload::new(&options, Role::Producer, 0, 0);
        workload.next();
        workload.become_producer(9);
        let request = workload.next();
        assert_eq!((request.number, request.queue), (0, Spread::new(&options).queue(9, 0)));
    }

    #[test]
    fn sizes_are_within_their_range() {
        let sizes = Sizes { min: 10, max: 13 };
        let found: std::collections::BTreeSet<usize> = (0..100).map(|number| size(sizes, 1, number)).collect();
        assert_eq!(found.into_iter().collect::<Vec<_>>(), [10, 11, 12, 13]);
        assert_eq!(size(Sizes { min: 5, max: 5 }, 1, 2), 5);
    }
}
