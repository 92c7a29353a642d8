//! The clients' tasks of a shard. All of them are one task to glommio: each client is woken twice for every batch of its
//! commands, by what it sends and by the commit, and a wake-up here costs less than one of glommio's.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::fmt::{self, Debug, Formatter};
use std::future::poll_fn;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Wake, Waker};
use std::time::{Duration, Instant};

/// How long tasks are polled before sockets, other shards and commits are looked at again: time for some hundred clients
/// with a command each, whose changes are to be in one commit.
const PASS: Duration = Duration::from_millis(2);

/// Polls between two looks at the clock, each of which costs one in some hundred of a poll.
const CLOCK_INTERVAL: usize = 8;

thread_local! {
    static THREAD: ThreadTasks =
        const { ThreadTasks { woken: RefCell::new(Vec::new()), runner: RefCell::new(None) } };
}

/// The tasks that were woken on a thread. Its address is a name of the thread: no two threads have it at one place.
struct ThreadTasks {
    /// Their numbers.
    woken: RefCell<Vec<usize>>,
    /// Wakes the task that polls them.
    runner: RefCell<Option<Waker>>,
}

impl ThreadTasks {
    fn address(&self) -> usize {
        std::ptr::from_ref(self).addr()
    }
}

/// Tasks that run on the thread that has made them, in the order in which they were woken. A thread makes one such value.
#[derive(Debug)]
pub(super) struct Tasks {
    /// By number; `None`: no task has it, or the task is being polled.
    tasks: RefCell<Vec<Option<Task>>>,
    free: RefCell<Vec<usize>>,
    elsewhere: Arc<WokenElsewhere>,
}

struct Task {
    future: Pin<Box<dyn Future<Output = ()>>>,
    /// What `waker` is made of.
    state: Arc<TaskWaker>,
    waker: Waker,
}

impl Debug for Task {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> fmt::Result {
        self.state.fmt(formatter)
    }
}

/// What other threads have woken. All that wakes a client today runs on its own thread, but a `Waker` may be sent to any.
#[derive(Debug, Default)]
struct WokenElsewhere(Mutex<(Vec<usize>, Option<Waker>)>);

impl WokenElsewhere {
    /// The numbers of the tasks, and what wakes the task that polls them.
    fn lock(&self) -> MutexGuard<'_, (Vec<usize>, Option<Waker>)> {
        // Nothing panics while it is held.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Wakes one task.
#[derive(Debug)]
struct TaskWaker {
    number: usize,
    /// The task's thread, by the address of its [`ThreadTasks`].
    thread: usize,
    /// It is among those that were woken on its thread, which alone looks at this.
    is_woken: AtomicBool,
    elsewhere: Arc<WokenElsewhere>,
}

impl Wake for TaskWaker {
    fn wake(self: Arc<TaskWaker>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<TaskWaker>) {
        THREAD.with(|here| {
            if here.address() != self.thread {
                let mut elsewhere = self.elsewhere.lock();
                elsewhere.0.push(self.number);
                elsewhere.1.iter().for_each(Waker::wake_by_ref);
            } else if !self.is_woken.load(Relaxed) {
                self.is_woken.store(true, Relaxed);
                let mut woken = here.woken.borrow_mut();
                woken.push(self.number);
                if woken.len() == 1 {
                    here.runner.borrow().iter().for_each(Waker::wake_by_ref);
                }
            }
        });
    }
}

impl Tasks {
    /// No tasks, for this thread.
    pub(super) fn new() -> Rc<Tasks> {
        Rc::new(Tasks { tasks: RefCell::default(), free: RefCell::default(), elsewhere: Arc::default() })
    }

    /// Has a future polled from now on. It is dropped when it is done.
    pub(super) fn spawn(&self, future: impl Future<Output = ()> + 'static) {
        let number = self.free.borrow_mut().pop().unwrap_or_else(|| {
            self.tasks.borrow_mut().push(None);
            self.tasks.borrow().len() - 1
        });
        let state = Arc::new(TaskWaker {
            number,
            thread: THREAD.with(ThreadTasks::address),
            is_woken: AtomicBool::new(false),
            elsewhere: Arc::clone(&self.elsewhere),
        });
        let waker = Waker::from(Arc::clone(&state));
        waker.wake_by_ref();
        self.tasks.borrow_mut()[number] = Some(Task { future: Box::pin(future), state, waker });
    }

    /// Polls what was woken, for ever. Others have their turn before what is woken meanwhile. After [`PASS`] the rest
    /// is left for the shard's `next_turn`.
    pub(super) async fn run(self: Rc<Tasks>, next_turn: impl AsyncFn()) {
        let mut numbers = VecDeque::new();
        loop {
            poll_fn(|context| {
                THREAD.with(|here| {
                    here.runner.replace(Some(context.waker().clone()));
                    numbers.extend(here.woken.borrow_mut().drain(..));
                });
                let mut elsewhere = self.elsewhere.lock();
                elsewhere.1 = Some(context.waker().clone());
                numbers.extend(elsewhere.0.drain(..));
                drop(elsewhere);
                self.poll_for(PASS, &mut numbers)
            })
            .await;
            next_turn().await;
        }
    }

