//! What Prometheus scrapes: the figures are asked for, and [written](crate::web::metrics) as it reads them.

use hyper::StatusCode;
use shards::{GateFigures, Op, Outcome, QueueFigures, ShardId, names, owner_of};

use crate::admin::ask;
use crate::admin::asking::{Asking, Shards};
use crate::process::usage::Usage;
use crate::web::desk::Desk;
use crate::web::metrics::queues::{self, Collected};
use crate::web::metrics::server::{self, Scraped};
use crate::web::metrics::text::CONTENT_TYPE;
use crate::web::response::{self, Refusal, Response};
use crate::web::text::Query;

/// The server, its shards and the process.
pub(crate) async fn server(desk: &Desk) -> Response {
    let context = &desk.context;
    let up = context.started.elapsed();
    let usage = glommio::executor().spawn_blocking(move || Usage::look(up)).await;
    let asking = desk.asking();
    let shards = ask::figures(asking.handle, &asking.gather).await;
    let times = ask::stage_times(asking.handle, &asking.gather).await;
    let scraped = Scraped {
        shards: &shards,
        times: &times,
        usage,
        room: desk.disk.room(),
        connections_max: context.settings.connections_max as u64,
        memory_bytes: context.settings.memory_bytes as u64,
        drains: context.drain.is_on(),
    };
    response::with(StatusCode::OK, CONTENT_TYPE, server::text(&scraped))
}

/// The queues whose names begin with `name=`, as many as `limit=` allows.
///
/// # Errors
/// When the limit is none, the server stops, or too many look at all queues already.
pub(crate) async fn queues(desk: &Desk, query: Option<&str>) -> Result<Response, Refusal> {
    let query = Query::new(query);
    let limit = query.number("limit", queues::LIMIT).and_then(queues::limit).map_err(Refusal::bad)?;
    let prefix = query.get("name");
    let unavailable = |why| Refusal::new(StatusCode::SERVICE_UNAVAILABLE, why);
    let collected = desk.searches.run(collect(&desk.asking(), &prefix, limit)).await;
    let collected = collected.ok_or_else(|| unavailable("too many look at all queues; ask again"))?;
    let pieces = collected.ok_or_else(|| unavailable("the server stops"))?.into_pieces();
    let mut body = Vec::with_capacity(pieces.bytes_about());
    for piece in pieces {
        body.extend_from_slice(piece.as_bytes());
        desk.context.handle.pass().await;
    }
    Ok(response::with(StatusCode::OK, CONTENT_TYPE, body))
}

/// Walks over the queues until there are enough. `None`: the server stops.
async fn collect(asking: &Asking<'_>, prefix: &[u8], limit: usize) -> Option<Collected> {
    let mut collected = Collected::new(limit);
    let mut listing = ask::Listing::default();
    while let Some(lines) = listing.next_figures(asking.handle, &asking.gather, prefix).await {
        let gates = gates(asking, &lines).await;
        if !collected.add(lines, gates) || !asking.pass().await {
            break;
        }
    }
    asking.pass().await.then_some(collected)
}

/// What the gates of these queues are at.
async fn gates(asking: &Asking<'_>, lines: &[QueueFigures]) -> Vec<Option<GateFigures>> {
    let owner = |line: &QueueFigures| owner_of(names::base_of(&line.name), asking.count());
    let ops: Vec<(ShardId, Op<'_>)> = lines
        .iter()
        .filter(|line| line.is_gate)
        .map(|line| (owner(line), Op::GateFigures { queue: &line.name }))
        .collect();
    let mut outcomes = if ops.is_empty() { Vec::new() } else { asking.ask(&ops).await }.into_iter();
    let figures = |outcome| match outcome {
        Some(Outcome::GateFigures(figures)) => figures.map(|figures| *figures),
        other => unreachable!("the figures of a gate were asked for, and {other:?} came"),
    };
    lines.iter().map(|line| if line.is_gate { figures(outcomes.next()) } else { None }).collect()
}
