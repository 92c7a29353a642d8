//! What a client asks for next.

use crate::options::{Arguments, Pattern, Role, Sizes};

/// A request, before it is bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Request {
    pub(crate) is_set: bool,
    /// The queue's place among the run's queues.
    pub(crate) queue: u32,
    /// The producer's count of its sets.
    pub(crate) number: u64,
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
fn mixed(number: u64) -> u64 {
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
}

impl Workload {
    /// Clients begin at different places in the ratio's round, so that not all set at the same time.
    pub(crate) fn new(options: &Arguments, role: Role, client: usize, producer: u32) -> Workload {
        let (sets, gets) = match role {
            Role::Mixed => (u64::from(options.ratio.sets), u64::from(options.ratio.gets)),
            Role::Producer => (1, 0),
            Role::Consumer => (0, 1),
        };
        let turn = client as u64 % (sets + gets);
        Workload { sets, gets, turn, spread: Spread::new(options), producer, sets_made: 0, gets_made: 0 }
    }

    pub(crate) fn next(&mut self) -> Request {
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
        Request { is_set, queue, number }
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
        let kinds: Vec<bool> = asked.iter().map(|request| request.is_set).collect();
        assert_eq!(kinds, [true, true, false, true, true, false]);
        let first = asked[0].queue;
        let sets: Vec<u32> = asked.iter().filter(|request| request.is_set).map(|request| request.queue).collect();
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
                    assert_eq!((request.is_set, request.number), (role == Role::Producer, number));
                    counts[request.queue as usize] += 1;
                }
            }
            assert!(counts.iter().all(|count| (850..1150).contains(count)), "{counts:?}");
        }
    }

    #[test]
    fn clients_begin_in_turn() {
        let options = parse("").unwrap();
        assert!(Workload::new(&options, Role::Mixed, 0, 0).next().is_set);
        assert!(!Workload::new(&options, Role::Mixed, 1, 1).next().is_set);
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
