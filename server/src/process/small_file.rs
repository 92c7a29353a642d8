//! Files that an operator writes by hand or has made, and that are read whole: settings, certificates, keys.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

/// A file beyond this is another than the operator means.
pub(crate) const FILE_BYTES_MAX: u64 = 1 << 20;

/// What is in the file.
///
/// # Errors
/// When it cannot be read, is no file, or has more than [`FILE_BYTES_MAX`].
pub(crate) fn read(path: &Path) -> io::Result<Vec<u8>> {
    // Opening a pipe would wait for a writer.
    if !path.metadata()?.is_file() {
        return Err(io::Error::other("it is no file"));
    }
    let mut bytes = Vec::new();
    File::open(path)?.take(FILE_BYTES_MAX + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > FILE_BYTES_MAX {
        return Err(io::Error::other(format!("it has more than {FILE_BYTES_MAX} bytes")));
    }
    Ok(bytes)
}
