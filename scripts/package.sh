#!/usr/bin/env bash
# Makes the Debian package of what `cargo build --release` has built: man pages and completions from --help, and all of it
# by cargo-deb, which is installed if it is missing.
# Usage: package.sh [--version VERSION] [DIRECTORY]     DIRECTORY: for the package [default: target/debian]
# VERSION, which is the package's and not the program's, is for tests of an upgrade.
case "${1:-}" in -h | --help) sed -n '2,/^[^#]/s/^# \{0,1\}//p' "$0"; exit ;; esac
set -euo pipefail
cd "$(dirname "$0")/.."

version=()
if [ "${1:-}" = --version ]; then
    version=(--deb-version "$2")
    shift 2
fi
target="${CARGO_TARGET_DIR:-$PWD/target}"
directory="${1:-$target/debian}"
# The version of cargo-deb is named: another one may make another package of the same files.
deb_version=3.8.0

if [ "$(cargo deb --version 2>/dev/null)" != "$deb_version" ]; then
    # Without optimisation: it is built for one package, and that takes it no time.
    cargo install --quiet --debug --locked --version "$deb_version" cargo-deb
fi
export SOURCE_DATE_EPOCH="${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct)}"
if [ -z "${RUSHQ_BUILT:-}" ]; then
    cargo build --locked --release -p rushq -p rushq-bench
fi
scripts/package/manual.py "$target/release/package" "$target/release/rushq" "$target/release/rushq-bench"
gzip --best --no-name --force --keep "$target"/release/package/*.1
mkdir -p "$directory"
cargo deb --quiet --locked --no-build --no-dbgsym --strip --compress-system --package rushq "${version[@]}" --output "$directory"
