//! The data directory, in the words of the command line: an error of shards has what happened, and its remedy as a value.

use shards::{DataDirectory, DirectoryError, Recovered, Remedy, Shard};

use crate::process::settings::Settings;

/// What an operator reads when a data directory cannot be used: one line.
pub(crate) fn line(error: &DirectoryError) -> String {
    format!("{error}{}", error.remedy().map_or("", words))
}

fn words(remedy: Remedy) -> &'static str {
    match remedy {
        Remedy::NameDirectory => "; name one by -H",
        Remedy::MakeWritable => "; make it writable, or name another by -H",
        Remedy::StopOther => "; stop that, or name another by -H",
        Remedy::Repair => "; --check lists what is there, and a start with --repair goes on with it",
        Remedy::PutBack => {
            "; put it back from where it went, or see by --check what is there, and go on with that by a start with --repair"
        }
        Remedy::MoveAway => "; move it elsewhere, and start with --repair again",
        Remedy::MakeRoom => {
            ", which a repair and another -t need: make room, or start with the -t of before; the queues are where they were"
        }
        Remedy::NotGivenNameOwn => " for -u; name a directory of rushq's own by -H",
        Remedy::NotGivenLookAtIt => " for -u; look at it, and give it to that user by chown",
        Remedy::NotGivenCopy => " for -u; put a copy in its place",
        Remedy::NotGivenOthers => " for -u; start as that user, or give it to root by chown",
        Remedy::NotGiven => "; -u needs that: give it to that user by chown",
    }
}

/// Opens the shards.
///
/// # Errors
/// When a log cannot be read, is missing or is damaged, or there is no room to move to another number of shards.
pub(crate) fn open(directory: &DataDirectory, settings: &Settings) -> Result<Vec<(Shard, Recovered)>, String> {
    if directory.is_new_beside_berkeley_db() {
        log::warn!(
            "{} has files of Berkeley DB, perhaps memcacheQ's: they stay as they are, and messages in them are not seen; \
             --import drains a memcacheQ that runs",
            settings.directory.display()
        );
    }
    directory.open(settings.shards, settings.storage).map_err(|error| line(&error))
}
