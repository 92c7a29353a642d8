//! What a gate tells, in the words of the command that asked.

use protocol::reply;
use shards::{GateAnswer, GateFigures, GateState};

/// The command that has asked a gate for a buyer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Door {
    /// A get or a gets that joins, or says that the buyer has paid.
    Get {
        with_number: bool,
    },
    /// A get or a gets that looks.
    Look {
        with_number: bool,
    },
    Incr,
    Add,
    Touch,
    Delete,
}

/// Writes what a gate has answered. `key`: as the client has it.
pub(crate) fn write(out: &mut Vec<u8>, door: Door, key: &[u8], answer: GateAnswer) {
    // Never the words for no ticket: the client would not ask again.
    let text = match (door, answer) {
        (_, GateAnswer::NotNow) => reply::TRY_AGAIN,
        (_, GateAnswer::NoMoreTime) => reply::NO_MORE_TIME,
        (Door::Get { with_number }, GateAnswer::Seat(seat)) => value(out, key, with_number, &seat.to_string()),
        (Door::Look { with_number }, answer) => match looked(answer) {
            Some(text) => value(out, key, with_number, &text),
            None => reply::END,
        },
        (Door::Get { .. }, _) => reply::END,
        (Door::Incr, GateAnswer::Seat(seat)) => {
            reply::number(out, u64::from(seat));
            b""
        }
        (Door::Add, GateAnswer::Seat(_)) => reply::STORED,
        (Door::Add, _) => reply::NOT_STORED,
        (Door::Touch, GateAnswer::Seat(_) | GateAnswer::Done) => reply::TOUCHED,
        (Door::Delete, GateAnswer::Done) => reply::DELETED,
        (Door::Incr | Door::Touch | Door::Delete, _) => reply::NOT_FOUND,
    };
    out.extend_from_slice(text);
}

/// What a buyer has who looks. `None`: nothing.
fn looked(answer: GateAnswer) -> Option<String> {
    match answer {
        GateAnswer::Held { seat, left_s } => Some(format!("{seat} held {left_s}")),
        GateAnswer::Paid { seat } => Some(format!("{seat} paid")),
        GateAnswer::InLine(place) => Some(format!("{place} line")),
        _ => None,
    }
}

/// Appends a value, and returns what ends it.
fn value(out: &mut Vec<u8>, key: &[u8], with_number: bool, text: &str) -> &'static [u8] {
    match with_number {
        true => reply::value_with_number(out, key, 0, 0, text.as_bytes()),
        false => reply::value(out, key, 0, text.as_bytes()),
    }
    reply::END
}

/// A gate's figures in their order.
pub(crate) fn list(figures: &GateFigures) -> [(&'static str, String); 12] {
    let state = match figures.state {
        GateState::None => "none",
        GateState::Before => "before",
        GateState::Open => "open",
        GateState::SoldOut => "sold_out",
        GateState::Closed => "closed",
    };
    let counts = |count: u64| count.to_string();
    [
        ("tickets", counts(figures.tickets)),
        ("given", counts(figures.given)),
        ("paid", counts(figures.paid)),
        ("held", counts(figures.held)),
        ("returned", counts(figures.returned)),
        ("lapsed", counts(figures.lapsed)),
        ("line", counts(figures.line)),
        ("refused", counts(figures.refused)),
        ("repeats", counts(figures.repeats)),
        ("state", state.to_owned()),
        ("first", seconds(figures.first_ms)),
        ("last", seconds(figures.last_ms)),
    ]
}

/// A moment as Unix seconds.
fn seconds(ms: u64) -> String {
    match ms {
        0 => String::from("0"),
        ms => format!("{}.{:03}", ms / 1000, ms % 1000),
    }
}

/// A gate's figures on one line, as settings are told.
pub(crate) fn line(figures: &GateFigures) -> String {
    list(figures).map(|(name, value)| format!("{name}={value}")).join(" ")
}
