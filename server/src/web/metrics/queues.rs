//! `/metrics/queues`: the figures of single queues and of their gates, in pieces.
//!
//! A family has all its samples in one place, so the queues are collected first, as many as the limit allows.

use std::collections::BTreeMap;

use shards::names::shown;
use shards::{GateFigures, GateState, QueueFigures};

use crate::admin::listed;
use crate::web::metrics::text::{Kind, family, labeled, quoted, sample};

/// Queues that are shown when no other limit is given, and at most: an answer of a hundredth of a second, and of a tenth.
pub(crate) const LIMIT: u64 = 1_000;
const LIMIT_MAX: usize = 10_000;

/// Samples that are written in one piece: a tenth of a millisecond.
const SAMPLES_AT_ONCE: usize = 500;

/// Where a metric of a queue comes from.
#[derive(Clone, Copy)]
enum Of {
    /// The figure with this name in `stats queues`.
    Listed(&'static str),
    Queue(fn(&QueueFigures) -> u64),
    /// Of queues that have a gate.
    Gate(fn(&GateFigures) -> u64),
}

use Kind::{Counter, Gauge};
use Of::{Gate, Listed, Queue};

/// A metric's name, its kind, what it is, and where it comes from.
type Metric = (&'static str, Kind, &'static str, Of);

/// All of them, in their order.
const METRICS: [Metric; 28] = [
    ("rushq_queue_messages_ready", Gauge, "Messages that can be taken now.", Listed("waiting")),
    ("rushq_queue_messages_unacked", Gauge, "Messages that are out with a worker.", Listed("open")),
    ("rushq_queue_messages_delayed", Gauge, "Messages that are kept back for a while.", Listed("delayed")),
    ("rushq_queue_messages_dead", Gauge, "Messages among its dead letters.", Listed("dead")),
    ("rushq_queue_oldest_message_age_seconds", Gauge, "Age of its oldest message; 0 without one.", Listed("oldest")),
    ("rushq_queue_message_bytes", Gauge, "Bytes of its messages, dead letters apart.", Listed("bytes")),
    ("rushq_queue_messages_published_total", Counter, "Messages put since it was made.", Listed("sets")),
    ("rushq_queue_messages_removed_total", Counter, "Messages that have left since it was made.", Listed("gets")),
    ("rushq_queue_messages_acknowledged_total", Counter, "Open messages that were acknowledged.", Listed("acked")),
    ("rushq_queue_messages_returned_total", Counter, "Times that an open message came back.", Listed("returned")),
    ("rushq_queue_messages_expired_total", Counter, "Messages that were too old.", Listed("expired")),
    ("rushq_queue_messages_refused_total", Counter, "Messages that a limit refused or dropped.", Listed("refused")),
    ("rushq_queue_opens_refused_total", Counter, "Opens beyond what may be open.", Listed("open_full")),
    ("rushq_queue_waiting_consumers", Gauge, "Clients that wait for a message.", Listed("waiters")),
    ("rushq_queue_head_failed_tries", Gauge, "Failed tries of the message at the head.", Listed("tries")),
    ("rushq_queue_children", Gauge, "Queues that have every message put into it.", Queue(|queue| queue.children)),
    ("rushq_queue_paused", Gauge, "1: it hands out no message.", Queue(|queue| queue.paused.into())),
    ("rushq_gate_tickets", Gauge, "Tickets that there are.", Gate(|gate| gate.tickets)),
    ("rushq_gate_tickets_given_total", Counter, "Tickets given since the queue was made.", Gate(|gate| gate.given)),
    ("rushq_gate_tickets_paid", Gauge, "Tickets that are paid, or were final at once.", Gate(|gate| gate.paid)),
    ("rushq_gate_tickets_held", Gauge, "Tickets that are to be paid.", Gate(|gate| gate.held)),
    ("rushq_gate_tickets_returned_total", Counter, "Tickets that were given back.", Gate(|gate| gate.returned)),
    ("rushq_gate_tickets_lapsed_total", Counter, "Tickets that were not paid in time.", Gate(|gate| gate.lapsed)),
    ("rushq_gate_line", Gauge, "Buyers in line.", Gate(|gate| gate.line)),
    ("rushq_gate_joins_refused_total", Counter, "Joins that were refused, since the start.", Gate(|gate| gate.refused)),
    ("rushq_gate_joins_repeated_total", Counter, "Joins of buyers who had joined.", Gate(|gate| gate.repeats)),
    ("rushq_gate_open", Gauge, "1: it gives tickets.", Gate(|gate| (gate.state == GateState::Open).into())),
    (
        "rushq_gate_sold_out",
        Gauge,
        "1: all its tickets are given.",
        Gate(|gate| (gate.state == GateState::SoldOut).into()),
    ),
];

/// How many queues are to be shown.
///
/// # Errors
/// When it is not a number from 1 to 10,000, with a line that says so.
pub(crate) fn limit(asked: u64) -> Result<usize, String> {
    match usize::try_from(asked) {
        Ok(limit) if (1..=LIMIT_MAX).contains(&limit) => Ok(limit),
        _ => Err(format!("limit={asked}: it is a number from 1 to {LIMIT_MAX}")),
    }
}

/// The queues that are shown, collected from pieces of a walk over all of them.
#[derive(Debug)]
pub(crate) struct Collected {
    limit: usize,
    /// By what they are called, as the value of a label. A queue that was made again during the walk is met twice, and an
    /// old queue may be called as a child is: the first one is shown.
    queues: BTreeMap<String, (QueueFigures, Option<GateFigures>)>,
    left_out: bool,
}

impl Collected {
    pub(crate) fn new(limit: usize) -> Collected {
        Collected { limit, queues: BTreeMap::new(), left_out: false }
    }

