//! A line that shows how the run goes, on a terminal.

use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::options::Arguments;
use crate::tally::Second;

#[derive(Debug)]
pub(crate) struct Live(ProgressBar);

impl Live {
    /// It is drawn on stderr, and only if that is a terminal.
    pub(crate) fn new(options: &Arguments) -> Live {
        let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr());
        // The template is good.
        if let Ok(style) = ProgressStyle::with_template("{spinner} {elapsed} {msg}") {
            bar.set_style(style);
        }
        bar.set_message(format!("{} connections to {}:{}", options.roles().len(), options.server, options.port));
        bar.enable_steady_tick(Duration::from_millis(500));
        Live(bar)
    }

    pub(crate) fn show(&self, second: &Second) {
        self.0.set_message(line(second));
    }

    pub(crate) fn finish(&self) {
        self.0.finish_and_clear();
    }
}

fn line(second: &Second) -> String {
    let (messages, misses) = (second.sets + second.hits, second.gets - second.hits);
    let p99_ms = second.p99_ns as f64 / 1e6;
    let mut words = format!(
        "{messages} messages/s: {} sets, {} hits; {misses} misses, p99 {p99_ms:.3} ms",
        second.sets, second.hits
    );
    for (count, what) in [(second.refused, "refused"), (second.errors, "errors")] {
        if count > 0 {
            words += &format!(", {count} {what}");
        }
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_in_a_line() {
        let second = Second {
            number: 3,
            sets: 10,
            gets: 9,
            hits: 7,
            refused: 0,
            errors: 4,
            p50_ns: 1,
            p99_ns: 1_234_000,
            max_ns: 2,
        };
        assert_eq!(line(&second), "17 messages/s: 10 sets, 7 hits; 2 misses, p99 1.234 ms, 4 errors");
    }
}
