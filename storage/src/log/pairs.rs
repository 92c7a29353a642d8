//! Messages, packed: the id of the queue and the number in it, both varints.

use crate::log::codec::{Reader, put_varint};
use crate::log::entry::{QueueId, Seq};
use crate::log::frame::NUMBER_END;

/// The most bytes that one pair takes.
pub(crate) const PAIR_BYTES_MAX: usize = 2 * 10;

/// Packs messages.
pub(crate) fn pack_pairs(messages: impl Iterator<Item = (QueueId, Seq)>) -> Vec<u8> {
    let mut bytes = Vec::new();
    for (queue, seq) in messages {
        put_varint(&mut bytes, queue);
        put_varint(&mut bytes, seq);
    }
    bytes
}

/// The messages that these bytes hold. `None` in their place: the bytes are no pairs that a log has, from here on.
pub(crate) fn pairs(bytes: &[u8]) -> impl Iterator<Item = Option<(QueueId, Seq)>> {
    let mut reader = Reader::new(bytes);
    std::iter::from_fn(move || {
        if reader.is_empty() {
            return None;
        }
        let mut next = || {
            let (queue, seq) = (reader.varint()?, reader.varint()?);
            (queue.max(seq) < NUMBER_END && queue > 0 && seq > 0).then_some((queue, seq))
        };
        let pair = next();
        if pair.is_none() {
            reader = Reader::new(&[]);
        }
        Some(pair)
    })
}

/// Whether these bytes are pairs that a log can have, one at least.
pub(crate) fn are_pairs(bytes: &[u8]) -> bool {
    !bytes.is_empty() && pairs(bytes).all(|pair| pair.is_some())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pairs_come_back_and_cut_ones_do_not() {
        let messages = [(3, 4), (900, 1), (1 << 40, (1 << 63) - 1)];
        let packed = pack_pairs(messages.into_iter());
        assert!(are_pairs(&packed) && pairs(&packed).flatten().eq(messages));
        for cut in 0..packed.len() {
            assert_eq!(are_pairs(&packed[..cut]), [2, 5].contains(&cut), "{cut} bytes");
        }
        for bytes in [&[0, 1][..], &[1, 0]] {
            assert!(!are_pairs(bytes), "{bytes:?}");
        }
        assert!(!are_pairs(&pack_pairs([(1, NUMBER_END)].into_iter())));
    }
}
