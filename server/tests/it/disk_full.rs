//! A full disk is no failure: a set is refused, a get works, and a set works again when there is room.

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use crate::client::Client;
use crate::process::{Launch, wait_until};
use crate::root::is_root;

const DISK_MEGABYTES: u32 = 24;

/// A small file system, mounted as long as the value lives.
#[derive(Debug)]
pub(crate) struct SmallDisk(PathBuf);

impl SmallDisk {
    /// Mounts one at `path`. Only root can.
    pub(crate) fn mount(path: &Path, megabytes: u32) -> SmallDisk {
        std::fs::create_dir_all(path).unwrap();
        let size = format!("size={megabytes}m");
        let status = Command::new("mount").args(["-t", "tmpfs", "-o", &size, "tmpfs"]).arg(path).status().unwrap();
        assert!(status.success(), "a tmpfs cannot be mounted at {}: {status}", path.display());
        SmallDisk(path.to_path_buf())
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // Lazily: when a test fails, its server still has files open there.
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

fn body(number: usize) -> Vec<u8> {
    let mut body = format!("{number}:").into_bytes();
    body.resize(1000, b'.');
    body
}

/// A set that is refused once may be taken the next time: the other shard may just have given room back that it could
/// not use. The disk is full when one is refused again and again.
const REFUSALS: usize = 20;

/// Sets until the server refuses, and returns the number that it refused.
pub(crate) fn fill(client: &mut Client, first: usize) -> usize {
    let (mut number, mut refusals) = (first, 0);
    while refusals < REFUSALS {
        match client.set("q", &body(number)).as_str() {
            "STORED" => (number, refusals) = (number + 1, 0),
            "NOT_STORED" => refusals += 1,
            other => panic!("a set on a full disk was answered {other}"),
        }
        assert!(number - first < DISK_MEGABYTES as usize * 1048, "more than the disk can hold");
    }
    number
}

fn take(client: &mut Client, numbers: std::ops::Range<usize>) {
    for number in numbers {
        assert!(client.get("q").is_some_and(|found| found == body(number)), "message {number} is not at the head");
    }
}

#[test]
fn a_full_disk_refuses_sets_and_still_gives() {
    if !is_root("only root can mount a small disk") {
        return;
    }
    let launch = Launch::new();
    let mount = launch.scratch().join("disk");
    let _disk = SmallDisk::mount(&mount, DISK_MEGABYTES);
    let server = launch.directory(mount.join("data")).with(&["-m", "1"]).start();
    let mut client = server.connect();
    let stored = fill(&mut client, 0);
    assert!(stored > 2000, "refused after {stored} messages, with most of {DISK_MEGABYTES} MB free");
    assert_eq!(client.set("q", &body(stored)), "NOT_STORED");
    take(&mut client, 0..stored);
    assert_eq!(client.get("q"), None);

    // There is room again; the second time goes as the first, and nothing of what was refused is there.
    assert_eq!(client.set("q", &body(0)), "STORED");
    let stored = fill(&mut client, 1);
    assert!(stored > 2000, "only {stored} messages fit the second time");
    take(&mut client, 0..stored);
    assert_eq!(client.queue_counters().len(), 1);
}

#[test]
fn a_full_disk_keeps_everything_over_restarts() {
    if !is_root("only root can mount a small disk") {
        return;
    }
    let launch = Launch::new();
    let mount = launch.scratch().join("disk");
    let _disk = SmallDisk::mount(&mount, DISK_MEGABYTES);
    let mut server = launch.directory(mount.join("data")).with(&["-m", "1"]).start();
    let mut client = server.connect();
    let stored = fill(&mut client, 0);
    // Not a byte is left, for any process.
    let rest = mount.join("rest");
    let mut file = File::create(&rest).unwrap();
    while file.write_all(&[0; 512]).is_ok() {}
    take(&mut client, 0..stored / 4);
    server.kill_9();
    server.start();
    let mut client = server.connect();
    take(&mut client, stored / 4..stored / 2);
    server.terminate();
    server.start();
    let mut client = server.connect();
    take(&mut client, stored / 2..stored);
    assert_eq!(client.get("q"), None);
    drop(file);
    std::fs::remove_file(&rest).unwrap();
    wait_until("sets to be taken again", Duration::from_secs(20), || client.set("q", &body(0)) == "STORED");
    let stored = fill(&mut client, 1);
    assert!(stored > 2000, "only {stored} messages fit the second time");
    take(&mut client, 0..stored);
}
