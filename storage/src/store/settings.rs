//! What queues are told: bytes that the caller gives a meaning, kept with the queue through everything that keeps the
//! queue.

use std::sync::Arc;

use crate::attempt::Attempt;
use crate::error::Result;
use crate::log::Purpose;
use crate::log::entry::{Entry, SETTINGS_BYTES_MAX, told_bytes};
use crate::settings::{Patterns, Settings, Words};
use crate::store::Store;

impl Store {
    /// Gives the queues the settings that patterns have for their names, below what each was told itself.
    pub fn set_patterns(&mut self, patterns: Arc<Patterns>) {
        self.patterns = patterns;
    }

    /// The settings in force for a queue, whether it exists or not.
    #[must_use]
    pub fn settings_in_force(&self, name: &[u8]) -> Settings {
        // What was told before there were words is none.
        let own = Words::parse(self.settings(name)).unwrap_or_default();
        Settings::of(name, &own, &self.patterns)
    }

    /// The settings of a queue; empty when it has none, or does not exist.
    #[must_use]
    pub fn settings(&self, name: &[u8]) -> &[u8] {
        self.live.queues.find(name).map_or(&[], |slot| self.live.queues.at(slot).settings())
    }

    /// Gives a queue settings in place of those it has; none when they are empty. `Done(false)`: there is no such queue.
    ///
    /// # Errors
    /// When the disk fails; the caller must stop.
    ///
    /// # Panics
    /// When they are longer than [`SETTINGS_BYTES_MAX`].
    pub fn set_settings(&mut self, name: &[u8], settings: &[u8]) -> Result<Attempt<bool>> {
        assert!(settings.len() <= SETTINGS_BYTES_MAX, "settings have a largest size");
        let Some(slot) = self.live.queues.find(name) else {
            return Ok(Attempt::Done(false));
        };
        if self.live.queues.at(slot).settings() == settings {
            return Ok(Attempt::Done(true));
        }
        if let Some(held_up) = self.log.make_room(told_bytes(settings.len()), Purpose::Set).held_up() {
            return Ok(held_up);
        }
        let queue = self.live.queues.at_mut(slot);
        self.log.append(&Entry::Told { queue: queue.id, settings });
        // They are in the record from its next copy on, and count where that is until then: what is behind it stays as
        // long.
        let (segment, before) = (queue.record_segment, queue.record_bytes());
        queue.set_settings(settings);
        let bytes = queue.record_bytes();
        self.log.sub_live(segment, before);
        self.log.add_live(segment, bytes);
        self.live.record_bytes = self.live.record_bytes - before as u64 + bytes as u64;
        Ok(Attempt::Done(true))
    }
}
