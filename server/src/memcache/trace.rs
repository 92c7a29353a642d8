//! What `-vv` shows: the line of each command, and the beginning of what is sent back, each with the client's address.

use std::time::Instant;

use log::{info, trace};

use crate::process::seldom::Seldom;
use crate::session::peer::{Peer, Who};

/// Of a reply, so that a large body does not fill the log.
const REPLY_BYTES_SHOWN: usize = 200;

/// Lines about what is taken for another protocol's, with what the operator may have meant.
static HINTS: Seldom = Seldom::new();
/// What connections begin with that an option would let in, and the option.
const HINTED: [(&[u8], &str, &str); 3] = [
    (&[0x16, 0x03], "TLS", "--tls-cert and --tls-key have the port take it"),
    (b"PROXY ", "a PROXY header", "--proxy-protocol names the proxies that may send one"),
    (b"\0\r\nQUIT\n", "a PROXY header", "--proxy-protocol names the proxies that may send one"),
];

/// Logs what the operator can do for a client that is closed because of how `input` begins, if there is anything.
pub(crate) fn closed(peer: Peer, input: &[u8]) {
    let hint = HINTED.iter().find(|(beginning, ..)| input.starts_with(beginning));
    if let Some((_, what, remedy)) = hint.filter(|_| HINTS.count(Instant::now()).is_some()) {
        info!("{peer} begins with {what}, and is closed: {remedy}");
    }
}

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
