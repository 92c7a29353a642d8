//! A log that no store wrote: frames of any entries, which follow one upon the other unless the script says otherwise.
//!
//! The script's letters: `S` goes to a segment, which is made; `[` begins a frame and `]` ends it. In a frame, `R` is a
//! record with queue, head, next, sets, gets and a name; `P` a put with queue, number and size; `T` a take, `G` a list
//! of gone numbers with queue, whether it begins one, and pairs of distance and length up to a distance of 0, `N`
//! settings with queue and size, `C` a time with second and leases, `E` what a message has beside its body, with queue,
//! number, tries, when it may be handed out and when it ends, `I` what a put was called, with queue, until when and size,
//! `A` the messages that the next put is, too, as pairs of queue and number up to a queue 0, `K` a ticket with queue, key,
//! what, how often its time was extended, until when, number of its message, as which it was given and when, and a buyer, `Y`
//! one that is no more with queue, key, why and count, `Z` what was counted of a gate with queue and six numbers, `D` a drop, `F` a flush of
//! all queues, `B` raw bytes, `X` changes a byte of what was there last. `#`, `<`, `v`, `=`, `^` and `q` set the header's
//! number, predecessor, durable frame, segment, first segment and next queue id, and `!` makes its checksum wrong.

use storage_testing::Images;

use super::format::{
    Entry, FIRST_PLACE, Frame, LOG_ID, SEGMENT_HEADER_BYTES, SegmentHeader, Ticket, put_varint, segment_name,
};
use super::options;
use super::script::Script;

/// More than fit into the segments that there are.
const FRAMES_MAX: usize = 200;
const SEGMENTS_MAX: u32 = 6;

/// A frame to come, and where.
struct Forge {
    images: Images,
    segment: u32,
    offset: usize,
    number: u64,
    previous: u32,
}

/// Does what the script says.
pub(crate) fn forge(mut script: Script<'_>) -> Images {
    let mut forge = Forge { images: Images::new(), segment: 0, offset: 0, number: 0, previous: 0 };
    forge.go_to(1);
    for _ in 0..FRAMES_MAX {
        match script.next() {
            None => break,
            Some(b'S') => forge.go_to((script.number() as u32 % SEGMENTS_MAX).max(1)),
            Some(b'[') => forge.frame(&mut script),
            Some(_) => {}
        }
    }
    forge.images
}

impl Forge {
    fn go_to(&mut self, segment: u32) {
        let segment_bytes = options().segment_bytes.into();
        let header = SegmentHeader { number: segment, log_id: LOG_ID, segment_bytes };
        self.images.entry(segment_name(segment)).or_insert_with(|| header.segment());
        (self.segment, self.offset) = (segment, SEGMENT_HEADER_BYTES);
    }

    fn frame(&mut self, script: &mut Script<'_>) {
        let number = self.number.wrapping_add(1);
        let mut frame = Frame {
            number,
            durable: number.wrapping_sub(1),
            next_queue_id: 1,
            segment: self.segment,
            first_segment: 1,
            previous: self.previous,
            checksum: 0,
            body: b"",
        };
        let (mut body, mut is_bad, mut is_elsewhere) = (Vec::new(), false, false);
        while let Some(letter) = script.next().filter(|letter| *letter != b']') {
            match letter {
                b'#' => frame.number = script.number(),
                b'<' => frame.previous ^= u32::from(script.byte()),
                b'v' => frame.durable = script.number(),
                b'=' => (frame.segment, is_elsewhere) = (script.number() as u32, true),
                b'^' => frame.first_segment = script.number() as u32,
                b'q' => frame.next_queue_id = script.number(),
                b'!' => is_bad = true,
                _ => entry(letter, script, &mut body),
            }
        }
        frame.body = &body;
        if self.offset + frame.bytes() > options().segment_bytes as usize {
            self.go_to((self.segment + 1).min(SEGMENTS_MAX));
            frame.segment = if is_elsewhere { frame.segment } else { self.segment };
        }
        let mut bytes = frame.encode(LOG_ID, self.offset);
        let image = self.images.get_mut(&segment_name(self.segment)).expect("go_to made it");
        let checksum = bytes[44..48].try_into().expect("four bytes");
        bytes[44] ^= u8::from(is_bad);
        let end = image.len().min(self.offset + bytes.len());
        image[self.offset..end].copy_from_slice(&bytes[..end - self.offset]);
        self.offset = end;
        (self.number, self.previous) = (frame.number, u32::from_le_bytes(checksum));
    }
}

