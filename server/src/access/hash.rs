//! A password as crypt(3) keeps it: `$5$` (SHA-256) and `$6$` (SHA-512), as `openssl passwd -6` prints them.

use std::fmt;

use sha_crypt::{Params, PasswordVerifier, ShaCrypt};

/// Rounds beyond this take a second and more for each login.
const ROUNDS_MAX: u32 = 1_000_000;

/// The hash of a password, with its salt.
#[derive(Clone)]
pub(super) struct Hash(Box<str>);

impl Hash {
    /// Checks a hash as far as that goes without its password.
    ///
    /// # Errors
    /// When it is of another kind, cut off, or takes too long to verify. The text is the end of a line.
    pub(super) fn parse(text: &str) -> Result<Hash, String> {
        let none = || "its hash is none of crypt(3)'s $5$ and $6$; make one by `openssl passwd -6`".to_string();
        let mut fields = text.strip_prefix('$').ok_or_else(none)?.split('$');
        let digest_bytes = match fields.next() {
            Some("5") => 43,
            Some("6") => 86,
            _ => return Err(none()),
        };
        let mut salt = fields.next().ok_or_else(none)?;
        if let Some(rounds) = salt.strip_prefix("rounds=") {
            let good = Params::ROUNDS_MIN..=ROUNDS_MAX;
            if !rounds.parse().is_ok_and(|rounds| good.contains(&rounds)) {
                let (least, most) = (Params::ROUNDS_MIN, ROUNDS_MAX);
                return Err(format!("its hash has rounds={rounds}, and may have {least} to {most}"));
            }
            salt = fields.next().ok_or_else(none)?;
        }
        let digest = fields.next().ok_or_else(none)?;
        let is_good = |text: &str| text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"./".contains(&byte));
        if digest.len() == digest_bytes && is_good(digest) && is_good(salt) && fields.next().is_none() {
            Ok(Hash(text.into()))
        } else {
            Err(none())
        }
    }

    /// Whether this is the password. Takes milliseconds, and as long for a wrong one: the comparison is sha-crypt's.
    pub(super) fn verify(&self, password: &[u8]) -> bool {
        ShaCrypt::SHA512.verify_password(password, &*self.0).is_ok()
    }

    /// Whether two hashes are written in the same way. Both are the operator's.
    pub(super) fn is_written_as(&self, other: &Hash) -> bool {
        self.0 == other.0
    }
}

impl fmt::Debug for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Hash")
    }
}
