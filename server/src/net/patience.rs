//! How long a stop, or the end of a connection, waits for clients: as long as they read what they were sent, and no longer
//! than `--stop-timeout`.

use std::collections::HashMap;
use std::time::{Duration, Instant};

/// How long a client may take nothing before it counts as one that does not read.
const STALL: Duration = Duration::from_secs(4);

/// The patience with clients that are still there.
#[derive(Debug)]
pub(crate) struct Patience {
    until: Instant,
    /// By seat: the bytes that the client had not taken when that last changed, and when that was.
    seen: HashMap<usize, (usize, Instant)>,
}

impl Patience {
    /// To wait from `now` on, for `most` at the most.
    pub(crate) fn new(now: Instant, most: Duration) -> Patience {
        Patience { until: now + most, seen: HashMap::new() }
    }

    /// Whether to wait on for `open` clients. `unsent`: by seat, the bytes that a client's socket still holds for it. A
    /// client of which there are none waits for the server, and not the server for it.
    pub(crate) fn lasts(&mut self, now: Instant, open: usize, unsent: impl Iterator<Item = (usize, usize)>) -> bool {
        let mut stalled = 0;
        for (seat, unsent) in unsent {
            let (before, since) = self.seen.entry(seat).or_insert((unsent, now));
            if unsent == 0 || unsent != *before {
                (*before, *since) = (unsent, now);
            }
            stalled += usize::from(now - *since >= STALL);
        }
        stalled < open && now < self.until
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT: Duration = Duration::from_secs(60);

    /// Asks every second. `unsent`: of each client, what it has not taken after so many seconds. Returns for how many
    /// seconds it is waited.
    fn seconds(clients: usize, unsent: impl Fn(usize, u64) -> usize) -> u64 {
        let start = Instant::now();
        let mut patience = Patience::new(start, LIMIT);
        let lasts = |second: &u64| {
            let clients_now = (0..clients).map(|client| (client, unsent(client, *second)));
            patience.lasts(start + Duration::from_secs(*second), clients, clients_now)
        };
        (0..1000).take_while(lasts).count() as u64
    }

    #[test]
    fn a_client_that_reads_is_waited_for_until_the_limit() {
        assert_eq!(seconds(1, |_, second| 1000 - second as usize), LIMIT.as_secs());
        assert_eq!(seconds(1, |_, second| 1000 - second as usize / 3), LIMIT.as_secs(), "however slowly it reads");
    }

    #[test]
    fn a_client_that_does_not_read_is_given_up() {
        assert_eq!(seconds(1, |_, _| 1000), STALL.as_secs());
        let stops_after_ten = |_, second: u64| 1000 - second.min(10) as usize;
        assert_eq!(seconds(1, stops_after_ten), 10 + STALL.as_secs());
        assert_eq!(seconds(2, |client, second| 1000 - second.min(10 * client as u64) as usize), 10 + STALL.as_secs());
    }

    #[test]
    fn a_client_that_waits_for_the_server_is_not_given_up() {
        assert_eq!(seconds(1, |_, _| 0), LIMIT.as_secs());
    }

    #[test]
    fn without_clients_a_stop_does_not_wait() {
        assert_eq!(seconds(0, |_, _| 0), 0);
    }
}