/// The key of a ticket: a small letter is a place in line.
fn key(script: &mut Script<'_>) -> u64 {
    match script.0.first() {
        Some(letter @ b'a'..=b'z') => {
            script.byte();
            FIRST_PLACE + u64::from(letter - b'a')
        }
        _ => script.number(),
    }
}

/// A buyer's name: digits are the lengths of long ones.
fn buyer(script: &mut Script<'_>) -> Vec<u8> {
    const BYTES: [usize; 10] = [0, 2, 30, 100, 150, 200, 248, 249, 250, 251];
    match script.byte() {
        digit @ b'0'..=b'9' => vec![b'b'; BYTES[usize::from(digit - b'0')]],
        byte => vec![byte],
    }
}

fn entry(letter: u8, script: &mut Script<'_>, body: &mut Vec<u8>) {
    if letter == b'K' {
        let (queue, key) = (script.number(), key(script));
        let [what, extended, until, seq, given, at] = [(); 6].map(|()| script.number());
        let (what, extended, buyer) = (what as u8, extended as u8, buyer(script));
        Entry::Ticket(Ticket { queue, key, what, extended, until, seq, given, at, buyer: &buyer }).encode(body);
        return;
    }
    let mut number = || script.number();
    match letter {
        b'Y' => {
            let (queue, key) = (number(), key(script));
            Entry::Freed { queue, key, why: script.number() as u8, count: script.number() }.encode(body);
        }
        b'Z' => Entry::Gate { queue: number(), counted: [(); 6].map(|()| number()) }.encode(body),
        b'R' => {
            let [queue, head, next, sets, gets] = [(); 5].map(|()| number());
            let name = script.byte();
            // Digits are the lengths of longer names.
            let name = if name.is_ascii_digit() { vec![b'n'; usize::from(name - b'0') * 30] } else { vec![name] };
            Entry::Record { queue, head, next, sets, gets, name: &name, settings: b"" }.encode(body);
        }
        b'P' => {
            let (queue, seq, bytes) = (number(), number(), number() % 256);
            let text: Vec<u8> = (0..bytes).map(|at| b'a' + (at ^ seq) as u8 % 26).collect();
            Entry::Put { queue, seq, flags: bytes as u32, body: &text }.encode(body);
        }
        b'T' => Entry::Take { queue: number(), seq: number() }.encode(body),
        b'D' => Entry::Drop { queue: number() }.encode(body),
        b'F' => Entry::Flush.encode(body),
        b'G' => {
            let (queue, begins, mut ranges) = (number(), number() % 2 == 1, Vec::new());
            for _ in 0..8 {
                let distance = number();
                if distance == 0 {
                    break;
                }
                put_varint(&mut ranges, distance);
                put_varint(&mut ranges, number());
            }
            Entry::Gone { queue, begins, ranges: &ranges }.encode(body);
        }
        b'N' => {
            let (queue, bytes) = (number(), number() % 256);
            Entry::Told { queue, settings: &vec![b's'; bytes as usize] }.encode(body);
        }
        b'C' => Entry::Time { second: number() as u32, leases: number() }.encode(body),
        b'E' => {
            let [queue, seq, tries, not_before, expires] = [(); 5].map(|()| number());
            Entry::State { queue, seq, tries: tries as u8, not_before, expires }.encode(body);
        }
        b'I' => {
            let (queue, until, bytes) = (number(), number() as u32, number() % 256);
            Entry::Id { queue, until, token: &vec![b't'; bytes as usize] }.encode(body);
        }
        b'A' => {
            let mut pairs = Vec::new();
            for _ in 0..8 {
                let queue = number();
                if queue == 0 {
                    break;
                }
                put_varint(&mut pairs, queue);
                put_varint(&mut pairs, number());
            }
            Entry::Also { pairs: &pairs }.encode(body);
        }
        b'B' => {
            let many = script.number() as usize % 64;
            body.extend(script.bytes(many));
        }
        b'X' => {
            let (back, with) = (usize::from(script.byte()), script.byte().max(1));
            let at = body.len().checked_sub(back % body.len().max(1) + 1);
            if let Some(at) = at {
                body[at] ^= with;
            }
        }
        _ => {}
    }
}
