//! Entries: what a frame is made of. One entry is one change of one queue, or of all.
//!
//! All numbers are little-endian. An entry begins with its kind, one byte:
//!
//! ```text
//! record  1  queue u64  head u64  next u64  sets u64  gets u64  name bytes u16  settings bytes u16  name  settings
//! put     2  queue u64  seq u64  flags u32  body bytes u32  checksum u32  body
//! take    3  queue u64  seq u64
//! drop    4  queue u64
//! flush   5
//! gone    6  queue u64  begins u8  bytes u16  ranges
//! told    7  queue u64  settings bytes u16  settings
//! time    8  second u32  leases u64
//! state   9  queue u64  seq u64  tries u8  not before u64  expires u64
//! id     10  queue u64  until u32  bytes u8  token
//! also   11  bytes u16  pairs
//! ticket 12  queue u64  key u64  what u8  extended u8  until u64  seq u64  given u64  at u64  bytes u8  buyer
//! freed  13  queue u64  key u64  why u8  count u64
//! gate   14  queue u64  given u64  returned u64  lapsed u64  places u64  first u64  last u64
//! ```
//!
//! A take takes any message of its queue. The numbers above the head that are gone follow from the takes behind the
//! queue's record; those before it are listed by the gones that stand right in front of it, in pieces, when the record
//! is copied forward, the first of which has 1 for `begins`. So all that says what a queue is, apart from its messages,
//! lies between its record, with what is in front of it, and the log's end. `told` gives a queue other settings than
//! its record has.
//!
//! A time is the second since 1970 in which the puts behind it in its segment were made, up to the next time: it is said
//! when it changes, so that a put has no bytes for it, and copies of old puts have theirs in front. `leases`: numbers of
//! deliveries below this one may have been given. A state is what a message has beside its body, and replaces the one
//! before; it stands behind the message's put, and goes forward with it.
//!
//! An id is what a put was called: a second one of the same queue and token, before the second `until` since 1970, is the
//! same put once more, and is not put. It stands in the frame of its put, and replaces the one before.
//!
//! An also stands right in front of a put, which is then the message of several queues: of the one that it names, and of
//! these, as [pairs](crate::log::pairs) of queue and number.
//!
//! A ticket is what a buyer has of a queue's gate, in place of what was said of the same key before: a seat, up to 2^31,
//! or, from 2^32 on, a place in line. When it is new its message stands right behind it, with nothing but an `also` between
//! them; it is `given` as the nth ticket, and counts as such however often it is replayed. Freed says that it is no more.
//! Gate is what was counted so far, and stands right behind the record of a queue that has one.
//!
//! A flush drops the messages of all queues that there are so far: one byte, however many queues those are. The records
//! that the queues have in the log stay as they were, and are right together with the flush behind them: segments leave
//! in their order, so an older record is copied forward, and known by its new numbers, before the flush can leave.
//!
//! The checksum of a put is the CRC-32 of all of it but the checksum itself. The frame's checksum covers it too; this
//! one lets a body be verified that is read alone, long after its frame was.
//!
//! Replaying entries is idempotent. A record's numbers only ever grow, so an old one changes nothing; a put whose
//! number is below the queue's `next` is a copy of a message that is known; a take of what is gone changes nothing. A
//! flush is told by its place in the log from those that a checkpoint's records know already.

use crc32fast::Hasher;

use crate::log::codec::Reader;
use crate::log::frame::NUMBER_END;
use crate::log::pairs::are_pairs;
use crate::log::ranges::are_ranges;
use crate::log::tickets::{BUYER_BYTES_MAX, Freed, Key, Tally, Terms};
use crate::names::NAME_BYTES_MAX;

/// Names a queue in the log. Never reused, not even when the queue is deleted and made anew.
pub type QueueId = u64;
/// Numbers the messages of a queue, from 1 on. Never reused.
pub type Seq = u64;

const RECORD: u8 = 1;
const PUT: u8 = 2;
const TAKE: u8 = 3;
const DROP: u8 = 4;
const FLUSH: u8 = 5;
const GONE: u8 = 6;
const TOLD: u8 = 7;
const TIME: u8 = 8;
const STATE: u8 = 9;
const ID: u8 = 10;
const ALSO: u8 = 11;
const TICKET: u8 = 12;
const FREED: u8 = 13;
const GATE: u8 = 14;

