//! The file that says what a data directory is made of:
//!
//! ```text
//! rushq 5
//! shards 2
//! generation 2
//! log 6b2f00c41d5e9a73
//! log 0f9e8d7c6b5a4938
//! obsolete 1
//! ```
//!
//! A `log` line for each shard, in their order: the random number that its log was begun with. So a log that is not there
//! any more is told from one that never was. `log lost` is one that was missing when a repair began. In place of these
//! lines, `new` says that the logs are being made: nothing was ever acknowledged in this generation.
//!
//! `obsolete` names a generation that may be removed, and nothing else may be: it is being written from this one, or
//! this one was written from it. Version 1, of the first builds, has neither. Versions 2 and 3
//! have the same lines, and no more than their logs are different: they have none of the entries that came with versions
//! 3 and 4. A start writes the version that
//! it writes its logs by, before it writes anything into them, so that a build that would not understand them does not
//! try.

use std::fmt::Write as _;
use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

/// The file's name.
pub(crate) const FILE: &str = "layout";
/// The name under which the next one is written.
pub(crate) const NEW_FILE: &str = "layout.new";
const VERSION: u32 = 5;
const FORMAT: &str = "rushq 5";
/// The same lines, for logs of older versions.
const FORMATS_OF_OLDER_LOGS: [&str; 3] = ["rushq 2", "rushq 3", "rushq 4"];
/// Without the ids of the logs.
const FORMAT_WITHOUT_LOGS: &str = "rushq 1";

/// What is known of the shards' logs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Logs {
    /// They are being made; nothing was ever acknowledged in them.
    New,
    /// The id of each shard's; `None`: it was missing when a repair began.
    Made(Vec<Option<u64>>),
    /// The file is of a build that did not write it down.
    Unknown,
}

/// What the file says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Layout {
    pub(crate) shards: u16,
    /// Which of the directories with data counts.
    pub(crate) generation: u32,
    pub(crate) logs: Logs,
    /// Generations that may be removed.
    pub(crate) obsolete: Vec<u32>,
}

