//! What a get with options does: which options go together, and what they mean.

use super::options::{
    ABORT, BURY, CLOSE, CONFIG, DEAD, DELAY, FOR, GATE, KICK, LEASE, NAME, OPEN, Options, PAID, PEEK, PLACE, RELEASE,
    Set, TICKET, WAIT,
};

/// What is done to a queue for one client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Act<'a> {
    /// Takes a message for good.
    Take {
        /// How long it waits for one, in milliseconds; `None`: not at all.
        wait_ms: Option<u32>,
    },
    /// Opens a message: it is the holder's until it is ended.
    Open {
        /// Who is to hold it.
        holder: Holder<'a>,
        /// When it comes back, in seconds. `None`: as the queue has it.
        lease_s: Option<u32>,
        /// What the connection has open is acknowledged first.
        close: bool,
        /// How long it waits for one, in milliseconds; `None`: not at all.
        wait_ms: Option<u32>,
    },
    /// Looks at the first message, and takes nothing.
    Peek,
    /// Ends what is open.
    End {
        /// Which one.
        which: Which<'a>,
        /// What becomes of it.
        fate: Fate,
    },
    /// Puts dead letters back.
    Kick {
        /// So many at most.
        count: u32,
    },
    /// Says what the queue's settings are.
    Config,
    /// Asks the queue's gate for a ticket.
    Join {
        /// The buyer's name, of 1 byte or more.
        buyer: &'a [u8],
    },
    /// Looks at what a buyer has of the queue's gate.
    Look {
        /// The buyer's name, of 1 byte or more.
        buyer: &'a [u8],
    },
    /// Tells the queue's gate that a buyer has paid.
    Pay {
        /// The buyer's name, of 1 byte or more.
        buyer: &'a [u8],
    },
    /// Says what the queue's gate is at.
    Gate,
}

/// Who holds an open message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Holder<'a> {
    /// The connection.
    Connection,
    /// A name that the client has made up, of 1 to [`TOKEN_BYTES_MAX`](crate::TOKEN_BYTES_MAX) bytes.
    Name(&'a [u8]),
    /// The number of the lease that it is given.
    Number,
}

/// Which open message is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Which<'a> {
    /// What the connection has open, the oldest first.
    Mine,
    /// What a name holds.
    Name(&'a [u8]),
    /// The lease of this number, below [`LEASE_LIMIT`](crate::LEASE_LIMIT), whatever holds it.
    Lease(u64),
}

/// What becomes of an open message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It is done, and gone for good.
    Acknowledge,
    /// It has failed, and goes back.
    Abort {
        /// Not before so many seconds; `None`: as the queue has it.
        delay_s: Option<u32>,
    },
    /// It goes back as if it had not been opened.
    Release {
        /// Not before so many seconds; `None`: as the queue has it.
        delay_s: Option<u32>,
    },
    /// It goes to the dead letters.
    Bury,
}

/// What a get with these options does; `with_number`: a gets. `None`: they do not go together.
pub(crate) fn of_get<'a>(options: &Options<'a>, with_number: bool) -> Option<Act<'a>> {
    // Dead letters are a queue like any other, but have no settings, no gate and no dead letters of their own.
    let wait_ms = options.wait_ms();
    match options.given() & !DEAD {
        0 | WAIT => Some(Act::Take { wait_ms }),
        PEEK => Some(Act::Peek),
        KICK if !options.has(DEAD) => Some(Act::Kick { count: options.kick() }),
        CONFIG if !options.has(DEAD) => Some(Act::Config),
        GATE if !options.has(DEAD) => Some(Act::Gate),
        TICKET if !options.has(DEAD) => Some(Act::Join { buyer: options.buyer() }),
        PLACE if !options.has(DEAD) => Some(Act::Look { buyer: options.buyer() }),
        PAID if !options.has(DEAD) => Some(Act::Pay { buyer: options.buyer() }),
        _ if options.has(OPEN) => open(options, options.for_s(), with_number),
        _ if options.has(CLOSE) => end(options, CLOSE, Fate::Acknowledge),
        _ if options.has(ABORT) => end(options, ABORT | DELAY, Fate::Abort { delay_s: options.delay_s() }),
        _ if options.has(RELEASE) => end(options, RELEASE | DELAY, Fate::Release { delay_s: options.delay_s() }),
        _ if options.has(BURY) && !options.has(DEAD) => end(options, BURY, Fate::Bury),
        _ => None,
    }
}