/// Bytes of a put before its body.
pub(crate) const PUT_HEADER_BYTES: usize = 29;
/// Bytes of a take.
pub(crate) const TAKE_BYTES: usize = 17;
/// Bytes of a drop.
pub(crate) const DROP_BYTES: usize = 9;
/// Bytes of a flush.
pub(crate) const FLUSH_BYTES: usize = 1;
/// Bytes of a time.
pub(crate) const TIME_BYTES: usize = 13;
/// Bytes of a state.
pub(crate) const STATE_BYTES: usize = 34;
/// Bytes that say that a ticket is no more.
pub(crate) const FREED_BYTES: usize = 26;
/// Bytes of what was counted of a gate.
pub(crate) const GATE_BYTES: usize = 57;
const TICKET_HEADER_BYTES: usize = 52;
/// What a ticket's entry may say of it: its message is behind it; that is kept back.
const WITH_MESSAGE: u8 = 1;
const KEPT_BACK: u8 = 2;
const RECORD_HEADER_BYTES: usize = 45;
const GONE_HEADER_BYTES: usize = 12;
const TOLD_HEADER_BYTES: usize = 11;
const ID_HEADER_BYTES: usize = 14;
const ALSO_HEADER_BYTES: usize = 3;
/// Bytes of the longest token of an id.
pub const ID_BYTES_MAX: usize = 255;
/// Bytes of the longest settings.
pub const SETTINGS_BYTES_MAX: usize = 1024;
/// Bytes of the longest record.
pub(crate) const RECORD_BYTES_MAX: usize = RECORD_HEADER_BYTES + NAME_BYTES_MAX + SETTINGS_BYTES_MAX;
const PUT_CHECKSUM_AT: usize = 25;

/// One change of one queue, or the one of all queues.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Entry<'a> {
    Record(Record<'a>),
    Put {
        queue: QueueId,
        seq: Seq,
        flags: u32,
        body: &'a [u8],
    },
    Take {
        queue: QueueId,
        seq: Seq,
    },
    Drop {
        queue: QueueId,
    },
    Flush,
    /// Numbers of a queue that are gone, as [`ranges`](crate::log::ranges). The first of a list in front of a record
    /// begins it.
    Gone {
        queue: QueueId,
        begins: bool,
        ranges: &'a [u8],
    },
    /// The settings of a queue.
    Told {
        queue: QueueId,
        settings: &'a [u8],
    },
    /// When the puts behind it were made, and below which number leases may have been given.
    Time(Time),
    /// What a message has beside its body.
    State {
        queue: QueueId,
        seq: Seq,
        state: State,
    },
    /// What the put of a message of the queue was called, which is remembered until this second since 1970.
    Id {
        queue: QueueId,
        until_s: u32,
        token: &'a [u8],
    },
    /// The put behind it is a message of these queues, too.
    Also {
        pairs: &'a [u8],
    },
    /// What a buyer has of the gate of a queue.
    Ticket(TicketEntry<'a>),
    /// A ticket or a place in line is no more, as so many before that went for this reason.
    Freed {
        queue: QueueId,
        key: Key,
        why: Freed,
        count: u64,
    },
    /// What was counted of the gate of a queue.
    Gate {
        queue: QueueId,
        tally: Tally,
    },
}

/// What a buyer has of the gate of a queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct TicketEntry<'a> {
    pub(crate) queue: QueueId,
    pub(crate) key: Key,
    pub(crate) buyer: &'a [u8],
    pub(crate) terms: Terms,
    /// Its message is the put behind it.
    pub(crate) with_message: bool,
    /// It was given now, as the nth ticket of the gate; 0: it was there before, or is a place in line.
    pub(crate) given: u64,
    /// When it was given, in milliseconds since 1970; 0: it was there before.
    pub(crate) at_ms: u64,
}

/// The time of puts, and how far the numbers of leases are used.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Time {
    /// Since 1970; 0 when it is not known.
    pub(crate) second: u32,
    /// Leases may have got numbers below this one.
    pub(crate) leases: u64,
}