    /// Polls tasks. Ready: some are left when so much time has gone by.
    fn poll_for(&self, limit: Duration, numbers: &mut VecDeque<usize>) -> Poll<()> {
        let (began, mut polled) = (Instant::now(), 0);
        while let Some(number) = numbers.pop_front() {
            // What a task that has ended waited for may come after its end.
            let task = self.tasks.borrow_mut()[number].take();
            if let Some(mut task) = task {
                task.state.is_woken.store(false, Relaxed);
                if task.future.as_mut().poll(&mut Context::from_waker(&task.waker)).is_pending() {
                    self.tasks.borrow_mut()[number] = Some(task);
                } else {
                    drop(task);
                    self.free.borrow_mut().push(number);
                }
            }
            polled += 1;
            if polled % CLOCK_INTERVAL == 0 && !numbers.is_empty() && began.elapsed() >= limit {
                return Poll::Ready(());
            }
        }
        Poll::Pending
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::mem;
    use std::thread;

    use futures_lite::future::{block_on, or, yield_now};

    use super::*;

    /// Runs the tasks until the future is done.
    fn run_until(tasks: &Rc<Tasks>, future: impl Future<Output = ()>) {
        block_on(or(future, Rc::clone(tasks).run(async || yield_now().await)));
    }

    #[test]
    fn tasks_run_in_the_order_in_which_they_were_woken() {
        let (tasks, order) = (Tasks::new(), Rc::new(RefCell::new(String::new())));
        for name in ['a', 'b', 'c'] {
            let order = Rc::clone(&order);
            tasks.spawn(async move {
                for _ in 0..2 {
                    order.borrow_mut().push(name);
                    yield_now().await;
                }
            });
        }
        run_until(&tasks, async {
            while order.borrow().len() < 6 {
                yield_now().await;
            }
        });
        assert_eq!(*order.borrow(), "abcabc");
    }

    /// However many are ready, the shard gets to look at everything else.
    #[test]
    fn tasks_leave_time_for_others() {
        let (tasks, polls, passes) = (Tasks::new(), Rc::new(Cell::new(0)), Cell::new(0));
        for _ in 0..5 * CLOCK_INTERVAL {
            let polls = Rc::clone(&polls);
            tasks.spawn(async move {
                polls.set(polls.get() + 1);
                thread::sleep(PASS / CLOCK_INTERVAL as u32);
            });
        }
        let next_turn = async || {
            passes.set(passes.get() + 1);
            yield_now().await;
        };
        let done = async {
            while polls.get() < 5 * CLOCK_INTERVAL {
                yield_now().await;
            }
        };
        block_on(or(done, Rc::clone(&tasks).run(next_turn)));
        assert!(passes.get() >= 4, "{} passes for five times as long as one lasts", passes.get());
    }

    /// Woken twice, it runs once; and its number can be had again, though the old waker still wakes it.
    #[test]
    fn a_waker_outlives_its_task() {
        let (tasks, polls) = (Tasks::new(), Rc::new(Cell::new(0)));
        let kept: Rc<RefCell<Option<Waker>>> = Rc::default();
        for last in [1, 2, 4] {
            let (counted, kept) = (Rc::clone(&polls), Rc::clone(&kept));
            let mut polled = false;
            tasks.spawn(poll_fn(move |context| {
                counted.set(counted.get() + 1);
                let before = kept.borrow_mut().replace(context.waker().clone());
                before.into_iter().for_each(Waker::wake);
                if mem::replace(&mut polled, true) || last < 4 {
                    return Poll::Ready(());
                }
                context.waker().wake_by_ref();
                context.waker().wake_by_ref();
                Poll::Pending
            }));
            run_until(&tasks, async {
                while polls.get() < last {
                    yield_now().await;
                }
            });
            assert_eq!(tasks.free.borrow().len(), 1, "it is done");
        }
        assert_eq!((polls.get(), tasks.tasks.borrow().len()), (4, 1));
    }

    #[test]
    fn a_task_may_be_woken_by_another_thread_and_may_spawn_another() {
        let (tasks, done) = (Tasks::new(), Rc::new(Cell::new(false)));
        let (spawner, ran) = (Rc::clone(&tasks), Rc::clone(&done));
        let mut thread = None;
        tasks.spawn(async move {
            poll_fn(|context| {
                if thread.is_some() {
                    return Poll::Ready(());
                }
                let waker = context.waker().clone();
                thread = Some(thread::spawn(move || waker.wake()));
                Poll::Pending
            })
            .await;
            spawner.spawn(async move { ran.set(true) });
        });
        run_until(
            &tasks,
            poll_fn(|context| match done.get() {
                true => Poll::Ready(()),
                false => {
                    context.waker().wake_by_ref();
                    Poll::Pending
                }
            }),
        );
    }
}
