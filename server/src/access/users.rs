//! The users of `--users`, as the file was read last without an error.

use std::collections::HashMap;
use std::collections::hash_map::RandomState;
use std::fmt;
use std::hash::BuildHasher;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use glommio::timer::sleep;
use sha2::{Digest, Sha256};

use super::account::Account;
use super::desk::{Denied, Desk};
use super::hash::Hash;
use super::source::Source;
use super::users_file::{self, NAME_BYTES_MAX};
use crate::process::news::News;
use crate::process::seldom::Seldom;

/// The longest password, in bytes: the time of a hash grows with it.
const PASSWORD_BYTES_MAX: usize = 256;
/// The longest name and password, with the blank between them.
pub(crate) const LOGIN_BYTES_MAX: usize = NAME_BYTES_MAX + 1 + PASSWORD_BYTES_MAX;
/// What a failed login costs its client at least.
const WRONG_COSTS: Duration = Duration::from_secs(1);

/// Of the thread that makes hashes: where the shards have no processor to spare, it has a tenth of one.
const NICENESS: i32 = 10;

/// Who may log in. All shards have the same.
#[derive(Debug)]
pub(crate) struct Users {
    path: PathBuf,
    table: Mutex<Table>,
    desk: Desk,
    /// What makes tags of passwords in this process alone.
    key: [u64; 4],
    decoys: RandomState,
    news: News,
    denials: Seldom,
}

#[derive(Debug)]
struct Table {
    by_name: HashMap<Box<[u8]>, Arc<Account>>,
    /// The hashes that are verified when there is no such user, chosen by its name.
    decoys: Vec<Hash>,
}

impl Users {
    /// Reads the file, and starts the thread that makes hashes.
    ///
    /// # Errors
    /// When the file cannot be read, a line is none, or there is no user; or there is no thread. The line names the
    /// option, the file, and the line in it.
    pub(crate) fn read(path: &Path) -> Result<Arc<Users>, String> {
        let table = Table::of(users_file::read(path)?);
        let random = RandomState::new();
        let users = Arc::new(Users {
            path: path.to_path_buf(),
            table: Mutex::new(table),
            desk: Desk::default(),
            key: [0, 1, 2, 3].map(|n: u64| random.hash_one(n)),
            decoys: RandomState::new(),
            news: News::default(),
            denials: Seldom::new(),
        });
        let of_thread = Arc::clone(&users);
        let thread = thread::Builder::new().name("rushq-login".to_string());
        thread
            .spawn(move || of_thread.decide_all())
            .map_err(|error| format!("--users: there is no thread for logins: {error}"))?;
        Ok(users)
    }

    /// Finds the user that has this name and this password. A wrong one takes a second at least, and no client longer
    /// than another of its own address.
    ///
    /// # Errors
    /// [`Denied`].
    pub(crate) async fn check(&self, name: &[u8], password: &[u8], from: Source) -> Result<Arc<Account>, Denied> {
        let began = Instant::now();
        if let Some(account) = self.find(name).filter(|account| account.has_tag(&self.tag(account, password))) {
            return Ok(account);
        }
        let found = match name.len() <= NAME_BYTES_MAX && password.len() <= PASSWORD_BYTES_MAX {
            true => self.desk.ask(name, password, from).await,
            false => Err(Denied::Wrong),
        };
        if found.is_err() && !self.desk.is_closed() {
            sleep(WRONG_COSTS.saturating_sub(began.elapsed())).await;
        }
        found
    }

    /// Logs that a login was denied, at most once a second.
    pub(crate) fn log_denied(&self, peer: &impl fmt::Display, name: &[u8], denied: Denied) {
        let Some(denials) = self.denials.count(Instant::now()) else { return };
        // A name that is no user's may be a password at the wrong place.
        let user = self.find(name).map_or_else(|| "no user".to_string(), |user| format!("user {}", user.name()));
        let why = match denied {
            Denied::Wrong => "wrong",
            Denied::Busy => "not looked at, since too many of its address wait",
        };
        log::warn!("logins denied: {denials}, the last to {peer}, as {user}: {why}");
    }

