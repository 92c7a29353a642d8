//! Bytes that are compared in the same time wherever they differ.

use std::fmt;

use subtle::ConstantTimeEq;

/// Bytes that must not be guessed one after the other. There is no `PartialEq`, so [`is`](Secret::is) is the only way to
/// compare them.
pub(crate) struct Secret(Box<[u8]>);

impl Secret {
    pub(crate) fn new(bytes: &[u8]) -> Secret {
        Secret(bytes.into())
    }

    /// Whether these are the same bytes. How long that takes depends on their number alone.
    pub(crate) fn is(&self, other: &[u8]) -> bool {
        self.0.ct_eq(other).into()
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret")
    }
}
