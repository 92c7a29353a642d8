//! What the body of an act says.

use base64ct::{Base64, Encoding};
use hyper::StatusCode;
use protocol::{KeyRules, LEASE_LIMIT, SECONDS_MAX};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use shards::Client;

use crate::admin::queue::Named;
use crate::web::connections::client;
use crate::web::response::Refusal;
use crate::web::route::Act;
use crate::web::text::{decode, lossy};

/// What an act's body is read by.
#[derive(Debug, Clone, Copy)]
pub(super) struct Rules {
    pub(super) keys: KeyRules,
    pub(super) shards: u16,
    pub(super) body_bytes_max: usize,
}

/// What is to be done.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Asked {
    Put {
        queue: Named,
        body: Vec<u8>,
        flags: u32,
        delay_s: Option<u32>,
    },
    Purge {
        queue: Named,
        count: u64,
    },
    Delete {
        queue: Named,
    },
    Move {
        from: Named,
        to: Named,
        count: u64,
    },
    Kick {
        queue: Named,
        count: u64,
    },
    Release {
        queue: Named,
        lease: u64,
    },
    /// Pauses a queue, or resumes it.
    Pause {
        queue: Named,
        pauses: bool,
    },
    Config {
        queue: Named,
        words: String,
    },
    Unconfig {
        queue: Named,
    },
    Close(Client),
    Drain(bool),
    Checkpoint,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Put {
    queue: String,
    text: Option<String>,
    base64: Option<String>,
    flags: Option<u32>,
    delay_s: Option<u32>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Count {
    queue: String,
    count: u64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Delete {
    queue: String,
    name: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Move {
    queue: String,
    to: String,
    count: u64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Release {
    queue: String,
    lease: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Queue {
    queue: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Config {
    queue: String,
    words: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Close {
    id: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Drain {
    on: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Checkpoint {}

/// Reads the body of an act.
///
/// # Errors
/// When it is none of this act, or names what cannot be.
pub(super) fn read(act: Act, body: &[u8], rules: &Rules) -> Result<Asked, Refusal> {
    let queue = |id: &str| named(id.as_bytes(), rules);
    Ok(match act {
        Act::Put => put(parse(body)?, rules)?,
        Act::Purge => {
            let Count { queue: id, count } = parse(body)?;
            Asked::Purge { queue: queue(&id)?, count }
        }
        Act::Delete => {
            let Delete { queue: id, name } = parse(body)?;
            let queue = queue(&id)?;
            if decode(name.as_bytes()) != queue.shown() && name.as_bytes() != queue.shown() {
                return Err(Refusal::new(StatusCode::CONFLICT, "name is not the queue's: nothing is deleted"));
            }
            Asked::Delete { queue }
        }
        Act::Move => {
            let Move { queue: id, to, count } = parse(body)?;
            let (from, to) = (queue(&id)?, living(&to, rules)?);
            if from == to {
                return Err(Refusal::bad("to is the queue itself"));
            }
            Asked::Move { from, to, count: at_least_one(count)? }
        }
        Act::Kick => {
            let Count { queue: id, count } = parse(body)?;
            Asked::Kick { queue: living(&id, rules)?, count: at_least_one(count)? }
        }
        Act::Release => {
            let Release { queue: id, lease } = parse(body)?;
            let number = lease.parse().ok().filter(|lease| *lease < LEASE_LIMIT);
            let lease = number.ok_or_else(|| Refusal::bad(format!("lease {lease:?} is no number of a lease")))?;
            Asked::Release { queue: queue(&id)?, lease }
        }
        Act::Pause | Act::Resume => {
            let Queue { queue: id } = parse(body)?;
            Asked::Pause { queue: living(&id, rules)?, pauses: act == Act::Pause }
        }
        Act::Config => {
            let Config { queue: id, words } = parse(body)?;
            Asked::Config { queue: living(&id, rules)?, words }
        }
        Act::Unconfig => {
            let Queue { queue: id } = parse(body)?;
            Asked::Unconfig { queue: living(&id, rules)? }
        }
        Act::CloseConnection => {
            let Close { id } = parse(body)?;
            Asked::Close(client(&id)?)
        }
        Act::Drain => {
            let Drain { on } = parse(body)?;
            Asked::Drain(on)
        }
        Act::Checkpoint => {
            let Checkpoint {} = parse(body)?;
            Asked::Checkpoint
        }
    })
}

fn parse<T: DeserializeOwned>(body: &[u8]) -> Result<T, Refusal> {
    serde_json::from_slice(body).map_err(|error| Refusal::bad(format!("the body is not what this takes: {error}")))
}

/// The queue of an id.
///
/// # Errors
/// When a client could not name one so.
pub(super) fn named(id: &[u8], rules: &Rules) -> Result<Named, Refusal> {
    let key = decode(id);
    Named::read(&key, rules.keys, rules.shards)
        .ok_or_else(|| Refusal::bad(format!("{:?} is no name of a queue", lossy(&key))))
}

/// The queue of an id, if it is no queue of dead letters: into these nothing is put, and they have no settings and no dead
/// letters of their own.
fn living(id: &str, rules: &Rules) -> Result<Named, Refusal> {
    let queue = named(id.as_bytes(), rules)?;
    match queue.is_dead {
        false => Ok(queue),
        true => Err(Refusal::bad("this is not for dead letters: name the queue whose they are")),
    }
}

fn at_least_one(count: u64) -> Result<u64, Refusal> {
    if count == 0 { Err(Refusal::bad("count is 1 or more")) } else { Ok(count) }
}

fn put(put: Put, rules: &Rules) -> Result<Asked, Refusal> {
    let body = match (put.text, put.base64) {
        (Some(text), None) => text.into_bytes(),
        (None, Some(base64)) => {
            Base64::decode_vec(&base64).map_err(|_| Refusal::bad("base64 is none: it has padding, and no line ends"))?
        }
        _ => return Err(Refusal::bad("a message is text or base64, one of them")),
    };
    if body.len() > rules.body_bytes_max {
        let error = format!("the message has more than {} bytes; -B allows larger ones", rules.body_bytes_max);
        return Err(Refusal::new(StatusCode::PAYLOAD_TOO_LARGE, error));
    }
    if put.delay_s.is_some_and(|delay_s| delay_s > SECONDS_MAX) {
        return Err(Refusal::bad(format!("delay_s is 0 to {SECONDS_MAX}")));
    }
    let queue = living(&put.queue, rules)?;
    Ok(Asked::Put { queue, body, flags: put.flags.unwrap_or(0), delay_s: put.delay_s })
}

#[cfg(test)]
mod tests {
    use super::*;

    const RULES: Rules = Rules { keys: KeyRules { options: true, fanout: true }, shards: 2, body_bytes_max: 8 };

    fn good(act: Act, body: &str) -> Asked {
        read(act, body.as_bytes(), &RULES).expect(body)
    }

    fn status(act: Act, body: &str) -> u16 {
        read(act, body.as_bytes(), &RULES).expect_err(body).status.as_u16()
    }

    fn queue(key: &str) -> Named {
        Named::read(key.as_bytes(), RULES.keys, 2).expect("good")
    }

    #[test]
    fn a_message_is_text_or_base64() {
        let put = |body: &[u8]| Asked::Put { queue: queue("q+c"), body: body.to_vec(), flags: 7, delay_s: Some(5) };
        let rest = r#""flags":7,"delay_s":5"#;
        assert_eq!(good(Act::Put, &format!(r#"{{"queue":"q%2Bc","text":"\u00e9",{rest}}}"#)), put("é".as_bytes()));
        assert_eq!(good(Act::Put, &format!(r#"{{"queue":"q+c","base64":"AP8=",{rest}}}"#)), put(&[0, 255]));
        let plain = Asked::Put { queue: queue("q"), body: vec![], flags: 0, delay_s: None };
        assert_eq!(good(Act::Put, r#"{"queue":"q","text":"","flags":null}"#), plain);
        for (body, wanted) in [
            (r#"{"queue":"q"}"#, 400),
            (r#"{"queue":"q","text":"a","base64":"YQ=="}"#, 400),
            (r#"{"queue":"q","base64":"YQ"}"#, 400),
            (r#"{"queue":"q","text":"123456789"}"#, 413),
            (r#"{"queue":"q/dead","text":"a"}"#, 400),
            (r#"{"queue":"q/open","text":"a"}"#, 400),
            (r#"{"queue":"","text":"a"}"#, 400),
            (r#"{"queue":"a b","text":"a"}"#, 400),
            (r#"{"queue":"q","text":"a","delay_s":31536001}"#, 400),
            (r#"{"queue":"q","text":"a","flags":-1}"#, 400),
            (r#"{"queue":"q","text":"a","flag":1}"#, 400),
            ("", 400),
            ("[]", 400),
        ] {
            assert_eq!(status(Act::Put, body), wanted, "{body}");
        }
    }

    /// Planted once: without the look at the name, a click on the wrong line is the end of a queue.
    #[test]
    fn a_queue_is_deleted_when_its_name_is_typed() {
        for body in [r#"{"queue":"q%2Bc%2Fdead","name":"q+c/dead"}"#, r#"{"queue":"q+c/dead","name":"q%2Bc%2Fdead"}"#] {
            assert_eq!(good(Act::Delete, body), Asked::Delete { queue: queue("q+c/dead") });
        }
        for name in ["", "q", "q+c", "Q+c/dead"] {
            assert_eq!(status(Act::Delete, &format!(r#"{{"queue":"q+c/dead","name":"{name}"}}"#)), 409, "{name}");
        }
    }

    #[test]
    fn what_cannot_be_done_is_refused_before_it_is_begun() {
        for (act, body) in [
            (Act::Move, r#"{"queue":"q","to":"q","count":1}"#),
            (Act::Move, r#"{"queue":"q","to":"r/dead","count":1}"#),
            (Act::Move, r#"{"queue":"q","to":"r","count":0}"#),
            (Act::Kick, r#"{"queue":"q/dead","count":1}"#),
            (Act::Kick, r#"{"queue":"q","count":0}"#),
            (Act::Kick, r#"{"queue":"q","count":-1}"#),
            (Act::Release, r#"{"queue":"q","lease":"9007199254740992"}"#),
            (Act::Release, r#"{"queue":"q","lease":7}"#),
            (Act::Pause, r#"{"queue":"q/dead"}"#),
            (Act::Config, r#"{"queue":"q"}"#),
            (Act::CloseConnection, r#"{"id":"7"}"#),
            (Act::Drain, "{}"),
            (Act::Checkpoint, ""),
        ] {
            assert_eq!(status(act, body), 400, "{body}");
        }
    }

    #[test]
    fn acts_say_what_is_to_be_done() {
        let (q, r) = (queue("q"), queue("r"));
        assert_eq!(good(Act::Purge, r#"{"queue":"q","count":0}"#), Asked::Purge { queue: q.clone(), count: 0 });
        let moves = Asked::Move { from: queue("q/dead"), to: r, count: 3 };
        assert_eq!(good(Act::Move, r#"{"queue":"q/dead","to":"r","count":3}"#), moves);
        assert_eq!(
            good(Act::Release, r#"{"queue":"q","lease":"9007199254740991"}"#),
            Asked::Release { queue: q.clone(), lease: 9_007_199_254_740_991 }
        );
        assert_eq!(good(Act::Resume, r#"{"queue":"q"}"#), Asked::Pause { queue: q, pauses: false });
        assert_eq!(good(Act::CloseConnection, r#"{"id":"1-7"}"#), Asked::Close("1-7".parse().expect("good")));
        assert_eq!(good(Act::Drain, r#"{"on":true}"#), Asked::Drain(true));
        assert_eq!(good(Act::Checkpoint, "{}"), Asked::Checkpoint);
    }
}
