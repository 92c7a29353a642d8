//! That the documents are true, as far as a test can tell: files and functions that they name, links, and numbers.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use crate::arrows::{CRATES, OF_ITS_TESTS_TOO, PACKAGES, dependencies, manifest_of};

const CONTRIBUTING: &str = ".github/CONTRIBUTING.md";
const DOCUMENTS: [&str; 9] = [
    "README.md",
    CONTRIBUTING,
    "bench/README.md",
    "protocol/README.md",
    "scripts/README.md",
    "scripts/rush/README.md",
    "server/README.md",
    "shards/README.md",
    "storage/README.md",
];
/// What a stranger must find, at least.
const THINGS: [&str; 10] = [
    "the grammar of a set",
    "the bytes of VALUE",
    "which shard has a queue",
    "when a reply may go",
    "the frame's layout",
    "the fsync",
    "what leaves memory",
    "what a start reads",
    "an option",
    "a figure of `stats`",
];
/// The front page is read, not scrolled.
const README_LINES_MAX: usize = 165;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_path_buf()
}

fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// The text below a heading, up to the next one of the same level.
fn section<'a>(text: &'a str, heading: &str) -> &'a str {
    let (_, below) = text.split_once(&format!("\n{heading}\n")).unwrap_or_else(|| panic!("no heading {heading}"));
    below.split("\n## ").next().unwrap()
}

/// The rows of the first table, without its head.
fn rows(section: &str) -> Vec<Vec<&str>> {
    let table = section.lines().skip_while(|line| !line.starts_with('|')).take_while(|line| line.starts_with('|'));
    table.skip(2).map(|line| line.trim_matches('|').split(" | ").map(str::trim).collect()).collect()
}

/// What stands between backticks.
fn quoted(text: &str) -> Vec<&str> {
    text.split('`').skip(1).step_by(2).collect()
}

/// Whether a source has a function of this name.
fn has_function(source: &str, name: &str) -> bool {
    let code = source.lines().filter(|line| !line.trim_start().starts_with("//"));
    let mut behind_fn = code.flat_map(|line| line.split("fn ").skip(1));
    behind_fn.any(|behind| behind.strip_prefix(name).is_some_and(|rest| rest.starts_with(['(', '<'])))
}

/// What is wrong with a row of the table of where a thing is done. `source_of`: the text of a file, if there is one.
fn fault(row: &[&str], source_of: impl Fn(&str) -> Option<String>) -> Option<String> {
    let [thing, file, functions] = row else { return Some(format!("{row:?} has not three cells")) };
    let ([file], functions) = (&quoted(file)[..], quoted(functions)) else {
        return Some(format!("{thing}: it names not one file"));
    };
    let Some(source) = source_of(file) else { return Some(format!("{thing}: there is no {file}")) };
    if functions.is_empty() {
        return Some(format!("{thing}: it names no function"));
    }
    let missing = functions.into_iter().find(|name| !has_function(&source, name));
    missing.map(|name| format!("{thing}: {file} has no function {name}"))
}

#[test]
fn things_are_done_where_the_table_says() {
    let text = read(CONTRIBUTING);
    let rows = rows(section(&text, "## Where a thing is done"));
    let source_of = |file: &str| fs::read_to_string(root().join(file)).ok();
    let faults: Vec<String> = rows.iter().filter_map(|row| fault(row, source_of)).collect();
    assert!(faults.is_empty(), "{CONTRIBUTING}: {faults:#?}");
    for thing in THINGS {
        assert!(rows.iter().any(|row| row[0] == thing), "{CONTRIBUTING} does not say where this is done: {thing}");
    }
}

#[test]
fn a_row_that_is_not_true_is_found() {
    let source_of = |file: &str| {
        let source = "// fn gone(\nimpl X {\n    pub(crate) fn set<'a>(&self) {}\n    async fn get() {}\n}\n";
        (file == "a/src/b.rs").then(|| String::from(source))
    };
    let faults = |row: &str| fault(&rows(&format!("| h |\n|---|\n{row}\n"))[0], source_of);
    assert_eq!(faults("| sets | `a/src/b.rs` | `set`, `get` |"), None);
    for row in [
        "| a file that is not there | `a/src/c.rs` | `set` |",
        "| a function that is not there | `a/src/b.rs` | `set`, `put` |",
        "| a function in a comment | `a/src/b.rs` | `gone` |",
        "| the beginning of a name | `a/src/b.rs` | `se` |",
        "| no function | `a/src/b.rs` | |",
        "| no file | | `set` |",
        "| two files | `a/src/b.rs`, `a/src/c.rs` | `set` |",
        "| nothing |",
    ] {
        assert!(faults(row).is_some(), "{row}");
    }
}

