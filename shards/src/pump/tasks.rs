//! The tasks of a pump that carry operations and outcomes, and begin the shard's turns.

use std::rc::Rc;
use std::time::Instant;

use futures_lite::future::{or, yield_now};
use glommio::channels::shared_channel::ConnectedReceiver;
use glommio::spawn_local;
use glommio::timer::sleep;

use super::Pump;
use super::links::Receivers;
use crate::engine::{Engine, Packet};
use crate::owner::ShardId;

pub(super) fn spawn(pump: &Rc<Pump>, receivers: Receivers) {
    for (from, receiver) in (0..).map(ShardId).zip(receivers) {
        if let Some(receiver) = receiver {
            spawn_local(receive(Rc::clone(pump), from, receiver)).detach();
        }
    }
    spawn_local(take_turns(Rc::clone(pump))).detach();
    spawn_local(serve(Rc::clone(pump))).detach();
    spawn_local(send(Rc::clone(pump))).detach();
    spawn_local(resend(Rc::clone(pump))).detach();
    spawn_local(time_turns(Rc::clone(pump))).detach();
    spawn_local(pass_time(Rc::clone(pump))).detach();
}

/// Carries outboxes to their shards. It runs behind the connections that were ready with it, so a batch holds what all
/// of them have for a shard.
async fn send(pump: Rc<Pump>) {
    loop {
        pump.send_due.wait().await;
        pump.with_engine(Engine::send_batches);
    }
}

/// Sends what a full channel had no room for.
async fn resend(pump: Rc<Pump>) {
    loop {
        pump.resend_due.wait().await;
        pump.turns.next().await;
        pump.with_engine(|_| {});
    }
}

/// Begins the shard's turns.
async fn take_turns(pump: Rc<Pump>) {
    loop {
        pump.turns.look().await;
        pump.begin_turn(Instant::now());
        pump.turns.go_on();
    }
}

/// Applies the operations of other shards, a piece at a time.
async fn serve(pump: Rc<Pump>) {
    loop {
        pump.serve_due.wait().await;
        loop {
            let (more, now) = pump.with_engine(|engine| pump.apply_others(engine, Instant::now()));
            if !more {
                break;
            }
            if pump.turns.is_spent(now) {
                pump.turns.next().await;
            } else {
                yield_now().await;
            }
        }
    }
}

/// Sleeps until the next deadline, and has the engine do what is due then.
async fn pass_time(pump: Rc<Pump>) {
    loop {
        if pump.pass_time() {
            pump.turns.next().await;
            continue;
        }
        let next = pump.engine.borrow().next_deadline();
        match next.map(|next| pump.clock.until(next, Instant::now())) {
            Some(wait) => or(pump.time_due.wait(), sleep(wait)).await,
            None => pump.time_due.wait().await,
        }
    }
}

/// Says when operations were applied, as far as it is not said before: once for all connections that had their turn at
/// once, since a clock costs as much as a queue.
async fn time_turns(pump: Rc<Pump>) {
    loop {
        pump.applied.wait().await;
        pump.note_applied(&mut pump.engine.borrow_mut());
    }
}

/// Takes what another shard sends. It awaits nothing but its channel: a receiver that is polled along with other things
/// leaves a waker behind each time.
async fn receive(pump: Rc<Pump>, from: ShardId, receiver: ConnectedReceiver<Packet>) {
    while let Some(packet) = receiver.recv().await {
        let now = pump.with_engine(|engine| {
            let now = Instant::now();
            let is_serving = engine.is_serving();
            engine.receive(from, packet);
            // Another task goes on with what is more than a piece, and with what came behind it.
            if is_serving || !engine.is_serving() {
                return now;
            }
            pump.apply_others(engine, now).1
        });
        if pump.turns.is_spent(now) {
            pump.turns.next().await;
        }
    }
}
