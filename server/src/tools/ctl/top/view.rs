//! What is looked at, and what keys do. Pure: no terminal and no server.

use super::reading::{Question, Reading};
use crate::tools::ctl::queue::Sort;

/// The state of the screen.
#[derive(Debug)]
pub(super) struct View {
    /// Where the server is.
    pub(super) place: String,
    pub(super) sort: Sort,
    pub(super) descending: bool,
    pub(super) filter: String,
    /// The filter that is being typed.
    pub(super) typing: Option<String>,
    pub(super) is_paused: bool,
    pub(super) shows_help: bool,
    pub(super) reading: Option<Reading>,
    /// Why the last look failed.
    pub(super) failure: Option<String>,
}

/// A key, as far as keys are told apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Key {
    Letter(char),
    Enter,
    Escape,
    Backspace,
    Left,
    Right,
    /// Ctrl-C, which ends the program wherever it is.
    Interrupt,
}

/// What follows a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Then {
    Draw,
    /// Other queues are asked for.
    Look,
    Quit,
}

impl View {
    pub(super) fn new(place: String, sort: Sort, filter: String) -> View {
        View {
            place,
            sort,
            descending: falls(sort),
            filter,
            typing: None,
            is_paused: false,
            shows_help: false,
            reading: None,
            failure: None,
        }
    }

    /// What to ask the server for a screen of so many queues.
    pub(super) fn question(&self, limit: usize) -> Question {
        Question { filter: self.filter.clone(), sort: self.sort, descending: self.descending, limit }
    }

    /// Takes in what came of a look.
    pub(super) fn take(&mut self, outcome: Result<Reading, String>) {
        match outcome {
            Ok(reading) => (self.reading, self.failure) = (Some(reading), None),
            // What was seen last stays on the screen.
            Err(what) => self.failure = Some(what),
        }
    }

    /// Does what a key asks for.
    pub(super) fn press(&mut self, key: Key) -> Then {
        match (key, &mut self.typing) {
            (Key::Interrupt, _) => Then::Quit,
            (key, Some(_)) => self.press_in_filter(key),
            (Key::Escape, None) if self.shows_help || !self.filter.is_empty() => {
                if !std::mem::take(&mut self.shows_help) {
                    self.filter.clear();
                }
                Then::Look
            }
            (Key::Letter('q'), None) => Then::Quit,
            (Key::Letter('h' | '?'), None) => {
                self.shows_help = !self.shows_help;
                Then::Draw
            }
            (Key::Letter('/'), None) => {
                self.typing = Some(self.filter.clone());
                Then::Draw
            }
            (Key::Letter(' ' | 'p'), None) => {
                self.is_paused = !self.is_paused;
                if self.is_paused { Then::Draw } else { Then::Look }
            }
            (Key::Letter('r'), None) => {
                self.descending = !self.descending;
                Then::Look
            }
            (Key::Left | Key::Letter('<'), None) => self.sort_beside(Sort::ALL.len() - 1),
            (Key::Right | Key::Letter('>'), None) => self.sort_beside(1),
            (Key::Letter(letter), None) => match sort_of(letter) {
                Some(sort) => self.sort_by(sort),
                None => Then::Draw,
            },
            _ => Then::Draw,
        }
    }

    /// The filter counts as it is typed.
    fn press_in_filter(&mut self, key: Key) -> Then {
        let Some(typed) = &mut self.typing else { return Then::Draw };
        match key {
            Key::Letter(letter) => typed.push(letter),
            Key::Backspace => drop(typed.pop()),
            Key::Enter => self.typing = None,
            Key::Escape => {
                self.typing = None;
                self.filter.clear();
                return Then::Look;
            }
            _ => return Then::Draw,
        }
        match &self.typing {
            Some(typed) => {
                self.filter.clone_from(typed);
                Then::Look
            }
            None => Then::Draw,
        }
    }

    /// Sorts by a column; again: the other way.
    fn sort_by(&mut self, sort: Sort) -> Then {
        self.descending = if sort == self.sort { !self.descending } else { falls(sort) };
        self.sort = sort;
        Then::Look
    }

    fn sort_beside(&mut self, by: usize) -> Then {
        let at = Sort::ALL.iter().position(|sort| *sort == self.sort).unwrap_or(0);
        let sort = Sort::ALL[(at + by) % Sort::ALL.len()];
        (self.sort, self.descending) = (sort, falls(sort));
        Then::Look
    }
}

