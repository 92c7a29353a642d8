//! What the options come to, checked, and the same for all shards.

use std::net::SocketAddr;
use std::path::PathBuf;

use shards::{CommitMode, Durability};

use crate::session::Rules;

/// The server's settings.
#[derive(Debug, Clone)]
pub(crate) struct Settings {
    pub(crate) address: SocketAddr,
    pub(crate) directory: PathBuf,
    pub(crate) shards: u16,
    /// The cores that this process may run on.
    pub(crate) cores: Vec<usize>,
    pub(crate) connections_max: usize,
    pub(crate) flush_all: bool,
    pub(crate) zend_greeting: bool,
    pub(crate) verbosity: u8,
    /// Of bodies in memory, for the whole process.
    pub(crate) memory_bytes: usize,
    pub(crate) commit: CommitMode,
    /// For each shard.
    pub(crate) storage: shards::Options,
}

impl Settings {
    /// What a session may do.
    pub(crate) fn rules(&self) -> Rules {
        let body_bytes_max = self.storage.body_bytes_max;
        Rules { body_bytes_max, flush_all: self.flush_all, zend_greeting: self.zend_greeting }
    }

    /// Every option's name and value, for `stats settings`.
    pub(crate) fn list(&self) -> Vec<(&'static str, String)> {
        let on = |on: bool| if on { "on" } else { "off" }.to_string();
        vec![
            ("port", self.address.port().to_string()),
            ("listen", self.address.ip().to_string()),
            ("threads", self.shards.to_string()),
            ("home", self.directory.display().to_string()),
            ("memory", (self.memory_bytes >> 20).to_string()),
            ("body_bytes", self.storage.body_bytes_max.to_string()),
            ("no_sync", on(self.storage.durability == Durability::Written)),
            ("connections", self.connections_max.to_string()),
            ("no_flush_all", on(!self.flush_all)),
            ("no_zend_greeting", on(!self.zend_greeting)),
            ("verbose", self.verbosity.to_string()),
            ("commit", format!("{:?}", self.commit).to_lowercase()),
            ("segment_bytes", self.storage.segment_bytes.to_string()),
        ]
    }
}
