//! A full disk is no failure: a set is refused, a get works, and a set works again when there is room.

use crate::client::Client;
use crate::process::Launch;

const DISK_MEGABYTES: u32 = 24;

/// Mounts a small file system of its own over the directory, seen only by the server and gone with it.
const ON_A_SMALL_DISK: &str = r#"
    directory=$1 megabytes=$2; shift 2
    mkdir -p "$directory" && mount -t tmpfs -o "size=${megabytes}m" tmpfs "$directory" || exit 9
    exec "$@"
"#;

fn body(number: usize) -> Vec<u8> {
    let mut body = format!("{number}:").into_bytes();
    body.resize(1000, b'.');
    body
}

/// Sets until the server refuses, and returns the number that it refused.
/// A set that is refused once may be taken the next time: the other shard may just have given room back that it could
/// not use. The disk is full when one is refused again and again.
const REFUSALS: usize = 20;

fn fill(client: &mut Client, first: usize) -> usize {
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
    let launch = Launch::new();
    let disk = launch.scratch().join("disk");
    let megabytes = DISK_MEGABYTES.to_string();
    let through = ["unshare", "-m", "sh", "-c", ON_A_SMALL_DISK, "sh", disk.to_str().unwrap(), &megabytes];
    let server = launch.through(&through).directory(disk.join("data")).with(&["-m", "1"]).start();
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
