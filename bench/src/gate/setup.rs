//! What is done with a gate before buyers come, and while the server is restarted.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use protocol::response::{self, Response};

use super::check::Told;
use super::told::join;
use super::wire::Wire;
use crate::answers::{Dialect, stock};
use crate::options::{Arguments, Protocol};

/// What those are called who buy all the tickets before others are refused, besides their numbers.
const SELLOUT: u32 = u32::MAX;
/// Requests on their way at once.
const PIPELINE: u64 = 256;
/// How long a server may take to come back.
const RETURN_MAX: Duration = Duration::from_secs(60);
const LOOK_EVERY: Duration = Duration::from_millis(10);
/// A stock is there long before the rush. A redis that syncs every second would lose one that was set just now.
const STOCK_AGE: Duration = Duration::from_millis(2_500);

/// Makes the queue a gate, if it is nothing yet.
///
/// # Errors
/// When the queue is a gate or has messages, or the server refuses.
pub(crate) fn set_up(options: &Arguments, address: &SocketAddr) -> Result<(), String> {
    let mut wire = Wire::new(address)?;
    match options.protocol {
        Protocol::Memcache => set_up_gate(options, &mut wire),
        Protocol::Redis => set_up_stock(options, &mut wire),
    }
}

fn set_up_gate(options: &Arguments, wire: &mut Wire) -> Result<(), String> {
    let queue = options.gate_queue();
    for (option, what) in [("gate", "is a gate already"), ("peek", "has messages")] {
        if value(wire, &format!("{queue}/{option}"))?.is_some() {
            return Err(taken(&queue, what));
        }
    }
    let body = options.gate_body();
    wire.send(format!("set {queue}/config 0 0 {}\r\n{body}\r\n", body.len()).as_bytes())?;
    wire.next(|input| {
        let (used, response) = response::next(input)?;
        let is_stored = response == Response::Stored;
        let said = input[..used].trim_ascii_end().escape_ascii();
        Some((used, if is_stored { Ok(()) } else { Err(format!("queue {queue} cannot be made a gate: {said}")) }))
    })?
}

fn taken(queue: &str, what: &str) -> String {
    format!("queue {queue} {what}: delete it, or take another --key-prefix")
}

fn set_up_stock(options: &Arguments, wire: &mut Wire) -> Result<(), String> {
    let queue = options.gate_queue();
    let keys = stock::keys(&queue);
    let [stock, buyers, list] = keys.each_ref().map(|key| key.as_bytes());
    if command(wire, &[b"EXISTS", stock, buyers, list])? != ":0" {
        return Err(taken(&queue, "has a stock, buyers or messages already"));
    }
    let tickets = options.gate.unwrap_or(0).to_string();
    match command(wire, &[b"SET", stock, tickets.as_bytes()])?.as_str() {
        "+OK" => {}
        said => return Err(format!("the stock of queue {queue} cannot be set: {said}")),
    }
    load_script(wire)?;
    if options.restart_command.is_some() {
        std::thread::sleep(STOCK_AGE);
    }
    Ok(())
}

fn load_script(wire: &mut Wire) -> Result<(), String> {
    let said = command(wire, &[b"SCRIPT", b"LOAD", stock::SCRIPT.as_bytes()])?;
    if said.starts_with('$') && bulk(wire)? == stock::DIGEST {
        Ok(())
    } else {
        Err(format!("no script can be loaded: {said}"))
    }
}

/// The line that a command of redis is answered with.
fn command(wire: &mut Wire, words: &[&[u8]]) -> Result<String, String> {
    let mut bytes = Vec::new();
    stock::append(&mut bytes, words);
    wire.send(&bytes)?;
    bulk(wire)
}

fn bulk(wire: &mut Wire) -> Result<String, String> {
    wire.next(|input| {
        let end = memchr::memchr(b'\n', input)?;
        Some((end + 1, input[..end].trim_ascii_end().escape_ascii().to_string()))
    })
}

/// The body of what a get brings.
pub(super) fn value(wire: &mut Wire, key: &str) -> Result<Option<String>, String> {
    wire.send(format!("get {key}\r\n").as_bytes())?;
    let mut body = None;
    loop {
        let is_end = wire.next(|input| {
            let (used, response) = response::next(input)?;
            let outcome = match response {
                Response::Value { body: got, .. } => {
                    body = Some(got.escape_ascii().to_string());
                    Ok(false)
                }
                Response::End => Ok(true),
                _ => Err(format!("get {key} is answered {}", input[..used].trim_ascii_end().escape_ascii())),
            };
            Some((used, outcome))
        })??;
        if is_end {
            return Ok(body);
        }
    }
}

/// Returns when a server that was restarted answers. A script that it has lost is loaded again.
pub(super) fn wait_for_return(
    options: &Arguments,
    address: &SocketAddr,
    stop: impl Fn() -> bool,
) -> Result<(), String> {
    let began = Instant::now();
    loop {
        let answers = || -> Result<(), String> {
            let mut wire = Wire::new(address)?;
            match options.protocol {
                Protocol::Memcache => value(&mut wire, &format!("{}/peek", options.gate_queue())).map(drop),
                Protocol::Redis => load_script(&mut wire),
            }
        };
        match answers() {
            Err(reason) if began.elapsed() >= RETURN_MAX => {
                return Err(format!("the server did not come back within {} s: {reason}", RETURN_MAX.as_secs()));
            }
            Err(_) if !stop() => std::thread::sleep(LOOK_EVERY),
            _ => return Ok(()),
        }
    }
}

/// Has as many buyers as there are tickets ask, and each is given one.
pub(crate) fn sell_out(options: &Arguments, address: &SocketAddr) -> Result<(), String> {
    let mut wire = Wire::new(address)?;
    let mut dialect = Dialect::new(options, None);
    let tickets = u64::from(options.gate.unwrap_or(0));
    let mut number = 0;
    while number < tickets {
        let end = tickets.min(number + PIPELINE);
        let told = join(&mut wire, &mut dialect, SELLOUT, number..end)?;
        if let Some(place) = told.iter().position(|told| *told == Told::Refused) {
            return Err(format!("ticket {} of {tickets} was refused", number + place as u64 + 1));
        }
        number = end;
    }
    Ok(())
}
