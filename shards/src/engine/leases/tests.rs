//! Leases, held against a plain list.

use super::*;
use crate::owner::ShardId;

/// Numbers that look random and are the same every time.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, n: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % n
    }
}

fn client(number: u64) -> Client {
    Client::new(ShardId(3), number)
}

/// A lease in a plain list, and the name that holds it.
type Listed = (Lease, Option<Vec<u8>>);

fn check(leases: &Leases, list: &[Listed], now: Moment, numbers: &mut Numbers) {
    let find = |f: &dyn Fn(&Listed) -> bool| list.iter().find(|listed| f(listed)).map(|(lease, _)| *lease);
    assert_eq!(leases.is_empty(), list.is_empty());
    let number = numbers.below(2000);
    assert_eq!(leases.get(number), find(&|(lease, _)| lease.number == number));
    assert_eq!(leases.first_from(number), find(&|(lease, _)| lease.number >= number));
    for queue in 0..3 {
        let name = [b'a' + numbers.below(3) as u8];
        let named = find(&|(lease, of)| lease.queue == queue && of.as_deref() == Some(&name));
        assert_eq!(leases.named(queue, &name), named);
    }
    for by in 0..3 {
        let holder = Holder::Client(client(by));
        assert_eq!(leases.any_of(client(by)).is_some(), list.iter().any(|(lease, _)| lease.holder == holder));
        for queue in 0..3 {
            let is_mine = |lease: &Lease| lease.holder == holder && lease.queue == queue;
            assert_eq!(leases.first_of(client(by), queue), find(&|(lease, _)| is_mine(lease)));
            let count = list.iter().filter(|(lease, _)| is_mine(lease)).count();
            assert_eq!(leases.count_of(client(by), queue) as usize, count);
        }
    }
    let (last, mut from) = (client(numbers.below(3)), Some((client(numbers.below(2)), 0)));
    let expected = list.iter().filter(|(lease, _)| match lease.holder {
        Holder::Client(client) => Some(client) >= from.map(|(client, _)| client) && client <= last,
        Holder::Name | Holder::Number => false,
    });
    let (expected, mut held) = (expected.count() as u64, 0);
    while let Some(next) = from {
        from = leases.holders(next, last, 1 + numbers.below(3) as usize, |_, count| held += count);
    }
    assert_eq!(held, expected);
    let first = list.iter().filter_map(|(lease, _)| Some((lease.until?, lease.number))).min();
    assert_eq!(leases.next_deadline(), first.map(|(until, _)| until));
    let due = first.filter(|(until, _)| *until <= now).map(|(_, number)| number);
    assert_eq!(leases.first_due(now).map(|lease| lease.number), due);
}

/// Held against a plain list that is searched from one end to the other.
#[test]
fn leases_are_what_a_plain_list_says() {
    for seed in 0..100 {
        let mut numbers = Numbers(seed);
        let (mut leases, mut list, mut next) = (Leases::new(), Vec::<Listed>::new(), 0);
        let mut now = Moment::from_ms(1000);
        for step in 0..1500 {
            let grows = step / 250 % 2 == 0;
            let any = list.get(numbers.below(list.len() as u64 + 1) as usize).map(|(lease, _)| lease.number);
            match numbers.below(10) {
                0..3 => now = now.after_ms(numbers.below(20)),
                n if n < if grows { 8 } else { 4 } => {
                    next += 1 + numbers.below(3);
                    let queue = numbers.below(3);
                    let name = vec![b'a' + numbers.below(3) as u8];
                    let (holder, name) = match numbers.below(4) {
                        0 if leases.named(queue, &name).is_none() => (Holder::Name, Some(name)),
                        1 => (Holder::Number, None),
                        _ => (Holder::Client(client(numbers.below(3))), None),
                    };
                    let until = (numbers.below(2) == 0).then(|| now.after_ms(numbers.below(100)));
                    let lease = Lease { number: next, queue, seq: numbers.below(9), until, holder };
                    let is_mine = |listed: &&Listed| (listed.0.holder, listed.0.queue) == (holder, queue);
                    let has_others = matches!(holder, Holder::Client(_)) && list.iter().any(|listed| is_mine(&listed));
                    leases.open(lease, name.as_deref(), has_others);
                    list.push((lease, name));
                }
                8 if grows => {
                    let until = (numbers.below(3) > 0).then(|| now.after_ms(numbers.below(100)));
                    let number = any.unwrap_or(next + 1);
                    let listed = list.iter_mut().find(|(lease, _)| lease.number == number);
                    let renewed = listed.map(|(lease, _)| {
                        lease.until = until;
                        *lease
                    });
                    assert_eq!(leases.renew(number, until), renewed);
                }
                _ => {
                    let number = any.unwrap_or(next + 1);
                    let at = list.iter().position(|(lease, _)| lease.number == number);
                    assert_eq!(leases.close(number), at.map(|at| list.remove(at).0), "seed {seed}");
                }
            }
            check(&leases, &list, now, &mut numbers);
        }
        for (lease, _) in list {
            assert_eq!(leases.close(lease.number), Some(lease));
        }
        assert!(leases.is_empty() && leases.by_client.is_empty() && leases.by_deadline.is_empty());
        assert!(leases.counts.is_empty() && leases.by_name.is_empty() && leases.names.is_empty());
    }
}

#[test]
fn a_million_leases_with_deadlines_cost_some_56_bytes_each() {
    const MANY: usize = 1_000_000;
    let mut leases = Leases::new();
    for n in 0..MANY as u64 {
        let until = Some(Moment::from_ms(1_700_000_000_000 + n / 500));
        leases.open(Lease { number: n << 8 | 1, queue: n % 100, seq: n, until, holder: Holder::Number }, None, false);
    }
    let bytes = leases.by_number.allocated_bytes() + leases.by_deadline.allocated_bytes();
    assert!(bytes < MANY * 59, "{} bytes each", bytes as f64 / MANY as f64);
    // In the order in which they end.
    let mut ended = 0;
    while let Some(lease) = leases.first_due(Moment::from_ms(u64::MAX)) {
        assert_eq!((leases.close(lease.number), lease.seq), (Some(lease), ended));
        ended += 1;
    }
    assert_eq!(ended, MANY as u64);
}
