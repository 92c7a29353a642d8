//! What queues are told, kept with the queue through everything that keeps the queue, and the rules that follow from it.

use std::sync::Arc;

use crate::attempt::Attempt;
use crate::error::Result;
use crate::log::Purpose;
use crate::log::entry::{Entry, SETTINGS_BYTES_MAX, record_bytes, told_bytes};
use crate::queue::table::Slot;
use crate::settings::{BadWord, Patterns, Settings, Words};
use crate::store::Store;

/// Queues for which new patterns hold in one step.
const PATTERN_STEP: u32 = 512;

impl Store {
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
        self.tell(slot, settings);
        Ok(Attempt::Done(true))
    }

    /// Gives the queue in a slot other settings; there is room to say so.
    fn tell(&mut self, slot: Slot, settings: &[u8]) {
        let queue = self.live.queues.at_mut(slot);
        self.log.append(&Entry::Told { queue: queue.id, settings });
        // They are in the record from its next copy on, and count where that is until then: what is behind it stays as
        // long.
        let (segment, before) = (queue.record_segment, queue.record_bytes());
        queue.set_settings(settings);
        let bytes = queue.record_bytes();
        self.set_rules(slot);
        let queue = self.live.queues.at(slot);
        if self.gates.has(queue.id) || queue.rules().is_some_and(|rules| rules.gate.tickets.is_some()) {
            self.gates.ruled_in = self.changed();
        }
        self.log.sub_live(segment, before);
        self.log.add_live(segment, bytes);
        self.live.record_bytes = self.live.record_bytes - before as u64 + bytes as u64;
    }

    /// Gives a queue, which is made when it does not exist, settings in place of those it has. `Done(Err)`: a word is none.
    ///
    /// # Errors
    /// When the disk fails; the caller must stop.
    pub fn configure(&mut self, name: &[u8], words: &[u8]) -> Result<Attempt<std::result::Result<(), BadWord>>> {
        let words = match Words::parse(words) {
            Ok(words) => words,
            Err(bad) => return Ok(Attempt::Done(Err(bad))),
        };
        let words = words.text();
        if self.live.queues.find(name).is_some() {
            return Ok(self.set_settings(name, &words)?.map(|_| Ok(())));
        }
        // In one frame, so that no crash leaves the queue without them.
        let bytes = record_bytes(name, b"") + told_bytes(words.len());
        if let Some(held_up) = self.log.make_room(bytes, Purpose::Set).held_up() {
            return Ok(held_up);
        }
        let slot = self.create_queue(name);
        if !words.is_empty() {
            self.tell(slot, &words);
        }
        Ok(Attempt::Done(Ok(())))
    }

    /// Has a queue hand out no message, or hand them out again, whatever else it was told, and whatever is said by names.
    /// `Done(false)`: there is no such queue.
    ///
    /// # Errors
    /// When the disk fails; the caller must stop.
    pub fn pause(&mut self, name: &[u8], pause: bool) -> Result<Attempt<bool>> {
        let own = Words::parse(self.settings(name)).unwrap_or_default().with_pause(None);
        // What holds without a word of its own needs none.
        let is_so = Settings::of(name, &own, &self.patterns).pause == pause;
        let words = if is_so { own } else { own.with_pause(Some(pause)) };
        self.set_settings(name, &words.text())
    }

    /// All that holds for a queue and differs from the defaults, as words. Empty too when there is no such queue.
    #[must_use]
    pub fn config(&self, name: &[u8]) -> Vec<u8> {
        let rules = match self.live.queues.find(name) {
            Some(slot) => self.live.queues.at(slot).rules().cloned(),
            None => None,
        };
        rules.map_or_else(Vec::new, |rules| rules.words().text())
    }

    /// Has other settings hold by the names of queues. For the queues that there are, they do [little by
    /// little](Self::follow_patterns).
    pub fn set_patterns(&mut self, patterns: Arc<Patterns>) {
        self.patterns = patterns;
        self.unruled = self.live.queues.slots();
    }

    /// Whether [`follow_patterns`](Self::follow_patterns) has something to do.
    #[must_use]
    pub fn wants_patterns(&self) -> bool {
        self.unruled > 0
    }

    /// Has what was said by names hold for a few more of the queues. Returns whether there are more.
    pub fn follow_patterns(&mut self) -> bool {
        for _ in 0..PATTERN_STEP.min(self.unruled) {
            self.unruled -= 1;
            if self.live.queues.get(self.unruled).is_some() {
                self.set_rules(self.unruled);
            }
        }
        self.unruled > 0
    }

    /// Has what the queue in a slot was told hold, over what was said by names.
    pub(crate) fn set_rules(&mut self, slot: Slot) {
        let queue = self.live.queues.at(slot);
        let was_paused = queue.is_paused();
        let rules = self.rules_of(&queue.name, queue.settings());
        self.live.queues.at_mut(slot).set_rules(rules);
        self.live.follow_flush(slot);
        if was_paused && !self.live.queues.at(slot).is_paused() {
            self.live.wake(slot);
        }
        self.time_age(slot);
        // There may be more tickets than before.
        self.gates.note_unserved(self.live.queues.at(slot).id);
    }
}
