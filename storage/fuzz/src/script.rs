//! Inputs are scripts: letters that say what to do, each with the bytes behind it. Anything is a script, so a fuzzer may
//! change one as it likes, and the seeds can be read.

/// What is left of a script.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Script<'a>(pub(crate) &'a [u8]);

/// The numbers that go wrong: the last 16 bytes stand for them.
const EXTREMES: [u64; 16] = [
    1 << 16,
    1 << 31,
    u32::MAX as u64 - 1,
    u32::MAX as u64,
    1 << 32,
    1 << 48,
    (1 << 62) - 1,
    1 << 62,
    (1 << 63) - 2,
    (1 << 63) - 1,
    1 << 63,
    (1 << 63) + 1,
    u64::MAX - 63,
    u64::MAX - 2,
    u64::MAX - 1,
    u64::MAX,
];

impl<'a> Script<'a> {
    pub(crate) fn next(&mut self) -> Option<u8> {
        let (first, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(*first)
    }

    /// A byte that belongs to the letter before; 0 at the end.
    pub(crate) fn byte(&mut self) -> u8 {
        self.next().unwrap_or(0)
    }

    /// A digit is the number that it says, and what no text has is far out.
    pub(crate) fn number(&mut self) -> u64 {
        match self.byte() {
            digit @ b'0'..=b'9' => u64::from(digit - b'0'),
            byte @ 0..240 => u64::from(byte),
            byte => EXTREMES[usize::from(byte - 240)],
        }
    }

    pub(crate) fn bytes(&mut self, most: usize) -> &'a [u8] {
        let (bytes, rest) = self.0.split_at(most.min(self.0.len()));
        self.0 = rest;
        bytes
    }

    /// Everything in front of the letter, and what is behind it.
    pub(crate) fn split(self, letter: u8) -> (Script<'a>, Script<'a>) {
        let at = self.0.iter().position(|byte| *byte == letter).unwrap_or(self.0.len());
        let behind = self.0.get(at + 1..).unwrap_or_default();
        (Script(&self.0[..at]), Script(behind))
    }
}