/// Sources are named by their paths from the root in one document; the crates' own name theirs more shortly.
#[test]
fn sources_that_are_named_are_there() {
    let text = read(CONTRIBUTING);
    let named: Vec<&str> = quoted(&text).into_iter().filter(|it| it.ends_with(".rs") && it.contains("/src/")).collect();
    assert!(named.len() > 40, "{named:?}");
    for path in named {
        assert!(root().join(path).is_file(), "{CONTRIBUTING} names {path}");
    }
}

#[test]
fn every_dependency_has_its_reason() {
    let text = read(CONTRIBUTING);
    let rows = rows(section(&text, "## Dependencies"));
    let explained: BTreeSet<&str> = rows.iter().flat_map(|row| row[0].split(", ")).collect();
    let manifests = CRATES.map(manifest_of);
    let all: BTreeSet<String> = manifests.iter().flat_map(|text| dependencies(text, &OF_ITS_TESTS_TOO)).collect();
    let mut used: BTreeSet<&str> = all.iter().map(String::as_str).filter(|name| !PACKAGES.contains(name)).collect();
    // In the crates of the fuzz targets, which are no part of the workspace.
    used.insert("libfuzzer-sys");
    assert_eq!(explained, used, "{CONTRIBUTING}, on the left, explains other dependencies than there are");
}

/// How a heading is named in a link.
fn anchor(heading: &str) -> String {
    let kept = heading.trim().to_lowercase().replace(' ', "-");
    kept.chars().filter(|it| it.is_alphanumeric() || ['-', '_'].contains(it)).collect()
}

/// The targets of a text's links to other files and headings. Those in code are none.
fn links(text: &str) -> Vec<&str> {
    let prose = text.split("```").step_by(2);
    let targets = prose.flat_map(|prose| prose.split("](").skip(1)).filter_map(|behind| behind.split(')').next());
    targets.filter(|target| target.contains('/') || target.contains(".md") || target.starts_with('#')).collect()
}

#[test]
fn links_lead_to_files_and_headings() {
    let mut seen = 0;
    for document in DOCUMENTS {
        let text = read(document);
        for link in links(&text).into_iter().filter(|link| !link.contains("://")) {
            let (file, heading) = link.split_once('#').unwrap_or((link, ""));
            let here = root().join(document);
            let target = if file.is_empty() { here } else { here.parent().unwrap().join(file) };
            assert!(target.exists(), "{document} links to {link}, which is not there");
            if !heading.is_empty() {
                let text = fs::read_to_string(&target).unwrap();
                let mut headings = text.lines().filter_map(|line| line.strip_prefix('#'));
                let is_there = headings.any(|line| anchor(line.trim_start_matches('#')) == heading);
                assert!(is_there, "{document} links to {link}, and there is no such heading");
            }
            seen += 1;
        }
    }
    assert!(seen > 30, "{seen} links");
}

/// What nginx is told stands in two documents, and the site runs with the files.
#[test]
fn nginx_is_told_what_the_documents_say() {
    for (document, files) in
        [("README.md", &["seat.conf"][..]), ("scripts/rush/README.md", &["seat.conf", "join.conf"])]
    {
        let text = read(document);
        let blocks: Vec<&str> = text.split("```nginx\n").skip(1).filter_map(|it| it.split("```").next()).collect();
        let files: Vec<String> = files.iter().map(|file| read(&format!("scripts/rush/{file}"))).collect();
        assert_eq!(blocks, files, "{document} has other blocks than scripts/rush");
    }
    let site = read("scripts/rush/nginx.conf");
    assert!(site.contains("include seat.conf;") && site.contains("include join.conf;"), "the site has other blocks");
}

#[test]
fn a_crates_page_is_the_front_page_of_its_documentation() {
    for (name, file) in [
        ("protocol", "lib.rs"),
        ("storage", "lib.rs"),
        ("shards", "lib.rs"),
        ("server", "main.rs"),
        ("bench", "main.rs"),
    ] {
        let source = read(&format!("{name}/src/{file}"));
        assert!(source.starts_with("#![doc = include_str!(\"../README.md\")]\n"), "{name}/src/{file}");
    }
}

#[test]
fn the_front_page_is_short_and_has_the_numbers_of_the_workspace() {
    let readme = read("README.md");
    let lines = readme.lines().count();
    assert!(lines <= README_LINES_MAX, "README.md has {lines} lines");
    let manifest = read("Cargo.toml");
    let value = |key: &str| {
        let line = manifest.lines().find_map(|line| line.strip_prefix(key)).unwrap();
        String::from(line.trim_matches([' ', '=', '"']))
    };
    let rust = value("rust-version");
    assert!(readme.contains(&format!("Rust {rust}")), "README.md asks for another Rust than {rust}");
    let version = value("version");
    assert!(section(&readme, "## Changes").contains(&version), "README.md has no changes of {version}");
}
