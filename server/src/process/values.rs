//! The values of options, made of what is written on the command line. An error is the end of a line that names the option.

use shards::CommitMode;

use crate::process::entry::FileId;

/// A number of the type that its option has.
pub(super) fn number<T: TryFrom<u64>>(digits: &str) -> Result<T, String> {
    let most = u64::MAX >> (u64::BITS as usize - 8 * size_of::<T>());
    let number = digits.parse::<u64>().ok().and_then(|number| T::try_from(number).ok());
    number.ok_or_else(|| format!("it is a number from 0 to {most}"))
}

/// An access mode.
pub(super) fn octal(digits: &str) -> Result<u32, String> {
    let mask = u32::from_str_radix(digits, 8).ok().filter(|mask| *mask <= 0o777);
    mask.ok_or_else(|| "it is octal, 0 to 0777".to_string())
}

/// Where commits run.
pub(super) fn commit_mode(name: &str) -> Result<CommitMode, String> {
    match name {
        "auto" => Ok(CommitMode::Auto),
        "inline" => Ok(CommitMode::Inline),
        "thread" => Ok(CommitMode::Thread),
        _ => Err("it is auto, inline or thread".to_string()),
    }
}

/// A device and an inode.
pub(super) fn file_id(text: &str) -> Result<FileId, String> {
    let numbers = text.split_once(':').and_then(|(device, inode)| Some((device.parse().ok()?, inode.parse().ok()?)));
    let (device, inode) = numbers.ok_or_else(|| "it is DEVICE:INODE".to_string())?;
    Ok(FileId { device, inode })
}