    /// Takes the next queues of the walk, with what their gates are at. Returns whether the walk goes on: not when there
    /// are more than may be shown.
    pub(crate) fn add(&mut self, lines: Vec<QueueFigures>, gates: Vec<Option<GateFigures>>) -> bool {
        for (line, gate) in lines.into_iter().zip(gates) {
            let name = quoted(&shown(&line.name));
            if self.queues.contains_key(&name) {
                continue;
            }
            if self.queues.len() >= self.limit {
                self.left_out = true;
                return false;
            }
            self.queues.insert(name, (line, gate));
        }
        true
    }

    /// The answer, in pieces.
    pub(crate) fn into_pieces(self) -> Pieces {
        Pieces { queues: self.queues.into_iter().collect(), left_out: self.left_out, metric: None, next: 0 }
    }
}

/// The answer to `/metrics/queues`, a piece at a time.
#[derive(Debug)]
pub(crate) struct Pieces {
    queues: Vec<(String, (QueueFigures, Option<GateFigures>))>,
    left_out: bool,
    /// The metric that is being written; `None`: none was yet.
    metric: Option<usize>,
    /// The queue that its next sample is of.
    next: usize,
}

/// Bytes of a sample, the queue's name apart.
const SAMPLE_BYTES: usize = 64;

impl Pieces {
    /// About how many bytes all pieces have, so that room for them is made once: to move megabytes takes milliseconds.
    pub(crate) fn bytes_about(&self) -> usize {
        let of_queue = |(name, (_, gate)): &(String, (QueueFigures, Option<GateFigures>))| {
            let metrics = METRICS.iter().filter(|(.., of)| gate.is_some() || !matches!(of, Gate(_))).count();
            metrics * (SAMPLE_BYTES + name.len())
        };
        (8 << 10) + self.queues.iter().map(of_queue).sum::<usize>()
    }
}

impl Iterator for Pieces {
    type Item = String;

    fn next(&mut self) -> Option<String> {
        let mut out = String::new();
        let Some(metric) = self.metric else {
            let name = "rushq_queues_left_out";
            family(&mut out, name, Gauge, "1: there are more queues than the limit; raise limit= or narrow name=.");
            sample(&mut out, name, u8::from(self.left_out));
            self.metric = Some(0);
            return Some(out);
        };
        let (name, kind, help, of) = METRICS.get(metric).copied()?;
        if self.next == 0 {
            family(&mut out, name, kind, help);
        }
        let end = self.queues.len().min(self.next + SAMPLES_AT_ONCE);
        for (queue, (figures, gate)) in &self.queues[self.next..end] {
            let value = match of {
                Listed(figure) => Some(listed::of_queue(figure)(figures)),
                Queue(figure) => Some(figure(figures)),
                Gate(figure) => gate.as_ref().map(figure),
            };
            if let Some(value) = value {
                labeled(&mut out, name, "queue", queue, value);
            }
        }
        self.next = end;
        if end == self.queues.len() {
            self.metric = Some(metric + 1);
            self.next = 0;
        }
        Some(out)
    }
}
