//! The arrows between the folders of a crate: which of them imports from which. There is no circle.
//!
//! A file in `src` itself is a folder of its own. `lib.rs` and `main.rs`, which name all, are none.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use crate::arrows::{root, sources};

type Arrows = BTreeMap<String, BTreeSet<String>>;

/// What folders import, in the order in which one reads them: each only what stands above it.
const STORAGE: &[(&str, &str)] = &[
    ("error", ""),
    ("options", ""),
    ("attempt", ""),
    ("disk", ""),
    ("names", ""),
    ("settings", "names"),
    ("log", "attempt disk error names options"),
    ("queue", "log names settings"),
    ("gate", "log settings"),
    ("memory", "disk error log queue"),
    ("index", "gate log names queue"),
    ("recovery", "disk error gate index log options queue"),
    ("store", "attempt disk error gate index log memory names options queue recovery settings"),
];

const SHARDS: &[(&str, &str)] = &[
    ("owner", ""),
    ("moment", ""),
    ("client", "owner"),
    ("commit", ""),
    ("figures", "client"),
    ("outcome", "client figures"),
    ("op", "client moment outcome"),
    ("routing", "client figures moment op outcome owner"),
    ("engine", "client figures moment op outcome owner routing"),
    ("data", "engine owner"),
    ("pump", "client commit engine figures moment op outcome owner routing"),
];

const SERVER: &[(&str, &str)] = &[
    ("process", ""),
    ("access", "process"),
    ("session", "access"),
    ("context", "access process session"),
    ("admin", "context session"),
    ("memcache", "access admin context process session"),
    ("conversation", "context memcache session"),
    ("web", "access admin context process session"),
    ("net", "access admin context conversation memcache process session web"),
    ("executors", "access admin context net process session web"),
    ("server", "access executors net process"),
    ("tools", "process"),
];

const BENCH: &[(&str, &str)] = &[
    ("message", ""),
    ("schedule", ""),
    ("restart", ""),
    ("usage", ""),
    ("options", "message"),
    ("workload", "options"),
    ("tally", "workload"),
    ("answers", "message options workload"),
    ("tls", "options"),
    ("connection", "answers options tls workload"),
    ("beside", "connection options tally usage"),
    ("verify", "message options workload"),
    ("live", "options tally"),
    ("drain", "answers connection options verify workload"),
    ("worker", "answers connection options restart schedule tally usage verify workload"),
    ("gate", "answers connection options restart schedule tally usage workload"),
    ("run", "connection drain gate live options restart tally tls usage verify worker workload"),
    ("report", "beside gate options run tally usage verify worker workload"),
];

/// The parts of a path in the code of a module: `super` is what it stands for there. A path into the crate begins with
/// "crate".
fn resolve(module: &[String], path: &str) -> Vec<String> {
    let mut parts: Vec<String> = path.split("::").map(|part| part.trim().to_string()).collect();
    if parts[0] != "super" {
        return parts;
    }
    let mut of = module.to_vec();
    while parts.first().is_some_and(|part| part == "super") {
        parts.remove(0);
        of.pop();
    }
    let mut whole = vec![String::from("crate")];
    whole.extend(of);
    whole.extend(parts);
    whole
}

/// The module that a file is, from the crate on.
fn module_of(path: &Path) -> Vec<String> {
    let mut parts: Vec<String> =
        path.with_extension("").components().map(|part| part.as_os_str().to_string_lossy().into_owned()).collect();
    if parts.last().is_some_and(|last| last == "mod") {
        parts.pop();
    }
    parts
}

/// What the code of a module names in its crate: the first part of each path.
fn named(module: &[String], code: &str) -> BTreeSet<String> {
    let code: String = code.lines().map(|line| line.split("//").next().unwrap()).collect::<Vec<_>>().join("\n");
    let is_part = |c: char| c.is_alphanumeric() || c == '_' || c == ':';
    let mut found = BTreeSet::new();
    let mut rest = code.as_str();
    while let Some(at) = rest.find(is_part) {
        let word = &rest[at..];
        let end = word.find(|c| !is_part(c)).unwrap_or(word.len());
        let path = &word[..end];
        rest = &word[end..];
        if !path.starts_with("crate::") && !path.starts_with("super::") {
            continue;
        }
        // `crate::{a, b::c}` names two.
        let group = rest.strip_prefix('{').filter(|_| path.ends_with("::"));
        let of_group: Vec<String> = match group {
            Some(group) => top_level_items(group).iter().map(|item| format!("{path}{item}")).collect(),
            None => vec![path.to_string()],
        };
        for path in of_group {
            let parts = resolve(module, path.trim_end_matches("::"));
            found.extend(parts.get(1).filter(|_| parts[0] == "crate").cloned());
        }
    }
    found
}

