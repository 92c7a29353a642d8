//! `rushq top`: the queues as they change.

mod draw;
mod reading;
mod terminal;
mod view;

use std::io::{self, IsTerminal};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

use crossterm::event::{self, Event};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};

use super::print;
use super::queue::Sort;
use super::server::Address;
use crate::process::commands::Line;
use reading::{Question, Reading, Source};
use terminal::Terminal;
use view::{Then, View};

const INTERVAL_S: u64 = 2;
/// Queues that `--once` prints.
const ONCE_QUEUES: u64 = 50;
const ONCE_QUEUES_MAX: u64 = 10_000;
/// How often a signal is looked for.
const LOOK_EVERY: Duration = Duration::from_millis(100);
/// A look that cost the server so much is not repeated before this many times as long: 1 % of one core at most.
const REST: u32 = 100;

/// Shows the queues until a key or a signal ends it, or once.
///
/// # Errors
/// When the server does not answer at first, or the terminal cannot be drawn on.
pub(super) fn run(line: &Line) -> Result<(), String> {
    let sort = line.value("--sort").map_or(Ok(Sort::Waiting), Sort::of)?;
    let interval = Duration::from_secs(line.number("--interval", 1, 3600)?.unwrap_or(INTERVAL_S));
    let limit = line.number("--limit", 1, ONCE_QUEUES_MAX)?.unwrap_or(ONCE_QUEUES);
    let filter = line.value("--filter").unwrap_or_default().to_string();
    let address = Address::of(line)?;
    let mut view = View::new(address.place.to_string(), sort, filter);
    let mut source = Source::of(address.open()?);
    if line.has("--once") || !io::stdin().is_terminal() || !io::stdout().is_terminal() {
        let question = view.question(usize::try_from(limit).unwrap_or(usize::MAX));
        let reading = source.look(&question)?;
        return print(&draw::table(&reading, view.sort, view.descending));
    }
    // Before the terminal is taken, so that what is wrong stands where it is read.
    let (_, height) = Terminal::size();
    let first = source.look(&view.question(draw::queues_on(height)))?;
    view.take(Ok(first));
    let looker = looker(source, address)?;
    live(&mut view, interval, &looker).map_err(|error| format!("the terminal: {error}"))
}

/// The ends of the thread that looks.
struct Looker {
    questions: Sender<Question>,
    answers: Receiver<Result<Reading, String>>,
}

/// A thread that looks when it is asked to: keys go on meanwhile. A connection that breaks is made again.
fn looker(mut source: Source, address: Address) -> Result<Looker, String> {
    let (questions, asked) = channel::<Question>();
    let (answers, answered) = channel();
    let looks = move || {
        for question in asked {
            let looked = source.look(&question).or_else(|what| {
                source = Source::of(address.open().map_err(|_| what)?);
                source.look(&question)
            });
            if answers.send(looked).is_err() {
                return;
            }
        }
    };
    let spawned = thread::Builder::new().name("rushq-top".to_string()).spawn(looks);
    spawned
        .map(|_| Looker { questions, answers: answered })
        .map_err(|error| format!("a thread cannot be started: {error}"))
}

fn live(view: &mut View, interval: Duration, looker: &Looker) -> io::Result<()> {
    let ended = Arc::new(AtomicBool::new(false));
    for signal in [SIGINT, SIGTERM, SIGHUP] {
        signal_hook::flag::register(signal, Arc::clone(&ended))?;
    }
    let mut terminal = Terminal::take()?;
    let (mut is_drawn, mut is_looking, mut wants_look) = (false, false, false);
    let mut next = Instant::now() + interval;
    while !ended.load(Ordering::Relaxed) {
        let (width, height) = Terminal::size();
        if let Ok(outcome) = looker.answers.try_recv() {
            let rest = outcome.as_ref().map_or(Duration::ZERO, |reading| reading.took * REST);
            next = Instant::now() + interval.max(rest);
            view.take(outcome);
            (is_looking, is_drawn) = (false, false);
        }
        if !is_looking && (wants_look || !view.is_paused && Instant::now() >= next) {
            // The thread lives as long as this end.
            let _ = looker.questions.send(view.question(draw::queues_on(height)));
            (is_looking, wants_look) = (true, false);
        }
        if !is_drawn {
            terminal.draw(&draw::screen(view, width, height))?;
            is_drawn = true;
        }
        if !event::poll(LOOK_EVERY)? {
            continue;
        }
        let event = event::read()?;
        is_drawn = false;
        let then = terminal::key(&event).map_or(Then::Draw, |key| view.press(key));
        match then {
            Then::Quit => break,
            Then::Look => wants_look = true,
            Then::Draw => wants_look |= matches!(event, Event::Resize(..)),
        }
    }
    Ok(())
}
