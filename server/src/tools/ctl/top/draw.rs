//! The screen of `rushq top` as lines of text, and the table that `--once` prints. Pure.

use super::reading::{Reading, Totals};
use super::view::{View, key_of};
use crate::tools::ctl::queue::{Queue, Sort};
use crate::tools::ctl::text;

/// Lines above the queues: three of the server, one of names.
pub(super) const HEAD_LINES: usize = 4;
/// Lines below them.
const FOOT_LINES: usize = 1;

/// How a line looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Look {
    Plain,
    Dim,
    /// The names of the columns.
    Reversed,
    /// What an operator must see.
    Alarm,
}

/// A line of the screen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Row {
    pub(super) look: Look,
    pub(super) text: String,
}

fn row(look: Look, text: String) -> Row {
    Row { look, text }
}

/// The columns but the name, which stands last and has what room is left.
const COLUMNS: [(Sort, &str, usize); 9] = [
    (Sort::Waiting, "WAITING", 10),
    (Sort::Open, "OPEN", 8),
    (Sort::Delayed, "DELAYED", 8),
    (Sort::Dead, "DEAD", 8),
    (Sort::Oldest, "OLDEST", 7),
    (Sort::In, "IN/s", 8),
    (Sort::Out, "OUT/s", 8),
    (Sort::Bytes, "BYTES", 6),
    (Sort::Waiters, "WAITERS", 8),
];
/// What is seen of a name where the screen is narrow: columns are left out from the right for that.
const NAME_WIDTH_MIN: usize = 16;

fn cell(queue: &Queue, column: Sort) -> String {
    let rate = |rate: Option<f64>| rate.map_or_else(|| "-".to_string(), text::rate);
    match column {
        Sort::Waiting => queue.waiting.to_string(),
        Sort::Open => queue.open.to_string(),
        Sort::Delayed => queue.delayed.to_string(),
        Sort::Dead => queue.dead.to_string(),
        Sort::Oldest => text::age(queue.oldest_s),
        Sort::In => rate(queue.in_per_s),
        Sort::Out => rate(queue.out_per_s),
        Sort::Bytes => text::bytes(queue.bytes),
        Sort::Waiters => queue.waiters.to_string(),
        Sort::Name => text::line(&queue.name),
    }
}

/// How many of the columns fit.
fn columns(width: usize) -> usize {
    let mut used = 0;
    let fit = COLUMNS.iter().take_while(|(_, _, column)| {
        used += column;
        used + 1 + NAME_WIDTH_MIN <= width
    });
    fit.count()
}

fn names(sort: Sort, descending: bool, columns: usize) -> String {
    let marked = |column: Sort, name: &str| {
        let mark = if descending { "v" } else { "^" };
        if column == sort { format!("{mark}{name}") } else { name.to_string() }
    };
    let mut line = String::new();
    for (column, name, width) in &COLUMNS[..columns] {
        line.push_str(&format!("{:>width$}", marked(*column, name)));
    }
    format!("{line} {}", marked(Sort::Name, "QUEUE"))
}

fn line_of(queue: &Queue, columns: usize) -> String {
    let mut line = String::new();
    for (column, _, width) in &COLUMNS[..columns] {
        // A figure that is too wide keeps a blank before it, and moves the rest.
        line.push_str(&format!(" {:>1$}", cell(queue, *column), width - 1));
    }
    let paused = if queue.paused { " (paused)" } else { "" };
    format!("{line} {}{paused}", cell(queue, Sort::Name))
}

/// What `--once` prints.
pub(super) fn table(reading: &Reading, sort: Sort, descending: bool) -> String {
    let mut text = names(sort, descending, COLUMNS.len()).trim_end().to_string() + "\n";
    for queue in &reading.queues {
        text.push_str(&line_of(queue, COLUMNS.len()));
        text.push('\n');
    }
    text
}

/// The queues that a screen of this height shows.
pub(super) fn queues_on(height: usize) -> usize {
    height.saturating_sub(HEAD_LINES + FOOT_LINES)
}

