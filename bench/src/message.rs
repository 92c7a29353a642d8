//! Messages that say who sent them, where to, and whether they are whole.

/// What a stamped message begins with, its checksum included.
pub(crate) const STAMP_BYTES: usize = 4 + 8 + 8 + 8 + 12 + CHECKSUM_BYTES;
const CHECKSUM_BYTES: usize = 8;
const MAGIC: &[u8; 4] = b"rqb:";
const DIGITS: &[u8; 16] = b"0123456789abcdef";
const LETTERS: usize = 26;

/// Who sent a message, and where to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Stamp {
    /// Tells runs apart.
    pub(crate) run: u32,
    pub(crate) producer: u32,
    /// The queue's place among the run's queues.
    pub(crate) queue: u32,
    /// The producer's count.
    pub(crate) number: u64,
}

/// What a body turned out to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reading {
    /// As it was sent.
    Whole(Stamp),
    /// It was sent by a program like this, and was changed since. The stamp is what it says now.
    Corrupted(Option<Stamp>),
    /// Nothing that a program like this has sent.
    Unstamped,
}

/// Text to fill bodies with.
#[derive(Debug)]
pub(crate) struct Filling(Vec<u8>);

impl Filling {
    pub(crate) fn new(bytes_max: usize) -> Filling {
        Filling((0..bytes_max + LETTERS).map(|at| b'a' + (at % LETTERS) as u8).collect())
    }

    /// `bytes` of text; messages with different numbers seldom have the same.
    pub(crate) fn text(&self, bytes: usize, number: u64) -> &[u8] {
        let start = (number % LETTERS as u64) as usize;
        &self.0[start..start + bytes]
    }
}

/// Appends a body of `bytes` bytes.
pub(crate) fn append(out: &mut Vec<u8>, stamp: Stamp, bytes: usize, filling: &Filling) {
    debug_assert!(bytes >= STAMP_BYTES);
    let start = out.len();
    out.extend_from_slice(MAGIC);
    append_hex::<8>(out, u64::from(stamp.run));
    append_hex::<8>(out, u64::from(stamp.producer));
    append_hex::<8>(out, u64::from(stamp.queue));
    append_hex::<12>(out, stamp.number);
    let checksum_at = out.len();
    out.extend_from_slice(&[0; CHECKSUM_BYTES]);
    out.extend_from_slice(filling.text(bytes - STAMP_BYTES, stamp.number));
    let checksum = checksum(&out[start..checksum_at], &out[checksum_at + CHECKSUM_BYTES..]);
    out[checksum_at..checksum_at + CHECKSUM_BYTES].copy_from_slice(&hex::<CHECKSUM_BYTES>(u64::from(checksum)));
}

/// Reads what `append` wrote.
pub(crate) fn read(body: &[u8]) -> Reading {
    if !body.starts_with(MAGIC) {
        return Reading::Unstamped;
    }
    if body.len() < STAMP_BYTES {
        return Reading::Corrupted(None);
    }
    let (stamped, rest) = body.split_at(STAMP_BYTES - CHECKSUM_BYTES);
    let (sum, text) = rest.split_at(CHECKSUM_BYTES);
    let stamp = read_stamp(&stamped[MAGIC.len()..]);
    match (stamp, read_hex(sum)) {
        (Some(stamp), Some(sum)) if sum == u64::from(checksum(stamped, text)) => Reading::Whole(stamp),
        _ => Reading::Corrupted(stamp),
    }
}

fn read_stamp(digits: &[u8]) -> Option<Stamp> {
    let (run, digits) = digits.split_at(8);
    let (producer, digits) = digits.split_at(8);
    let (queue, number) = digits.split_at(8);
    Some(Stamp {
        run: read_hex(run)? as u32,
        producer: read_hex(producer)? as u32,
        queue: read_hex(queue)? as u32,
        number: read_hex(number)?,
    })
}

fn checksum(stamped: &[u8], text: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(stamped);
    hasher.update(text);
    hasher.finalize()
}

fn hex<const N: usize>(number: u64) -> [u8; N] {
    std::array::from_fn(|at| DIGITS[(number >> (4 * (N - 1 - at)) & 15) as usize])
}

fn append_hex<const N: usize>(out: &mut Vec<u8>, number: u64) {
    out.extend_from_slice(&hex::<N>(number));
}

fn read_hex(digits: &[u8]) -> Option<u64> {
    digits.iter().try_fold(0_u64, |number, digit| {
        let digit = match digit {
            b'0'..=b'9' => digit - b'0',
            b'a'..=b'f' => digit - b'a' + 10,
            _ => return None,
        };
        Some(number << 4 | u64::from(digit))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const STAMP: Stamp = Stamp { run: 0xdead_beef, producer: 3, queue: u32::MAX, number: 123_456_789_012 };

    fn body(bytes: usize) -> Vec<u8> {
        let mut out = b"before".to_vec();
        append(&mut out, STAMP, bytes, &Filling::new(1000));
        out.split_off(6)
    }

    #[test]
    fn what_was_stamped_is_read() {
        for bytes in [STAMP_BYTES, 100, 1000] {
            assert_eq!(body(bytes).len(), bytes);
            assert_eq!(read(&body(bytes)), Reading::Whole(STAMP));
        }
        for other in [&b""[..], b"hello", &[b'x'; 100]] {
            assert_eq!(read(other), Reading::Unstamped);
        }
    }

    #[test]
    fn every_changed_byte_is_seen() {
        let body = body(100);
        for at in 0..body.len() {
            for flip in [1, 0x80, 0xff] {
                let mut changed = body.clone();
                changed[at] ^= flip;
                assert!(!matches!(read(&changed), Reading::Whole(_)), "byte {at} ^ {flip:#x}");
            }
            assert!(!matches!(read(&body[..at]), Reading::Whole(_)), "cut at {at}");
        }
        assert!(matches!(read(&[&body[..], b"x"].concat()), Reading::Corrupted(Some(STAMP))));
    }
}
