//! How many tickets a gate may have had when, and what follows from its refusals.

/// So many tickets, from a tick on until another one, as far as clients can tell.
#[derive(Debug, Clone, Copy)]
struct Span {
    from: u64,
    until: u64,
    tickets: u32,
}

#[derive(Debug, Default)]
pub(crate) struct Tickets {
    spans: Vec<Span>,
    most: u32,
    /// A client asks for another number, and was not told whether it is so.
    is_under_way: bool,
    /// When a client was told first that it is a gate.
    told_at: Option<u64>,
    /// Refusals since all was at rest last: when each was asked for, and told.
    refusals: Vec<(u64, u64)>,
    /// So many had been returned or had lapsed when all was at rest last.
    gone: u64,
    /// So many were given, those that are gone with them, or a refusal was none.
    pub(crate) given_at_least: u64,
}

impl Tickets {
    /// The most that there ever may have been.
    pub(crate) fn most(&self) -> u32 {
        self.most
    }

    /// Whether a client was told by then that it is a gate.
    pub(crate) fn is_told(&self, tick: u64) -> bool {
        self.told_at.is_some_and(|told| told < tick)
    }

    /// How many there are, if only one number is possible.
    pub(crate) fn settled(&self) -> Option<u32> {
        let mut open = self.spans.iter().filter(|span| span.until == u64::MAX);
        open.next().filter(|_| open.next().is_none()).map(|span| span.tickets)
    }

    /// Whether a client may ask for another number now.
    pub(crate) fn may_change(&self) -> bool {
        !self.is_under_way
    }

    /// Notes that a client asks for so many.
    pub(crate) fn ask(&mut self, tick: u64, tickets: u32) {
        self.spans.push(Span { from: tick, until: u64::MAX, tickets });
        self.most = self.most.max(tickets);
        self.is_under_way = true;
    }

    /// Notes that the client that has asked last is told that it is done, or was refused.
    pub(crate) fn tell(&mut self, tick: u64, is_done: bool) {
        self.is_under_way = false;
        if is_done {
            self.told_at.get_or_insert(tick);
        }
        let last = self.spans.len() - 1;
        for (at, span) in self.spans.iter_mut().enumerate().filter(|(_, span)| span.until == u64::MAX) {
            if (at < last) == is_done {
                span.until = tick;
            }
        }
    }

    /// Notes that a client was told that all tickets are given.
    pub(crate) fn refused(&mut self, asked: u64, told: u64) {
        self.refusals.push((asked, told));
        self.given_at_least = self.given_at_least.max(self.fewest(asked, told));
    }

    /// The fewest that there may have been within two ticks.
    fn fewest(&self, from: u64, until: u64) -> u64 {
        let spans = self.spans.iter().filter(|span| span.from <= until && from <= span.until);
        let fewest = spans.map(|span| span.tickets).min().expect("a gate that refuses has a number of tickets");
        u64::from(fewest) + self.gone
    }

    /// Notes how many there are, and are gone, now that nothing is under way. Another number that a client has asked for,
    /// and that is not there, was never so, and no refusal may rest on it.
    pub(crate) fn rest(&mut self, tick: u64, (tickets, gone): (Option<u32>, u64)) {
        self.is_under_way = false;
        let open = |span: &Span| span.until == u64::MAX;
        let survivor = self.spans.iter().rposition(|span| open(span) && Some(span.tickets) == tickets);
        match survivor {
            Some(survivor) => {
                self.spans.iter_mut().take(survivor).filter(|span| open(span)).for_each(|span| span.until = tick);
                self.spans.truncate(survivor + 1);
            }
            None => {
                assert!(self.told_at.is_none() && tickets.is_none(), "{self:?}, and there are {tickets:?}");
                self.spans.clear();
            }
        }
        for (asked, told) in std::mem::take(&mut self.refusals) {
            assert!(!self.spans.is_empty(), "a refusal rests on what was never so");
            self.given_at_least = self.given_at_least.max(self.fewest(asked, told));
        }
        self.gone = gone;
    }
}
