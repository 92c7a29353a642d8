//! What `-vv` shows: the line of each command, and the beginning of what is sent back.

use log::{log_enabled, trace};

/// Of a reply, so that a large body does not fill the log.
const REPLY_BYTES_SHOWN: usize = 200;

/// Shows a command's line, which begins `input`.
pub(crate) fn command(input: &[u8]) {
    if log_enabled!(log::Level::Trace) {
        let line = input.split(|byte| *byte == b'\n').next().unwrap_or_default();
        trace!("< {}", line.trim_ascii_end().escape_ascii());
    }
}

/// Shows replies that are about to be sent.
pub(crate) fn replies(out: &[u8]) {
    if !out.is_empty() && log_enabled!(log::Level::Trace) {
        let shown = &out[..out.len().min(REPLY_BYTES_SHOWN)];
        let more = if shown.len() < out.len() { "..." } else { "" };
        trace!("> {}{more}", shown.escape_ascii());
    }
}