    /// Reads the file again. What it said before stays in force when it cannot be read.
    pub(crate) fn read_again(&self) {
        match users_file::read(&self.path) {
            Ok(users) => {
                self.lock().replace_by(users);
                self.news.tell();
                log::info!("SIGHUP: --users {} is read again", self.path.display());
            }
            Err(what) => log::error!("SIGHUP: {what}; what the file said before stays in force"),
        }
    }

    /// Waits until the file was read again since this version, and returns the version. The first is 0.
    pub(crate) async fn after(&self, version: u64) -> u64 {
        self.news.after(version).await
    }

    /// Denies all logins that wait, and those to come: the server stops.
    pub(crate) fn close(&self) {
        self.desk.close();
    }

    /// Makes the hashes that are asked for, one after the other, until the server stops.
    fn decide_all(&self) {
        if let Err(error) = rustix::process::nice(NICENESS) {
            log::warn!("logins may hold up other clients: nice: {error}");
        }
        while let Some(ask) = self.desk.next() {
            ask.answer(self.decide(&ask.name, &ask.password));
        }
    }

    /// The user, if the password is right. Without such a user it takes as long.
    fn decide(&self, name: &[u8], password: &[u8]) -> Option<Arc<Account>> {
        let found = self.find(name);
        if let Some(account) = found.as_ref().filter(|account| account.has_tag(&self.tag(account, password))) {
            return Some(Arc::clone(account));
        }
        let hash = found.as_ref().map_or_else(|| self.decoy(name), |account| account.hash().clone());
        let is_right = hash.verify(password);
        let account = found.filter(|account| is_right && account.is_in())?;
        account.set_tag(&self.tag(&account, password));
        Some(account)
    }

    fn find(&self, name: &[u8]) -> Option<Arc<Account>> {
        self.lock().by_name.get(name).cloned()
    }

    /// A hash for the name of no user, always the same one.
    fn decoy(&self, name: &[u8]) -> Hash {
        let decoys = &self.lock().decoys;
        decoys[self.decoys.hash_one(name) as usize % decoys.len()].clone()
    }

    /// What a right password is known by after it was right once: clients that connect for each command would otherwise
    /// pay for a hash each time.
    fn tag(&self, account: &Account, password: &[u8]) -> [u8; 32] {
        let mut hasher = Sha256::new();
        self.key.iter().for_each(|part| hasher.update(part.to_le_bytes()));
        hasher.update(account.name());
        hasher.update([0]);
        hasher.update(password);
        hasher.finalize().into()
    }