/// What a gat with these options does; `with_number`: a gats. `None`: they do not go together.
pub(crate) fn of_gat<'a>(options: &Options<'a>, lease_s: u32, with_number: bool) -> Option<Act<'a>> {
    let opens = options.has(OPEN) || !options.has(CLOSE);
    if opens && !options.has(FOR) { open(options, Some(lease_s), with_number) } else { None }
}

/// Opens a message, for so many seconds where that is told.
fn open<'a>(options: &Options<'a>, for_s: Option<u32>, with_number: bool) -> Option<Act<'a>> {
    let holder = match options.name() {
        Some(name) => Holder::Name(name),
        None if with_number && for_s.is_some() => Holder::Number,
        None => Holder::Connection,
    };
    let close = options.has(CLOSE);
    // What a name or a number holds is not what the connection has open: repeated, the close would acknowledge what was
    // never seen, or nothing at all.
    let good = is_only(options, OPEN | CLOSE | WAIT | NAME | FOR) && (!close || holder == Holder::Connection);
    let lease_s = for_s.filter(|seconds| *seconds > 0);
    good.then_some(Act::Open { holder, lease_s, close, wait_ms: options.wait_ms() })
}

fn end<'a>(options: &Options<'a>, allowed: Set, fate: Fate) -> Option<Act<'a>> {
    let which = which(options, allowed)?;
    Some(Act::End { which, fate })
}

/// Which open message is meant by options that are `as=` or `lease=`, or these.
pub(crate) fn which<'a>(options: &Options<'a>, allowed: Set) -> Option<Which<'a>> {
    let which = match (options.name(), options.lease()) {
        (None, None) => Which::Mine,
        (Some(name), None) => Which::Name(name),
        (None, Some(lease)) => Which::Lease(lease),
        (Some(_), Some(_)) => return None,
    };
    is_only(options, allowed | NAME | LEASE).then_some(which)
}

