//! What is asked to show something, and the answer that is made of it.

use std::time::{SystemTime, UNIX_EPOCH};

use hyper::StatusCode;
use shards::{Durability, Stage};

use crate::admin::ask;
use crate::admin::history::Sums;
use crate::web::acts::named;
use crate::web::desk::{Desk, line};
use crate::web::guard::Who;
use crate::web::response::{Refusal, Response, json};
use crate::web::route::Show;
use crate::web::shown::{History, OfShard, Overview, Times};
use crate::web::text::Query;
use crate::web::{connections, health, messages, queues};

/// Whether all shards answer: what does not come says that they do not.
pub(crate) async fn healthz(desk: &Desk) -> Response {
    let asking = desk.asking();
    ask::figures(asking.handle, &asking.gather).await;
    line(StatusCode::OK, "ok")
}

/// Whether messages are taken, and why not.
pub(crate) async fn readyz(desk: &Desk) -> Response {
    let asking = desk.asking();
    let shards = ask::figures(asking.handle, &asking.gather).await;
    match health::ready(desk.is_stopping(), desk.context.drain.is_on(), &shards) {
        Err(reason) => line(StatusCode::SERVICE_UNAVAILABLE, &reason),
        Ok(()) => line(StatusCode::OK, "ok"),
    }
}

/// Shows something.
///
/// # Errors
/// When it is not there, or the query is none.
pub(crate) async fn show(desk: &Desk, show: Show, query: Option<&str>, who: &Who) -> Result<Response, Refusal> {
    let query = &Query::new(query);
    let queue = || named(&query.get("queue"), &desk.rules());
    match show {
        Show::Overview => Ok(overview(desk, who).await),
        Show::History => Ok(history(desk)),
        Show::Queues => {
            let asking = desk.asking();
            let total = Sums::of(&ask::figures(asking.handle, &asking.gather).await).queues;
            queues::page(&asking, &desk.searches, query, total).await
        }
        Show::Queue => queues::one(&desk.asking(), &queue()?).await,
        Show::Messages => messages::peek(&desk.asking(), &queue()?, query).await,
        Show::Opens => messages::opens(&desk.asking(), &desk.context.roster, &queue()?, query).await,
        Show::Connections => connections::list(desk, query).await,
    }
}

async fn overview(desk: &Desk, who: &Who) -> Response {
    let asking = desk.asking();
    let shards = ask::figures(asking.handle, &asking.gather).await;
    let times = ask::stage_times(asking.handle, &asking.gather).await;
    let (settings, room) = (&desk.context.settings, desk.disk.room());
    json(&Overview {
        version: env!("CARGO_PKG_VERSION"),
        uptime_s: desk.context.started.elapsed().as_secs(),
        addresses: settings.addresses(),
        durable: settings.storage.durability == Durability::Synced,
        read_only: desk.operator.read_only,
        draining: desk.context.drain.is_on(),
        full: shards.iter().any(|shard| shard.full),
        user: who.user.as_deref(),
        connections: shards.iter().map(|shard| shard.curr_connections).sum(),
        connections_max: settings.connections_max as u64,
        memory_bytes: shards.iter().map(|shard| shard.totals.resident_bytes).sum(),
        memory_max_bytes: settings.memory_bytes as u64,
        log_bytes: shards.iter().map(|shard| shard.totals.log_bytes).sum(),
        log_live_bytes: shards.iter().map(|shard| shard.totals.live_bytes).sum(),
        disk_free_bytes: room.map(|room| room.free_bytes),
        disk_bytes: room.map(|room| room.bytes),
        commit: Times::of(&times, Stage::CommitWait),
        fsync: Times::of(&times, Stage::Fsync),
        totals: Sums::of(&shards).into(),
        shards: shards.iter().enumerate().map(|(shard, figures)| OfShard::of(shard, figures)).collect(),
    })
}

fn history(desk: &Desk) -> Response {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    json(&History::new(now, desk.history.borrow().points()))
}
