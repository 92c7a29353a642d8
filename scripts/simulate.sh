#!/usr/bin/env bash
# The long run of the simulators: ROUNDS times as many seeds as `cargo test -p shards` has, some minutes with the default.
# Says at each ten thousandth seed how far it is, and which seed failed. SEED=n runs that one only.
# Usage: [ROUNDS=n] [SEED=n] scripts/simulate.sh
case "${1:-}" in -h | --help) sed -n '2,/^[^#]/s/^# \{0,1\}//p' "$0"; exit ;; esac
set -euo pipefail
cd "$(dirname "$0")/.."

export ROUNDS="${ROUNDS:-20}"

# One test at a time, so that the last seed that was begun is the one that failed.
cargo test --locked -p shards --test it -- --nocapture --test-threads 1 simulate:: simulate_gates:: | awk '
    /SEED=[0-9]+$/ {
        seed = $0
        sub(/.*SEED=/, "", seed)
        if (seed % 10000 == 0 || $0 !~ /^SEED/) { print; fflush() }
        next
    }
    /^FAILED/ { $0 = "FAILED: SEED=" seed }
    { print; fflush() }
'