/// The whole screen: at most `height` lines, each of at most `width` letters.
pub(super) fn screen(view: &View, width: usize, height: usize) -> Vec<Row> {
    let mut rows = head(view);
    if view.shows_help {
        rows.extend(help().into_iter().map(|line| row(Look::Plain, line)));
    } else {
        let columns = columns(width);
        let queues = view.reading.as_ref().map(|reading| reading.queues.as_slice()).unwrap_or_default();
        rows.push(row(Look::Reversed, format!("{:width$}", names(view.sort, view.descending, columns))));
        let shown = queues.iter().take(queues_on(height));
        rows.extend(shown.map(|queue| row(Look::Plain, line_of(queue, columns))));
    }
    rows.truncate(height.saturating_sub(FOOT_LINES));
    while rows.len() + FOOT_LINES < height {
        rows.push(row(Look::Plain, String::new()));
    }
    rows.push(foot(view));
    rows.truncate(height);
    for row in &mut rows {
        row.text = row.text.chars().take(width).collect();
    }
    rows
}

fn head(view: &View) -> Vec<Row> {
    let Some(reading) = &view.reading else {
        return vec![row(Look::Plain, format!("rushq at {}", view.place)), blank(), failure(view)];
    };
    let server = &reading.server;
    let Totals { queues, waiting, open, delayed, dead, waiters } = &server.totals;
    let version = if server.version.is_empty() { String::new() } else { format!(" {}", server.version) };
    let mut banners = Vec::new();
    banners.extend(server.draining.then_some("DRAINING"));
    banners.extend(server.full.then_some("DISK FULL"));
    let banner = if banners.is_empty() { String::new() } else { format!("   {}", banners.join("  ")) };
    let up = text::age(server.uptime_s);
    let first = format!(
        "rushq{} at {}, up {up}, {}{banner}",
        text::line(version.as_bytes()),
        view.place,
        text::counted(server.connections, "connection")
    );
    let second = format!(
        "{}: {waiting} waiting, {open} open, {delayed} delayed, {dead} dead; {waiters} clients wait",
        text::counted(*queues, "queue")
    );
    let look = if banners.is_empty() { Look::Plain } else { Look::Alarm };
    vec![row(look, first), row(Look::Plain, second), failure(view)]
}

fn blank() -> Row {
    row(Look::Plain, String::new())
}

/// The line below the server's: what is wrong, or else which queues are shown.
fn failure(view: &View) -> Row {
    if let Some(what) = &view.failure {
        return row(Look::Alarm, what.clone());
    }
    let Some(reading) = &view.reading else { return blank() };
    let filter = if view.filter.is_empty() {
        String::new()
    } else {
        format!(" with \"{}\" in their names", text::line(view.filter.as_bytes()))
    };
    let more = reading.matched.saturating_sub(reading.queues.len() as u64);
    let more = if more > 0 { format!(", {more} more") } else { String::new() };
    row(Look::Dim, format!("{} shown{filter}{more}", text::counted(reading.queues.len() as u64, "queue")))
}

fn foot(view: &View) -> Row {
    if let Some(typed) = &view.typing {
        return row(
            Look::Plain,
            format!("/{}_   Enter keeps the filter, Esc takes it away", text::line(typed.as_bytes())),
        );
    }
    let paused = if view.is_paused { "PAUSED, space goes on   " } else { "" };
    let look = if view.is_paused { Look::Alarm } else { Look::Dim };
    row(look, format!("{paused}h help  / filter  < > sort  r reverse  space pause  q quit"))
}

fn help() -> Vec<String> {
    let mut lines = vec![String::from("Sorted by, and again the other way:")];
    for pair in Sort::ALL.chunks(5) {
        let keys: Vec<String> = pair.iter().map(|sort| format!("{} {:9}", key_of(*sort), sort.name())).collect();
        lines.push(format!("  {}", keys.join(" ").trim_end()));
    }
    lines.extend(
        [
            "",
            "< >      the column beside        r      the other way",
            "/        filter by name           Esc    no filter",
            "space    pause                    h      this help",
            "q        quit",
            "",
            "WAITING can be taken now; OPEN is out with a worker; OLDEST is the age of the oldest message;",
            "WAITERS are clients that wait for a message. Dead letters of QUEUE are the queue QUEUE/dead.",
        ]
        .map(String::from),
    );
    lines
}

#[cfg(test)]
mod tests {
    use super::super::reading::Overview;
    use super::*;

