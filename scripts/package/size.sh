#!/usr/bin/env bash
# Fails if a server is larger, without its debug information, than it has to be: 6.4 MB. TLS has some 0.9 MB of them.
# Usage: size.sh [PROGRAM]     [default: target/release/rushq]
case "${1:-}" in -h | --help) sed -n '2,/^[^#]/s/^# \{0,1\}//p' "$0"; exit ;; esac
set -euo pipefail
cd "$(dirname "$0")/../.."

bytes_max=6400000
program="${1:-${CARGO_TARGET_DIR:-$PWD/target}/release/rushq}"
stripped="$(mktemp)"
trap 'rm -f "$stripped"' EXIT
strip --strip-all -o "$stripped" "$program"
bytes="$(stat -c %s "$stripped")"
echo "$(basename "$program"): $bytes bytes, of $bytes_max that it may have"
[ "$bytes" -le "$bytes_max" ]
