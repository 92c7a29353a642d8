//! What a session may do.

use protocol::KeyRules;

use crate::process::settings::Settings;

/// What the server's options allow a session.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Rules {
    /// Bytes of the largest body.
    pub(crate) body_bytes_max: usize,
    /// Whether `flush_all` is done.
    pub(crate) flush_all: bool,
    /// Whether a set that is Zend_Queue's greeting is no message.
    pub(crate) zend_greeting: bool,
    /// How keys are read.
    pub(crate) keys: KeyRules,
    /// Whether VALUE has a key without its options.
    pub(crate) bare_keys: bool,
    /// Messages of a queue that the connection may have open at once.
    pub(crate) open_max: u32,
    /// The longest that a get waits, in milliseconds.
    pub(crate) wait_ms_max: u32,
    /// Whether clients may give queues settings.
    pub(crate) config: bool,
    /// Whether a client has to log in first.
    pub(crate) login: bool,
    /// How many shards there are.
    pub(crate) shards: u16,
}

impl Rules {
    pub(crate) fn of(settings: &Settings) -> Rules {
        Rules {
            body_bytes_max: settings.storage.body_bytes_max,
            flush_all: settings.flush_all,
            zend_greeting: settings.zend_greeting,
            keys: KeyRules { options: settings.options, fanout: settings.fanout },
            bare_keys: settings.kestrel_keys,
            open_max: settings.open_per_connection,
            wait_ms_max: u32::try_from(settings.wait_max.as_millis()).unwrap_or(u32::MAX),
            config: settings.config,
            login: settings.users.is_some(),
            shards: settings.shards,
        }
    }
}
