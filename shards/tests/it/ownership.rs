//! What root gives to the user that a server becomes, while that user is at work in the same directory.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown, symlink};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use shards::{DataDirectory, DirectoryError, Remedy};

use crate::setup::small_store;

const USER: u32 = 65_534;
const OTHER: u32 = 12_345;
/// How often a directory is swapped for a link while it is given away.
const RACES: u64 = 150;

/// A directory of a test's own, which goes with the value.
struct Scratch(PathBuf);

impl Scratch {
    /// `None`: only root can give files away.
    fn new() -> Option<Scratch> {
        if !nix::unistd::geteuid().is_root() {
            eprintln!("skipped: only root can give files away");
            return None;
        }
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("ownership-{}-{number}", std::process::id()));
        fs::create_dir(&path).unwrap();
        Some(Scratch(path))
    }

    /// A data directory with two shards, as root makes it.
    fn made_by_root(&self) -> PathBuf {
        let path = self.0.join("data");
        drop(DataDirectory::lock(&path).unwrap().open(2, small_store()).unwrap());
        path
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        if !thread::panicking() {
            let _ = fs::remove_dir_all(&self.0);
        }
    }
}

fn give(path: &Path) -> Result<(), DirectoryError> {
    DataDirectory::lock(path).unwrap().give_to(USER, USER)
}

fn spin(time: Duration) {
    let began = Instant::now();
    while began.elapsed() < time {
        std::hint::spin_loop();
    }
}

fn owner(path: &Path) -> u32 {
    fs::symlink_metadata(path).unwrap().uid()
}

fn chown_all(path: &Path, user: u32) {
    chown(path, Some(user), Some(user)).unwrap();
    if path.is_dir() {
        fs::read_dir(path).unwrap().for_each(|entry| chown_all(&entry.unwrap().path(), user));
    }
}

#[track_caller]
fn assert_refused(result: Result<(), DirectoryError>, words: &[&str], remedy: Remedy) {
    let error = result.unwrap_err();
    let line = error.to_string();
    assert!(words.iter().all(|word| line.contains(word)) && !line.contains('\n'), "{line}");
    assert_eq!(error.remedy(), Some(remedy));
}

#[test]
fn what_root_has_made_is_given_away_and_nothing_else() {
    let Some(scratch) = Scratch::new() else { return };
    let path = scratch.made_by_root();
    let outside = scratch.0.join("outside");
    fs::write(&outside, "root's").unwrap();
    symlink(&outside, path.join("data-1/shard-000/log/link")).unwrap();
    fs::write(path.join("notes"), "root's").unwrap();
    // As left by a build that let the umask decide. No other user can get there.
    fs::set_permissions(path.join("data-1/shard-001/index"), fs::Permissions::from_mode(0o777)).unwrap();
    give(&path).unwrap();
    for given in [
        "",
        "layout",
        "data-1",
        "data-1/shard-001/log",
        "data-1/shard-000/log/0000000001.log",
        "data-1/shard-001/index/db",
    ] {
        assert_eq!(owner(&path.join(given)), USER, "{given}");
    }
    assert_eq!((owner(&outside), owner(&path.join("notes"))), (0, 0));
    give(&path).unwrap();
}

#[test]
fn what_may_be_anothers_is_not_given_away() {
    let Some(scratch) = Scratch::new() else { return };
    let path = scratch.made_by_root();
    let segment = path.join("data-1/shard-000/log/0000000001.log");

    let elsewhere = scratch.0.join("elsewhere");
    fs::hard_link(&segment, &elsewhere).unwrap();
    assert_refused(give(&path), &["0000000001.log", "hard link"], Remedy::NotGivenCopy);
    assert_eq!((owner(&elsewhere), owner(&path)), (0, 0));
    fs::remove_file(&elsewhere).unwrap();

    chown(&segment, Some(OTHER), None).unwrap();
    assert_refused(give(&path), &["0000000001.log", "12345"], Remedy::NotGivenOthers);
    assert_eq!((owner(&segment), owner(&path)), (OTHER, 0));

    // Moved there by the user, perhaps, out of another directory of the user's.
    chown_all(&path, USER);
    chown(&segment, Some(0), None).unwrap();
    assert_refused(give(&path), &["0000000001.log", "root"], Remedy::NotGivenLookAtIt);
    assert_eq!(owner(&segment), 0);
}

/// A name that the user controls may lead anywhere when it is used.
#[test]
fn a_directory_of_roots_for_something_else_is_not_given_away() {
    let Some(scratch) = Scratch::new() else { return };
    let path = scratch.0.join("etc");
    fs::create_dir(&path).unwrap();
    fs::write(path.join("passwd"), "root's").unwrap();
    assert_refused(give(&path), &["passwd"], Remedy::NotGivenNameOwn);
    assert_eq!((owner(&path), owner(&path.join("passwd"))), (0, 0));
    fs::remove_file(path.join("passwd")).unwrap();
    fs::create_dir(path.join("lost+found")).unwrap();
    give(&path).unwrap();
    assert_eq!((owner(&path), owner(&path.join("lost+found"))), (USER, 0));
}

/// The user swaps one of the directories for a link to root's files, again and again.
#[test]
fn a_directory_that_is_swapped_for_a_link_gives_nothing_of_roots_away() {
    let Some(scratch) = Scratch::new() else { return };
    let path = scratch.made_by_root();
    let roots = scratch.0.join("roots");
    fs::create_dir(&roots).unwrap();
    for number in 10..200 {
        for directory in [&roots, &path.join("data-1/shard-000/log")] {
            fs::write(directory.join(format!("{number:010}.log")), "root's").unwrap();
        }
    }
    chown_all(&path, USER);
    let (name, aside, link) = (path.join("data-1/shard-000/log"), scratch.0.join("aside"), scratch.0.join("link"));
    symlink(&roots, &link).unwrap();
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            for race in 0..RACES {
                // At another moment each time; and long enough for all that is behind the link to be given away.
                spin(Duration::from_micros(race % 250));
                fs::rename(&name, &aside).unwrap();
                fs::rename(&link, &name).unwrap();
                spin(Duration::from_millis(1));
                fs::rename(&name, &link).unwrap();
                fs::rename(&aside, &name).unwrap();
            }
            done.store(true, Ordering::Relaxed);
        });
        while !done.load(Ordering::Relaxed) {
            // Whether it is refused depends on what it meets.
            let _ = give(&path);
        }
    });
    fs::remove_file(&link).unwrap();
    let given = fs::read_dir(&roots).unwrap().filter(|entry| owner(&entry.as_ref().unwrap().path()) != 0).count();
    assert_eq!((given, owner(&roots)), (0, 0));
}
