//! Why a data directory cannot be used, in two parts: what has happened to which file, in words, and what helps against
//! it, as a value. The words of the command line are the server's.

use std::fmt;

/// Why a data directory cannot be used.
#[derive(Debug)]
pub struct DirectoryError {
    what: String,
    remedy: Option<Remedy>,
}

/// What helps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Remedy {
    /// Name the data directory: this is none.
    NameDirectory,
    /// Make it writable, or name another.
    MakeWritable,
    /// Stop the other process, or name another directory.
    StopOther,
    /// Look at what is there, and repair: something is damaged.
    Repair,
    /// Put back what is missing, or repair without it.
    PutBack,
    /// Move a log elsewhere that belongs to another directory, and repair again.
    MoveAway,
    /// Make room for a second copy, or keep the number of shards. The queues are where they were.
    MakeRoom,
    /// The directory is not given to the user that the server becomes: name one that holds nothing else.
    NotGivenNameOwn,
    /// The file is not given to that user: look at it, and give it away by hand.
    NotGivenLookAtIt,
    /// The file is not given to that user: put a copy in its place, which has no other name.
    NotGivenCopy,
    /// The file is not given to that user, since it is another one's.
    NotGivenOthers,
    /// The file could not be given to that user: give it away by hand.
    NotGiven,
}

impl DirectoryError {
    pub(super) fn new(what: String) -> DirectoryError {
        DirectoryError { what, remedy: None }
    }

    pub(super) fn with(what: String, remedy: Remedy) -> DirectoryError {
        DirectoryError { what, remedy: Some(remedy) }
    }

    /// What helps, where that is known.
    #[must_use]
    pub fn remedy(&self) -> Option<Remedy> {
        self.remedy
    }
}

impl fmt::Display for DirectoryError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.what)
    }
}

impl std::error::Error for DirectoryError {}

pub(super) type Result<T> = std::result::Result<T, DirectoryError>;
