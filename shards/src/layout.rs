//! The file that says what a data directory is made of:
//!
//! ```text
//! rushq 1
//! shards 4
//! generation 1
//! ```

use std::fs::{self, File};
use std::io::{self, ErrorKind, Write};
use std::path::Path;

/// The file's name.
pub(crate) const FILE: &str = "layout";
const FORMAT: &str = "rushq 1";

/// What the file says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Layout {
    pub(crate) shards: u16,
    /// Which of the directories with data counts.
    pub(crate) generation: u32,
}

impl Layout {
    /// Reads the file in a data directory; `None` when it is a new one.
    pub(crate) fn read(directory: &Path) -> io::Result<Option<Layout>> {
        let text = match fs::read_to_string(directory.join(FILE)) {
            Ok(text) => text,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        let not_understood = || {
            let what = format!(
                "it does not say \"{FORMAT}\", \"shards N\" and \"generation G\"; it may be of a newer rushq (nothing was changed)"
            );
            io::Error::new(ErrorKind::InvalidData, what)
        };
        parse(&text).map(Some).ok_or_else(not_understood)
    }

    /// Replaces the file in one step, and makes that durable.
    pub(crate) fn write(&self, directory: &Path) -> io::Result<()> {
        let temporary = directory.join("layout.new");
        let mut file = File::create(&temporary)?;
        write!(file, "{FORMAT}\nshards {}\ngeneration {}\n", self.shards, self.generation)?;
        file.sync_all()?;
        fs::rename(&temporary, directory.join(FILE))?;
        File::open(directory)?.sync_all()
    }
}

fn parse(text: &str) -> Option<Layout> {
    let mut lines = text.lines();
    let is_known = lines.next()? == FORMAT;
    let shards = lines.next()?.strip_prefix("shards ")?.parse().ok()?;
    let generation = lines.next()?.strip_prefix("generation ")?.parse().ok()?;
    (is_known && shards > 0 && lines.next().is_none()).then_some(Layout { shards, generation })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_but_the_format_is_understood() {
        assert_eq!(parse("rushq 1\nshards 3\ngeneration 7\n"), Some(Layout { shards: 3, generation: 7 }));
        for other in
            ["", "rushq 1\nshards 3\n", "rushq 2\nshards 3\ngeneration 7\n", "rushq 1\nshards 0\ngeneration 1\n"]
        {
            assert_eq!(parse(other), None, "{other:?}");
        }
    }
}
