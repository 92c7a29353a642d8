//! Who stands in line on a shard, as plain lists: what the engine's waits are held against.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use shards::{Asker, Client, Moment};

use crate::asked::{Holding, Open, Wanted};
use crate::client::Address;

/// A wait.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Wait {
    pub(crate) by: Asker,
    /// What the client of the simulation knows it by.
    pub(crate) address: Address,
    pub(crate) wanted: Wanted,
    pub(crate) until: Moment,
    /// So much of the history must survive once it is told how it ended, whatever that is.
    pub(crate) promise: Option<usize>,
    /// Its name has asked again, and the line has that wait in its place.
    pub(crate) is_replaced: bool,
}

impl Wait {
    fn named(&self) -> Option<u8> {
        match self.wanted {
            Wanted::Open(Open { holder: Holding::Name(name), .. }) => Some(name),
            _ => None,
        }
    }
}

/// A shard's lines, by queue.
#[derive(Debug, Default)]
pub(crate) struct Lines {
    lines: BTreeMap<u8, VecDeque<Wait>>,
    /// Clients that are known to be gone on this shard.
    gone: BTreeSet<Client>,
}

impl Lines {
    /// Holds a take that was answered at once against the line.
    pub(crate) fn check_taken(&self, name: u8, by: Asker) {
        assert!(!self.gone.contains(&by.client), "a message was taken for {:?}, which is gone", by.client);
        assert!(!self.lines.contains_key(&name), "{:?} was served before those in line", by.client);
    }

    /// Holds a take that found nothing, and did not wait, against its deadline.
    pub(crate) fn check_refused(&self, by: Asker, until: Moment, now: Moment) {
        assert!(until <= now || self.gone.contains(&by.client), "{:?} did not wait until {until:?}", by.client);
    }

    pub(crate) fn line_up(&mut self, name: u8, wait: Wait, now: Moment) {
        assert!(wait.until > now, "{wait:?} is over");
        assert!(!self.gone.contains(&wait.by.client), "{wait:?}, and its client is gone");
        let line = self.lines.entry(name).or_default();
        if let Some(by) = wait.named()
            && let Some(before) = line.iter_mut().find(|before| before.named() == Some(by) && !before.is_replaced)
        {
            before.is_replaced = true;
        }
        line.push_back(wait);
    }

    /// A wait ends with a message: it is the first of its line. Returns the queue.
    pub(crate) fn serve(&mut self, by: Asker) -> (u8, Wait) {
        assert!(!self.gone.contains(&by.client), "a message was taken for {:?}, which is gone", by.client);
        let mut lines = self.lines.iter();
        let name = lines.find_map(|(name, line)| (line.front()?.by == by).then_some(*name));
        let name = name.unwrap_or_else(|| panic!("{by:?} is the first of no line: {:?}", self.lines));
        (name, self.remove(name, 0))
    }

    /// A wait ends with nothing: its time is up, or its client is gone.
    pub(crate) fn end(&mut self, by: Asker, now: Moment) -> Wait {
        let place =
            self.lines.iter().find_map(|(name, line)| Some((*name, line.iter().position(|wait| wait.by == by)?)));
        let (name, at) = place.unwrap_or_else(|| panic!("{by:?} stands in no line: {:?}", self.lines));
        let wait = self.remove(name, at);
        let is_over = wait.until <= now || wait.is_replaced || self.gone.contains(&by.client);
        assert!(is_over, "{wait:?} has ended at {now:?}");
        wait
    }

    fn remove(&mut self, name: u8, at: usize) -> Wait {
        let line = self.lines.get_mut(&name).expect("the queue has a line");
        let wait = line.remove(at).expect("it stands in line");
        if line.is_empty() {
            self.lines.remove(&name);
        }
        wait
    }

    /// Whether a client is known to be gone.
    pub(crate) fn is_gone(&self, client: Client) -> bool {
        self.gone.contains(&client)
    }

    /// The shard is told that a client is gone.
    pub(crate) fn leave(&mut self, client: Client) {
        self.gone.insert(client);
    }

    /// The shard has ended what clients that are gone had open.
    pub(crate) fn check_gone(&self) {
        let stays = self.waits().find(|wait| self.gone.contains(&wait.by.client));
        assert!(stays.is_none(), "{stays:?} stands in line, and its client is gone");
    }

    /// The shard was served `now`.
    pub(crate) fn check_deadlines(&self, now: Moment) {
        let late = self.waits().find(|wait| wait.until <= now);
        assert!(late.is_none(), "{late:?} still stands in line at {now:?}");
    }

    pub(crate) fn waits(&self) -> impl Iterator<Item = &Wait> {
        self.lines.values().flatten()
    }

    /// The queues that have a line.
    pub(crate) fn queues(&self) -> impl Iterator<Item = u8> {
        self.lines.keys().copied()
    }
}
