//! What all parts of the server share on one shard.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Instant;

use shards::pump::ShardHandle;

use crate::access::{Crowd, Users};
use crate::process::certificates::Certificates;
use crate::process::drain::Drain;
use crate::process::permits::Limit;
use crate::process::settings::Settings;
use crate::session::roster::Roster;

/// A shard of the server, as its connections and its figures see it.
#[derive(Debug)]
pub(crate) struct ShardContext {
    /// The shard itself, which runs on this thread.
    pub(crate) handle: ShardHandle,
    pub(crate) settings: Arc<Settings>,
    /// What its TCP ports do TLS with; `None`: they are plain.
    pub(crate) certificates: Option<Arc<Certificates>>,
    /// Whether the process drains.
    pub(crate) drain: Arc<Drain>,
    /// The connections that the process may have.
    pub(crate) limit: Arc<Limit>,
    /// The connections that an address may have; `None`: any number.
    pub(crate) crowd: Option<Arc<Crowd>>,
    /// Who may log in; `None`: no client needs to.
    pub(crate) users: Option<Arc<Users>>,
    /// The connections that are open, of all shards.
    pub(crate) roster: Arc<Roster>,
    pub(crate) started: Instant,
}

impl ShardContext {
    /// Handshakes of TLS that came to nothing, on all shards. `None`: the ports are plain.
    pub(crate) fn failed_handshakes(&self) -> Option<u64> {
        self.certificates.as_ref().map(|certificates| certificates.failed_handshakes.load(Relaxed))
    }
}
