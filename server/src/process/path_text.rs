//! Paths that are not UTF-8, written so that they are. argh takes UTF-8 only, and a path on Linux is any bytes but zero.
//!
//! A byte that is not UTF-8 is written as [`MARK`] and two hexadecimal digits. So are the bytes of the mark itself, which
//! Unicode reserves and no text has. Every other path is written as it is.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::PathBuf;

const MARK: char = '\u{10FFFF}';

/// Writes an argument.
pub(super) fn encode(argument: &OsStr) -> String {
    let mut text = String::new();
    let escape = |text: &mut String, bytes: &[u8]| {
        bytes.iter().for_each(|byte| text.push_str(&format!("{MARK}{byte:02x}")));
    };
    for chunk in argument.as_bytes().utf8_chunks() {
        for character in chunk.valid().chars() {
            match character {
                MARK => escape(&mut text, MARK.encode_utf8(&mut [0; 4]).as_bytes()),
                other => text.push(other),
            }
        }
        escape(&mut text, chunk.invalid());
    }
    text
}

/// Whether an argument is written as it is.
pub(super) fn is_plain(text: &str) -> bool {
    !text.contains(MARK)
}

/// The path that was written.
///
/// # Errors
/// When it was not [encoded](encode).
pub(super) fn decode(text: &str) -> Result<PathBuf, String> {
    let mut parts = text.split(MARK);
    let mut bytes = parts.next().unwrap_or_default().as_bytes().to_vec();
    for part in parts {
        let escaped =
            part.split_at_checked(2).and_then(|(digits, rest)| Some((u8::from_str_radix(digits, 16).ok()?, rest)));
        let (byte, rest) = escaped.ok_or_else(|| "it is no path".to_string())?;
        bytes.push(byte);
        bytes.extend_from_slice(rest.as_bytes());
    }
    Ok(OsString::from_vec(bytes).into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_path_comes_back_as_it_was() {
        let of_mark = format!("/a{MARK}b").into_bytes();
        for path in [&b"/data"[..], b"", "/für".as_bytes(), b"/f\xfcr/x", b"\xff\xfe", &of_mark, b"/\xf4\x8f\xbf"] {
            let text = encode(OsStr::from_bytes(path));
            assert_eq!(decode(&text).map(|path| path.as_os_str().as_bytes().to_vec()).as_deref(), Ok(path), "{text}");
            assert_eq!(is_plain(&text), text.as_bytes() == path);
        }
        assert_eq!(encode(OsStr::new("/für")), "/für");
        decode(&format!("x{MARK}zz")).expect_err("no digits");
    }
}
