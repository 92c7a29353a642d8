//! The scripts say what they do before they do anything.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

fn scripts() -> Vec<PathBuf> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().join("scripts");
    let files = fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path());
    files.filter(|path| path.extension().is_some_and(|extension| extension == "sh")).collect()
}

#[test]
fn every_script_answers_help() {
    let scripts = scripts();
    assert!(scripts.len() >= 10, "{scripts:?}");
    for path in scripts {
        let name = path.file_name().unwrap().to_str().unwrap();
        for word in ["--help", "-h"] {
            // From elsewhere, and with nothing but the shell's own tools: help needs no server and builds nothing.
            let mut command = Command::new("/bin/bash");
            command.arg(&path).arg(word).current_dir("/").env("PATH", "/usr/bin:/bin");
            let output = command.output().unwrap();
            let text = String::from_utf8(output.stdout).unwrap();
            assert!(output.status.success() && output.stderr.is_empty(), "{name} {word}: {text}");
            assert!(
                text.lines().count() >= 3 && text.contains("Usage") && text.contains(name),
                "{name} {word}: {text}"
            );
            assert!(!text.contains('#') && !text.contains("set -e"), "{name} {word}: {text}");
        }
    }
}
