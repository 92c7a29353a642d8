//! How many bytes a second: a bucket that fills by itself, for all shards together.

use std::num::NonZeroU64;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;

const MS_NS: u64 = 1_000_000;
const SECOND_NS: u64 = 1_000 * MS_NS;

/// Lets so many bytes a second through, and those of one second at once after a pause.
#[derive(Debug, Default)]
pub(super) struct Bucket {
    /// When all that was let through is worked off at the rate, in nanoseconds of the clock.
    paid_until_ns: AtomicU64,
}

impl Bucket {
    /// Lets bytes through, or not. What is more than a second's bytes is let through alone, when the bucket is full.
    pub(super) fn pay(&self, now_ms: u64, bytes: u64, rate: NonZeroU64) -> bool {
        let now_ns = now_ms.saturating_mul(MS_NS);
        let paid = self.paid_until_ns.fetch_update(Relaxed, Relaxed, |until_ns| {
            let next = until_ns.max(now_ns).saturating_add(cost_ns(bytes, rate));
            (next <= now_ns.saturating_add(SECOND_NS) || until_ns <= now_ns).then_some(next)
        });
        paid.is_ok()
    }

    /// Takes back that bytes were let through.
    pub(super) fn give_back(&self, bytes: u64, rate: NonZeroU64) {
        self.paid_until_ns.fetch_sub(cost_ns(bytes, rate), Relaxed);
    }
}

fn cost_ns(bytes: u64, rate: NonZeroU64) -> u64 {
    let cost = u128::from(bytes) * u128::from(SECOND_NS) / u128::from(rate.get());
    u64::try_from(cost).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW_MS: u64 = 1_764_400_000_000;

    fn rate(bytes: u64) -> NonZeroU64 {
        NonZeroU64::new(bytes).expect("not 0")
    }

    /// How many of a thousand tries at a moment go through.
    fn through(bucket: &Bucket, now_ms: u64, bytes: u64) -> u64 {
        (0..1000).map(|_| u64::from(bucket.pay(now_ms, bytes, rate(10_000)))).sum()
    }

    #[test]
    fn a_second_at_once_and_then_as_many_as_the_time_has_brought() {
        let bucket = Bucket::default();
        assert_eq!(through(&bucket, NOW_MS, 100), 100);
        assert_eq!(through(&bucket, NOW_MS + 5, 100), 0, "50 bytes are there by now");
        assert_eq!(through(&bucket, NOW_MS + 250, 100), 25);
        assert_eq!(through(&bucket, NOW_MS + 3_600_000, 100), 100, "an hour of nothing is no more than a second");
    }

    #[test]
    fn what_is_larger_than_a_second_goes_alone_and_is_paid_for() {
        let bucket = Bucket::default();
        assert!(bucket.pay(NOW_MS, 50_000, rate(10_000)));
        assert!(!bucket.pay(NOW_MS + 4_000, 1, rate(10_000)), "for five seconds");
        assert!(!bucket.pay(NOW_MS + 4_500, 50_000, rate(10_000)));
        assert!(bucket.pay(NOW_MS + 5_000, 50_000, rate(10_000)));
    }

    #[test]
    fn what_is_given_back_can_be_had_again() {
        let bucket = Bucket::default();
        assert!(bucket.pay(NOW_MS, 10_000, rate(10_000)) && !bucket.pay(NOW_MS, 6_000, rate(10_000)));
        bucket.give_back(6_000, rate(10_000));
        assert!(bucket.pay(NOW_MS, 6_000, rate(10_000)) && !bucket.pay(NOW_MS, 1, rate(10_000)));
    }

    #[test]
    fn no_number_is_too_large() {
        let bucket = Bucket::default();
        assert!(bucket.pay(u64::MAX, u64::MAX, rate(1)) && bucket.pay(u64::MAX, 1, rate(u64::MAX)));
    }

    /// However many threads put at once, together they get what one would.
    #[test]
    fn shards_share_one_bucket() {
        let bucket = Bucket::default();
        let through: u64 = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..4).map(|_| scope.spawn(|| through(&bucket, NOW_MS, 100))).collect();
            threads.into_iter().map(|thread| thread.join().expect("it ends")).sum()
        });
        assert_eq!(through, 100);
    }
}