/// What a message has beside its body; most have nothing.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct State {
    /// Tries that have failed; [`BURIED`]: it goes to the dead letters.
    pub(crate) tries: u8,
    /// It is not handed out before, in milliseconds since 1970; 0: at any time.
    pub(crate) not_before: u64,
    /// It is worth nothing from then on, in milliseconds since 1970; 0: it never is.
    pub(crate) expires: u64,
}

/// In place of a number of tries: the message goes to the dead letters.
pub(crate) const BURIED: u8 = u8::MAX;

/// All that is known of a queue, apart from its messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Record<'a> {
    pub(crate) queue: QueueId,
    pub(crate) name: &'a [u8],
    /// What the queue was told, in a form of its own.
    pub(crate) settings: &'a [u8],
    /// Messages below this number are gone.
    pub(crate) head: Seq,
    /// The number that the next message gets.
    pub(crate) next: Seq,
    /// Messages put since the queue was made.
    pub(crate) sets: u64,
    /// Messages taken since the queue was made.
    pub(crate) gets: u64,
}

/// Bytes that a put with a body of `body_bytes` takes in a frame.
pub(crate) fn put_bytes(body_bytes: usize) -> usize {
    PUT_HEADER_BYTES + body_bytes
}

/// Bytes that the record of a queue with this name and these settings takes in a frame.
pub(crate) fn record_bytes(name: &[u8], settings: &[u8]) -> usize {
    RECORD_HEADER_BYTES + name.len() + settings.len()
}

/// Bytes that a list of gone numbers takes in a frame, whose ranges take so many.
pub(crate) const fn gone_bytes(ranges_bytes: usize) -> usize {
    GONE_HEADER_BYTES + ranges_bytes
}

/// Bytes that settings of so many bytes take in a frame.
pub(crate) const fn told_bytes(settings_bytes: usize) -> usize {
    TOLD_HEADER_BYTES + settings_bytes
}

/// Bytes that an id with a token of so many bytes takes in a frame.
pub(crate) const fn id_bytes(token_bytes: usize) -> usize {
    ID_HEADER_BYTES + token_bytes
}

/// Bytes that say of a put that it is a message of more queues, whose pairs take so many.
pub(crate) const fn also_bytes(pairs_bytes: usize) -> usize {
    ALSO_HEADER_BYTES + pairs_bytes
}

/// Bytes that the ticket of a buyer takes in a frame whose name has so many.
pub(crate) const fn ticket_bytes(buyer_bytes: usize) -> usize {
    TICKET_HEADER_BYTES + buyer_bytes
}

