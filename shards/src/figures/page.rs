//! A page of queues, put together from the pieces of all shards.

use storage::Search;

use crate::figures::queues::QueueFigures;

/// The first queues of a search, as many as it asks for at most, of the pieces that were looked at so far.
#[derive(Debug)]
pub struct Page {
    /// In their order.
    lines: Vec<QueueFigures>,
    matched: u64,
}

impl Page {
    /// A page with nothing on it yet.
    #[must_use]
    pub fn new() -> Page {
        Page { lines: Vec::new(), matched: 0 }
    }

    /// What the next piece is asked for: of the search, what comes before the last line of a page that is full.
    #[must_use]
    pub fn narrow<'a>(&'a self, search: &Search<'a>) -> Search<'a> {
        let is_full = self.lines.len() >= search.lines_max();
        let last = self.lines.last().filter(|_| is_full);
        Search { before: last.map(|line| (line.sort_key, &*line.name)), ..*search }
    }

    /// Adds the lines of a piece.
    pub fn add(&mut self, search: &Search<'_>, lines: Vec<QueueFigures>, matched: u64) {
        self.matched += matched;
        if !lines.is_empty() {
            self.lines.extend(lines);
            self.lines.sort_by(|a, b| search.order((a.sort_key, &a.name), (b.sort_key, &b.name)));
            self.lines.truncate(search.lines_max());
        }
    }

    /// The lines in their order, and how many queues have matched.
    #[must_use]
    pub fn finish(self) -> (Vec<QueueFigures>, u64) {
        (self.lines, self.matched)
    }
}

impl Default for Page {
    fn default() -> Page {
        Page::new()
    }
}
