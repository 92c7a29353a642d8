#!/usr/bin/env bash
# Fuzzes the parser, responses, recovery, frames and the index, each for so many seconds (600). Starts from the seeds in
# */fuzz/corpus, and from what earlier runs have found, which is kept under target/fuzz. An input that fails is named.
# Usage: scripts/fuzz.sh [seconds]
case "${1:-}" in -h | --help) sed -n '2,/^[^#]/s/^# \{0,1\}//p' "$0"; exit ;; esac
set -euo pipefail
cd "$(dirname "$0")/.."

seconds="${1:-600}"
# One target directory for both crates, so that libFuzzer is compiled once.
export CARGO_TARGET_DIR="${CARGO_TARGET_DIR:-$PWD/target}/fuzz"
export PATH="$PATH:$CARGO_TARGET_DIR/tool/bin"
cargo fuzz --version >/dev/null 2>&1 ||
    cargo install --quiet --debug --locked --root "$CARGO_TARGET_DIR/tool" cargo-fuzz --version 0.13.1

# Without a sanitizer, since our code is safe, and so a stable toolchain will do. Debug assertions and overflow checks are
# on.
# Without traced comparisons, since the seeds and the dictionary know the words, and it is several times as fast.
how=(--sanitizer none --no-trace-compares)

build() {
    (cd "$1" && cargo fuzz build "${how[@]}")
}

# Runs the targets of a crate, one after the other.
fuzz() {
    local crate="$1" target grown log
    shift
    for target in "$@"; do
        grown="$CARGO_TARGET_DIR/grown/$target"
        log="$CARGO_TARGET_DIR/$target.log"
        mkdir -p "$grown"
        local options=(-max_total_time="$seconds" -timeout=20 -rss_limit_mb=512 -print_final_stats=1)
        if [ -f "$crate/fuzz/$crate.dict" ]; then
            options+=(-dict="fuzz/$crate.dict")
        fi
        if ! (cd "$crate" && cargo fuzz run "${how[@]}" "$target" "$grown" "fuzz/corpus/$target" -- "${options[@]}") \
            >"$log" 2>&1; then
            grep -a -A 40 -m 1 "panicked at" "$log" || true
            tail -n 30 "$log"
            return 1
        fi
        echo "$target: $(sed -n 's/^stat::number_of_executed_units: *//p' "$log") runs"
    done
}

build protocol
build storage
# Two lanes: a fuzzer takes one core.
fuzz protocol parser response &
lane=$!
failed=0
fuzz storage recovery frames index || failed=1
wait "$lane" || failed=1
exit "$failed"