impl<'a> Entry<'a> {
    /// Appends the entry.
    pub(crate) fn encode(&self, out: &mut Vec<u8>) {
        match *self {
            Entry::Record(record) => {
                out.push(RECORD);
                for number in [record.queue, record.head, record.next, record.sets, record.gets] {
                    out.extend_from_slice(&number.to_le_bytes());
                }
                out.extend_from_slice(&(record.name.len() as u16).to_le_bytes());
                out.extend_from_slice(&(record.settings.len() as u16).to_le_bytes());
                out.extend_from_slice(record.name);
                out.extend_from_slice(record.settings);
            }
            Entry::Put { queue, seq, flags, body } => {
                let mut header = [0; PUT_HEADER_BYTES];
                header[0] = PUT;
                header[1..9].copy_from_slice(&queue.to_le_bytes());
                header[9..17].copy_from_slice(&seq.to_le_bytes());
                header[17..21].copy_from_slice(&flags.to_le_bytes());
                header[21..25].copy_from_slice(&(body.len() as u32).to_le_bytes());
                let checksum = put_checksum(&header[..PUT_CHECKSUM_AT], body);
                header[PUT_CHECKSUM_AT..].copy_from_slice(&checksum.to_le_bytes());
                out.extend_from_slice(&header);
                out.extend_from_slice(body);
            }
            Entry::Take { queue, seq } => {
                let mut entry = [0; TAKE_BYTES];
                entry[0] = TAKE;
                entry[1..9].copy_from_slice(&queue.to_le_bytes());
                entry[9..].copy_from_slice(&seq.to_le_bytes());
                out.extend_from_slice(&entry);
            }
            Entry::Drop { queue } => {
                out.push(DROP);
                out.extend_from_slice(&queue.to_le_bytes());
            }
            Entry::Flush => out.push(FLUSH),
            Entry::Gone { queue, begins, ranges } => {
                out.push(GONE);
                out.extend_from_slice(&queue.to_le_bytes());
                out.push(u8::from(begins));
                out.extend_from_slice(&(ranges.len() as u16).to_le_bytes());
                out.extend_from_slice(ranges);
            }
            Entry::Told { queue, settings } => {
                out.push(TOLD);
                out.extend_from_slice(&queue.to_le_bytes());
                out.extend_from_slice(&(settings.len() as u16).to_le_bytes());
                out.extend_from_slice(settings);
            }
            Entry::Time(Time { second, leases }) => {
                out.push(TIME);
                out.extend_from_slice(&second.to_le_bytes());
                out.extend_from_slice(&leases.to_le_bytes());
            }
            Entry::State { queue, seq, state } => {
                out.push(STATE);
                out.extend_from_slice(&queue.to_le_bytes());
                out.extend_from_slice(&seq.to_le_bytes());
                out.push(state.tries);
                out.extend_from_slice(&state.not_before.to_le_bytes());
                out.extend_from_slice(&state.expires.to_le_bytes());
            }
            Entry::Id { queue, until_s, token } => {
                out.push(ID);
                out.extend_from_slice(&queue.to_le_bytes());
                out.extend_from_slice(&until_s.to_le_bytes());
                out.push(token.len() as u8);
                out.extend_from_slice(token);
            }
            Entry::Also { pairs } => {
                out.push(ALSO);
                out.extend_from_slice(&(pairs.len() as u16).to_le_bytes());
                out.extend_from_slice(pairs);
            }
            Entry::Ticket(TicketEntry { queue, key, buyer, terms, with_message, given, at_ms }) => {
                out.push(TICKET);
                out.extend_from_slice(&queue.to_le_bytes());
                out.extend_from_slice(&key.number().to_le_bytes());
                let kept_back = if terms.kept_back { KEPT_BACK } else { 0 };
                out.extend_from_slice(&[if with_message { WITH_MESSAGE } else { 0 } | kept_back, terms.extended]);
                for number in [terms.until, terms.seq, given, at_ms] {
                    out.extend_from_slice(&number.to_le_bytes());
                }
                out.push(buyer.len() as u8);
                out.extend_from_slice(buyer);
            }
            Entry::Freed { queue, key, why, count } => {
                out.push(FREED);
                out.extend_from_slice(&queue.to_le_bytes());
                out.extend_from_slice(&key.number().to_le_bytes());
                out.push(why as u8);
                out.extend_from_slice(&count.to_le_bytes());
            }
            Entry::Gate { queue, tally: Tally { given, returned, lapsed, places, first_ms, last_ms } } => {
                out.push(GATE);
                for number in [queue, given, returned, lapsed, places, first_ms, last_ms] {
                    out.extend_from_slice(&number.to_le_bytes());
                }
            }
        }
    }

