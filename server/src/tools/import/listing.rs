//! The queues of the server that is drained.

use std::collections::HashSet;

use protocol::{QUEUE_NAME_BYTES_MAX, is_queue_name};

/// What kestrel counts for each queue besides its items; its figures are named `queue_<queue>_<figure>`.
const KESTREL_OTHER_ITEMS: [&[u8]; 3] = [b"_total", b"_expired", b"_mem"];
/// More than the memory that a server's queues take here while they are imported: some millions of queues.
const LISTING_BYTES_MAX: usize = 512 << 20;
/// What a queue costs besides its name, allocations included.
const QUEUE_BYTES: usize = 64;
/// Names that are shown of those that cannot be taken over.
const SHOWN_MAX: usize = 3;

/// A queue of the other server.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Listed {
    pub(super) name: Vec<u8>,
    /// By the counters of the other server.
    pub(super) waiting: u64,
}

/// An answer to `stats queue`, by memcacheQ's form or in kestrel's statistics.
#[derive(Debug, Default)]
pub(super) struct Listing {
    queues: Vec<Listed>,
    kestrel: Vec<Listed>,
    bytes: usize,
    unnameable: Unnameable,
}

/// Queues whose names no command can contain.
#[derive(Debug, Default)]
pub(super) struct Unnameable {
    count: usize,
    shown: Vec<String>,
}

impl Unnameable {
    /// # Errors
    /// When there are any: they stay where they are.
    pub(super) fn check(&self) -> Result<(), String> {
        if self.count == 0 {
            return Ok(());
        }
        Err(format!(
            "{} queues were left where they are, since a name has 1 to {QUEUE_NAME_BYTES_MAX} bytes without spaces and \
             control bytes: {}{}",
            self.count,
            self.shown.join(", "),
            if self.count > self.shown.len() { " and others" } else { "" }
        ))
    }
}

impl Listing {
    /// Takes in what follows `STAT ` on a line.
    ///
    /// # Errors
    /// When there are more than can be kept in memory.
    pub(super) fn add(&mut self, figure: &[u8]) -> Result<(), String> {
        self.bytes += figure.len() + QUEUE_BYTES;
        if self.bytes > LISTING_BYTES_MAX {
            let most = LISTING_BYTES_MAX >> 20;
            return Err(format!("its list of queues takes more than {most} MiB; name the queues by --import-queue"));
        }
        let space = figure.iter().position(|byte| *byte == b' ');
        let (name, value) = space.map_or((figure, &b""[..]), |space| (&figure[..space], &figure[space + 1..]));
        let counters = value.iter().position(|byte| *byte == b'/').map(|slash| value.split_at(slash));
        let of_kestrel = name.strip_prefix(b"queue_").and_then(|rest| rest.strip_suffix(b"_items"));
        match (counters, of_kestrel) {
            (Some((sets, gets)), _) => {
                let waiting = number(sets).unwrap_or(0).saturating_sub(number(&gets[1..]).unwrap_or(0));
                self.queues.push(Listed { name: name.to_vec(), waiting });
            }
            (None, Some(queue)) => {
                self.kestrel.push(Listed { name: queue.to_vec(), waiting: number(value).unwrap_or(0) });
            }
            // memcacheQ 0.1 lists bare names; any other figure has a value.
            (None, None) if value.is_empty() => self.queues.push(Listed { name: name.to_vec(), waiting: 0 }),
            (None, None) => {}
        }
        Ok(())
    }

    /// The queues whose names a command can contain, and the others.
    pub(super) fn finish(self) -> (Vec<Listed>, Unnameable) {
        let Listing { mut queues, kestrel, mut unnameable, .. } = self;
        let names: HashSet<Vec<u8>> = kestrel.iter().map(|queue| queue.name.clone()).collect();
        let is_other_figure = |name: &[u8]| {
            let of = |figure: &[u8]| name.strip_suffix(figure).is_some_and(|queue| names.contains(queue));
            KESTREL_OTHER_ITEMS.iter().any(|figure| of(figure))
        };
        queues.extend(kestrel.into_iter().filter(|queue| !is_other_figure(&queue.name)));
        queues.retain(|queue| {
            let is_name = is_queue_name(&queue.name);
            if !is_name {
                unnameable.count += 1;
                if unnameable.shown.len() < SHOWN_MAX {
                    unnameable.shown.push(super::source::text(&queue.name));
                }
            }
            is_name
        });
        (queues, unnameable)
    }
}

fn number(digits: &[u8]) -> Option<u64> {
    str::from_utf8(digits).ok()?.trim().parse().ok()
}

/// A queue that the command line names.
pub(super) fn named(name: &str) -> Result<Listed, String> {
    if !is_queue_name(name.as_bytes()) {
        return Err(format!(
            "--import-queue {name:?} is no queue's name: 1 to {QUEUE_NAME_BYTES_MAX} bytes, no spaces"
        ));
    }
    Ok(Listed { name: name.as_bytes().to_vec(), waiting: 0 })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listed(figures: &[&str]) -> (Vec<(String, u64)>, Unnameable) {
        let mut listing = Listing::default();
        figures.iter().for_each(|figure| listing.add(figure.as_bytes()).expect("few figures"));
        let (queues, unnameable) = listing.finish();
        let text = |name: Vec<u8>| String::from_utf8(name).expect("text");
        (queues.into_iter().map(|queue| (text(queue.name), queue.waiting)).collect(), unnameable)
    }

    fn names(figures: &[&str]) -> Vec<(String, u64)> {
        let (queues, unnameable) = listed(figures);
        assert_eq!(unnameable.check(), Ok(()));
        queues
    }

    #[test]
    fn memcacheq_lists_counters() {
        let expected = [("a".to_string(), 3), ("queue_x_items".to_string(), 0)];
        assert_eq!(names(&["a 10/7", "queue_x_items 4/4"]), expected);
        assert_eq!(names(&["old"]), [("old".to_string(), 0)]);
    }

    #[test]
    fn kestrel_lists_figures() {
        let figures = [
            "uptime 7",
            "queue_work_items 5",
            "queue_work_bytes 500",
            "queue_work_total_items 9",
            "queue_work_mem_items 5",
            "queue_work_expired_items 0",
            "queue_sum_total_items 2",
        ];
        assert_eq!(names(&figures), [("work".to_string(), 5), ("sum_total".to_string(), 2)]);
    }

    #[test]
    fn queues_that_no_command_can_name_are_left_and_named() {
        let long = format!("{} 1/0", "x".repeat(QUEUE_NAME_BYTES_MAX + 1));
        let (queues, unnameable) = listed(&[" 3/2", "a\tb 1/0", "good 1/0", "c\r 1/0", &long, "queue__items 3"]);
        assert_eq!(queues, [("good".to_string(), 1)]);
        let reason = unnameable.check().unwrap_err();
        assert!(reason.starts_with("5 queues") && reason.contains("\"\", \"a\\tb\", \"c\\r\" and others"), "{reason}");
    }

    #[test]
    fn a_list_without_an_end_has_one() {
        let mut listing = Listing::default();
        let figure = vec![b'x'; 1 << 20];
        let added = (0..=512).map(|_| listing.add(&figure)).take_while(Result::is_ok).count();
        assert!((500..512).contains(&added), "{added}");
    }
}
