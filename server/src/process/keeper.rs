//! The keeper. The files that go with the server's end (`-P`, `-s`) often lie where only root may remove them, and a server
//! that has become another user (`-u`) may not. So before it does, it starts this program again, as root, with nothing to
//! do but to wait for the end of its standard input, which is the server's end however that comes, and to remove them.

use std::io::{self, Read, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use nix::sys::signal::SigSet;

use crate::process::entry::{Entry, FileId};
use crate::process::options::Arguments;
use crate::process::pid_file::{PidFile, claim_left_by};
use crate::process::socket_file::{self, SocketFile};

/// The files that go when the server ends, and this value with it.
#[derive(Debug, Default)]
pub(crate) struct OwnFiles {
    pub(crate) pid_file: Option<PidFile>,
    /// Those of clients and of the operator.
    pub(crate) sockets: Vec<SocketFile>,
    keeper: Option<Child>,
}

impl OwnFiles {
    /// Starts the keeper, while this process still is root. It returns once the keeper has all that it needs.
    ///
    /// # Errors
    /// When it cannot be started, or ends at once.
    pub(crate) fn start_keeper(&mut self) -> Result<(), String> {
        if self.pid_file.is_none() && self.sockets.is_empty() {
            return Ok(());
        }
        let mut command = Command::new("/proc/self/exe");
        if let Some(file) = &self.pid_file {
            command.arg("--keep-pid-file").arg(file.path());
        }
        for socket in &self.sockets {
            let FileId { device, inode } = socket.id();
            command.arg("--keep-socket").arg(socket.path()).args(["--keep-socket-id", &format!("{device}:{inode}")]);
        }
        let failed = |error: io::Error| format!("-u: there is no keeper for the files of -P, -s and --admin: {error}");
        let spawned = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn();
        let mut keeper = spawned.map_err(failed)?;
        let ready = keeper.stdout.take().map(|mut stdout| stdout.read_exact(&mut [0]));
        self.keeper = Some(keeper);
        ready.unwrap_or(Ok(())).map_err(failed)
    }
}

impl Drop for OwnFiles {
    fn drop(&mut self) {
        let Some(mut keeper) = self.keeper.take() else { return };
        // It takes their locks before it removes them.
        self.sockets.drain(..).for_each(SocketFile::leave);
        self.pid_file.take().into_iter().for_each(PidFile::leave);
        drop(keeper.stdin.take());
        // Once it has ended they are gone.
        let _ = keeper.wait();
    }
}

/// What the keeper keeps, by its command line.
#[derive(Debug)]
pub(crate) struct Kept<'a> {
    pid_file: Option<&'a Path>,
    sockets: Vec<(&'a Path, FileId)>,
}

impl Kept<'_> {
    /// What the command line of this process names; `None`: this process is no keeper.
    pub(crate) fn of(arguments: &Arguments) -> Option<Kept<'_>> {
        let pid_file = arguments.keep_pid_file.as_deref();
        let paths = arguments.keep_socket.iter().map(|path| path.as_path());
        let sockets: Vec<_> = paths.zip(arguments.keep_socket_id.iter().copied()).collect();
        (pid_file.is_some() || !sockets.is_empty()).then_some(Kept { pid_file, sockets })
    }

    /// What the keeper does.
    ///
    /// # Errors
    /// When the directory of a file cannot be opened, or a file of a server that has ended cannot be removed.
    pub(crate) fn keep(&self) -> Result<(), String> {
        // A terminal and a service manager signal whole groups; the server decides when it ends.
        SigSet::all().thread_block().map_err(|error| error.to_string())?;
        let server = std::os::unix::process::parent_id();
        let open = |path: &Path| Entry::of(path).map_err(|error| format!("{}: {error}", path.display()));
        let pid_file = self.pid_file.map(open).transpose()?;
        let sockets = self.sockets.iter().map(|(path, id)| {
            let lock = open(&socket_file::lock_path(path))?;
            Ok::<_, String>((path, id, open(path)?, lock))
        });
        let sockets = sockets.collect::<Result<Vec<_>, String>>()?;
        io::stdout().write_all(b"!").and_then(|()| io::stdout().flush()).map_err(|error| error.to_string())?;

        io::stdin().read_to_end(&mut Vec::new()).map_err(|error| error.to_string())?;
        for (path, id, entry, lock) in &sockets {
            if let Some(_locked) = claim_left_by(server, lock) {
                socket_file::remove(entry, **id, path);
                lock.unlink().map_err(|error| error.to_string())?;
            }
        }
        if let Some(entry) = &pid_file
            && let Some(_locked) = claim_left_by(server, entry)
        {
            entry.unlink().map_err(|error| error.to_string())?;
        }
        Ok(())
    }
}