    /// Reads the next entry. `None`: these bytes are no entry.
    pub(crate) fn decode(reader: &mut Reader<'a>) -> Option<Entry<'a>> {
        let whole = reader.clone().bytes(reader.remaining())?;
        match reader.u8()? {
            RECORD => {
                let (queue, head, next) = (reader.u64()?, reader.u64()?, reader.u64()?);
                let (sets, gets) = (reader.u64()?, reader.u64()?);
                let (name_bytes, settings_bytes) = (reader.u16()?, reader.u16()?);
                let name = reader.bytes(usize::from(name_bytes))?;
                let settings = reader.bytes(usize::from(settings_bytes))?;
                let good = head <= next && is_possible(&[queue, next, sets, gets]);
                good.then_some(Entry::Record(Record { queue, name, settings, head, next, sets, gets }))
            }
            PUT => {
                let (queue, seq, flags) = (reader.u64()?, reader.u64()?, reader.u32()?);
                let (body_bytes, checksum) = (reader.u32()?, reader.u32()?);
                let body = reader.bytes(body_bytes as usize)?;
                let good = put_checksum(&whole[..PUT_CHECKSUM_AT], body) == checksum && is_possible(&[queue, seq]);
                good.then_some(Entry::Put { queue, seq, flags, body })
            }
            TAKE => {
                let (queue, seq) = (reader.u64()?, reader.u64()?);
                is_possible(&[queue, seq]).then_some(Entry::Take { queue, seq })
            }
            DROP => {
                let queue = reader.u64()?;
                is_possible(&[queue]).then_some(Entry::Drop { queue })
            }
            FLUSH => Some(Entry::Flush),
            GONE => {
                let (queue, begins, bytes) = (reader.u64()?, reader.u8()?, reader.u16()?);
                let ranges = reader.bytes(usize::from(bytes))?;
                let good = is_possible(&[queue]) && begins <= 1 && are_ranges(ranges);
                good.then_some(Entry::Gone { queue, begins: begins == 1, ranges })
            }
            TOLD => {
                let (queue, bytes) = (reader.u64()?, reader.u16()?);
                let settings = reader.bytes(usize::from(bytes))?;
                is_possible(&[queue]).then_some(Entry::Told { queue, settings })
            }
            TIME => {
                let (second, leases) = (reader.u32()?, reader.u64()?);
                is_possible(&[leases]).then_some(Entry::Time(Time { second, leases }))
            }
            STATE => {
                let (queue, seq, tries) = (reader.u64()?, reader.u64()?, reader.u8()?);
                let (not_before, expires) = (reader.u64()?, reader.u64()?);
                let good = is_possible(&[queue, seq, not_before, expires]);
                good.then_some(Entry::State { queue, seq, state: State { tries, not_before, expires } })
            }
            ID => {
                let (queue, until_s, bytes) = (reader.u64()?, reader.u32()?, reader.u8()?);
                let token = reader.bytes(usize::from(bytes))?;
                (is_possible(&[queue]) && !token.is_empty()).then_some(Entry::Id { queue, until_s, token })
            }
            ALSO => {
                let bytes = reader.u16()?;
                let pairs = reader.bytes(usize::from(bytes))?;
                are_pairs(pairs).then_some(Entry::Also { pairs })
            }
            TICKET => {
                let (queue, key, what, extended) = (reader.u64()?, reader.u64()?, reader.u8()?, reader.u8()?);
                let (until, seq, given, at_ms) = (reader.u64()?, reader.u64()?, reader.u64()?, reader.u64()?);
                let bytes = reader.u8()?;
                let buyer = reader.bytes(usize::from(bytes))?;
                let good = is_possible(&[queue, key, until, seq, given, at_ms])
                    && what <= WITH_MESSAGE | KEPT_BACK
                    && (1..=BUYER_BYTES_MAX).contains(&buyer.len());
                let terms = Terms { until, seq, extended, kept_back: what & KEPT_BACK != 0 };
                let (key, with_message) = (Key::from_number(key)?, what & WITH_MESSAGE != 0);
                good.then_some(Entry::Ticket(TicketEntry { queue, key, buyer, terms, with_message, given, at_ms }))
            }
            FREED => {
                let (queue, key, why, count) = (reader.u64()?, reader.u64()?, reader.u8()?, reader.u64()?);
                let (key, why) = (Key::from_number(key)?, Freed::from_byte(why)?);
                is_possible(&[queue, key.number(), count]).then_some(Entry::Freed { queue, key, why, count })
            }
            GATE => {
                let (queue, given, returned, lapsed) = (reader.u64()?, reader.u64()?, reader.u64()?, reader.u64()?);
                let (places, first_ms, last_ms) = (reader.u64()?, reader.u64()?, reader.u64()?);
                let good = is_possible(&[queue, given, returned, lapsed, places, first_ms, last_ms]);
                let tally = Tally { given, returned, lapsed, places, first_ms, last_ms };
                good.then_some(Entry::Gate { queue, tally })
            }
            _ => None,
        }
    }
}

/// Whether a log can have counted so far.
fn is_possible(numbers: &[u64]) -> bool {
    numbers.iter().all(|number| *number < NUMBER_END)
}

fn put_checksum(header: &[u8], body: &[u8]) -> u32 {
    let mut hasher = Hasher::new();
    hasher.update(header);
    hasher.update(body);
    hasher.finalize()
}

#[cfg(test)]
mod tests;
