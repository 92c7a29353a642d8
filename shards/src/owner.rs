//! Who owns a queue.

use std::fmt;

/// Names a shard, from 0 on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ShardId(pub u16);

impl ShardId {
    /// The shard's place in a list of all shards.
    #[must_use]
    pub fn index(self) -> usize {
        usize::from(self.0)
    }
}

impl fmt::Display for ShardId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The shard, out of `shards`, that owns the queue of this name, as it is stored.
///
/// What is on disk depends on this function, so it must never change: FNV-1a over the name up to its first space, so that
/// all that rushq has made of a queue's name has the queue's owner, 64 bits; then MurmurHash3's finalizer (FNV's low bits alone are weak, and the remainder uses them), modulo the number of shards.
#[must_use]
pub fn owner_of(queue: &[u8], shards: u16) -> ShardId {
    debug_assert!(shards > 0);
    if shards == 1 {
        return ShardId(0);
    }
    ShardId((hash(queue) % u64::from(shards)) as u16)
}

fn hash(name: &[u8]) -> u64 {
    let mut hash = 0xcbf2_9ce4_8422_2325_u64;
    for byte in name.iter().take_while(|byte| **byte != b' ') {
        hash = (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3);
    }
    hash = (hash ^ (hash >> 33)).wrapping_mul(0xff51_afd7_ed55_8ccd);
    hash = (hash ^ (hash >> 33)).wrapping_mul(0xc4ce_b9fe_1a85_ec53);
    hash ^ (hash >> 33)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hash_is_what_is_on_the_disks_out_there() {
        assert_eq!(hash(b""), 0xefd0_1f60_ba99_2926);
        assert_eq!(hash(b"q4"), 0x48b2_111b_b598_551f);
        assert_eq!(hash(b"tickets"), 0x4437_f5b5_7bd3_d945);
    }

    /// Otherwise a message that dies could not move in one frame.
    #[test]
    fn what_is_made_of_a_queue_s_name_has_its_owner() {
        for name in ["tickets dead", "tickets +mail", "tickets +mail dead"] {
            assert_eq!(hash(name.as_bytes()), hash(b"tickets"), "{name}");
        }
        assert_ne!(hash(b"tickets+mail"), hash(b"tickets"), "a name of old");
    }

    #[test]
    fn names_as_people_choose_them_spread_evenly() {
        for shards in [2, 3, 7, 16] {
            let mut owned = vec![0u32; usize::from(shards)];
            for n in 0..16_000 {
                owned[owner_of(format!("queue-{n}").as_bytes(), shards).index()] += 1;
            }
            let fair = 16_000 / u32::from(shards);
            assert!(owned.iter().all(|n| n.abs_diff(fair) < fair / 5), "{shards} shards: {owned:?}");
        }
    }
}
