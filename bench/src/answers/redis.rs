//! redis' protocol, as far as RPUSH and LPOP need it.

use memchr::memchr;

use super::{ANSWER_BYTES_MAX, Answer};

pub(super) fn append_name(out: &mut Vec<u8>, is_set: bool, prefix: &[u8], number: &[u8]) {
    out.extend_from_slice(if is_set { b"*3\r\n$5\r\nRPUSH\r\n$" } else { b"*2\r\n$4\r\nLPOP\r\n$" });
    let mut digits = itoa::Buffer::new();
    out.extend_from_slice(digits.format(prefix.len() + number.len()).as_bytes());
    out.extend_from_slice(b"\r\n");
    out.extend_from_slice(prefix);
    out.extend_from_slice(number);
    out.extend_from_slice(b"\r\n");
}

pub(super) fn next(input: &[u8], is_set: bool) -> Option<(usize, Answer<'_>)> {
    let used = memchr(b'\n', input)? + 1;
    let line = &input[..used];
    let line = line.strip_suffix(b"\r\n").unwrap_or(line);
    let nonsense = Some((used, Answer::Nonsense(line)));
    match (line.first(), is_set) {
        (Some(b':'), true) => Some((used, Answer::Stored)),
        (Some(b'-'), _) => Some((used, Answer::Error(&line[1..]))),
        (Some(b'$'), false) if line == b"$-1" => Some((used, Answer::Empty)),
        (Some(b'_'), false) => Some((used, Answer::Empty)),
        (Some(b'$'), false) => {
            let bytes = std::str::from_utf8(&line[1..]).ok().and_then(|digits| digits.parse::<usize>().ok());
            let Some(bytes) = bytes.filter(|bytes| *bytes < ANSWER_BYTES_MAX) else {
                return nonsense;
            };
            let end = used + bytes;
            match input.get(end..end + 2)? {
                b"\r\n" => Some((end + 2, Answer::Message { queue: None, body: &input[used..end] })),
                _ => nonsense,
            }
        }
        _ => nonsense,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_to_both() {
        let message = Answer::Message { queue: None, body: b"a\r\nb" };
        for (input, is_set, wanted) in [
            (&b":17\r\n"[..], true, Answer::Stored),
            (b"-OOM no\r\n", true, Answer::Error(b"OOM no")),
            (b"$4\r\na\r\nb\r\n", false, message),
            (b"$-1\r\n", false, Answer::Empty),
            (b"-ERR x\r\n", false, Answer::Error(b"ERR x")),
            (b":17\r\n", false, Answer::Nonsense(b":17")),
            (b"+OK\r\n", true, Answer::Nonsense(b"+OK")),
            (b"$-2\r\n", false, Answer::Nonsense(b"$-2")),
            (b"$99999999999999999999\r\n", false, Answer::Nonsense(b"$99999999999999999999")),
        ] {
            assert_eq!(next(&[input, b"rest"].concat(), is_set), Some((input.len(), wanted)));
            assert!((0..input.len()).all(|len| next(&input[..len], is_set).is_none()));
        }
    }
}
