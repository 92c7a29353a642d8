//! What is done with a gate when the buyers are gone: it is asked again, and the queue behind it is emptied.

use std::net::SocketAddr;

use super::RUN;
use super::check::{Ask, Buyer, Message};
use super::setup::value;
use super::told::join;
use super::wire::Wire;
use crate::answers::{Answer, Dialect, stock};
use crate::options::{Arguments, Protocol};
use crate::workload::Act;

/// Requests on their way at once.
const PIPELINE: usize = 256;

/// What the gate tells of itself, as it tells it; None where it has nothing to say.
pub(super) fn figures(options: &Arguments, address: &SocketAddr) -> Result<Option<String>, String> {
    match options.protocol {
        Protocol::Memcache => value(&mut Wire::new(address)?, &format!("{}/gate", options.gate_queue())),
        Protocol::Redis => Ok(None),
    }
}

/// One figure of them.
pub(super) fn figure(figures: &str, name: &str) -> Option<u64> {
    figures.split(' ').find_map(|word| word.strip_prefix(name)?.strip_prefix('=')?.parse().ok())
}

/// Has these buyers ask once more, one after the other.
pub(super) fn ask_again(
    options: &Arguments,
    address: &SocketAddr,
    buyers: &[Buyer],
    now_ns: impl Fn() -> u64,
) -> Result<Vec<Ask>, String> {
    let mut wire = Wire::new(address)?;
    let mut dialect = Dialect::new(options, None);
    let mut asks = Vec::with_capacity(buyers.len());
    for some in buyers.chunks(PIPELINE) {
        let numbers = some.iter().map(|buyer| u64::from(*buyer));
        let sent_ns = now_ns();
        let told = join(&mut wire, &mut dialect, RUN, numbers)?;
        let heard_ns = now_ns();
        asks.extend(some.iter().zip(told).map(|(buyer, told)| Ask {
            buyer: *buyer,
            sent_ns,
            told: Some((heard_ns, told)),
        }));
    }
    Ok(asks)
}

/// Takes all messages out of the queue, from its head on.
pub(super) fn drain(options: &Arguments, address: &SocketAddr) -> Result<Vec<Message>, String> {
    let mut wire = Wire::new(address)?;
    let queue = options.gate_queue();
    let mut get = Vec::new();
    match options.protocol {
        Protocol::Memcache => get.extend_from_slice(format!("get {queue}\r\n").as_bytes()),
        // The script puts new ones in at the left.
        Protocol::Redis => stock::append(&mut get, &[b"RPOP", queue.as_bytes()]),
    }
    let dialect = Dialect::new(options, None);
    let mut messages = Vec::new();
    loop {
        wire.send(&get.repeat(PIPELINE))?;
        let mut is_empty = false;
        for _ in 0..PIPELINE {
            let message = wire.next(|input| {
                let (used, answer) = dialect.next(input, Act::Get)?;
                let message = match answer {
                    Answer::Message { body, .. } => Ok(Some(message(body))),
                    Answer::Empty => Ok(None),
                    other => Err(format!("the queue cannot be emptied, a get is answered {other:?}")),
                };
                Some((used, message))
            })??;
            is_empty |= message.is_none();
            messages.extend(message);
        }
        if is_empty {
            return Ok(messages);
        }
    }
}

/// The buyer whose name a message is.
fn message(body: &[u8]) -> Message {
    let name = std::str::from_utf8(body).ok().and_then(|name| name.split_once('-'));
    match name.and_then(|(run, number)| Some((run.parse::<u32>().ok()?, number.parse().ok()?))) {
        Some((RUN, number)) => Message::Of(number),
        _ => Message::Other(body.escape_ascii().to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_buyers_names() {
        assert_eq!(message(b"0-17"), Message::Of(17));
        for body in [&b"1-17"[..], b"0-", b"17", b"\xff"] {
            assert_eq!(message(body), Message::Other(body.escape_ascii().to_string()));
        }
    }

    #[test]
    fn figures_are_found_by_their_names() {
        let figures = "tickets=100 given=57 paid=3 held=54 state=open";
        assert_eq!(
            (figure(figures, "given"), figure(figures, "give"), figure(figures, "state")),
            (Some(57), None, None)
        );
    }
}
