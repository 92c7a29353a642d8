//! Power cuts on a real file system: an ext4 in an image file, which the kernel is told to shut down in the middle of the
//! load without writing anything any more. What was not synced is gone then, as far as the file system is concerned; what
//! a disk does with its own cache is not shown.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use fastrand::Rng;

use crate::crash::{Ledger, NextNumbers, load_until, verify};
use crate::process::{Launch, Server, random_seed};
use crate::root::is_root;

/// How often; `RUSHQ_POWER_CUTS` sets another number.
const ROUNDS: usize = 6;

/// EXT4_IOC_SHUTDOWN with EXT4_GOING_FLAGS_NOLOGFLUSH.
const SHUT_DOWN: &str = "import fcntl, os, struct, sys; \
                         fcntl.ioctl(os.open(sys.argv[1], os.O_RDONLY), 0x8004587D, struct.pack('I', 2))";

fn run(command: &mut Command) {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    assert!(output.status.success(), "{command:?}: {output:?}");
}

/// An ext4 in an image file, mounted as long as the value lives.
struct Ext4 {
    image: PathBuf,
    mount: PathBuf,
}

impl Ext4 {
    fn make(scratch: &Path, megabytes: u64) -> Ext4 {
        let (image, mount) = (scratch.join("image"), scratch.join("mount"));
        std::fs::create_dir(&mount).unwrap();
        std::fs::File::create(&image).unwrap().set_len(megabytes << 20).unwrap();
        run(Command::new("mkfs.ext4").args(["-q", "-F"]).arg(&image));
        let ext4 = Ext4 { image, mount };
        ext4.mount();
        ext4
    }

    fn mount(&self) {
        run(Command::new("mount").args(["-o", "loop"]).arg(&self.image).arg(&self.mount));
    }

    fn cut_power(&self) {
        run(Command::new("python3").args(["-c", SHUT_DOWN]).arg(&self.mount));
    }

    /// Mounts it anew: the journal is played back, as after a power cut.
    fn come_back(&self) {
        run(Command::new("umount").arg(&self.mount));
        self.mount();
    }
}

impl Drop for Ext4 {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.mount).status();
    }
}

#[test]
fn what_was_acknowledged_survives_a_power_cut() {
    if !is_root("only root can mount a file system") {
        return;
    }
    let rounds = std::env::var("RUSHQ_POWER_CUTS").map_or(ROUNDS, |rounds| rounds.parse().unwrap());
    let mut rng = Rng::with_seed(random_seed());
    let launch = Launch::new();
    let disk = Ext4::make(launch.scratch(), 400);
    let ledger = Arc::new(Ledger::default());
    let mut next = NextNumbers::default();
    let mut server = launch.directory(disk.mount.join("data")).start();
    for round in 0..rounds {
        let commit = ["inline", "thread"][round % 2];
        load_until(&mut server, &ledger, &mut rng, &mut next, |server: &mut Server| {
            disk.cut_power();
            // The next write fails, and so does the process: it never acknowledges anything again.
            server.wait_for_failure();
        });
        disk.come_back();
        server.set_arguments(&["-C", "1", "-m", "1", "--commit", commit]);
        server.set_shards(rng.u32(1..=2));
        server.start();
        verify(&server, &ledger, |queue| queue > 0 && rng.bool());
    }
    verify(&server, &ledger, |_| true);
    server.terminate();
}
