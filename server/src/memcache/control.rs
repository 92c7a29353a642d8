//! The answers to commands that look at the server rather than at a queue, as text. The data is from `admin`.

use std::io;

use protocol::reply;
use shards::names::shown;
use shards::pump::Gather;

use crate::admin::ask;
use crate::admin::listed;
use crate::admin::report;
use crate::context::ShardContext;
use crate::session::{Control, ReplySink};

/// A long answer leaves in pieces of this size, so that it is never held whole.
const PIECE_BYTES: usize = 64 << 10;

/// A client that gets an answer.
#[derive(Debug)]
pub(crate) struct Client<'a, S> {
    /// What the names of the queues begin with that were asked for.
    pub(crate) prefix: &'a [u8],
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
        Control::StatsQueues => queue_figures(context, gather, client).await?,
        Control::StatsConns => connections(context, gather, client).await?,
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
            reply::queue_stat(client.out, &shown(&line.name), line.sets, line.gets);
        }
        client.send_piece().await?;
        context.handle.pass().await;
    }
    Ok(())
}

/// A line for each figure of each queue whose name begins with the prefix, of all shards, a piece at a time.
async fn queue_figures<S: ReplySink>(
    context: &ShardContext,
    gather: &Gather,
    client: &mut Client<'_, S>,
) -> io::Result<()> {
    let mut listing = ask::Listing::default();
    while let Some(queues) = listing.next_figures(&context.handle, gather, client.prefix).await {
        for queue in &queues {
            let name = shown(&queue.name);
            listed::queue(queue, |figure, value| reply::queue_figure(client.out, &name, figure, value));
            client.send_piece().await?;
        }
        context.handle.pass().await;
    }
    Ok(())
}

/// A line for each figure of each connection, of all shards, a piece at a time.
async fn connections<S: ReplySink>(
    context: &ShardContext,
    gather: &Gather,
    client: &mut Client<'_, S>,
) -> io::Result<()> {
    let mut listing = listed::Connections::default();
    while let Some(connections) = listing.next(&context.roster, context.handle.shards()) {
        let clients: Vec<_> = connections.iter().map(|connection| connection.client).collect();
        let opens = ask::opens(&context.handle, gather, &clients).await;
        for connection in &connections {
            let (socket, open) = (connection.socket, opens.get(&connection.client).copied());
            listed::connection(connection, open.unwrap_or(0), |figure, value| {
                reply::stat(client.out, format_args!("{socket}:{figure}"), value);
            });
            client.send_piece().await?;
        }
        context.handle.pass().await;
    }
    Ok(())
}

impl<S: ReplySink> Client<'_, S> {
    /// Sends what is written of a long answer, once that is enough for a piece.
    async fn send_piece(&mut self) -> io::Result<()> {
        if self.out.len() >= PIECE_BYTES {
            self.sink.send(self.out, self.sent).await?;
            self.out.clear();
        }
        Ok(())
    }
}
