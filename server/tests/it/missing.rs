//! What was there once and is missing is never taken for new: each file and directory is removed in turn.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::Mutex;
use std::thread;

use crate::process::{Launch, Server};

const QUEUES: usize = 5;
const MESSAGES: usize = 120;
const TAKEN: usize = 20;

type Contents = BTreeMap<String, Vec<Vec<u8>>>;

fn queue(number: usize) -> String {
    format!("queue-{}", number % QUEUES)
}

fn body(number: usize) -> Vec<u8> {
    let mut body = format!("message {number} ").into_bytes();
    body.resize(20_000, b'.');
    body
}

/// What is in the queues.
fn expected() -> Contents {
    put_from(TAKEN)
}

/// What was put, from this message on.
fn put_from(first: usize) -> Contents {
    let mut contents = Contents::new();
    for number in first..MESSAGES {
        contents.entry(queue(number)).or_default().push(body(number));
    }
    contents
}

fn small() -> Launch {
    Launch::new().segment_bytes(256 << 10).with(&["-B", "65536"])
}

/// A stopped server with two shards and a few segments in each.
fn filled(cleanly: bool) -> Server {
    let mut server = small().start();
    let mut client = server.connect();
    for number in 0..MESSAGES {
        assert_eq!(client.set(&queue(number), &body(number)), "STORED");
    }
    for number in 0..TAKEN {
        assert_eq!(client.get(&queue(number)), Some(body(number)));
    }
    match cleanly {
        true => server.terminate(),
        false => server.kill_9(),
    }
    server
}

fn drain(server: &Server) -> Contents {
    let mut client = server.connect();
    let mut contents = Contents::new();
    for number in 0..QUEUES {
        while let Some(body) = client.get(&queue(number)) {
            contents.entry(queue(number)).or_default().push(body);
        }
    }
    contents
}

/// Whether all of `part` is in `whole`, in the same order, queue by queue.
fn is_part(part: &Contents, whole: &Contents) -> bool {
    part.iter().all(|(queue, messages)| {
        let mut rest = whole[queue].iter();
        messages.iter().all(|message| rest.any(|other| other == message))
    })
}

/// All paths below a directory, the upper ones first.
fn paths_below(directory: &Path) -> Vec<PathBuf> {
    let mut paths: Vec<PathBuf> = fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    let below = |path: &PathBuf| if path.is_dir() { paths_below(path) } else { Vec::new() };
    paths.iter().flat_map(|path| [vec![path.clone()], below(path)].concat()).collect()
}

/// What is on the disk, apart from who has the lock, and the index, which may be thrown away at any time.
fn tree(directory: &Path) -> Vec<(PathBuf, Option<Vec<u8>>)> {
    let is_truth =
        |path: &PathBuf| !path.ends_with("lock") && !path.components().any(|part| part.as_os_str() == "index");
    let paths = paths_below(directory).into_iter().filter(is_truth);
    paths.map(|path| (path.clone(), path.is_file().then(|| fs::read(&path).unwrap()))).collect()
}

fn copy(from: &Path, to: &Path) {
    let copied = Command::new("cp").arg("-a").arg(from).arg(to).status().unwrap();
    assert!(copied.success());
}

fn check(launch: &Launch) -> Output {
    let mut command = launch.clone().command();
    command.arg("--check").stdin(Stdio::null()).output().unwrap()
}

/// One removal, in a copy of a data directory.
struct Removal<'a> {
    launch: Launch,
    directory: PathBuf,
    missing: &'a Path,
    aside: PathBuf,
}

