//! The answers to commands that look at the server rather than at a queue, as text. The data is from `admin`.

use std::io;

use protocol::reply;
use shards::pump::Gather;

use crate::admin::ask;
use crate::admin::report;
use crate::context::ShardContext;
use crate::session::{Control, ReplySink};

/// A long answer leaves in pieces of this size, so that it is never held whole.
const PIECE_BYTES: usize = 64 << 10;

/// A client that gets an answer.
#[derive(Debug)]
pub(crate) struct Client<'a, S> {
    /// Where the answer is written, or the rest of one that leaves in pieces.
    pub(crate) out: &'a mut Vec<u8>,
    pub(crate) sink: &'a mut S,
    /// Bytes that were sent.
    pub(crate) sent: &'a mut u64,
}

/// Answers a command.
///
/// # Errors
/// When the client takes no more of an answer that leaves in pieces.
pub(crate) async fn answer<S: ReplySink>(
    control: Control,
    context: &ShardContext,
    gather: &Gather,
    client: &mut Client<'_, S>,
) -> io::Result<()> {
    let handle = &context.handle;
    let out = &mut *client.out;
    match control {
        Control::Stats => {
            let shards = ask::figures(handle, gather).await;
            report::server(context, &shards, |name, value| reply::stat(out, name, value));
        }
        Control::StatsCores => {
            let shards = ask::figures(handle, gather).await;
            report::shards(&shards, |number, name, value| reply::stat(out, format_args!("{number}:{name}"), value));
        }
        Control::StatsLatency => {
            let times = ask::stage_times(handle, gather).await;
            report::stages(&times, |stage, name, value| reply::stat(out, format_args!("{stage}_{name}"), value));
        }
        Control::StatsSettings => {
            context.settings.list().into_iter().for_each(|(name, value)| reply::stat(out, name, value));
        }
        Control::StatsQueue => queues(context, gather, client).await?,
        Control::StatsReset => {
            ask::reset(handle, gather).await;
            out.extend_from_slice(reply::RESET);
            return Ok(());
        }
        Control::Checkpoint => {
            ask::checkpoint(handle, gather).await;
            out.extend_from_slice(reply::OK);
            return Ok(());
        }
    }
    reply::end(client.out);
    Ok(())
}

/// A line for each queue, of all shards, a piece at a time.
async fn queues<S: ReplySink>(context: &ShardContext, gather: &Gather, client: &mut Client<'_, S>) -> io::Result<()> {
    let mut listing = ask::Listing::default();
    while let Some(lines) = listing.next(&context.handle, gather).await {
        for line in &lines {
            reply::queue_stat(client.out, &line.name, line.sets, line.gets);
        }
        if client.out.len() >= PIECE_BYTES {
            client.sink.send(client.out, client.sent).await?;
            client.out.clear();
        }
        context.handle.pass().await;
    }
    Ok(())
}
