//! Giving up the rights of root, once all is bound that needs them.

use std::ffi::CString;

use nix::sys::prctl;
use nix::unistd::{Gid, Uid, User, geteuid, initgroups, setgid, setuid};

/// A user that this process can become.
#[derive(Debug, Clone)]
pub(crate) struct Identity {
    name: String,
    uid: Uid,
    gid: Gid,
}

impl Identity {
    /// Looks a user up. `None`: this process does not run as root, so it stays who it is.
    ///
    /// # Errors
    /// When there is no such user.
    pub(crate) fn of(name: &str) -> Result<Option<Identity>, String> {
        let refused = |why: String| format!("-u {name}: {why}; name a user of this machine");
        let user = User::from_name(name).map_err(|error| refused(error.to_string()))?;
        let user = user.ok_or_else(|| refused("there is no such user".to_string()))?;
        let identity = Identity { name: user.name, uid: user.uid, gid: user.gid };
        Ok(geteuid().is_root().then_some(identity))
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    pub(crate) fn uid(&self) -> u32 {
        self.uid.as_raw()
    }

    pub(crate) fn gid(&self) -> u32 {
        self.gid.as_raw()
    }

    /// Becomes that user, for good. Other processes of that user cannot look into this one's memory, where messages are,
    /// unless `core_files` asks for core files, which hold them too.
    ///
    /// # Errors
    /// When the kernel refuses one of the changes. Some may be made by then: the process must end.
    pub(crate) fn assume(&self, core_files: bool) -> Result<(), String> {
        let failed = |error: nix::errno::Errno| format!("-u {}: {error}; nothing was started", self.name);
        let name = CString::new(self.name.as_str()).map_err(|error| error.to_string())?;
        // The groups first: afterwards this process may not change them any more.
        initgroups(&name, self.gid).and_then(|()| setgid(self.gid)).and_then(|()| setuid(self.uid)).map_err(failed)?;
        // One flag of the kernel decides both: whether it writes a core, and whether a process of the same user may attach.
        prctl::set_dumpable(core_files).map_err(failed)
    }
}