    fn queue(name: &[u8], waiting: u64) -> Queue {
        Queue {
            name: name.to_vec(),
            waiting,
            open: 2,
            oldest_s: 300,
            in_per_s: Some(12.5),
            bytes: 123_456,
            ..Queue::default()
        }
    }

    fn view(queues: Vec<Queue>) -> View {
        let mut view = View::new("127.0.0.1:22201".into(), Sort::Waiting, String::new());
        let totals = Totals { queues: 7, waiting: 1234, open: 2, delayed: 3, dead: 4, waiters: 5 };
        let server =
            Overview { version: "1.0.0".into(), uptime_s: 7200, connections: 1, totals, ..Overview::default() };
        view.take(Ok(Reading { server, matched: 7, queues, took: std::time::Duration::ZERO }));
        view
    }

    fn text(rows: &[Row]) -> String {
        rows.iter().map(|row| row.text.trim_end().to_string() + "\n").collect()
    }

    #[test]
    fn the_screen_is_the_server_the_queues_and_the_keys() {
        let rows = screen(&view(vec![queue(b"jobs", 1234), queue(b"jobs/dead", 4)]), 100, 8);
        let expected = "\
rushq 1.0.0 at 127.0.0.1:22201, up 2h, 1 connection
7 queues: 1234 waiting, 2 open, 3 delayed, 4 dead; 5 clients wait
2 queues shown, 5 more
  vWAITING    OPEN DELAYED    DEAD OLDEST    IN/s   OUT/s BYTES WAITERS QUEUE
      1234       2       0       0     5m    12.5       -  120K       0 jobs
         4       2       0       0     5m    12.5       -  120K       0 jobs/dead

h help  / filter  < > sort  r reverse  space pause  q quit
";
        assert_eq!(text(&rows), expected);
    }

    #[test]
    fn it_fits_whatever_the_size_is() {
        for shows_help in [false, true] {
            let mut view = view((0..50).map(|number| queue("für".repeat(60).as_bytes(), number)).collect());
            view.shows_help = shows_help;
            for (width, height) in [(200, 60), (80, 24), (40, 10), (10, 3), (1, 1), (0, 0)] {
                let rows = screen(&view, width, height);
                assert_eq!(rows.len(), height, "{width}x{height}");
                assert!(rows.iter().all(|row| row.text.chars().count() <= width), "{width}x{height}: {rows:#?}");
            }
        }
        // Names are seen where columns are not.
        let rows = screen(&view(vec![queue(b"jobs", 1)]), 40, 10);
        assert!(rows[4].text.ends_with(" jobs") && !rows[3].text.contains("WAITERS"), "{rows:#?}");
    }

    #[test]
    fn what_is_wrong_is_seen() {
        let mut view = view(Vec::new());
        if let Some(reading) = &mut view.reading {
            (reading.server.draining, reading.server.full) = (true, true);
        }
        view.failure = Some("127.0.0.1:22201: nothing listens there".into());
        let rows = screen(&view, 100, 10);
        assert!(rows[0].text.ends_with("   DRAINING  DISK FULL") && rows[0].look == Look::Alarm, "{rows:#?}");
        assert_eq!(rows[2], row(Look::Alarm, "127.0.0.1:22201: nothing listens there".into()));
    }

    #[test]
    fn a_name_cannot_act_on_the_terminal() {
        let rows = screen(&view(vec![queue("a\u{9b}2Jb".as_bytes(), 1)]), 100, 10);
        assert!(rows.iter().all(|row| !row.text.contains(char::is_control)), "{rows:#?}");
    }

    #[test]
    fn once_has_all_columns_and_whole_names() {
        let long = "q".repeat(250);
        let view = view(vec![queue(long.as_bytes(), 12_345_678_901)]);
        let table = table(view.reading.as_ref().expect("there is one"), Sort::Name, false);
        let lines: Vec<&str> = table.lines().collect();
        assert!(
            lines.len() == 2 && lines[0].ends_with(" ^QUEUE") && lines[1].ends_with(&format!(" {long}")),
            "{table}"
        );
        let words: Vec<&str> = lines[1].split_whitespace().collect();
        assert_eq!((words.len(), words[0]), (10, "12345678901"));
    }
}
