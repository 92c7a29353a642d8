//! The file of `--users`: a line for each user, `name:hash: words`.

use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use super::account::Account;
use super::hash::Hash;
use super::rights::Rights;
use crate::process::small_file;

/// The longest name, in bytes.
pub(super) const NAME_BYTES_MAX: usize = 64;

/// Reads the users of a file.
///
/// # Errors
/// When the file cannot be read, a line is none, or there is no user. The line names the option, the file, and the line
/// in it.
pub(super) fn read(path: &Path) -> Result<Vec<Account>, String> {
    let failed = |error: io::Error| format!("--users {}: {error}; name a file that can be read", path.display());
    let text = small_file::read(path).map_err(failed)?;
    let mode = path.metadata().map_err(failed)?.permissions().mode();
    warn_of_others(path, mode);
    parse(&text).map_err(|(line, what)| match line {
        0 => format!("--users {}: {what}", path.display()),
        line => format!("--users {}, line {line}: {what}; mend that line", path.display()),
    })
}

fn warn_of_others(path: &Path, mode: u32) {
    if mode & 0o004 != 0 {
        let path = path.display();
        log::warn!("--users {path}: every user of this machine can read it, and try passwords on it; chmod o-r {path}");
    }
}

/// An error has the number of its line, from 1 on; 0: it is of the whole file.
fn parse(text: &[u8]) -> Result<Vec<Account>, (usize, String)> {
    let mut users: Vec<Account> = Vec::new();
    for (at, line) in text.split(|byte| *byte == b'\n').enumerate() {
        let user = user(line).map_err(|what| (at + 1, what))?;
        let Some(user) = user else { continue };
        if users.iter().any(|other| other.name() == user.name()) {
            return Err((at + 1, format!("{} is there twice", user.name())));
        }
        users.push(user);
    }
    if users.is_empty() {
        return Err((0, "it has no user, so no client could log in; add a line name:hash: words".to_string()));
    }
    Ok(users)
}

/// The user of a line; `None` when there is nothing on it.
fn user(line: &[u8]) -> Result<Option<Account>, String> {
    let line = std::str::from_utf8(line).map_err(|_| "it is not UTF-8".to_string())?.trim();
    if line.is_empty() || line.starts_with('#') {
        return Ok(None);
    }
    let form = || "it is not name:hash: words, as in \"shop:$6$...: put=orders\"".to_string();
    let (name, rest) = line.split_once(':').ok_or_else(form)?;
    let (hash, words) = rest.split_once(':').ok_or_else(form)?;
    let is_bad = |c: char| c.is_whitespace() || c.is_control();
    if name.is_empty() || name.len() > NAME_BYTES_MAX || name.contains(is_bad) {
        return Err(format!("a name has 1 to {NAME_BYTES_MAX} bytes, none of them a blank"));
    }
    let hash = Hash::parse(hash)?;
    let rights = Rights::parse(words.split_whitespace().take_while(|word| !word.starts_with('#')))?;
    Ok(Some(Account::new(name, hash, rights)))
}

#[cfg(test)]
mod tests {
    use std::fs::{self, Permissions};

    use super::*;

    const HASH: &str = "$5$saltstring$vc6YOOogU4kWVvwga8e9zTFgKcy4tb5LaPxIiPJzqEC";

    fn names(text: &str) -> Vec<String> {
        let users = parse(text.as_bytes()).unwrap_or_else(|bad| panic!("{bad:?}"));
        users.iter().map(|user| user.name().to_string()).collect()
    }

    #[test]
    fn a_line_is_a_user() {
        let text = format!("# All.\n\nroot:{HASH}: admin # me\n  shop:{HASH}:put=a\r\nmonitor:{HASH}:\n");
        assert_eq!(names(&text), ["root", "shop", "monitor"]);
        let users = parse(text.as_bytes()).expect("good");
        assert!(users[0].rights().is_admin() && users[1].rights().may_put(b"a") && !users[2].rights().may_take(b"a"));
    }

    #[test]
    fn a_line_that_is_none_is_named() {
        let form = "it is not name:hash: words";
        let name = "a name has 1 to 64 bytes";
        for (line, what) in [
            ("shop", form),
            (&format!("shop:{HASH}"), form),
            (&format!(":{HASH}:"), name),
            (&format!("the shop:{HASH}:"), name),
            (&format!("{}:{HASH}:", "s".repeat(65)), name),
            ("shop:secret:", "its hash is none"),
            (&format!("shop:{HASH}: put=a tak=b"), "bad word tak=b"),
            (&format!("root:{HASH}: admin"), "root is there twice"),
        ] {
            let text = format!("root:{HASH}: admin\n# shop\n{line}\n");
            let (number, error) = parse(text.as_bytes()).expect_err(line);
            assert!(number == 3 && error.starts_with(what), "{line}: {number} {error}");
        }
        assert_eq!(parse(b"\xff:").expect_err("no text").0, 1);
        assert!(parse(b"# none\n").expect_err("empty").1.starts_with("it has no user"));
    }

    #[test]
    fn a_file_that_is_none_is_named() {
        let path = std::env::temp_dir().join(format!("rushq-users-{}", std::process::id()));
        let error = |path: &Path| read(path).expect_err("it is no such file");
        let missing = error(&path);
        assert!(missing.starts_with(&format!("--users {}: ", path.display())), "{missing}");
        assert!(error(&std::env::temp_dir()).contains("it is no file"));
        fs::write(&path, format!("a:{HASH}: admin\nb:{HASH} admin\n")).expect("written");
        fs::set_permissions(&path, Permissions::from_mode(0o600)).expect("ours");
        assert!(error(&path).contains(", line 2: it is not name:hash: words"));
        fs::write(&path, vec![b'#'; small_file::FILE_BYTES_MAX as usize + 1]).expect("written");
        assert!(error(&path).contains("1048576 bytes"));
        fs::remove_file(&path).expect("ours");
    }
}
