//! A set of numbers that mostly begin at 0 and have few gaps, at a bit each.

#[derive(Debug, Default)]
pub(super) struct Bits(Vec<u64>);

impl Bits {
    /// Adds a number; true: it was there before.
    pub(super) fn set(&mut self, number: u64) -> bool {
        let (word, bit) = ((number / 64) as usize, 1_u64 << (number % 64));
        if word >= self.0.len() {
            self.0.resize(word + 1, 0);
        }
        let before = self.0[word];
        self.0[word] |= bit;
        before & bit != 0
    }

    pub(super) fn get(&self, number: u64) -> bool {
        self.0.get((number / 64) as usize).is_some_and(|word| word & 1 << (number % 64) != 0)
    }

    /// The numbers that are not in `other`, in their order.
    pub(super) fn without(&self, other: &Bits) -> impl Iterator<Item = u64> {
        let words = self.0.iter().enumerate().map(|(at, word)| (at, word & !other.0.get(at).copied().unwrap_or(0)));
        words.filter(|(_, word)| *word != 0).flat_map(|(at, word)| {
            (0..64_u64).filter(move |bit| word & 1 << bit != 0).map(move |bit| 64 * at as u64 + bit)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_in_or_not() {
        let (mut all, mut some) = (Bits::default(), Bits::default());
        for number in [0, 63, 64, 1000] {
            assert!(!all.get(number) && !all.set(number) && all.set(number) && all.get(number));
        }
        some.set(63);
        assert!(!all.get(65) && !all.get(1_000_000));
        assert_eq!(all.without(&some).collect::<Vec<_>>(), [0, 64, 1000]);
        assert_eq!(some.without(&all).count(), 0);
    }
}
