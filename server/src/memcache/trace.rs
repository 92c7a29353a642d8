//! What `-vv` shows: the line of each command, and the beginning of what is sent back, each with the client's address.

use log::trace;

use crate::session::peer::Peer;

/// Of a reply, so that a large body does not fill the log.
const REPLY_BYTES_SHOWN: usize = 200;

/// Shows a command's line, which begins `input`. For callers that have seen that the level is on.
pub(crate) fn command(peer: Peer, input: &[u8]) {
    let line = input.split(|byte| *byte == b'\n').next().unwrap_or_default();
    trace!("{peer} < {}", line.trim_ascii_end().escape_ascii());
}

/// Shows replies that are about to be sent. For callers that have seen that the level is on.
pub(crate) fn replies(peer: Peer, out: &[u8]) {
    if !out.is_empty() {
        let shown = &out[..out.len().min(REPLY_BYTES_SHOWN)];
        let more = if shown.len() < out.len() { "..." } else { "" };
        trace!("{peer} > {}{more}", shown.escape_ascii());
    }
}