/// The first words of the items of a group, which ends with its brace.
fn top_level_items(group: &str) -> Vec<String> {
    let (mut depth, mut items, mut item) = (0, Vec::new(), String::new());
    for c in group.chars() {
        match c {
            '{' => depth += 1,
            '}' if depth == 0 => break,
            '}' => depth -= 1,
            ',' if depth == 0 => items.push(std::mem::take(&mut item)),
            c if depth == 0 => item.push(c),
            _ => {}
        }
    }
    items.push(item);
    let path = |item: &String| Some(item.split_whitespace().next()?.trim_end_matches("::").to_string());
    items.iter().filter_map(path).collect()
}

/// The arrows between the folders of a crate. Names that are no module's, as those that `lib.rs` exports, are left out.
fn arrows(name: &str) -> Arrows {
    let source = Path::new(name).join("src");
    let mut arrows = Arrows::new();
    let mut modules = Vec::new();
    for path in sources(name) {
        let Ok(inner) = path.strip_prefix(&source) else { continue };
        let module = module_of(inner);
        if module.len() == 1 && ["lib", "main"].contains(&module[0].as_str()) {
            continue;
        }
        arrows.entry(module[0].clone()).or_default();
        modules.push((module, fs::read_to_string(root().join(&path)).unwrap()));
    }
    for (module, code) in modules {
        let others: Vec<String> =
            named(&module, &code).into_iter().filter(|it| *it != module[0] && arrows.contains_key(it)).collect();
        arrows.get_mut(&module[0]).unwrap().extend(others);
    }
    arrows
}

#[track_caller]
fn assert_arrows(name: &str, expected: &[(&str, &str)]) {
    let mut above = BTreeSet::new();
    for (folder, imports) in expected {
        for import in imports.split_whitespace() {
            assert!(above.contains(import), "{name}: {folder} imports {import}, which does not stand above it");
        }
        above.insert(*folder);
    }
    let words = |imports: &str| imports.split_whitespace().map(String::from).collect::<BTreeSet<String>>();
    let expected: Arrows = expected.iter().map(|(folder, imports)| (folder.to_string(), words(imports))).collect();
    let found = arrows(name);
    for (folder, imports) in &found {
        assert_eq!(Some(imports), expected.get(folder), "{name}/src/{folder} imports");
    }
    assert_eq!(found.len(), expected.len(), "{name}: {:?}", found.keys());
}

#[test]
fn the_arrows_between_the_folders_of_storage() {
    assert_arrows("storage", STORAGE);
}

#[test]
fn the_arrows_between_the_folders_of_server() {
    assert_arrows("server", SERVER);
}

#[test]
fn the_arrows_between_the_folders_of_shards() {
    assert_arrows("shards", SHARDS);
}

#[test]
fn the_arrows_between_the_folders_of_the_benchmark() {
    assert_arrows("bench", BENCH);
}

#[test]
fn imports_are_found_however_they_are_written() {
    let module = |path: &str| module_of(Path::new(path));
    let code = "
        use crate::a::b;
        use crate::{c, d::{e, f}, g as h};
        use super::i; // use crate::comment;
        fn j() -> crate::k::L { super::super::m::n() }
        use std::o;
    ";
    let of = |path: &str| named(&module(path), code).into_iter().collect::<Vec<_>>().join(" ");
    assert_eq!(of("x/mod.rs"), "a c d g i k m", "the root is above it");
    assert_eq!(of("x/y.rs"), "a c d g k m x");
    assert_eq!(of("x/y/z.rs"), "a c d g k x");
}
