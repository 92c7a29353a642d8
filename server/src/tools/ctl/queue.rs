//! A queue's figures, from either port; and how queues are sorted.

use serde::Deserialize;

/// Figures of a queue, as the admin port has them, and `stats queues` by other names.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default)]
pub(super) struct Queue {
    /// As a client says it.
    #[serde(skip)]
    pub(super) name: Vec<u8>,
    /// Its name for the admin port; empty from the memcache port.
    pub(super) id: String,
    /// Messages that can be taken now.
    pub(super) waiting: u64,
    pub(super) open: u64,
    pub(super) delayed: u64,
    pub(super) dead: u64,
    /// Of its oldest message, in seconds.
    pub(super) oldest_s: u64,
    /// Messages that were put in a second; `None`: it is not known yet.
    pub(super) in_per_s: Option<f64>,
    pub(super) out_per_s: Option<f64>,
    pub(super) bytes: u64,
    pub(super) waiters: u64,
    pub(super) paused: bool,
    /// Words of its settings, of one queue alone.
    pub(super) settings: String,
    /// Since it was made.
    pub(super) sets: u64,
    pub(super) gets: u64,
}

impl Queue {
    /// Takes in a figure of `stats queues`.
    pub(super) fn set(&mut self, figure: &[u8], value: u64) {
        let field = match figure {
            b"waiting" => &mut self.waiting,
            b"open" => &mut self.open,
            b"delayed" => &mut self.delayed,
            b"dead" => &mut self.dead,
            b"oldest" => &mut self.oldest_s,
            b"bytes" => &mut self.bytes,
            b"waiters" => &mut self.waiters,
            b"sets" => &mut self.sets,
            b"gets" => &mut self.gets,
            _ => return,
        };
        *field = value;
    }
}

/// What queues are sorted by, as the admin port calls it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sort {
    Name,
    Waiting,
    Open,
    Delayed,
    Dead,
    Oldest,
    In,
    Out,
    Bytes,
    Waiters,
}

impl Sort {
    /// In the order of the columns.
    pub(super) const ALL: [Sort; 10] = [
        Sort::Waiting,
        Sort::Open,
        Sort::Delayed,
        Sort::Dead,
        Sort::Oldest,
        Sort::In,
        Sort::Out,
        Sort::Bytes,
        Sort::Waiters,
        Sort::Name,
    ];

    pub(super) fn name(self) -> &'static str {
        match self {
            Sort::Name => "name",
            Sort::Waiting => "waiting",
            Sort::Open => "open",
            Sort::Delayed => "delayed",
            Sort::Dead => "dead",
            Sort::Oldest => "oldest",
            Sort::In => "in",
            Sort::Out => "out",
            Sort::Bytes => "bytes",
            Sort::Waiters => "waiters",
        }
    }

    /// # Errors
    /// When nothing is called so.
    pub(super) fn of(name: &str) -> Result<Sort, String> {
        let names = Sort::ALL.map(Sort::name).join(", ");
        let found = Sort::ALL.into_iter().find(|sort| sort.name() == name);
        found.ok_or_else(|| format!("--sort {name}: it is one of {names}"))
    }

    /// What a queue has of it.
    fn value(self, queue: &Queue) -> f64 {
        // Counts are exact in it as far as they can be told apart in a table.
        let count = |count: u64| count as f64;
        match self {
            Sort::Name => 0.0,
            Sort::Waiting => count(queue.waiting),
            Sort::Open => count(queue.open),
            Sort::Delayed => count(queue.delayed),
            Sort::Dead => count(queue.dead),
            Sort::Oldest => count(queue.oldest_s),
            Sort::In => queue.in_per_s.unwrap_or(0.0),
            Sort::Out => queue.out_per_s.unwrap_or(0.0),
            Sort::Bytes => count(queue.bytes),
            Sort::Waiters => count(queue.waiters),
        }
    }
}

/// Sorts queues; those that have the same are in the order of their names.
pub(super) fn sort(queues: &mut [Queue], by: Sort, descending: bool) {
    queues.sort_by(|one, other| {
        let order = match by {
            Sort::Name => one.name.cmp(&other.name),
            _ => by.value(one).total_cmp(&by.value(other)),
        };
        let order = if descending { order.reverse() } else { order };
        order.then_with(|| one.name.cmp(&other.name))
    });
}

/// A queue's name for the admin port: each byte that a web address cannot have as it is, as `%` and two digits.
pub(super) fn id(name: &[u8]) -> String {
    let mut id = String::with_capacity(name.len());
    for byte in name {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => id.push(char::from(*byte)),
            other => id.push_str(&format!("%{other:02X}")),
        }
    }
    id
}

/// The name that has this id.
pub(super) fn name_of(id: &str) -> Vec<u8> {
    let mut parts = id.split('%');
    let mut name = parts.next().unwrap_or_default().as_bytes().to_vec();
    for part in parts {
        match part.get(..2).and_then(|digits| u8::from_str_radix(digits, 16).ok()) {
            Some(byte) => {
                name.push(byte);
                name.extend_from_slice(&part.as_bytes()[2..]);
            }
            None => name.extend_from_slice(&[b"%", part.as_bytes()].concat()),
        }
    }
    name
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_name_has_an_id() {
        for (name, id_of_it) in [
            (&b"jobs-1._~"[..], "jobs-1._~"),
            (b"q+child/dead", "q%2Bchild%2Fdead"),
            (b"a%b&c?d\xff", "a%25b%26c%3Fd%FF"),
        ] {
            assert_eq!(id(name), id_of_it);
            assert_eq!(name_of(id_of_it), name);
        }
        assert_eq!(name_of("100%"), b"100%");
        assert_eq!(name_of("%zz"), b"%zz");
    }

    #[test]
    fn queues_are_sorted_by_what_is_asked_and_then_by_name() {
        let queue =
            |name: &str, waiting, rate| Queue { name: name.into(), waiting, in_per_s: rate, ..Queue::default() };
        let mut queues = [queue("c", 1, None), queue("a", 1, Some(2.0)), queue("b", 5, Some(0.5))];
        for (by, descending, expected) in [
            (Sort::Waiting, true, "bac"),
            (Sort::Waiting, false, "acb"),
            (Sort::Name, false, "abc"),
            (Sort::Name, true, "cba"),
            (Sort::In, true, "abc"),
        ] {
            sort(&mut queues, by, descending);
            let names: Vec<u8> = queues.iter().flat_map(|queue| queue.name.clone()).collect();
            assert_eq!(names, expected.as_bytes(), "{by:?} {descending}");
        }
    }

    #[test]
    fn each_order_has_a_name() {
        for sort in Sort::ALL {
            assert_eq!(Sort::of(sort.name()), Ok(sort));
        }
        assert!(Sort::of("depth").is_err_and(|what| what.contains("waiting")));
    }
}
