//! Has the linker lead glommio's calls of io_uring_enter to `src/uring_enter.rs`.

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    for function in ["__sys_io_uring_enter", "__sys_io_uring_enter2"] {
        println!("cargo::rustc-link-arg=-Wl,--wrap={function}");
    }
}
