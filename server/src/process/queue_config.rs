//! The file of `--queue-config`: settings of queues by patterns of their names, for all shards.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use shards::Patterns;

use crate::process::news::News;
use crate::process::small_file;

/// What the file says, as it was read last without an error. Shards wait for what it says next.
#[derive(Debug, Default)]
pub(crate) struct QueueConfig {
    path: Option<PathBuf>,
    current: Mutex<Arc<Patterns>>,
    news: News,
}

impl QueueConfig {
    /// Reads the file; without one there are no patterns.
    ///
    /// # Errors
    /// When it cannot be read, or a line is none. The line names the option, the file, and the line in it.
    pub(crate) fn read(path: Option<&Path>) -> Result<QueueConfig, String> {
        let patterns = path.map_or_else(|| Ok(Patterns::default()), read)?;
        let current = Mutex::new(Arc::new(patterns));
        Ok(QueueConfig { path: path.map(Path::to_path_buf), current, news: News::default() })
    }

    /// Reads the file again, if there is one. What it said before stays in force when it cannot be read.
    pub(crate) fn read_again(&self) {
        let Some(path) = &self.path else { return };
        match read(path) {
            Ok(patterns) => {
                *self.lock() = Arc::new(patterns);
                self.news.tell();
                log::info!("SIGHUP: --queue-config {} is read again", path.display());
            }
            Err(what) => log::error!("SIGHUP: {what}; what the file said before stays in force"),
        }
    }

    /// The patterns, and the version that they are at least.
    pub(crate) fn current(&self) -> (u64, Arc<Patterns>) {
        let version = self.news.version();
        (version, Arc::clone(&self.lock()))
    }

    /// Waits for a version after this one.
    pub(crate) async fn after(&self, version: u64) -> (u64, Arc<Patterns>) {
        self.news.after(version).await;
        self.current()
    }

    fn lock(&self) -> MutexGuard<'_, Arc<Patterns>> {
        // Nothing panics while it is held.
        self.current.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn read(path: &Path) -> Result<Patterns, String> {
    let failed = |error: io::Error| format!("--queue-config {}: {error}; name a file that can be read", path.display());
    let text = small_file::read(path).map_err(failed)?;
    Patterns::parse(&text)
        .map_err(|bad| format!("--queue-config {}, line {}: {}; mend that line", path.display(), bad.line, bad.what))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use futures_lite::future::{block_on, poll_once};

    use super::*;
    use crate::process::small_file::FILE_BYTES_MAX;

    fn file(name: &str) -> PathBuf {
        std::env::temp_dir().join(format!("rushq-{name}-{}", std::process::id()))
    }

    #[test]
    fn a_new_version_reaches_who_waits_and_a_bad_file_changes_nothing() {
        let path = file("queue-config");
        fs::write(&path, "jobs: tries=5\n").expect("written");
        let config = QueueConfig::read(Some(&path)).expect("good");
        let words = |patterns: &Patterns| patterns.words_of(b"jobs").to_string();
        let (version, patterns) = config.current();
        assert_eq!(words(&patterns), "tries=5");
        let mut next = Box::pin(config.after(version));
        assert!(block_on(poll_once(next.as_mut())).is_none());
        for bad in ["jobs: tries=x", "jobs tries=5"] {
            fs::write(&path, bad).expect("written");
            config.read_again();
            assert!(block_on(poll_once(next.as_mut())).is_none(), "{bad}");
        }
        fs::write(&path, "jobs: tries=6\n").expect("written");
        config.read_again();
        let (version, patterns) = block_on(next);
        assert_eq!((version, words(&patterns)), (config.current().0, "tries=6".to_string()));
        fs::remove_file(&path).expect("ours");
        config.read_again();
        assert_eq!(words(&config.current().1), "tries=6");
    }

    /// In the table and in the example.
    #[test]
    fn the_readme_has_words_that_are_taken() {
        let (_, below) = include_str!("../../README.md").split_once("\n## Settings of queues\n").expect("a heading");
        let section = below.split("\n## ").next().expect("words");
        let mut words = Vec::new();
        for row in section.lines().filter(|line| line.starts_with("| `")) {
            let cells: Vec<&str> = row.split(" | ").collect();
            let forms = [cells[0], cells[2]].into_iter().flat_map(|cell| cell.split('`').skip(1).step_by(2));
            for form in forms.filter(|form| form.contains('=')) {
                words.push(form.replace("=N", "=7").replace("=S,S,...", "=7,8").replace("=S", "=7"));
            }
        }
        words.sort();
        words.dedup();
        for word in &words {
            Patterns::parse(format!("q: {word}").as_bytes()).unwrap_or_else(|bad| panic!("{bad}"));
        }
        let mut names: Vec<&str> = words.iter().filter_map(|word| word.split('=').next()).collect();
        names.dedup();
        assert_eq!(names.len(), 15, "{names:?}");
        let example = section.split("```").nth(1).and_then(|block| block.split_once('\n')).expect("a block").1;
        let patterns = Patterns::parse(example.as_bytes()).unwrap_or_else(|bad| panic!("{bad}"));
        assert_eq!(patterns.words_of(b"jobs-x").to_string(), "depth=100000 full=refuse lease=60 tries=5");
    }

    #[test]
    fn a_file_that_is_none_is_named() {
        let path = file("queue-config-bad");
        let error = |path: &Path| QueueConfig::read(Some(path)).expect_err("it is no such file");
        let missing = error(&path);
        assert!(missing.contains("--queue-config") && missing.contains(&*path.to_string_lossy()), "{missing}");
        assert!(error(&std::env::temp_dir()).contains("it is no file"));
        fs::write(&path, "# Jobs.\njobs: depht=1\n").expect("written");
        let bad = error(&path);
        assert!(bad.contains("line 2: bad word depht=1"), "{bad}");
        fs::write(&path, vec![b'#'; FILE_BYTES_MAX as usize + 1]).expect("written");
        assert!(error(&path).contains("1048576 bytes"));
        fs::remove_file(&path).expect("ours");
    }
}