impl Layout {
    /// Reads the file in a data directory; `None` when there is none.
    pub(crate) fn read(directory: &Path) -> io::Result<Option<Layout>> {
        let text = match fs::read_to_string(directory.join(FILE)) {
            Ok(text) => text,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        let not_understood = || {
            let version = text.lines().next().and_then(|line| line.strip_prefix("rushq ")?.parse::<u32>().ok());
            let what = match version.filter(|version| *version > VERSION) {
                Some(version) => format!(
                    "it is of version {version}, and this rushq understands versions up to {VERSION}; nothing was changed; \
                     start the newer rushq that wrote it"
                ),
                None => format!(
                    "it does not say \"{FORMAT}\", \"shards N\", \"generation G\" and a \"log\" for each shard; it is damaged \
                     (nothing was changed); put it back from a backup, or remove it and start with --repair"
                ),
            };
            io::Error::new(ErrorKind::InvalidData, what)
        };
        parse(&text).map(Some).ok_or_else(not_understood)
    }

    /// Whether the file in a data directory is of the version that is written now.
    pub(crate) fn is_current(directory: &Path) -> io::Result<bool> {
        Ok(fs::read_to_string(directory.join(FILE))?.lines().next() == Some(FORMAT))
    }

    /// Replaces the file in one step, and makes that durable.
    pub(crate) fn write(&self, directory: &Path) -> io::Result<()> {
        let temporary = directory.join(NEW_FILE);
        // What an interrupted start left, or another program laid there: it is neither read nor written into.
        match fs::remove_file(&temporary) {
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&temporary)?;
        file.write_all(self.text().as_bytes())?;
        file.sync_all()?;
        fs::rename(&temporary, directory.join(FILE))?;
        File::open(directory)?.sync_all()
    }

    fn text(&self) -> String {
        let mut text = format!("{FORMAT}\nshards {}\ngeneration {}\n", self.shards, self.generation);
        match &self.logs {
            Logs::New => text.push_str("new\n"),
            Logs::Made(logs) => {
                for log in logs {
                    let _ = match log {
                        Some(id) => writeln!(text, "log {id:016x}"),
                        None => writeln!(text, "log lost"),
                    };
                }
            }
            Logs::Unknown => unreachable!("a layout is written once its logs are known"),
        }
        for obsolete in &self.obsolete {
            let _ = writeln!(text, "obsolete {obsolete}");
        }
        text
    }
}

fn parse(text: &str) -> Option<Layout> {
    let mut lines = text.strip_suffix('\n')?.lines().peekable();
    let format = lines.next()?;
    let shards: u16 = lines.next()?.strip_prefix("shards ")?.parse().ok()?;
    let generation: u32 = lines.next()?.strip_prefix("generation ")?.parse().ok()?;
    let (logs, obsolete) = match format {
        FORMAT_WITHOUT_LOGS => (Logs::Unknown, Vec::new()),
        format if format == FORMAT || FORMATS_OF_OLDER_LOGS.contains(&format) => {
            let logs = match lines.next_if_eq(&"new") {
                Some(_) => Logs::New,
                None => Logs::Made((0..shards).map(|_| parse_log(lines.next()?)).collect::<Option<_>>()?),
            };
            let obsolete = lines.by_ref().map(|line| line.strip_prefix("obsolete ")?.parse().ok());
            (logs, obsolete.collect::<Option<Vec<u32>>>()?)
        }
        _ => return None,
    };
    let possible = shards > 0 && generation > 0 && !obsolete.contains(&generation) && lines.next().is_none();
    possible.then_some(Layout { shards, generation, logs, obsolete })
}

/// `Some(None)`: a lost one.
fn parse_log(line: &str) -> Option<Option<u64>> {
    let id = line.strip_prefix("log ")?;
    if id == "lost" {
        return Some(None);
    }
    (id.len() == 16).then(|| u64::from_str_radix(id, 16).ok().map(Some))?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        for logs in [Logs::New, Logs::Made(vec![Some(7), None, Some(u64::MAX)])] {
            for obsolete in [vec![], vec![1], vec![1, 9]] {
                let layout = Layout { shards: 3, generation: 2, logs: logs.clone(), obsolete };
                assert_eq!(parse(&layout.text()), Some(layout));
            }
        }
    }

    #[test]
    fn the_format_of_before_is_read() {
        let before = Layout { shards: 3, generation: 7, logs: Logs::Unknown, obsolete: Vec::new() };
        assert_eq!(parse("rushq 1\nshards 3\ngeneration 7\n"), Some(before));
        let layout = Layout { shards: 1, generation: 2, logs: Logs::Made(vec![Some(9)]), obsolete: vec![1] };
        for older in FORMATS_OF_OLDER_LOGS {
            assert_eq!(parse(&layout.text().replace(FORMAT, older)), Some(layout.clone()));
        }
    }

    /// Cut anywhere, with a line more or less, or of another version.
    #[test]
    fn nothing_but_the_format_is_understood() {
        let logs = Logs::Made(vec![Some(7), Some(8)]);
        let whole = Layout { shards: 2, generation: 2, logs, obsolete: Vec::new() }.text();
        for end in 0..whole.len() {
            assert_eq!(parse(&whole[..end]), None, "{:?}", &whole[..end]);
        }
        for other in [
            "rushq 1\nshards 3\n".to_string(),
            "rushq 1\nshards 3\ngeneration 7\nobsolete 6\n".to_string(),
            "rushq 6\nshards 3\ngeneration 7\nnew\n".to_string(),
            "rushq 2\nshards 0\ngeneration 1\nnew\n".to_string(),
            "rushq 2\nshards 1\ngeneration 0\nnew\n".to_string(),
            "rushq 2\nshards 1\ngeneration 1\nlog 7\n".to_string(),
            whole.replace("shards 2", "shards 1"),
            whole.replace("shards 2", "shards 3"),
            format!("{whole}obsolete 2\n"),
            format!("{whole}obsolete 1\nlog 0000000000000003\n"),
        ] {
            assert_eq!(parse(&other), None, "{other:?}");
        }
    }
}