impl Removal<'_> {
    fn path(&self) -> PathBuf {
        self.directory.join(self.missing)
    }

    fn server(&self, arguments: &[&str]) -> Server {
        let arguments = [&["-B", "65536"], arguments].concat();
        self.launch.clone().directory(self.directory.clone()).with(&arguments).later()
    }

    /// Removes it. Either everything is there, or it is said what is missing, and nothing is changed. Then it goes on with
    /// everything once it is put back, and with what is whole by `--repair`.
    fn is_seen(&self, whole: &Path) -> Result<(), String> {
        copy(whole, &self.directory);
        fs::rename(self.path(), &self.aside).unwrap();
        let before = tree(&self.directory);
        let mut server = self.server(&[]);
        let checked = check(server.launch());
        if tree(&self.directory) != before {
            return Err("--check changed something".to_string());
        }
        let Err(refusal) = server.try_start() else {
            if !checked.status.success() {
                return Err(format!("it starts, although --check says {checked:?}"));
            }
            return match drain(&server) == expected() {
                true => Ok(()),
                false => Err("it starts without all messages".to_string()),
            };
        };
        if tree(&self.directory) != before {
            return Err("a refused start changed something".to_string());
        }
        let name = self.missing.file_name().unwrap().to_str().unwrap();
        refusal.assert_one_line(&[name, "--repair", "nothing was changed"]);
        let said = String::from_utf8_lossy(&checked.stdout);
        if checked.status.success()
            || !(said.contains("missing: ") || said.contains("damaged: "))
            || !said.contains(name)
        {
            return Err(format!("--check says {checked:?}"));
        }
        // Put back, all is as if nothing had been.
        fs::rename(&self.aside, self.path()).unwrap();
        server.start();
        if drain(&server) != expected() {
            return Err("put back, it starts without all messages".to_string());
        }
        server.kill_9();
        self.is_repaired(whole)
    }

    fn is_repaired(&self, whole: &Path) -> Result<(), String> {
        fs::remove_dir_all(&self.directory).unwrap();
        copy(whole, &self.directory);
        fs::rename(self.path(), &self.aside).unwrap();
        let mut server = self.server(&["--repair"]);
        server.try_start().map_err(|refusal| format!("not repaired: {refusal:?}"))?;
        server.kill_9();
        let mut server = self.server(&[]);
        if !check(server.launch()).status.success() {
            return Err("not whole after a repair".to_string());
        }
        server.try_start().map_err(|refusal| format!("repaired once, and refused again: {refusal:?}"))?;
        // What was taken comes again when the takes were in what is missing.
        match is_part(&drain(&server), &put_from(0)) {
            true => Ok(()),
            false => Err("a repair invented something".to_string()),
        }
    }
}

fn each_removal_is_seen(cleanly: bool) {
    let filled = filled(cleanly);
    let (launch, whole) = (filled.launch(), filled.directory());
    let missing: Vec<PathBuf> =
        paths_below(whole).iter().map(|path| path.strip_prefix(whole).unwrap().to_path_buf()).collect();
    assert!(missing.iter().filter(|path| path.extension().is_some_and(|extension| extension == "log")).count() >= 8);
    let (next, failures) = (Mutex::new(missing.iter().enumerate()), Mutex::new(Vec::new()));
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                loop {
                    let Some((number, missing)) = next.lock().unwrap().next() else { return };
                    let scratch = launch.scratch();
                    let removal = Removal {
                        launch: launch.clone(),
                        directory: scratch.join(format!("copy-{number}")),
                        missing,
                        aside: scratch.join(format!("aside-{number}")),
                    };
                    if let Err(what) = removal.is_seen(whole) {
                        failures.lock().unwrap().push((missing.display().to_string(), what));
                    }
                    fs::remove_dir_all(&removal.directory).unwrap();
                }
            });
        }
    });
    let failures = failures.into_inner().unwrap();
    assert!(failures.is_empty(), "without one of {}: {failures:#?}", missing.len());
}

#[test]
fn each_file_and_directory_is_missed_after_a_kill() {
    each_removal_is_seen(false);
}

#[test]
fn each_file_and_directory_is_missed_after_a_clean_stop() {
    each_removal_is_seen(true);
}
