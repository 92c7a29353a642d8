//! Other protocols once more.

use super::LINE_BYTES_MAX;

/// The words that other protocols begin with.
const OTHERS: &str = "SSH- AMQP CONNECT STOMP HTTP/ GIOP";
const OTHERS_AND_A_SPACE: &str = "PROXY EHLO HELO USER PASS NICK";

/// Whether a connection that begins so is for another kind of server.
pub(super) fn is_other_protocol(input: &[u8]) -> bool {
    let newline = input.iter().position(|byte| *byte == b'\n').filter(|newline| *newline <= LINE_BYTES_MAX);
    let line = &input[..newline.unwrap_or(input.len())];
    let text = String::from_utf8_lossy(line);
    let begins = OTHERS.split(' ').any(|word| text.starts_with(word))
        || OTHERS_AND_A_SPACE.split(' ').any(|word| text.starts_with(&format!("{word} ")))
        || text.starts_with("  V2");
    let binary = |byte: u8| (byte < b' ' && byte != b'\t' && byte != b'\r') || byte > b'~';
    let without_return = line.strip_suffix(b"\r").unwrap_or(line);
    begins
        || line.first().is_some_and(|first| binary(*first))
        || line[..line.len().min(4)].contains(&0)
        || (line.len() > 1 && line[0] == b'*' && line[1].is_ascii_digit())
        || (newline.is_some() && is_request(without_return, &["HTTP", "RTSP", "SIP", "ICAP"]))
}

/// Whether a line ends in a space, one of the names, and a version.
pub(super) fn is_request(line: &[u8], names: &[&str]) -> bool {
    // As it is said in Latin-1, in which all bytes are letters.
    let text: String = line.iter().map(|byte| char::from(*byte)).collect();
    let Some((_, last)) = text.trim_end_matches(' ').rsplit_once(' ') else { return false };
    let Some((name, version)) = last.split_once('/') else { return false };
    let digit = |digit: &str| digit.len() == 1 && digit.as_bytes()[0].is_ascii_digit();
    names.contains(&name) && (digit(version) || version.split_once('.').is_some_and(|(a, b)| digit(a) && digit(b)))
}
