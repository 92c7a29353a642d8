//! What an answer of the server tells a buyer.

use super::check::Told;
use super::wire::Wire;
use crate::answers::{Answer, Dialect};
use crate::workload::{Act, Request};

/// An answer that tells a buyer nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Untold {
    /// It cannot be said now, and is worth another try.
    NotNow(String),
    Nonsense(String),
}

impl std::fmt::Display for Untold {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (Untold::NotNow(line) | Untold::Nonsense(line)) = self;
        write!(f, "a buyer is answered {line:.80}")
    }
}

/// How redis answers when it cannot write, or has not read its data yet.
const REDIS_NOT_NOW: [&[u8]; 6] = [b"LOADING", b"NOSCRIPT", b"MISCONF", b"OOM", b"BUSY", b"READONLY"];

/// What an answer tells a buyer.
pub(super) fn told(act: Act, answer: Answer<'_>) -> Result<Told, Untold> {
    match (answer, act) {
        (Answer::Message { body, .. }, _) => {
            let seat = std::str::from_utf8(body).ok().and_then(|digits| digits.parse().ok());
            let seat = seat.ok_or_else(|| Untold::Nonsense(format!("with the seat {}", body.escape_ascii())))?;
            Ok(if act == Act::Pay { Told::Paid(seat) } else { Told::Seat(seat) })
        }
        (Answer::Empty, Act::Pay) => Ok(Told::NotHeld),
        (Answer::Empty, _) => Ok(Told::Refused),
        (Answer::Error(line), _) => {
            let is_not_now =
                line == b"SERVER_ERROR try again" || REDIS_NOT_NOW.iter().any(|word| line.starts_with(word));
            let line = line.escape_ascii().to_string();
            Err(if is_not_now { Untold::NotNow(line) } else { Untold::Nonsense(line) })
        }
        (other, _) => Err(Untold::Nonsense(format!("{other:?}"))),
    }
}

/// Asks for tickets for these buyers.
pub(super) fn join(
    wire: &mut Wire,
    dialect: &mut Dialect,
    run: u32,
    numbers: impl Iterator<Item = u64>,
) -> Result<Vec<Told>, String> {
    let mut bytes = Vec::new();
    let mut count = 0;
    for number in numbers {
        dialect.append(&mut bytes, Request { act: Act::Join, queue: 0, number }, run);
        count += 1;
    }
    wire.send(&bytes)?;
    let answer = |input: &[u8]| {
        let (used, answer) = dialect.next(input, Act::Join)?;
        Some((used, told(Act::Join, answer).map_err(|trouble| trouble.to_string())))
    };
    (0..count).map(|_| wire.next(answer)?).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_tell_buyers_something() {
        let seat = Answer::Message { queue: None, body: b"17" };
        for (act, answer, wanted) in [
            (Act::Join, seat, Ok(Told::Seat(17))),
            (Act::Pay, seat, Ok(Told::Paid(17))),
            (Act::Join, Answer::Empty, Ok(Told::Refused)),
            (Act::Pay, Answer::Empty, Ok(Told::NotHeld)),
        ] {
            assert_eq!(told(act, answer), wanted);
        }
        for line in [&b"SERVER_ERROR try again"[..], b"LOADING x", b"NOSCRIPT x"] {
            assert!(matches!(told(Act::Join, Answer::Error(line)), Err(Untold::NotNow(_))), "{}", line.escape_ascii());
        }
        for answer in [Answer::Error(b"ERROR"), Answer::Message { queue: None, body: b"x" }, Answer::Stored] {
            assert!(matches!(told(Act::Join, answer), Err(Untold::Nonsense(_))), "{answer:?}");
        }
    }
}
