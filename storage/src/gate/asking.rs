//! What a buyer asks of a gate, what it is told, and what an operator sees.

/// What a buyer asks of a gate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GateAct<'a> {
    /// Asks for a ticket. A buyer that has one is told of that.
    Join {
        /// The message that goes into the queue with the ticket, flags and body; `None`: the buyer's name.
        message: Option<(u32, &'a [u8])>,
        /// Whether a ticket may be given: false while the server is drained. Tickets that were given are told all the same.
        admits: bool,
    },
    /// Looks at what the buyer has.
    Look,
    /// The buyer has paid: the ticket is for good.
    Pay,
    /// Gives the buyer so many seconds more to pay.
    Extend {
        /// Seconds, from 1.
        seconds: u32,
    },
    /// Gives the ticket or the place in line back.
    Return,
}

/// What a gate tells a buyer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GateAnswer {
    /// To a join: the buyer has a ticket with this seat, from 1. To a pay: it is paid.
    Seat(u32),
    /// To a look: the buyer has a ticket with this seat, and so many seconds left to pay, rounded up.
    Held {
        /// From 1.
        seat: u32,
        /// Seconds.
        left_s: u64,
    },
    /// To a look: the buyer has a ticket with this seat for good.
    Paid {
        /// From 1.
        seat: u32,
    },
    /// To a join or a look: the buyer is in line, as the first (1) or one further behind.
    InLine(u64),
    /// To a join: all tickets are given, or the gate is closed.
    SoldOut,
    /// To a join: it cannot be said now, and is worth another try. There is no gate, or its time has not come, or the disk is
    /// full, or the server is drained.
    NotNow,
    /// The buyer has no ticket.
    Unknown,
    /// The ticket was given back, or there is more time to pay.
    Done,
    /// To an extend: the buyer has had more time as often as may be.
    NoMoreTime,
}

/// What a gate tells a buyer, and when it may be told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GateAnswered {
    /// What it tells.
    pub answer: GateAnswer,
    /// Whether it may be told only when [`Store::changed`](crate::Store::changed) is safe.
    pub waits: bool,
}

/// What a gate is at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GateState {
    /// Its queue has no `tickets=` by now.
    None,
    /// Its time has not come.
    Before,
    /// There are tickets.
    Open,
    /// All tickets are given.
    SoldOut,
    /// Its time is over.
    Closed,
}

/// What an operator sees of a gate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GateFigures {
    /// Tickets that there are.
    pub tickets: u64,
    /// Tickets that were given, those that were returned or have lapsed since with them.
    pub given: u64,
    /// Tickets that are paid, or were final at once.
    pub paid: u64,
    /// Tickets that are to be paid.
    pub held: u64,
    /// Tickets that were given back.
    pub returned: u64,
    /// Tickets that were not paid in time.
    pub lapsed: u64,
    /// Buyers in line.
    pub line: u64,
    /// Joins that were refused, since the start.
    pub refused: u64,
    /// Joins of buyers that had a ticket or a place in line, since the start.
    pub repeats: u64,
    /// What it is at.
    pub state: GateState,
    /// When the first ticket was given, in milliseconds since 1970; 0: none was.
    pub first_ms: u64,
    /// When the last ticket was given, likewise.
    pub last_ms: u64,
    /// How the rush has gone.
    pub curve: GateCurve,
}

/// How many seats were given and how many joins refused in intervals of one width, since the start.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct GateCurve {
    /// When the first interval begins, in milliseconds since 1970; 0: nothing was given or refused.
    pub start_ms: u64,
    /// Milliseconds of each.
    pub width_ms: u64,
    /// Seats that were given in each.
    pub given: Vec<u64>,
    /// Joins that were refused in each.
    pub refused: Vec<u64>,
}

impl GateCurve {
    /// One of a gate that has given and refused nothing.
    pub const EMPTY: GateCurve = GateCurve { start_ms: 0, width_ms: 0, given: Vec::new(), refused: Vec::new() };
}
