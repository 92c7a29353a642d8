//! The terminal while `rushq top` has it. It is given back as it was on every way out: the end, an error, a signal, a panic.

use std::io::{self, BufWriter, Stdout, Write};
use std::panic;

use crossterm::event::{Event, KeyCode, KeyEvent, KeyEventKind, KeyModifiers};
use crossterm::style::{Attribute, Print, SetAttribute};
use crossterm::terminal::{
    BeginSynchronizedUpdate, Clear, ClearType, DisableLineWrap, EnableLineWrap, EndSynchronizedUpdate,
    EnterAlternateScreen, LeaveAlternateScreen, disable_raw_mode, enable_raw_mode, size,
};
use crossterm::{cursor, execute, queue};

use super::draw::{Look, Row};
use super::view::Key;

/// The terminal, which shows nothing else meanwhile.
#[derive(Debug)]
pub(super) struct Terminal {
    out: BufWriter<Stdout>,
}

impl Terminal {
    /// # Errors
    /// When it is none.
    pub(super) fn take() -> io::Result<Terminal> {
        let hook = panic::take_hook();
        // A release build does not unwind, so nothing is dropped then.
        panic::set_hook(Box::new(move |panic| {
            give_back();
            hook(panic);
        }));
        enable_raw_mode()?;
        let mut terminal = Terminal { out: BufWriter::with_capacity(64 << 10, io::stdout()) };
        execute!(terminal.out, EnterAlternateScreen, DisableLineWrap, cursor::Hide)?;
        Ok(terminal)
    }

    /// Columns and lines.
    pub(super) fn size() -> (usize, usize) {
        size().map_or((80, 24), |(columns, lines)| (usize::from(columns), usize::from(lines)))
    }

    /// Draws all lines, from the first on.
    ///
    /// # Errors
    /// When the terminal is gone.
    pub(super) fn draw(&mut self, rows: &[Row]) -> io::Result<()> {
        queue!(self.out, BeginSynchronizedUpdate)?;
        for (line, row) in (0..).zip(rows) {
            let attribute = match row.look {
                Look::Plain => Attribute::Reset,
                Look::Dim => Attribute::Dim,
                Look::Reversed => Attribute::Reverse,
                Look::Alarm => Attribute::Bold,
            };
            queue!(self.out, cursor::MoveTo(0, line), SetAttribute(attribute), Print(&row.text))?;
            queue!(self.out, SetAttribute(Attribute::Reset), Clear(ClearType::UntilNewLine))?;
        }
        queue!(self.out, Clear(ClearType::FromCursorDown), EndSynchronizedUpdate)?;
        self.out.flush()
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        give_back();
    }
}

/// What fails here has no one to be told.
fn give_back() {
    let _ = execute!(io::stdout(), EnableLineWrap, cursor::Show, LeaveAlternateScreen);
    let _ = disable_raw_mode();
}

/// The key of an event; `None`: it is none that does something.
pub(super) fn key(event: &Event) -> Option<Key> {
    let Event::Key(KeyEvent { code, modifiers, kind, .. }) = event else { return None };
    if *kind == KeyEventKind::Release {
        return None;
    }
    if modifiers.contains(KeyModifiers::CONTROL) {
        return (*code == KeyCode::Char('c')).then_some(Key::Interrupt);
    }
    match code {
        KeyCode::Char(letter) => Some(Key::Letter(*letter)),
        KeyCode::Enter => Some(Key::Enter),
        KeyCode::Esc => Some(Key::Escape),
        KeyCode::Backspace => Some(Key::Backspace),
        KeyCode::Left => Some(Key::Left),
        KeyCode::Right => Some(Key::Right),
        _ => None,
    }
}