/// Whether there is no other option than these; the dead letters can have all that a queue has.
pub(crate) fn is_only(options: &Options<'_>, allowed: Set) -> bool {
    options.given() & !(allowed | DEAD) == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn get(tail: &str) -> Option<Act<'_>> {
        of_get(&Options::read(tail.as_bytes())?.1, false)
    }

    fn gets(tail: &str) -> Option<Act<'_>> {
        of_get(&Options::read(tail.as_bytes())?.1, true)
    }

    fn gat(tail: &str, with_number: bool) -> Option<Act<'_>> {
        of_gat(&Options::read(tail.as_bytes())?.1, 30, with_number)
    }

    fn opens(holder: Holder<'_>, lease_s: Option<u32>) -> Option<Act<'_>> {
        Some(Act::Open { holder, lease_s, close: false, wait_ms: None })
    }

    #[test]
    fn takes_and_looks() {
        for tail in ["q", "q/dead"] {
            assert_eq!(get(tail), Some(Act::Take { wait_ms: None }));
            assert_eq!(get(&format!("{tail}/t=9")), Some(Act::Take { wait_ms: Some(9) }));
            assert_eq!(gets(&format!("{tail}/peek")), Some(Act::Peek));
        }
        assert_eq!(get("q/kick=100"), Some(Act::Kick { count: 100 }));
        assert_eq!(get("q/config"), Some(Act::Config));
    }

    #[test]
    fn what_is_asked_of_a_gate() {
        assert_eq!(get("c/ticket=a/b"), Some(Act::Join { buyer: b"a/b" }));
        assert_eq!(gets("c/place=a"), Some(Act::Look { buyer: b"a" }));
        assert_eq!(get("c/paid=a"), Some(Act::Pay { buyer: b"a" }));
        assert_eq!(get("c/gate"), Some(Act::Gate));
    }

    #[test]
    fn who_holds_an_open_message() {
        assert_eq!(get("q/open"), opens(Holder::Connection, None));
        assert_eq!(gets("q/open"), opens(Holder::Connection, None));
        assert_eq!(get("q/dead/open/for=30"), opens(Holder::Connection, Some(30)));
        assert_eq!(gets("q/open/for=30"), opens(Holder::Number, Some(30)));
        assert_eq!(gets("q/open/for=0"), opens(Holder::Number, None), "0 is the queue's own");
        assert_eq!(get("q/open/as=a"), opens(Holder::Name(b"a"), None));
        assert_eq!(gets("q/as=a/for=5/open"), opens(Holder::Name(b"a"), Some(5)));
        for (tail, holder) in
            [("q", Holder::Connection), ("q/open", Holder::Connection), ("q/as=a", Holder::Name(b"a"))]
        {
            assert_eq!(gat(tail, false), opens(holder, Some(30)));
        }
        assert_eq!(gat("q", true), opens(Holder::Number, Some(30)));
        let close = Act::Open { holder: Holder::Connection, lease_s: Some(3), close: true, wait_ms: Some(5) };
        assert_eq!(get("q/close/open/for=3/t=5"), Some(close));
    }

    #[test]
    fn what_becomes_of_an_open_message() {
        let fates = [
            ("close", Fate::Acknowledge),
            ("abort", Fate::Abort { delay_s: None }),
            ("abort/delay=5", Fate::Abort { delay_s: Some(5) }),
            ("release", Fate::Release { delay_s: None }),
            ("release/delay=0", Fate::Release { delay_s: Some(0) }),
            ("bury", Fate::Bury),
        ];
        for (word, fate) in fates {
            assert_eq!(get(&format!("q/{word}")), Some(Act::End { which: Which::Mine, fate }));
            assert_eq!(gets(&format!("q/{word}/as=a")), Some(Act::End { which: Which::Name(b"a"), fate }));
            assert_eq!(get(&format!("q/lease=7/{word}")), Some(Act::End { which: Which::Lease(7), fate }));
            assert_eq!(get(&format!("q/{word}/as=a/lease=7")), None);
        }
    }

    #[test]
    fn what_does_not_go_together() {
        for tail in [
            "as=a",
            "for=3",
            "lease=7",
            "delay=5",
            "id=a",
            "open/peek",
            "peek/t=1",
            "open/lease=7",
            "open/delay=5",
            "close/t=5",
            "close/for=5",
            "close/delay=5",
            "close/abort",
            "abort/open",
            "abort/release",
            "bury/delay=5",
            "close/open/as=a",
            "close/as=a/open",
            "close/open/lease=7",
            "kick=1/dead",
            "kick=1/t=5",
            "config/dead",
            "config/open",
            "dead/bury",
            "open/id=a",
            "t=5/for=5",
            "peek/dead/open",
            "gate/dead",
            "open/gate",
            "gate/t=5",
            "dead/ticket=a",
            "open/ticket=a",
            "t=5/ticket=a",
            "close/place=a",
            "gate/paid=a",
        ] {
            let tail = format!("q/{tail}");
            assert_eq!((get(&tail), gets(&tail)), (None, None), "{tail}");
        }
        assert_eq!(gets("q/close/open/for=3"), None, "the number holds it, so the next close would not close it");
        for tail in
            ["q/for=5", "q/close", "q/peek", "q/abort", "q/lease=7", "q/delay=5", "q/config", "q/kick=5", "q/id=a"]
                .into_iter()
                .chain(["q/gate", "q/ticket=a", "q/place=a", "q/paid=a"])
        {
            assert_eq!((gat(tail, false), gat(tail, true)), (None, None), "{tail}");
        }
        assert_eq!(gat("q/close/open", true), None);
    }
}
