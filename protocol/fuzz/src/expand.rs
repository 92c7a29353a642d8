//! Small inputs for large lines: the limits are 250 bytes, 2 KiB and 64 KiB, and a fuzzer is best below a few hundred.

/// Repeats the byte before it. No input of a client's needs it: a control character, which no name may have.
const REPEAT: u8 = 0x1e;

/// A line of any length, and something behind it; what is longer is cut.
const INPUT_BYTES_MAX: usize = 70 << 10;

/// Replaces each [`REPEAT`] and the byte behind it: that one says how often, or up to what length of the line.
pub(crate) fn expand(data: &[u8]) -> Vec<u8> {
    let mut input = Vec::with_capacity(data.len());
    let mut bytes = data.iter().copied();
    let mut line = 0;
    while let Some(byte) = bytes.next() {
        let (Some(&last), true) = (input.last(), byte == REPEAT) else {
            input.push(byte);
            line = if byte == b'\n' { input.len() } else { line };
            continue;
        };
        let code = usize::from(bytes.next().unwrap_or(0));
        let now = input.len() - line;
        let more = match code {
            // A name about as long as a name may be, or a body. Most are that: longer lines cost time.
            0..224 => 150 + code,
            224..240 => (2 * 1024 - 8 + code - 224).saturating_sub(now),
            _ => (64 * 1024 - 8 + code - 240).saturating_sub(now),
        };
        input.resize(input.len() + more, last);
        if input.len() > INPUT_BYTES_MAX {
            input.truncate(INPUT_BYTES_MAX);
            break;
        }
    }
    input
}
