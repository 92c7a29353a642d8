//! What runs on a shard's thread without a pause is bounded, and does not grow with what clients send or with what is
//! stored. A debug build asserts that.

use std::time::Duration;

use nix::time::{ClockId, clock_gettime};

/// What a piece may take, in time of its thread's processor: the time in which others had the core does not count. A
/// release build takes a tenth of it at most.
const PIECE_MAX: Duration = Duration::from_millis(50);

/// Something that runs without a pause. Ends when it is dropped.
#[derive(Debug)]
pub(super) struct Piece {
    /// What the thread had used when it began; `None` in a release build.
    began: Option<Duration>,
}

impl Piece {
    pub(super) fn begin() -> Piece {
        Piece { began: cfg!(debug_assertions).then(thread_time) }
    }
}

impl Drop for Piece {
    fn drop(&mut self) {
        if let Some(began) = self.began
            && !std::thread::panicking()
        {
            let took = thread_time() - began;
            assert!(took < PIECE_MAX, "one piece of work has held a shard for {took:?}");
        }
    }
}

fn thread_time() -> Duration {
    clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID).expect("every thread has this clock").into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn work_for(time: Duration) {
        let _piece = Piece::begin();
        let began = thread_time();
        while thread_time() - began < time {}
    }

    #[test]
    fn a_short_piece_is_let_through() {
        work_for(PIECE_MAX / 10);
    }

    #[cfg(debug_assertions)]
    #[test]
    #[should_panic(expected = "one piece of work has held a shard")]
    fn a_long_piece_is_found() {
        work_for(PIECE_MAX);
    }
}
