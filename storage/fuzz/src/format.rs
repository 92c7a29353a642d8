//! The log's format once more, from its description: what a file, a frame and an entry look like.

use crc32fast::Hasher;

pub(crate) const SEGMENT_HEADER_BYTES: usize = 64;
pub(crate) const FRAME_HEADER_BYTES: usize = 48;
const VERSION: u32 = 5;
/// The oldest that is still read.
const VERSION_MIN: u32 = 2;
pub(crate) const FRAME_MAGIC: &[u8; 4] = b"rqF1";
/// What a real log makes up. Here every run makes the same logs.
pub(crate) const LOG_ID: u64 = 0x1d0f_a11f_0991_0901;
/// No number of a real log ever gets here.
pub(crate) const NUMBER_END: u64 = 1 << 63;

pub(crate) fn segment_name(number: u32) -> String {
    format!("{number:010}.log")
}

pub(crate) fn segment_number(name: &str) -> Option<u32> {
    let digits =
        name.strip_suffix(".log").filter(|it| it.len() == 10 && it.bytes().all(|byte| byte.is_ascii_digit()))?;
    digits.parse().ok().filter(|number| (1..1 << 31).contains(number))
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(bytes[at..at + 4].try_into().expect("four bytes"))
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(bytes[at..at + 8].try_into().expect("eight bytes"))
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct SegmentHeader {
    pub(crate) number: u32,
    pub(crate) log_id: u64,
    pub(crate) segment_bytes: u64,
}

impl SegmentHeader {
    /// An empty segment's file.
    pub(crate) fn segment(&self) -> Vec<u8> {
        let mut image = b"rushqlog".to_vec();
        image.extend(VERSION.to_le_bytes());
        image.extend(self.number.to_le_bytes());
        image.extend(self.log_id.to_le_bytes());
        image.extend(self.segment_bytes.to_le_bytes());
        image.extend(crc32fast::hash(&image).to_le_bytes());
        image.resize(self.segment_bytes as usize, 0);
        image
    }

    /// Whether only a newer build reads it.
    pub(crate) fn is_newer(image: &[u8]) -> bool {
        let header = image.get(..36).filter(|header| header.starts_with(b"rushqlog"));
        header.is_some_and(|header| u32_at(header, 8) > VERSION && u32_at(header, 32) == crc32fast::hash(&header[..32]))
    }

    pub(crate) fn read(image: &[u8]) -> Option<SegmentHeader> {
        let header = image.get(..36)?;
        let good = header.starts_with(b"rushqlog")
            && (VERSION_MIN..=VERSION).contains(&u32_at(header, 8))
            && u32_at(header, 32) == crc32fast::hash(&header[..32]);
        let (number, log_id, segment_bytes) = (u32_at(header, 12), u64_at(header, 16), u64_at(header, 24));
        let good = good && (112..=1 << 31).contains(&segment_bytes);
        good.then_some(SegmentHeader { number, log_id, segment_bytes })
    }
}

/// What a segment's header notes behind its checksum.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Notes {
    /// The next segment was begun.
    pub(crate) continued: bool,
    /// A frame that was on stable storage.
    pub(crate) durable: u64,
}

impl Notes {
    pub(crate) fn read(image: &[u8], log_id: u64, segment: u32) -> Notes {
        let checksum = |of: &[u8]| {
            let id = [log_id.to_le_bytes().as_slice(), &segment.to_le_bytes(), of].concat();
            crc32fast::hash(&id)
        };
        let continued = u32_at(image, 36) == checksum(b"c").max(1);
        let durable = u64_at(image, 40);
        let is_right = u32_at(image, 48) == checksum(&durable.to_le_bytes()) && durable < NUMBER_END;
        Notes { continued, durable: if is_right { durable } else { 0 } }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Frame<'a> {
    pub(crate) number: u64,
    pub(crate) durable: u64,
    pub(crate) next_queue_id: u64,
    pub(crate) segment: u32,
    pub(crate) first_segment: u32,
    pub(crate) previous: u32,
    pub(crate) checksum: u32,
    pub(crate) body: &'a [u8],
}

fn checksum(log_id: u64, offset: usize, frame: &[u8]) -> u32 {
    let mut hasher = Hasher::new();
    hasher.update(&log_id.to_le_bytes());
    hasher.update(&(offset as u32).to_le_bytes());
    hasher.update(&frame[..44]);
    hasher.update(&frame[FRAME_HEADER_BYTES..]);
    hasher.finalize()
}

/// Gives a frame the checksum that makes it whole at an offset of its file.
pub(crate) fn seal(log_id: u64, offset: usize, frame: &mut [u8]) {
    let checksum = checksum(log_id, offset, frame);
    frame[44..48].copy_from_slice(&checksum.to_le_bytes());
}

impl<'a> Frame<'a> {
    /// The frame in the bytes of its file, at an offset; the checksum is computed.
    pub(crate) fn encode(&self, log_id: u64, offset: usize) -> Vec<u8> {
        let mut frame = FRAME_MAGIC.to_vec();
        frame.extend((self.body.len() as u32).to_le_bytes());
        for number in [self.number, self.durable, self.next_queue_id] {
            frame.extend(number.to_le_bytes());
        }
        for number in [self.segment, self.first_segment, self.previous, 0] {
            frame.extend(number.to_le_bytes());
        }
        frame.extend(self.body);
        seal(log_id, offset, &mut frame);
        frame
    }

    /// Bytes of the frame that seems to begin at an offset, good or not, when they are all there.
    pub(crate) fn bytes_at(image: &[u8], offset: usize) -> Option<&[u8]> {
        let header = image.get(offset..offset + FRAME_HEADER_BYTES).filter(|header| header.starts_with(FRAME_MAGIC))?;
        image[offset..].get(..FRAME_HEADER_BYTES + u32_at(header, 4) as usize)
    }

    /// The whole frame of this segment that begins at an offset.
    pub(crate) fn at(image: &'a [u8], offset: usize, segment: u32, log_id: u64) -> Option<Frame<'a>> {
        let bytes = Frame::bytes_at(image, offset)?;
        let frame = Frame {
            number: u64_at(bytes, 8),
            durable: u64_at(bytes, 16),
            next_queue_id: u64_at(bytes, 24),
            segment: u32_at(bytes, 32),
            first_segment: u32_at(bytes, 36),
            previous: u32_at(bytes, 40),
            checksum: u32_at(bytes, 44),
            body: &bytes[FRAME_HEADER_BYTES..],
        };
        let possible = frame.durable < frame.number
            && frame.number < NUMBER_END
            && frame.next_queue_id < NUMBER_END
            && (1..=frame.segment).contains(&frame.first_segment);
        let good = possible && frame.segment == segment && frame.checksum == checksum(log_id, offset, bytes);
        good.then_some(frame)
    }

    pub(crate) fn bytes(&self) -> usize {
        FRAME_HEADER_BYTES + self.body.len()
    }
}

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
            _ => return None,
        };
        (size <= bytes.len()).then_some((entry, size))
    }
}
