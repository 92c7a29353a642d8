//! The channels between all shards.

use std::pin::Pin;
use std::sync::{Arc, Barrier};

use futures_lite::FutureExt;
use futures_lite::future::poll_once;
use glommio::channels::shared_channel::{self, ConnectedReceiver, ConnectedSender, SharedReceiver, SharedSender};

use super::clock::Start;
use crate::engine::Packet;
use crate::owner::ShardId;
use crate::routing::credits::CHANNEL_BATCHES;

/// One shard's ends of the channels to and from all others. Made by [`links`], for all shards at once.
#[derive(Debug)]
pub struct Links {
    pub(super) me: ShardId,
    /// By shard; `None` for itself.
    pub(super) senders: Vec<Option<SharedSender<Packet>>>,
    receivers: Vec<Option<SharedReceiver<Packet>>>,
    /// Passed once all shards have begun to connect.
    all_begun: Arc<Barrier>,
    /// When all shards were set up.
    pub(super) start: Start,
}

/// The channels between all shards.
#[must_use]
pub fn links(shards: u16) -> Vec<Links> {
    let none = |_| None;
    let start = Start::now();
    let all_begun = Arc::new(Barrier::new(usize::from(shards)));
    let mut links: Vec<Links> = (0..shards)
        .map(|me| Links {
            me: ShardId(me),
            senders: (0..shards).map(none).collect(),
            receivers: (0..shards).map(|_| None).collect(),
            all_begun: Arc::clone(&all_begun),
            start,
        })
        .collect();
    for from in 0..usize::from(shards) {
        for to in (0..usize::from(shards)).filter(|to| *to != from) {
            let (sender, receiver) = shared_channel::new_bounded(CHANNEL_BATCHES);
            links[from].senders[to] = Some(sender);
            links[to].receivers[from] = Some(receiver);
        }
    }
    links
}

/// A shard's ends of its channels, by the other shard; `None` for itself.
pub(super) type Senders = Vec<Option<ConnectedSender<Packet>>>;
pub(super) type Receivers = Vec<Option<ConnectedReceiver<Packet>>>;

impl Links {
    /// Connects them, on the shard's own executor. It blocks the thread until all shards are here.
    pub(super) async fn connect(self) -> (Senders, Receivers) {
        // The first poll of a connect says that this end is here. Once all shards have done that, the second finds the
        // other end, and none has to be woken for it: glommio does not wake a connect when the other end comes, but
        // polls it with each turn of the reactor.
        let mut senders: Vec<_> =
            self.senders.into_iter().map(|end| end.map(|end| end.connect().boxed_local())).collect();
        let mut receivers: Vec<_> =
            self.receivers.into_iter().map(|end| end.map(|end| end.connect().boxed_local())).collect();
        let senders_begun = begin(&mut senders).await;
        let receivers_begun = begin(&mut receivers).await;
        self.all_begun.wait();
        let senders = finish(senders, senders_begun).await;
        let receivers = finish(receivers, receivers_begun).await;
        (senders, receivers)
    }
}

type Connecting<T> = Pin<Box<dyn Future<Output = T>>>;

/// Polls each connect once. Returns those that are done by that.
async fn begin<T>(ends: &mut [Option<Connecting<T>>]) -> Vec<Option<T>> {
    let mut done = Vec::new();
    for end in ends {
        done.push(match end {
            Some(end) => poll_once(end).await,
            None => None,
        });
    }
    done
}

/// Waits for those that are not done yet.
async fn finish<T>(ends: Vec<Option<Connecting<T>>>, begun: Vec<Option<T>>) -> Vec<Option<T>> {
    let mut done = Vec::new();
    for (end, begun) in ends.into_iter().zip(begun) {
        done.push(match (end, begun) {
            (Some(end), None) => Some(end.await),
            (_, begun) => begun,
        });
    }
    done
}
