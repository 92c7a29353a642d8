//! Line tables are most of a release binary, so they are compressed in it: a backtrace, perf and gdb read them as they are,
//! and the file that is shipped is less than half as large. Cargo's profiles cannot say that.

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    if std::env::var("PROFILE").is_ok_and(|profile| profile == "release") {
        println!("cargo::rustc-link-arg-bins=-Wl,--compress-debug-sections=zlib");
    }
}
