//! The messages of a queue, looked at and left there, and those that are open.

use base64ct::{Base64, Encoding};
use serde::Serialize;
use shards::{MessageState, Op, OpenHolder, OpenLine, Outcome, PeekedMessage};

use crate::admin::acts::one;
use crate::admin::asking::Shards;
use crate::admin::queue::Named;
use crate::session::roster::Roster;
use crate::web::queues::limit;
use crate::web::response::{Refusal, Response, json};
use crate::web::text::{Query, lossy};

/// Bytes of a body that are shown.
const BODY_BYTES_MAX: u32 = 4 << 10;
/// Messages without a `count`, and the most that there are.
const COUNT: u64 = 20;
const COUNT_MAX: u64 = 100;
/// Open messages in an answer, about: the shard tells some at a time.
const OPENS: usize = 100;

#[derive(Debug, Serialize)]
struct Messages {
    messages: Vec<Message>,
    next: Option<String>,
}

#[derive(Debug, Serialize)]
struct Message {
    seq: u64,
    flags: u32,
    age_s: u64,
    state: &'static str,
    tries: u8,
    bytes: u32,
    text: Option<String>,
    base64: Option<String>,
    cut: bool,
}

impl From<PeekedMessage> for Message {
    fn from(message: PeekedMessage) -> Message {
        let cut = message.body.len() < message.bytes as usize;
        let text = text(&message.body, cut);
        Message {
            seq: message.seq,
            flags: message.flags,
            age_s: message.age_s,
            state: match message.state {
                MessageState::Waiting => "waiting",
                MessageState::Open => "open",
                MessageState::Delayed => "delayed",
            },
            tries: message.tries,
            bytes: message.bytes,
            base64: text.is_none().then(|| Base64::encode_string(&message.body)),
            text,
            cut,
        }
    }
}

/// A body as text. `None`: it is none. `cut`: it may end within a character, which is left out.
fn text(body: &[u8], cut: bool) -> Option<String> {
    match std::str::from_utf8(body) {
        Ok(text) => Some(text.to_string()),
        Err(error) if cut && error.error_len().is_none() => Some(lossy(&body[..error.valid_up_to()]).into_owned()),
        Err(_) => None,
    }
}

/// The messages of a queue behind the one with this number. A queue that is not there has none.
///
/// # Errors
/// When the query is none, or the server stops.
pub(super) async fn peek(shards: &impl Shards, named: &Named, query: &Query<'_>) -> Result<Response, Refusal> {
    let mut after = query.number("after", 0).map_err(Refusal::bad)?;
    let count = limit(query, COUNT, COUNT_MAX)? as usize;
    let mut messages = Vec::new();
    while messages.len() < count {
        let op = Op::PeekAt { queue: &named.stored, after, body_bytes_max: BODY_BYTES_MAX };
        match one(shards, named, op).await {
            Outcome::PeekedAt(Some(message)) => {
                after = message.seq;
                messages.push(Message::from(*message));
            }
            Outcome::PeekedAt(None) => return Ok(json(&Messages { messages, next: None })),
            other => unreachable!("a message was looked at, and {other:?} came"),
        }
        if !shards.pass().await {
            break;
        }
    }
    Ok(json(&Messages { messages, next: Some(after.to_string()) }))
}

#[derive(Debug, Serialize)]
struct Opens {
    opens: Vec<OpenMessage>,
    next: Option<String>,
}

#[derive(Debug, Serialize)]
struct OpenMessage {
    seq: u64,
    lease: String,
    holder: String,
    since_s: Option<u64>,
    ends_in_s: Option<u64>,
    #[serde(rename = "try")]
    try_number: u8,
}

impl OpenMessage {
    fn new(line: OpenLine, roster: &Roster) -> OpenMessage {
        OpenMessage {
            seq: line.seq,
            lease: line.lease.to_string(),
            holder: holder(&line.holder, roster),
            since_s: line.since_s,
            ends_in_s: line.ends_in_s,
            try_number: line.try_number,
        }
    }
}

fn holder(holder: &OpenHolder, roster: &Roster) -> String {
    match holder {
        OpenHolder::Connection(client) => match roster.find(*client) {
            Some(seen) => format!("connection {client} of {}", seen.peer),
            None => format!("connection {client}"),
        },
        OpenHolder::Name(name) => format!("name {}", lossy(name)),
        OpenHolder::Number => "number".to_string(),
    }
}

/// The messages of a queue that are open, behind the one with this lease.
///
/// # Errors
/// When the query is none.
pub(super) async fn opens(
    shards: &impl Shards,
    roster: &Roster,
    named: &Named,
    query: &Query<'_>,
) -> Result<Response, Refusal> {
    let mut next = Some(query.number("after", 0).map_err(Refusal::bad)?);
    let mut opens = Vec::new();
    while let Some(after) = next.filter(|_| opens.len() < OPENS) {
        match one(shards, named, Op::ListOpens { queue: &named.stored, after }).await {
            Outcome::Opens { lines, next: behind } => {
                opens.extend(lines.into_iter().map(|line| OpenMessage::new(line, roster)));
                next = behind;
            }
            other => unreachable!("what is open was asked for, and {other:?} came"),
        }
        if !shards.pass().await {
            break;
        }
    }
    Ok(json(&Opens { opens, next: next.map(|next| next.to_string()) }))
}

#[cfg(test)]
mod tests;
