//! Tests that only root can run.

/// Makes a test fail that would be skipped. CI sets it to 1.
const REQUIRE: &str = "RUSHQ_REQUIRE_ROOT";

/// Whether a test that needs root may run; `why` says what only root can do. Without root the test is skipped with a line,
/// or fails where root is required: cargo does not show the line of a test that passes.
pub(crate) fn is_root(why: &str) -> bool {
    let required = std::env::var(REQUIRE).is_ok_and(|value| value == "1");
    may_run(nix::unistd::geteuid().is_root(), required, why)
}

fn may_run(is_root: bool, required: bool, why: &str) -> bool {
    assert!(is_root || !required, "{REQUIRE}=1, but the tests do not run as root, and {why}");
    if !is_root {
        eprintln!("skipped: {why}");
    }
    is_root
}

#[test]
fn without_root_a_test_is_skipped() {
    assert!(may_run(true, true, "root is there"));
    assert!(!may_run(false, false, "root is not required"));
}

#[test]
#[should_panic = "RUSHQ_REQUIRE_ROOT=1, but the tests do not run as root, and only root can mount"]
fn where_root_is_required_a_test_without_it_fails() {
    may_run(false, true, "only root can mount");
}

/// So that no test passes silently beside `is_root`.
#[test]
fn all_tests_for_root_ask_here() {
    let directory = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it");
    for entry in std::fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        let text = std::fs::read_to_string(&path).unwrap();
        let skips = text.matches("skipped: ").count() - text.matches("skipped: this machine has no IPv6").count();
        assert!(skips == 0 || path.ends_with("root.rs"), "{} skips tests by itself", path.display());
    }
}
