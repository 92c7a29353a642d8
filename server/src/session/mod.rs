//! What a client's session is to the rest of the server, whatever protocol it speaks.

pub(crate) mod peer;
