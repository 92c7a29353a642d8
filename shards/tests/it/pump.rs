//! Two shards on executors of their own, with the real clock: what the simulator does to the engine, the pump does too.

use std::future::pending;
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use glommio::LocalExecutor;
use shards::pump::{Gather, PumpOptions, ShardHandle, links};
use shards::{Answer, CommitMode, Op, Outcome, Shard, ShardId, owner_of};
use storage::Store;

use storage_testing::CrashDisk;

use crate::setup::small_store;

const SHARDS: u16 = 2;
/// Longer than any test.
const LONG_MS: u64 = 600_000;
/// What a test may take, however busy the machine is.
const PATIENCE: Duration = Duration::from_secs(60);

fn fail(error: &shards::Error) -> ! {
    panic!("the disk has failed: {error}")
}

/// Runs a story on the first of two shards.
fn on_two_shards<F: Future<Output = ()>>(story: impl FnOnce(ShardHandle) -> F + Send + 'static) {
    let (done, is_done) = mpsc::channel();
    let mut told = Some((story, done));
    for links in links(SHARDS) {
        let told = told.take();
        thread::spawn(move || {
            LocalExecutor::default().run(async move {
                let (store, _) = Store::open(Arc::new(CrashDisk::default()), None, small_store()).unwrap();
                let options = PumpOptions { commit: CommitMode::Inline, checkpoint_interval: None };
                let handle = ShardHandle::start(Shard::new(store), links, options, fail).await;
                if let Some((story, done)) = told {
                    story(handle).await;
                    done.send(()).unwrap();
                }
                // The other shard serves it as long as the test runs.
                pending::<()>().await;
            });
        });
    }
    is_done.recv_timeout(PATIENCE).expect("the story comes to its end");
}

/// A queue that a shard owns.
fn queue_of(owner: ShardId) -> String {
    (0..).map(|n| format!("queue-{n}")).find(|name| owner_of(name.as_bytes(), SHARDS) == owner).unwrap()
}

/// Has an operation begun for a client.
fn begin(handle: &ShardHandle, gather: &Gather, op: Op<'_>) -> Option<Outcome> {
    let (Op::Put { queue, .. } | Op::Take { queue } | Op::TakeWait { queue, .. }) = op else {
        panic!("{op:?} has no queue")
    };
    match handle.turn(gather).submit(handle.owner_of(queue), op) {
        Answer::Now(outcome) => Some(outcome),
        Answer::Later => None,
        Answer::Stalled => panic!("the disk is quick"),
    }
}

/// Has an operation done for a client.
async fn ask(handle: &ShardHandle, gather: &Gather, op: Op<'_>) -> Outcome {
    match begin(handle, gather, op) {
        Some(outcome) => outcome,
        None => later(gather).await,
    }
}

async fn later(gather: &Gather) -> Outcome {
    gather.complete().await;
    gather.next().expect("one operation has one outcome")
}

fn wait(handle: &ShardHandle, gather: &Gather, queue: &str, ms: u64) {
    let op = Op::TakeWait { queue: queue.as_bytes(), until: handle.now().after_ms(ms) };
    assert_eq!(begin(handle, gather, op), None, "it waits");
}

async fn put(handle: &ShardHandle, gather: &Gather, queue: &str, body: &[u8]) {
    let op = Op::Put { queue: queue.as_bytes(), flags: 0, body };
    assert_eq!(ask(handle, gather, op).await, Outcome::Stored);
}

fn body(outcome: Outcome) -> Vec<u8> {
    match outcome {
        Outcome::Message(taken) => taken.body.into(),
        other => panic!("{other:?} is no message"),
    }
}

/// By the timer of the deadline: what comes once a second would end it much later. On a machine that is busy one of several
/// may be late all the same.
#[test]
fn a_wait_ends_when_its_time_is_up() {
    on_two_shards(async |handle| {
        for queue in [queue_of(ShardId(0)), queue_of(ShardId(1))] {
            let mut quick = false;
            for _ in 0..10 {
                let (gather, began) = (handle.gather(), Instant::now());
                wait(&handle, &gather, &queue, 20);
                assert_eq!(later(&gather).await, Outcome::Empty);
                let took = began.elapsed();
                assert!(took > Duration::from_millis(18), "{took:?}");
                quick |= took < Duration::from_millis(300);
            }
            assert!(quick, "not one in time");
        }
    });
}

#[test]
fn a_message_wakes_the_client_that_waits_for_it() {
    on_two_shards(async |handle| {
        for queue in [queue_of(ShardId(0)), queue_of(ShardId(1))] {
            let (first, second, producer) = (handle.gather(), handle.gather(), handle.gather());
            wait(&handle, &first, &queue, LONG_MS);
            wait(&handle, &second, &queue, LONG_MS);
            put(&handle, &producer, &queue, b"one").await;
            assert_eq!(body(later(&first).await), b"one");
            put(&handle, &producer, &queue, b"two").await;
            assert_eq!(body(later(&second).await), b"two");
        }
    });
}

#[test]
fn a_client_that_is_dropped_takes_no_message() {
    on_two_shards(async |handle| {
        for queue in [queue_of(ShardId(0)), queue_of(ShardId(1))] {
            let (gone, producer) = (handle.gather(), handle.gather());
            wait(&handle, &gone, &queue, LONG_MS);
            drop(gone);
            put(&handle, &producer, &queue, b"kept").await;
            let taken = ask(&handle, &producer, Op::Take { queue: queue.as_bytes() }).await;
            assert_eq!(body(taken), b"kept");
        }
    });
}

#[test]
fn a_shard_that_drains_or_stops_ends_its_waits() {
    on_two_shards(async |handle| {
        let queue = queue_of(ShardId(0));
        let waiting = handle.gather();
        wait(&handle, &waiting, &queue, LONG_MS);
        assert!(handle.is_idle(), "a wait is nothing that is under way");
        handle.end_waits();
        assert_eq!(later(&waiting).await, Outcome::Empty);
        wait(&handle, &waiting, &queue, LONG_MS);
        handle.refuse_to_wait();
        assert_eq!(later(&waiting).await, Outcome::Empty);
        let until = handle.now().after_ms(LONG_MS);
        let op = Op::TakeWait { queue: queue.as_bytes(), until };
        assert_eq!(begin(&handle, &waiting, op), Some(Outcome::Empty));
    });
}
