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

#[cfg(test)]
mod tests {
    use storage::SortBy;

    use super::*;

    const SEARCH: Search<'_> =
        Search { filter: b"", sort: SortBy::Waiting, descending: true, behind: None, before: None, limit: 3 };

    fn line((name, waiting): (&str, u64)) -> QueueFigures {
        QueueFigures { name: name.as_bytes().into(), waiting, sort_key: waiting, ..QueueFigures::default() }
    }

    fn add(page: &mut Page, lines: &[(&str, u64)], matched: u64) {
        page.add(&SEARCH, lines.iter().copied().map(line).collect(), matched);
    }

    #[test]
    fn a_page_asks_for_less_once_it_is_full() {
        let mut page = Page::new();
        assert_eq!(page.narrow(&SEARCH).before, None);
        add(&mut page, &[("d", 9), ("b", 4)], 2);
        assert_eq!(page.narrow(&SEARCH).before, None, "there is room for what comes behind");
        add(&mut page, &[("c", 4)], 7);
        assert_eq!(page.narrow(&SEARCH).before, Some((4, &b"c"[..])));
        add(&mut page, &[("a", 9), ("a2", 4)], 2);
        add(&mut page, &[], 5);
        assert_eq!(page.narrow(&SEARCH), Search { before: Some((4, b"a2")), ..SEARCH });
        let (lines, matched) = page.finish();
        assert_eq!((lines, matched), (vec![line(("a", 9)), line(("d", 9)), line(("a2", 4))], 16));
    }

    #[test]
    fn a_page_of_no_lines_counts_all_the_same() {
        let (none, mut page) = (Search { limit: 0, ..SEARCH }, Page::new());
        page.add(&none, Vec::new(), 4);
        assert_eq!(page.narrow(&none).before, None);
        assert_eq!(page.finish(), (Vec::new(), 4));
    }
}
