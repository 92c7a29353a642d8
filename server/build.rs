//! What Cargo's profiles cannot say of the server's binary.

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    // glommio's calls of io_uring_enter go to `src/net/uring_enter.rs`.
    for function in ["__sys_io_uring_enter", "__sys_io_uring_enter2"] {
        println!("cargo::rustc-link-arg=-Wl,--wrap={function}");
    }
    // Line tables are most of a release binary, so they are compressed in it: a backtrace, perf and gdb read them as they
    // are, and the file that is shipped is less than half as large.
    if std::env::var("PROFILE").is_ok_and(|profile| profile == "release") {
        println!("cargo::rustc-link-arg-bins=-Wl,--compress-debug-sections=zlib");
    }
}
