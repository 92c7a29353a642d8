//! What is printed: names, bodies, ages and sizes, made so that no byte of a client can act on a terminal.

/// Bytes as text in one line: what is UTF-8 and no control character as it is, all else escaped.
pub(super) fn line(bytes: &[u8]) -> String {
    escaped(bytes, |_| false)
}

/// A body as text: as [`line()`], with its line ends and tabs.
pub(super) fn body(bytes: &[u8]) -> String {
    escaped(bytes, |character| ['\n', '\t'].contains(&character))
}

fn escaped(bytes: &[u8], keeps: impl Fn(char) -> bool) -> String {
    let mut text = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        for character in chunk.valid().chars() {
            match character {
                _ if keeps(character) => text.push(character),
                // Besides controls, those that turn the direction of what follows.
                _ if character.is_control() || is_direction(character) => text.extend(character.escape_default()),
                _ => text.push(character),
            }
        }
        chunk.invalid().iter().for_each(|byte| text.push_str(&format!("\\x{byte:02x}")));
    }
    text
}

fn is_direction(character: char) -> bool {
    matches!(character, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// Seconds, in the largest unit that they have two of, or the next smaller one: `59s`, `1m`, `90m`, `47h`, `9d`.
pub(super) fn age(seconds: u64) -> String {
    match seconds {
        0..120 => format!("{seconds}s"),
        120..7_200 => format!("{}m", seconds / 60),
        7_200..172_800 => format!("{}h", seconds / 3_600),
        _ => format!("{}d", seconds / 86_400),
    }
}

/// Bytes, in four digits at most.
pub(super) fn bytes(bytes: u64) -> String {
    let mut left = bytes;
    for unit in ["", "K", "M", "G", "T", "P"] {
        if left < 10_000 {
            return format!("{left}{unit}");
        }
        left /= 1024;
    }
    format!("{left}E")
}

/// So many a second.
pub(super) fn rate(per_second: f64) -> String {
    match per_second {
        // Not a number, and negative ones, which no rate is.
        rate if rate.is_nan() || rate < 0.05 => "0".to_string(),
        rate if rate < 100.0 => format!("{rate:.1}"),
        rate => format!("{rate:.0}"),
    }
}

/// `1 message`, `2 messages`.
pub(super) fn counted(count: u64, what: &str) -> String {
    format!("{count} {what}{}", if count == 1 { "" } else { "s" })
}

/// Names and values in two columns.
pub(super) fn columns(pairs: &[(String, String)]) -> String {
    let width = pairs.iter().map(|(name, _)| name.chars().count()).max().unwrap_or(0);
    pairs.iter().map(|(name, value)| format!("{name:width$}  {value}\n")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_byte_of_a_client_acts_on_a_terminal() {
        assert_eq!(line(b"jobs+mail/dead"), "jobs+mail/dead");
        assert_eq!(line("für".as_bytes()), "für");
        assert_eq!(line(b"a\x1b[2J\r\nb\xff\x9b"), "a\\u{1b}[2J\\r\\nb\\xff\\x9b");
        // The one control that names may have: it begins an escape sequence, in UTF-8.
        assert_eq!(line("a\u{9b}2J\u{202e}b".as_bytes()), "a\\u{9b}2J\\u{202e}b");
        assert_eq!(body(b"{\n\t\"a\": 1\r\n}"), "{\n\t\"a\": 1\\r\n}");
    }

    #[test]
    fn numbers_are_short() {
        for (seconds, shown) in [
            (0, "0s"),
            (119, "119s"),
            (120, "2m"),
            (7_199, "119m"),
            (7_200, "2h"),
            (172_800, "2d"),
            (8_640_000, "100d"),
        ] {
            assert_eq!(age(seconds), shown);
        }
        for (count, shown) in [(0, "0"), (9_999, "9999"), (10_240, "10K"), (10 << 20, "10M"), (u64::MAX, "15E")] {
            assert_eq!(bytes(count), shown);
        }
        for (per_second, shown) in [(0.0, "0"), (0.04, "0"), (1.25, "1.2"), (99.96, "100.0"), (1234.5, "1234")] {
            assert_eq!(rate(per_second), shown);
        }
        assert_eq!(rate(f64::NAN), "0");
        assert_eq!((counted(1, "message"), counted(2, "message")), ("1 message".into(), "2 messages".into()));
    }

    #[test]
    fn columns_are_as_wide_as_they_must_be() {
        let pairs = [("a", "1"), ("long", "2")].map(|(name, value)| (name.to_string(), value.to_string()));
        assert_eq!(columns(&pairs), "a     1\nlong  2\n");
    }
}
