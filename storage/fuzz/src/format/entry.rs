//! What a frame is made of, from its description.

use crc32fast::Hasher;

use super::{NUMBER_END, u32_at, u64_at};

/// Places in line have keys from here on, and seats below the half of it.
pub(crate) const FIRST_PLACE: u64 = 1 << 32;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Entry<'a> {
    Record {
        queue: u64,
        head: u64,
        next: u64,
        sets: u64,
        gets: u64,
        name: &'a [u8],
        settings: &'a [u8],
    },
    Put {
        queue: u64,
        seq: u64,
        flags: u32,
        body: &'a [u8],
    },
    Take {
        queue: u64,
        seq: u64,
    },
    Drop {
        queue: u64,
    },
    Flush,
    /// Ranges that do not touch: distance from the end of the one before, length.
    Gone {
        queue: u64,
        begins: bool,
        ranges: &'a [u8],
    },
    Told {
        queue: u64,
        settings: &'a [u8],
    },
    /// The second in which the puts behind it were made, and below which number deliveries may have been numbered.
    Time {
        second: u32,
        leases: u64,
    },
    /// What a message has beside its body.
    State {
        queue: u64,
        seq: u64,
        tries: u8,
        not_before: u64,
        expires: u64,
    },
    /// What a put of the queue was called, and the second until which that is remembered.
    Id {
        queue: u64,
        until: u32,
        token: &'a [u8],
    },
    /// The put behind it is these messages too.
    Also {
        pairs: &'a [u8],
    },
    /// What a buyer has of the queue's gate.
    Ticket(Ticket<'a>),
    /// There is no ticket of this key any more, by this reason, as the nth that went for it.
    Freed {
        queue: u64,
        key: u64,
        why: u8,
        count: u64,
    },
    /// What was counted of the queue's gate: given, returned, lapsed, places, and when the first and the last were given.
    Gate {
        queue: u64,
        counted: [u64; 6],
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Ticket<'a> {
    pub(crate) queue: u64,
    pub(crate) key: u64,
    /// 1: its message is behind it, 2: that is kept back.
    pub(crate) what: u8,
    pub(crate) extended: u8,
    pub(crate) until: u64,
    pub(crate) seq: u64,
    pub(crate) given: u64,
    pub(crate) at: u64,
    pub(crate) buyer: &'a [u8],
}

fn is_key(number: u64) -> bool {
    (1..FIRST_PLACE / 2).contains(&number) || (FIRST_PLACE..NUMBER_END).contains(&number)
}

/// Appends a number, seven bits a byte.
pub(crate) fn put_varint(out: &mut Vec<u8>, mut number: u64) {
    while number >> 7 != 0 {
        out.push((number & 127) as u8 | 128);
        number >>= 7;
    }
    out.push(number as u8);
}

fn varint(bytes: &mut &[u8]) -> Option<u64> {
    let mut number = 0u128;
    for at in 0..10 {
        let byte = *bytes.get(at)?;
        number |= u128::from(byte & 127) << (7 * at);
        if byte & 128 == 0 {
            *bytes = &bytes[at + 1..];
            return u64::try_from(number).ok();
        }
    }
    None
}

/// The ranges that these bytes are: their begins and ends.
pub(crate) fn ranges(mut bytes: &[u8]) -> Option<Vec<(u64, u64)>> {
    let (mut ranges, mut end) = (Vec::new(), 0u64);
    while !bytes.is_empty() {
        let start = end.checked_add(varint(&mut bytes)?)?;
        end = start.checked_add(varint(&mut bytes)?)?;
        if start == 0 || start == end || end >= NUMBER_END {
            return None;
        }
        ranges.push((start, end));
    }
    (!ranges.is_empty()).then_some(ranges)
}

/// The messages that these bytes are: queues and numbers.
pub(crate) fn pairs(mut bytes: &[u8]) -> Option<Vec<(u64, u64)>> {
    let mut pairs = Vec::new();
    while !bytes.is_empty() {
        let (queue, seq) = (varint(&mut bytes)?, varint(&mut bytes)?);
        if queue == 0 || seq == 0 || queue.max(seq) >= NUMBER_END {
            return None;
        }
        pairs.push((queue, seq));
    }
    (!pairs.is_empty()).then_some(pairs)
}

impl<'a> Entry<'a> {
    pub(crate) fn encode(&self, out: &mut Vec<u8>) {
        let start = out.len();
        let mut put = |kind: u8, numbers: &[u64]| {
            out.push(kind);
            numbers.iter().for_each(|number| out.extend(number.to_le_bytes()));
        };
        match *self {
            Entry::Record { queue, head, next, sets, gets, name, settings } => {
                put(1, &[queue, head, next, sets, gets]);
                out.extend((name.len() as u16).to_le_bytes());
                out.extend((settings.len() as u16).to_le_bytes());
                out.extend(name);
                out.extend(settings);
            }
            Entry::Gone { queue, begins, ranges } => {
                put(6, &[queue]);
                out.push(begins.into());
                out.extend((ranges.len() as u16).to_le_bytes());
                out.extend(ranges);
            }
            Entry::Told { queue, settings } => {
                put(7, &[queue]);
                out.extend((settings.len() as u16).to_le_bytes());
                out.extend(settings);
            }
            Entry::Time { second, leases } => {
                put(8, &[]);
                out.extend(second.to_le_bytes());
                out.extend(leases.to_le_bytes());
            }
            Entry::State { queue, seq, tries, not_before, expires } => {
                put(9, &[queue, seq]);
                out.push(tries);
                out.extend(not_before.to_le_bytes());
                out.extend(expires.to_le_bytes());
            }
            Entry::Id { queue, until, token } => {
                put(10, &[queue]);
                out.extend(until.to_le_bytes());
                out.push(token.len() as u8);
                out.extend(token);
            }
            Entry::Also { pairs } => {
                put(11, &[]);
                out.extend((pairs.len() as u16).to_le_bytes());
                out.extend(pairs);
            }
            Entry::Ticket(Ticket { queue, key, what, extended, until, seq, given, at, buyer }) => {
                put(12, &[queue, key]);
                out.extend([what, extended]);
                [until, seq, given, at].iter().for_each(|number| out.extend(number.to_le_bytes()));
                out.push(buyer.len() as u8);
                out.extend(buyer);
            }
            Entry::Freed { queue, key, why, count } => {
                put(13, &[queue, key]);
                out.push(why);
                out.extend(count.to_le_bytes());
            }
            Entry::Gate { queue, counted } => {
                put(14, &[queue]);
                counted.iter().for_each(|number| out.extend(number.to_le_bytes()));
            }
            Entry::Put { queue, seq, flags, body } => {
                put(2, &[queue, seq]);
                out.extend(flags.to_le_bytes());
                out.extend((body.len() as u32).to_le_bytes());
                let mut hasher = Hasher::new();
                hasher.update(&out[start..]);
                hasher.update(body);
                out.extend(hasher.finalize().to_le_bytes());
                out.extend(body);
            }
            Entry::Take { queue, seq } => put(3, &[queue, seq]),
            Entry::Drop { queue } => put(4, &[queue]),
            Entry::Flush => put(5, &[]),
        }
    }

    /// Reads the entry that `bytes` begin with, and its size. `None`: there is none.
    pub(crate) fn read(bytes: &'a [u8]) -> Option<(Entry<'a>, usize)> {
        let fixed = |size: usize| bytes.get(..size);
        let (entry, size) = match bytes.first()? {
            1 => {
                let header = fixed(45)?;
                let [queue, head, next, sets, gets] = [1, 9, 17, 25, 33].map(|at| u64_at(header, at));
                let [name_bytes, settings_bytes] =
                    [41, 43].map(|at| usize::from(u16::from_le_bytes([header[at], header[at + 1]])));
                let (name, settings) = bytes.get(45..45 + name_bytes + settings_bytes)?.split_at(name_bytes);
                let good = head <= next && [queue, next, sets, gets].iter().all(|number| *number < NUMBER_END);
                let size = 45 + name_bytes + settings_bytes;
                good.then_some((Entry::Record { queue, head, next, sets, gets, name, settings }, size))?
            }
            2 => {
                let header = fixed(29)?;
                let (queue, seq, flags) = (u64_at(header, 1), u64_at(header, 9), u32_at(header, 17));
                let size = 29 + u32_at(header, 21) as usize;
                let body = bytes.get(29..size)?;
                let mut hasher = Hasher::new();
                hasher.update(&header[..25]);
                hasher.update(body);
                let good = hasher.finalize() == u32_at(header, 25) && queue < NUMBER_END && seq < NUMBER_END;
                good.then_some((Entry::Put { queue, seq, flags, body }, size))?
            }
            3 => {
                let header = fixed(17)?;
                let (queue, seq) = (u64_at(header, 1), u64_at(header, 9));
                (queue < NUMBER_END && seq < NUMBER_END).then_some((Entry::Take { queue, seq }, 17))?
            }
            4 => {
                let queue = u64_at(fixed(9)?, 1);
                (queue < NUMBER_END).then_some((Entry::Drop { queue }, 9))?
            }
            5 => (Entry::Flush, 1),
            6 => {
                let header = fixed(12)?;
                let (queue, begins) = (u64_at(header, 1), header[9]);
                let size = 12 + usize::from(u16::from_le_bytes([header[10], header[11]]));
                let packed = bytes.get(12..size)?;
                let good = queue < NUMBER_END && begins < 2 && ranges(packed).is_some();
                good.then_some((Entry::Gone { queue, begins: begins == 1, ranges: packed }, size))?
            }
            7 => {
                let header = fixed(11)?;
                let (queue, bytes_of) = (u64_at(header, 1), usize::from(u16::from_le_bytes([header[9], header[10]])));
                let settings = bytes.get(11..11 + bytes_of)?;
                (queue < NUMBER_END).then_some((Entry::Told { queue, settings }, 11 + bytes_of))?
            }
            8 => {
                let header = fixed(13)?;
                let (second, leases) = (u32_at(header, 1), u64_at(header, 5));
                (leases < NUMBER_END).then_some((Entry::Time { second, leases }, 13))?
            }
            9 => {
                let header = fixed(34)?;
                let [queue, seq, not_before, expires] = [1, 9, 18, 26].map(|at| u64_at(header, at));
                let good = [queue, seq, not_before, expires].iter().all(|number| *number < NUMBER_END);
                good.then_some((Entry::State { queue, seq, tries: header[17], not_before, expires }, 34))?
            }
            10 => {
                let header = fixed(14)?;
                let (queue, until, token_bytes) = (u64_at(header, 1), u32_at(header, 9), usize::from(header[13]));
                let token = bytes.get(14..14 + token_bytes)?;
                let good = queue < NUMBER_END && !token.is_empty();
                good.then_some((Entry::Id { queue, until, token }, 14 + token_bytes))?
            }
            11 => {
                let header = fixed(3)?;
                let size = 3 + usize::from(u16::from_le_bytes([header[1], header[2]]));
                let packed = bytes.get(3..size)?;
                pairs(packed)?;
                (Entry::Also { pairs: packed }, size)
            }
            12 => {
                let header = fixed(52)?;
                let [queue, key, until, seq, given, at] = [1, 9, 19, 27, 35, 43].map(|at| u64_at(header, at));
                let (what, extended, buyer_bytes) = (header[17], header[18], usize::from(header[51]));
                let buyer = bytes.get(52..52 + buyer_bytes)?;
                let good = [queue, until, seq, given, at].iter().all(|number| *number < NUMBER_END)
                    && is_key(key)
                    && what < 4
                    && (1..251).contains(&buyer_bytes);
                let ticket = Ticket { queue, key, what, extended, until, seq, given, at, buyer };
                good.then_some((Entry::Ticket(ticket), 52 + buyer_bytes))?
            }
            13 => {
                let header = fixed(26)?;
                let [queue, key, count] = [1, 9, 18].map(|at| u64_at(header, at));
                let why = header[17];
                let good = queue < NUMBER_END && count < NUMBER_END && is_key(key) && (1..5).contains(&why);
                good.then_some((Entry::Freed { queue, key, why, count }, 26))?
            }
            14 => {
                let header = fixed(57)?;
                let queue = u64_at(header, 1);
                let counted = [9, 17, 25, 33, 41, 49].map(|at| u64_at(header, at));
                let good = queue < NUMBER_END && counted.iter().all(|number| *number < NUMBER_END);
                good.then_some((Entry::Gate { queue, counted }, 57))?
            }
            _ => return None,
        };
        (size <= bytes.len()).then_some((entry, size))
    }
}
