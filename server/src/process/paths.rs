//! Paths that the command line gives.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};

/// Files and directories that rushq makes in its data directory: whole names, and how other names begin.
const OWN_NAMES: [&str; 2] = ["lock", "layout"];
const OWN_PREFIXES: [&str; 3] = ["layout.", "data-", "damaged-"];

/// A path that stays right when the working directory changes, as it does in a daemon.
///
/// # Errors
/// When the path is empty or there is no working directory.
pub(crate) fn absolute(path: &Path, option: &str) -> Result<PathBuf, String> {
    std::path::absolute(path).map_err(|error| format!("{option} {}: {error}", path.display()))
}

/// Refuses a file that would take the place of one of rushq's own in the data directory, or lie in one of its directories.
///
/// # Errors
/// When it would. The line names the option.
pub(crate) fn refuse_own_name(path: &Path, option: &str, data: &Path) -> Result<(), String> {
    let below = |path: &Path| Some(path.strip_prefix(data).ok()?.components().next()?.as_os_str().to_os_string());
    let resolved = |path: &Path| resolve_parent(path).strip_prefix(resolve(data)).ok().map(Path::to_path_buf);
    let first = |path: PathBuf| Some(path.components().next()?.as_os_str().to_os_string());
    let name = below(path).or_else(|| resolved(path).and_then(first));
    match name.filter(|name| is_own(name)) {
        Some(name) => Err(format!(
            "{option} {}: {} in the data directory is rushq's own; name another file by {option}",
            path.display(),
            name.display()
        )),
        None => Ok(()),
    }
}

fn is_own(name: &OsStr) -> bool {
    let name = name.to_string_lossy();
    OWN_NAMES.contains(&&*name) || OWN_PREFIXES.iter().any(|prefix| name.starts_with(prefix))
}

/// The path without links, as far as it exists.
fn resolve(path: &Path) -> PathBuf {
    fs::canonicalize(path).unwrap_or_else(|_| resolve_parent(path))
}

/// The path without links in its directories, as far as they exist.
fn resolve_parent(path: &Path) -> PathBuf {
    match (path.parent(), path.file_name()) {
        (Some(parent), Some(name)) => resolve(parent).join(name),
        _ => path.to_path_buf(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_own_names_are_refused_and_others_are_not() {
        let directory = std::env::temp_dir().join(format!("rushq-paths-{}", std::process::id()));
        let data = directory.join("data");
        let link = directory.join("link");
        fs::create_dir_all(&data).expect("made");
        let _ = fs::remove_file(&link);
        std::os::unix::fs::symlink(&data, &link).expect("made");
        for data in [&data, &link] {
            for own in ["lock", "layout", "layout.new", "data-1", "data-7/shard-000/pid", "damaged-1/pid"] {
                for path in [directory.join("data").join(own), link.join(own)] {
                    let error = refuse_own_name(&path, "-P", data).expect_err(own);
                    assert!(error.contains("-P") && error.contains("own"), "{error}");
                }
            }
            for other in ["rushq.pid", "locks", "data", "__db.001"] {
                refuse_own_name(&link.join(other), "-P", data).expect(other);
            }
        }
        refuse_own_name(&directory.join("layout"), "-P", &data).expect("beside the data directory");
        refuse_own_name(Path::new("/no/such/directory/layout"), "-P", Path::new("/no/such")).expect("further down");
        refuse_own_name(Path::new("/no/such/layout"), "-P", Path::new("/no/such"))
            .expect_err("there is no directory yet");
        fs::remove_dir_all(&directory).expect("ours");
    }
}
