//! The file that holds the process id while the server runs.
//!
//! It often lies where only root may remove it, and a server that has become somebody else (`-u`) may not. So before it
//! does, it starts a keeper: this program again, as root, with nothing to do but to wait for the end of its standard
//! input, which is the server's end however that comes, and to remove the file.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};

/// The file, removed when this is dropped.
#[derive(Debug)]
pub(crate) struct PidFile {
    path: PathBuf,
    keeper: Option<Child>,
}

impl PidFile {
    /// Writes the process id, in the place of what the file held before.
    ///
    /// # Errors
    /// One line.
    pub(crate) fn write(path: &Path) -> Result<PidFile, String> {
        let failed = |error: io::Error| format!("-P {}: {error}; name a file that can be written", path.display());
        // Renamed into place: who reads it finds a whole number. And no link that somebody has laid there is followed.
        let id = std::process::id();
        let temporary = path.with_extension(format!("{id}.tmp"));
        let _ = fs::remove_file(&temporary);
        let written = File::create_new(&temporary).and_then(|mut file| writeln!(file, "{id}"));
        if let Err(error) = written.and_then(|()| fs::rename(&temporary, path)) {
            let _ = fs::remove_file(&temporary);
            return Err(failed(error));
        }
        Ok(PidFile { path: path.to_path_buf(), keeper: None })
    }

    /// Starts the keeper, while this process still is root.
    ///
    /// # Errors
    /// One line.
    pub(crate) fn start_keeper(&mut self) -> Result<(), String> {
        let keeper = Command::new("/proc/self/exe")
            .arg("--keep-pid-file")
            .arg(&self.path)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn();
        let keeper = keeper.map_err(|error| format!("-P {}: no keeper for it: {error}", self.path.display()))?;
        self.keeper = Some(keeper);
        Ok(())
    }
}

impl Drop for PidFile {
    fn drop(&mut self) {
        match &mut self.keeper {
            Some(keeper) => {
                drop(keeper.stdin.take());
                // Once it has ended the file is gone.
                let _ = keeper.wait();
            }
            None => remove(&self.path, std::process::id()),
        }
    }
}

/// What the keeper does.
///
/// # Errors
/// One line.
pub(crate) fn keep(path: &Path) -> Result<(), String> {
    let server = std::os::unix::process::parent_id();
    // A terminal and a service manager signal whole groups; the server decides when it ends.
    for signal in [SIGHUP, SIGINT, SIGTERM] {
        signal_hook::flag::register(signal, Arc::new(AtomicBool::new(false))).map_err(|error| error.to_string())?;
    }
    io::stdin().read_to_end(&mut Vec::new()).map_err(|error| error.to_string())?;
    remove(path, server);
    Ok(())
}

/// Removes the file, unless it is another server's by now.
fn remove(path: &Path, server: u32) {
    let is_ours = fs::read_to_string(path).is_ok_and(|held| held.trim() == server.to_string());
    if is_ours && let Err(error) = fs::remove_file(path) {
        log::warn!("{} cannot be removed: {error}", path.display());
    }
}
