//! Trying again for a while, where what is in the way goes by itself.

use std::thread::sleep;
use std::time::{Duration, Instant};

/// How long something may be in the way.
const PATIENCE: Duration = Duration::from_secs(2);
const PATIENCE_STEP: Duration = Duration::from_millis(10);

/// Tries until nothing is in the way any more, for a while. The kernel takes the io_uring of a process that was killed
/// apart after its end, so its sockets outlive it by some milliseconds: a restart that comes at once must not fail by that.
pub(crate) fn with_patience<T>(mut attempt: impl FnMut() -> T, is_in_the_way: impl Fn(&T) -> bool) -> T {
    let began = Instant::now();
    loop {
        let tried = attempt();
        if !is_in_the_way(&tried) || began.elapsed() >= PATIENCE {
            return tried;
        }
        sleep(PATIENCE_STEP);
    }
}