/// Figures begin with the largest, names with the first.
fn falls(sort: Sort) -> bool {
    sort != Sort::Name
}

/// The key of each order.
pub(super) fn key_of(sort: Sort) -> char {
    match sort {
        Sort::Name => 'n',
        Sort::Waiting => 'w',
        Sort::Open => 'o',
        Sort::Delayed => 'l',
        Sort::Dead => 'd',
        Sort::Oldest => 'a',
        Sort::In => 'i',
        Sort::Out => 'u',
        Sort::Bytes => 'b',
        Sort::Waiters => 'c',
    }
}

fn sort_of(letter: char) -> Option<Sort> {
    Sort::ALL.into_iter().find(|sort| key_of(*sort) == letter)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn view() -> View {
        View::new("here".into(), Sort::Waiting, String::new())
    }

    fn type_in(view: &mut View, letters: &str) {
        for letter in letters.chars() {
            view.press(Key::Letter(letter));
        }
    }

    #[test]
    fn a_column_is_sorted_and_the_other_way_when_it_is_asked_for_again() {
        let mut view = view();
        assert_eq!((view.sort, view.descending), (Sort::Waiting, true));
        assert_eq!(view.press(Key::Letter('a')), Then::Look);
        assert_eq!((view.sort, view.descending), (Sort::Oldest, true));
        view.press(Key::Letter('a'));
        assert!(!view.descending);
        view.press(Key::Letter('n'));
        assert_eq!((view.sort, view.descending), (Sort::Name, false));
        view.press(Key::Right);
        assert_eq!((view.sort, view.descending), (Sort::Waiting, true));
        view.press(Key::Left);
        assert_eq!(view.sort, Sort::Name);
        view.press(Key::Letter('r'));
        assert!(view.descending);
    }

    #[test]
    fn a_filter_counts_as_it_is_typed() {
        let mut view = view();
        assert_eq!(view.press(Key::Letter('/')), Then::Draw);
        type_in(&mut view, "jobs q");
        assert_eq!(view.question(5).filter, "jobs q");
        view.press(Key::Backspace);
        view.press(Key::Backspace);
        assert_eq!(view.press(Key::Enter), Then::Draw);
        assert_eq!((view.question(5).filter.as_str(), &view.typing), ("jobs", &None));
        // Letters are keys again, and Escape takes the filter away.
        assert_eq!(view.press(Key::Letter('h')), Then::Draw);
        assert!(view.shows_help);
        view.press(Key::Escape);
        assert!(!view.shows_help && view.filter == "jobs");
        assert_eq!(view.press(Key::Escape), Then::Look);
        assert_eq!(view.filter, "");
        assert_eq!(view.press(Key::Escape), Then::Draw);
    }

    #[test]
    fn it_ends_in_every_state() {
        for letters in ["", "/", "/jobs", "h", " "] {
            let mut view = view();
            type_in(&mut view, letters);
            assert_eq!(view.press(Key::Interrupt), Then::Quit, "{letters}");
        }
        assert_eq!(view().press(Key::Letter('q')), Then::Quit);
        let mut typing = view();
        typing.press(Key::Letter('/'));
        assert_eq!(typing.press(Key::Letter('q')), Then::Look);
    }

    #[test]
    fn a_pause_ends_with_a_look() {
        let mut view = view();
        assert_eq!((view.press(Key::Letter(' ')), view.is_paused), (Then::Draw, true));
        assert_eq!((view.press(Key::Letter('p')), view.is_paused), (Then::Look, false));
    }

    #[test]
    fn what_was_seen_stays_when_a_look_fails() {
        let mut view = view();
        view.take(Ok(Reading { matched: 3, ..Reading::default() }));
        view.take(Err("gone".into()));
        assert_eq!((view.reading.as_ref().map(|it| it.matched), view.failure.as_deref()), (Some(3), Some("gone")));
        view.take(Ok(Reading::default()));
        assert_eq!(view.failure, None);
    }

    #[test]
    fn every_order_has_a_key_of_its_own() {
        for sort in Sort::ALL {
            assert_eq!(sort_of(key_of(sort)), Some(sort));
            assert!(!"qhpr/<> ?".contains(key_of(sort)));
        }
    }
}
