//! What `-vv` shows: the line of each command, and the beginning of what is sent back, each with the client's address.

use log::trace;

use crate::session::peer::{Peer, Who};

/// Of a reply, so that a large body does not fill the log.
const REPLY_BYTES_SHOWN: usize = 200;

/// Shows a command's line, which begins `input`. For callers that have seen that the level is on.
pub(crate) fn command(who: &Who<'_>, input: &[u8]) {
    let line = input.split(|byte| *byte == b'\n').next().unwrap_or_default();
    trace!("{who} < {}", line.trim_ascii_end().escape_ascii());
}

/// Shows that a client logs in, and nothing of what it has sent.
pub(crate) fn login(peer: Peer) {
    trace!("{peer} < a login");
}

/// Shows replies that are about to be sent. For callers that have seen that the level is on.
pub(crate) fn replies(who: &Who<'_>, out: &[u8]) {
    if !out.is_empty() {
        let shown = &out[..out.len().min(REPLY_BYTES_SHOWN)];
        let more = if shown.len() < out.len() { "..." } else { "" };
        trace!("{who} > {}{more}", shown.escape_ascii());
    }
}
