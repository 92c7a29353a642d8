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

#[cfg(test)]
mod tests {
    use super::*;

    /// By openssl 3 and by glibc.
    const OF_CORRECT_HORSE: [&str; 3] = [
        "$5$saltstring$vc6YOOogU4kWVvwga8e9zTFgKcy4tb5LaPxIiPJzqEC",
        "$6$saltstring$.r0X7ub5wGR2v4Xz7svCIozfnlorFh19V89t8KC9Umd81uGhFgsyTRNyzQDXDIm17fFcR9z3z7oBNdsyYBbtm/",
        "$6$rounds=1000$saltstring$YiR6NSM0LQXmu7vAhkMXfkdYk7qtFouVx1Mdr3HmzXspT8kONjlpU3CsV7ezCB62uXJoAdaagsH4ck7/tB9js.",
    ];

    #[test]
    fn hashes_of_other_programs_are_verified() {
        for text in OF_CORRECT_HORSE {
            let hash = Hash::parse(text).expect(text);
            assert!(hash.verify(b"correct horse"), "{text}");
            for wrong in [&b"correct horsf"[..], b"borrect horse", b"correct horse ", b"", b"correct"] {
                assert!(!hash.verify(wrong), "{text}");
            }
        }
        // One bit of the digest is another.
        let off = Hash::parse(&OF_CORRECT_HORSE[0].replace("JzqEC", "JzqED")).expect("it looks like one");
        assert!(!off.verify(b"correct horse"));
    }

    #[test]
    fn what_is_no_such_hash_is_refused() {
        let [of_256, of_512, _] = OF_CORRECT_HORSE;
        for text in [
            "",
            "secret",
            "$1$saltstri$qDwhBBR6Yr6TEsMGwRU7p/",
            "$y$j9T$F5Jx5fExrKuPp53xLKQ..1$X3DX6M94c7o.9agCG9G317fhZg9SqC.5i5rd.RhAtQ7",
            "$2b$12$R9h/cIPz0gi.URNNX3kh2OPST9/PgBkqquzi.Ss7KIUgO2t0jWMUW",
            "$6$saltstring",
            "$6$saltstring$",
            "$6$saltstring$short",
            "$6$salt string$x",
            &of_256.replace("$5$", "$6$"),
            &of_512[..of_512.len() - 1],
            &format!("{of_512}$x"),
            &of_512.replace("saltstring", "s\u{e4}lt"),
        ] {
            let error = Hash::parse(text).expect_err(text);
            assert!(error.ends_with("make one by `openssl passwd -6`"), "{error}");
        }
        for rounds in ["999", "1000001", "999999999", "99999999999999999999", "-1", "", "x"] {
            let text = of_512.replace("$6$", &format!("$6$rounds={rounds}$"));
            let error = Hash::parse(&text).expect_err(rounds);
            assert!(error.contains(&format!("rounds={rounds}, and may have 1000 to 1000000")), "{error}");
        }
        Hash::parse(&of_512.replace("$6$", "$6$rounds=1000000$")).expect("as many as may be");
    }
}