    fn lock(&self) -> MutexGuard<'_, Table> {
        // Nothing panics while it is held.
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Table {
    fn of(users: Vec<Account>) -> Table {
        let decoys = users.iter().map(|user| user.hash().clone()).collect();
        let by_name = users.into_iter().map(|user| (user.name().as_bytes().into(), Arc::new(user))).collect();
        Table { by_name, decoys }
    }

    /// Takes over what a file says. Users with the same password stay who they are, on their connections too; the others
    /// are out.
    fn replace_by(&mut self, users: Vec<Account>) {
        let mut new = Table::of(users);
        for (name, old) in &self.by_name {
            match new.by_name.get_mut(name).filter(|user| user.hash().is_written_as(old.hash())) {
                Some(user) => {
                    old.set_rights(user.rights());
                    *user = Arc::clone(old);
                }
                None => old.put_out(),
            }
        }
        *self = new;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Of "correct horse", and the same with another salt.
    const RIGHT: &str = "$6$rounds=1000$saltstring$YiR6NSM0LQXmu7vAhkMXfkdYk7qtFouVx1Mdr3HmzXspT8kONjlpU3CsV7ezCB62uXJoAdaagsH4ck7/tB9js.";
    const OTHER: &str = "$5$saltstring$vc6YOOogU4kWVvwga8e9zTFgKcy4tb5LaPxIiPJzqEC";

    struct File(PathBuf);

    impl File {
        fn new(name: &str, text: &str) -> File {
            let file = File(std::env::temp_dir().join(format!("rushq-{name}-{}", std::process::id())));
            file.write(text);
            file
        }

        fn write(&self, text: &str) {
            std::fs::write(&self.0, text).expect("written");
        }
    }

    impl Drop for File {
        fn drop(&mut self) {
            let _ = std::fs::remove_file(&self.0);
        }
    }

    fn users(file: &File) -> Arc<Users> {
        Users::read(&file.0).unwrap_or_else(|what| panic!("{what}"))
    }

    #[test]
    fn a_name_and_its_password_get_in_and_nothing_else() {
        let file = File::new("users-check", &format!("shop:{RIGHT}: put=a\nother:{OTHER}: admin\n"));
        let users = users(&file);
        let name = |name: &str, password: &str| {
            users.decide(name.as_bytes(), password.as_bytes()).map(|account| account.name().to_string())
        };
        for _ in 0..2 {
            assert_eq!(name("shop", "correct horse").as_deref(), Some("shop"));
            assert_eq!(name("other", "correct horse").as_deref(), Some("other"));
            for (user, wrong) in [("shop", "correct hors"), ("shop", ""), ("nobody", "correct horse"), ("", "x")] {
                assert_eq!(name(user, wrong), None, "{user} {wrong}");
            }
        }
    }

    /// What was right once is known by its tag, which is of one user and one password.
    #[test]
    fn a_password_that_was_right_costs_no_second_hash() {
        let file = File::new("users-tag", &format!("shop:{RIGHT}:\nother:{RIGHT}:\n"));
        let users = users(&file);
        let tagged = |name: &str, password: &str| {
            let account = users.find(name.as_bytes()).expect("a user");
            account.has_tag(&users.tag(&account, password.as_bytes()))
        };
        assert!(users.decide(b"shop", b"wrong").is_none() && !tagged("shop", "wrong"));
        assert!(users.decide(b"shop", b"correct horse").is_some() && tagged("shop", "correct horse"));
        assert!(!tagged("shop", "correct horsf") && !tagged("shop", "") && !tagged("other", "correct horse"));
    }

    #[test]
    fn the_name_of_no_user_costs_a_hash_too() {
        let file = File::new("users-decoy", &format!("shop:{}:\n", RIGHT.replace("rounds=1000", "rounds=50000")));
        let users = users(&file);
        let time = |name: &[u8]| {
            let began = Instant::now();
            assert!(users.decide(name, b"wrong").is_none());
            began.elapsed()
        };
        let (known, unknown) = (time(b"shop"), time(b"nobody"));
        assert!(unknown * 4 > known && known * 4 > unknown, "{known:?} {unknown:?}");
    }

    #[test]
    fn a_file_that_is_read_again_changes_rights_and_puts_users_out() {
        let text = format!("gone:{RIGHT}:\nsame:{RIGHT}: put=a\nrights:{RIGHT}: put=a\npassword:{RIGHT}: put=a\n");
        let file = File::new("users-again", &text);
        let users = users(&file);
        let of = |name: &str| users.find(name.as_bytes()).expect("a user");
        let (gone, same, rights, password) = (of("gone"), of("same"), of("rights"), of("password"));
        let mut pass = super::super::Pass::new(Arc::clone(&rights));
        assert!(pass.begin() && pass.may_put(b"a") && !pass.may_take(b"b"));
        file.write("gone:x:\n");
        users.read_again();
        assert!(gone.is_in(), "what cannot be read changes nothing");
        file.write(&format!("same:{RIGHT}: put=a\nrights:{RIGHT}: take=b\npassword:{OTHER}: put=a\nnew:{RIGHT}:\n"));
        users.read_again();
        assert_eq!([&gone, &same, &rights, &password].map(|user| user.is_in()), [false, true, true, false]);
        assert!(Arc::ptr_eq(&same, &of("same")) && same.version() == 0 && of("new").is_in() && of("password").is_in());
        assert!(pass.begin() && !pass.may_put(b"a") && pass.may_take(b"b"), "on connections that are open, too");
        file.write(&format!("same:{RIGHT}:\n"));
        users.read_again();
        assert!(!pass.begin() && !rights.is_in());
    }
}
