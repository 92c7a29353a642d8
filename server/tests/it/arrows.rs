//! Who may know whom. The design draws the arrows; this test reads the manifests and the sources and holds them.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// By their folders.
pub(crate) const CRATES: [&str; 6] = ["bench", "protocol", "server", "shards", "storage", "storage/testing"];
/// By the names that manifests have for them.
pub(crate) const PACKAGES: [&str; 7] =
    ["rushq", "rushq-bench", "protocol", "server", "shards", "storage", "storage-testing"];
const TOP_LEVEL: [&str; 10] =
    ["Cargo.lock", "Cargo.toml", "LICENSE", "README.md", "bench", "protocol", "scripts", "server", "shards", "storage"];

pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_path_buf()
}

/// What a crate itself is made of; tests may need more.
const OF_THE_CRATE: [&str; 2] = ["dependencies", "build-dependencies"];
pub(crate) const OF_ITS_TESTS_TOO: [&str; 3] = ["dependencies", "build-dependencies", "dev-dependencies"];

/// The names in these tables of a manifest, those for one platform too.
pub(crate) fn dependencies(manifest: &str, tables: &[&str]) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let mut in_dependencies = false;
    for line in manifest.lines().map(|line| line.split('#').next().unwrap().trim()) {
        if let Some(section) = line.strip_prefix('[') {
            let path: Vec<&str> = section.trim_end_matches(']').split('.').collect();
            let table = path.iter().position(|part| tables.contains(part));
            in_dependencies = table.is_some_and(|at| at + 1 == path.len());
            if let Some(name) = table.and_then(|at| path.get(at + 1)) {
                found.insert(String::from(*name));
            }
        } else if in_dependencies && let Some((name, value)) = line.split_once('=') {
            assert!(!value.contains("package"), "a renamed dependency hides an arrow: {line}");
            found.insert(String::from(name.split('.').next().unwrap().trim()));
        }
    }
    found
}

pub(crate) fn manifest_of(name: &str) -> String {
    fs::read_to_string(root().join(name).join("Cargo.toml")).unwrap()
}

/// Our own packages in these tables of a crate's manifest.
fn ours(name: &str, tables: &[&str]) -> Vec<String> {
    let all = dependencies(&manifest_of(name), tables);
    all.into_iter().filter(|it| PACKAGES.contains(&it.as_str())).collect()
}

/// The sources of a crate, as paths from the root.
pub(crate) fn sources(name: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut left = vec![root().join(name).join("src")];
    while let Some(directory) = left.pop() {
        for entry in fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                left.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                found.push(path.strip_prefix(root()).unwrap().to_path_buf());
            }
        }
    }
    assert!(!found.is_empty(), "no sources in {name}");
    found
}

/// Whether the code says so; a comment may.
fn code_names(path: &Path, word: &str) -> bool {
    let text = fs::read_to_string(root().join(path)).unwrap();
    let is_name = |character: char| character.is_alphanumeric() || character == '_';
    text.lines()
        .map(|line| line.split("//").next().unwrap())
        .any(|code| code.split(|c| !is_name(c)).any(|it| it == word))
}

#[test]
fn the_arrows_between_our_crates() {
    let expected: BTreeMap<&str, Vec<&str>> = BTreeMap::from([
        ("bench", vec!["protocol"]),
        ("protocol", vec![]),
        ("server", vec!["protocol", "shards"]),
        ("shards", vec!["storage"]),
        ("storage", vec![]),
        ("storage/testing", vec!["storage"]),
    ]);
    for name in CRATES {
        assert_eq!(ours(name, &OF_THE_CRATE), expected[name], "{name} depends on");
    }
}

/// What tests have in common is a crate of its own, and nothing that is shipped has it.
#[test]
fn the_arrows_of_our_tests() {
    for name in CRATES {
        let mut expected = ours(name, &OF_THE_CRATE);
        if ["storage", "shards"].contains(&name) {
            expected.push(String::from("storage-testing"));
        }
        assert_eq!(ours(name, &OF_ITS_TESTS_TOO), expected, "{name} with its tests depends on");
    }
}

