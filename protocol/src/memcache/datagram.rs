//! memcached's UDP: a datagram is a request, behind a header of request id, sequence number, datagram count and zero, 16
//! bits each, big-endian. The answer has the same header on each of its datagrams. Nothing is sent twice, by either side.

/// What stands in front of each datagram's part of a request or an answer, in bytes.
pub const HEADER_BYTES: usize = 8;

/// The largest datagram of an answer, in bytes with its header: what passes most networks in one piece.
const DATAGRAM_BYTES_MAX: usize = 1400;

/// The most bytes of an answer that one datagram carries.
pub const ANSWER_PIECE_BYTES_MAX: usize = DATAGRAM_BYTES_MAX - HEADER_BYTES;

/// The request in a datagram and its id. `Err`: its header counts more datagrams than this one. `None`: it has no header,
/// and so is not of this protocol.
#[must_use]
pub fn request(datagram: &[u8]) -> Option<(u16, Result<&[u8], ()>)> {
    let (header, request) = datagram.split_at_checked(HEADER_BYTES)?;
    let word = |at: usize| u16::from_be_bytes([header[at], header[at + 1]]);
    let (id, count) = (word(0), word(4));
    Some((id, if count == 1 { Ok(request) } else { Err(()) }))
}

/// The datagrams of the answer to the request `id`. An empty answer has none.
///
/// # Panics
/// When the answer has more datagrams than the header can count, 65,535.
pub fn datagrams(id: u16, answer: &[u8]) -> impl Iterator<Item = Vec<u8>> {
    let pieces = answer.chunks(ANSWER_PIECE_BYTES_MAX);
    let count = u16::try_from(pieces.len()).expect("a header counts up to 65,535 datagrams");
    (0_u16..).zip(pieces).map(move |(number, piece)| {
        let mut datagram = Vec::with_capacity(HEADER_BYTES + piece.len());
        for word in [id, number, count, 0] {
            datagram.extend_from_slice(&word.to_be_bytes());
        }
        datagram.extend_from_slice(piece);
        datagram
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_one_datagram() {
        assert_eq!(request(&[0x12, 0x34, 0, 0, 0, 1, 0, 0, b'x']), Some((0x1234, Ok(&b"x"[..]))));
        assert_eq!(request(&[0, 7, 0, 0, 0, 2, 0, 0, b'x']), Some((7, Err(()))));
        assert_eq!(request(&[0, 7, 0, 0, 0, 1, 0]), None);
    }

    #[test]
    fn an_answer_is_cut_into_datagrams() {
        let answer: Vec<u8> = (0..3000).map(|number| number as u8).collect();
        let datagrams: Vec<_> = datagrams(0x0102, &answer).collect();
        assert_eq!(datagrams.iter().map(Vec::len).collect::<Vec<_>>(), [1400, 1400, 8 + 3000 - 2 * 1392]);
        assert_eq!(datagrams[1][..HEADER_BYTES], [1, 2, 0, 1, 0, 3, 0, 0]);
        let joined: Vec<u8> = datagrams.iter().flat_map(|datagram| datagram[HEADER_BYTES..].to_vec()).collect();
        assert_eq!(joined, answer);
    }

    #[test]
    fn silence_is_no_datagram() {
        assert_eq!(datagrams(1, b"").count(), 0);
    }
}
