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

#[cfg(test)]
mod tests {
    use std::hint::black_box;
    use std::time::{Duration, Instant};

    use super::*;

    const BYTES: usize = 1 << 20;

    /// The shortest of some comparisons with this.
    fn time(secret: &Secret, other: &[u8]) -> Duration {
        let once = || {
            let began = Instant::now();
            assert!(!black_box(secret.is(black_box(other))));
            began.elapsed()
        };
        (0..20).map(|_| once()).min().expect("some")
    }

    /// A comparison that ends at the first byte that differs is done with the one in no time, and not with the other.
    #[test]
    fn a_password_is_not_compared_byte_by_byte() {
        let secret = Secret::new(&vec![b'a'; BYTES]);
        let (mut first, mut last) = (vec![b'a'; BYTES], vec![b'a'; BYTES]);
        (first[0], last[BYTES - 1]) = (b'b', b'b');
        let (of_first, of_last) = (time(&secret, &first), time(&secret, &last));
        assert!(of_first * 4 > of_last, "the first byte differs: {of_first:?}; the last: {of_last:?}");
        assert!(secret.is(&vec![b'a'; BYTES]));
    }

    /// Where passwords and hashes are at hand nothing is compared but by sha-crypt and by a [`Secret`].
    #[test]
    fn what_verifies_passwords_has_no_comparison_of_its_own() {
        let hash = include_str!("hash.rs");
        let verify =
            hash.split("fn verify").nth(1).and_then(|rest| rest.split("\n    }\n").next()).expect("a function");
        assert!(verify.contains(".verify_password(password, &*self.0)"), "{verify}");
        let account = include_str!("account.rs");
        let has_tag = account.split("fn has_tag").nth(1).and_then(|rest| rest.split("\n    }\n").next()).expect("one");
        assert!(has_tag.contains("known.is(tag)"), "{has_tag}");
        let decide =
            include_str!("users.rs").split("fn decide(").nth(1).and_then(|rest| rest.split("\n    }\n").next());
        for code in [verify, has_tag, decide.expect("a function")] {
            for comparison in ["==", "!=", ".eq(", ".ne(", "cmp(", "starts_with", "matches!", "match ", "contains("] {
                assert!(!code.contains(comparison), "{comparison} in {code}");
            }
        }
    }
}