#[test]
fn protocol_needs_memchr_and_nothing_else() {
    assert_eq!(dependencies(&manifest_of("protocol"), &OF_THE_CRATE), BTreeSet::from([String::from("memchr")]));
}

#[test]
fn only_storage_names_sled() {
    for name in CRATES {
        let names_it = dependencies(&manifest_of(name), &OF_ITS_TESTS_TOO).contains("sled");
        assert_eq!(names_it, name == "storage", "{name}/Cargo.toml");
        for path in sources(name).iter().filter(|_| name != "storage") {
            assert!(!code_names(path, "sled"), "{} names sled", path.display());
        }
    }
}

#[test]
fn only_the_server_and_the_pump_name_glommio() {
    for name in CRATES {
        let names_it = dependencies(&manifest_of(name), &OF_ITS_TESTS_TOO).contains("glommio");
        assert!(!names_it || name == "server" || name == "shards", "{name}/Cargo.toml");
    }
    for name in CRATES.iter().filter(|name| **name != "server") {
        for path in sources(name) {
            let pump = path == Path::new("shards/src/pump.rs") || path.starts_with("shards/src/pump");
            assert!(pump || !code_names(&path, "glommio"), "{} names glommio", path.display());
        }
    }
}

/// The crates that are built for these arguments of `cargo build`, each with its features.
fn built(arguments: &[&str]) -> BTreeSet<String> {
    let mut command = Command::new(env!("CARGO"));
    command.args(["tree", "--offline", "--locked", "--edges", "normal,build", "--prefix", "none"]);
    let output = command.args(["--format", "{p} {f}"]).args(arguments).current_dir(root()).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).unwrap();
    text.lines().map(|line| String::from(line.trim_end_matches("(*)").trim())).filter(|line| !line.is_empty()).collect()
}

/// A feature more for one of them would build the crate, and all that is made of it, once more for the other.
#[test]
fn the_server_and_the_benchmark_are_one_build() {
    let all = built(&["--workspace"]);
    for package in ["rushq", "rushq-bench"] {
        let alone = built(&["-p", package]);
        assert!(alone.len() > 20, "{alone:?}");
        // rustix, which the server alone has, asks for a feature of the first. glommio's macros ask for features of the
        // second, which argh's macro does not need: that is built twice, and argh, in a few seconds. The server has
        // serde's derive, glommio and sled, which ask for features of the others.
        let names = ["bitflags v2", "syn v2", "serde_core v1", "getrandom v0.2", "once_cell v1"];
        let small = |built: &&String| names.iter().any(|name| built.starts_with(name));
        let other: Vec<&String> = alone.difference(&all).filter(|built| !small(built)).collect();
        assert!(other.is_empty(), "built again for {package} alone: {other:?}");
    }
}

#[test]
fn the_visible_top_level() {
    let output = Command::new("git").args(["ls-files", "-z"]).current_dir(root()).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let listed = String::from_utf8(output.stdout).unwrap();
    let tops = listed.split('\0').filter_map(|path| path.split('/').next()).filter(|top| !top.is_empty());
    let visible: BTreeSet<&str> = tops.filter(|top| !top.starts_with('.')).collect();
    assert_eq!(visible, BTreeSet::from(TOP_LEVEL));
}

#[test]
fn a_manifest_is_read_as_cargo_reads_it() {
    let manifest = "
        [package]
        name = \"x\"
        [dependencies]
        a.workspace = true
        b = { version = \"1\", features = [\"c\"] } # d = 1
        [dependencies.e]
        version = \"1\"
        [target.'cfg(unix)'.dependencies]
        f = \"1\"
        [build-dependencies]
        g = \"1\"
        [dev-dependencies]
        h = \"1\"
        [lints]
        workspace = true
    ";
    assert_eq!(dependencies(manifest, &OF_THE_CRATE).into_iter().collect::<String>(), "abefg");
    assert_eq!(dependencies(manifest, &OF_ITS_TESTS_TOO).into_iter().collect::<String>(), "abefgh");
}
