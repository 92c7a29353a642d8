//! A page of queues out of all that there are.

use std::cell::Cell;

use glommio::sync::Semaphore;
use shards::{Op, Outcome, Page, QueueFigures, Search, ShardId};

use crate::admin::asking::Shards;

/// Searches that may wait for the one that runs: one more is refused.
const WAITING_MAX: u32 = 4;

/// The queues that a search asks for, in its order, and how many match. `None`: the server stops.
///
/// All shards look at a piece of their queues at the same time, and at nothing else meanwhile for no longer than that.
pub(crate) async fn search(shards: &impl Shards, search: &Search<'_>) -> Option<(Vec<QueueFigures>, u64)> {
    let mut page = Page::new();
    let mut left: Vec<(ShardId, u32)> = (0..shards.count()).map(|shard| (ShardId(shard), 0)).collect();
    while !left.is_empty() {
        let outcomes = {
            let narrow = page.narrow(search);
            let find = |(shard, cursor): &(ShardId, u32)| (*shard, Op::Find { cursor: *cursor, search: narrow });
            let ops: Vec<_> = left.iter().map(find).collect();
            shards.ask(&ops).await
        };
        let mut on = Vec::new();
        for ((shard, _), outcome) in left.into_iter().zip(outcomes) {
            match outcome {
                Outcome::Found { lines, matched, next } => {
                    page.add(search, lines, matched);
                    on.extend(next.map(|cursor| (shard, cursor)));
                }
                other => unreachable!("queues were searched, and {other:?} came"),
            }
        }
        left = on;
        if !shards.pass().await {
            return None;
        }
    }
    Some(page.finish())
}

/// Lets one search run at a time, and a few wait: each costs a look at every queue.
#[derive(Debug)]
pub(crate) struct OneAtATime {
    runs: Semaphore,
    waiting: Cell<u32>,
}

impl OneAtATime {
    pub(crate) fn new() -> OneAtATime {
        OneAtATime { runs: Semaphore::new(1), waiting: Cell::new(0) }
    }

    /// Runs a search when its turn comes. `None`: too many wait.
    pub(crate) async fn run<T>(&self, search: impl Future<Output = T>) -> Option<T> {
        let place = Place::take(&self.waiting)?;
        let _permit = self.runs.acquire_permit(1).await.ok()?;
        drop(place);
        Some(search.await)
    }
}

/// A place among the searches that wait.
struct Place<'a>(&'a Cell<u32>);

impl Place<'_> {
    fn take(waiting: &Cell<u32>) -> Option<Place<'_>> {
        (waiting.get() < WAITING_MAX).then(|| {
            waiting.set(waiting.get() + 1);
            Place(waiting)
        })
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.0.set(self.0.get() - 1);
    }
}

#[cfg(test)]
mod tests {
    use std::future::pending;
    use std::pin::pin;

    use futures_lite::future::{block_on, poll_once};
    use shards::SortBy;

    use super::*;
    use crate::admin::testing::Fake;

    fn line(name: &str, waiting: u64) -> QueueFigures {
        QueueFigures { name: name.as_bytes().into(), waiting, sort_key: waiting, ..QueueFigures::default() }
    }

    #[test]
    fn pieces_of_all_shards_make_one_page_and_later_ones_are_narrowed() {
        let fake = Fake::new(2, |shard, op| {
            let Op::Find { cursor, search } = op else { panic!("{op:?}") };
            assert_eq!(search.before.is_some(), *cursor > 0, "the page is full after the first pieces");
            let lines = match (shard.0, cursor) {
                (0, 0) => vec![line("a", 9), line("b", 1)],
                (0, 7) => vec![line("c", 8)],
                (1, 0) => vec![line("d", 7)],
                other => panic!("{other:?}"),
            };
            let next = ((shard.0, *cursor) == (0, 0)).then_some(7);
            Outcome::Found { matched: lines.len() as u64, lines, next }
        });
        let asked =
            Search { filter: b"", sort: SortBy::Waiting, descending: true, behind: None, before: None, limit: 2 };
        let (lines, matched) = block_on(search(&fake, &asked)).expect("it does not stop");
        assert_eq!(lines, [line("a", 9), line("c", 8)]);
        assert_eq!((matched, fake.passes()), (4, 2));
    }

    #[test]
    fn one_search_runs_a_few_wait_and_one_more_is_refused() {
        let one = OneAtATime::new();
        block_on(async {
            let mut running = pin!(one.run(pending::<()>()));
            assert!(poll_once(running.as_mut()).await.is_none());
            let mut waiting: Vec<_> = (0..WAITING_MAX).map(|_| Box::pin(one.run(async {}))).collect();
            for search in &mut waiting {
                assert!(poll_once(search.as_mut()).await.is_none(), "only one runs");
            }
            assert_eq!(poll_once(pin!(one.run(async {}))).await, Some(None), "the line is full");
            drop(waiting);
            let mut next = pin!(one.run(async {}));
            assert!(poll_once(next.as_mut()).await.is_none(), "who has gone leaves a place");
        });
    }
}
