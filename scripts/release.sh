#!/usr/bin/env bash
# Makes what a release consists of, in target/release-VERSION: the binaries, stripped, in a tar; their debug files in
# another; the Debian package; and SHA256SUMS. Two runs on the same commit, with the same Rust and the same Debian, give
# the same bytes, wherever the repository lies: times are those of the commit, and no path of this machine is in them.
# Usage: release.sh [--twice]     --twice: a second time, from a copy at another path, and compare; takes ten minutes
case "${1:-}" in -h | --help) sed -n '2,/^[^#]/s/^# \{0,1\}//p' "$0"; exit ;; esac
set -euo pipefail
cd "$(dirname "$0")/.."

version="$(sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml | head -n 1)"
target="${CARGO_TARGET_DIR:-$PWD/target}"
out="$target/release-$version"
name="rushq-$version-$(uname -m)-linux"

if [ "${1:-}" = --twice ]; then
    "$0"
    copy="$(mktemp -d)"
    trap 'rm -rf "$copy"' EXIT
    git archive --prefix=copy/ HEAD | tar --extract --directory "$copy"
    SOURCE_DATE_EPOCH="$(git log -1 --format=%ct)" CARGO_TARGET_DIR="$copy/target" "$copy/copy/scripts/release.sh"
    diff "$out/SHA256SUMS" "$copy/target/release-$version/SHA256SUMS"
    echo "two runs, the same bytes"
    exit
fi

[ -n "${SOURCE_DATE_EPOCH:-}" ] || SOURCE_DATE_EPOCH="$(git log -1 --format=%ct)"
export SOURCE_DATE_EPOCH
# Paths of this machine stand in panics and in debug information.
cargo_home="${CARGO_HOME:-$HOME/.cargo}"
export RUSTFLAGS="${RUSTFLAGS:-} --remap-path-prefix=$PWD=/rushq --remap-path-prefix=$cargo_home=/cargo --remap-path-prefix=$target=/target"
export CFLAGS="${CFLAGS:-} -ffile-prefix-map=$target=/target -ffile-prefix-map=$cargo_home=/cargo"
cargo build --locked --release -p rushq -p rushq-bench

rm -rf "$out"
mkdir -p "$out/$name" "$out/$name-debug"
for program in rushq rushq-bench; do
    # A debugger finds the debug file by the link, beside the program or in .debug.
    objcopy --only-keep-debug "$target/release/$program" "$out/$name-debug/$program.debug"
    strip --strip-all --output-file "$out/$name/$program" "$target/release/$program"
    (cd "$out/$name-debug" && objcopy --add-gnu-debuglink="$program.debug" "../$name/$program")
done
scripts/package/size.sh "$out/$name/rushq"

RUSHQ_BUILT=1 scripts/package.sh "$out"
cp README.md LICENSE scripts/rushq.service "$out/$name"
mkdir "$out/$name/share"
cp "$target"/release/package/*.{1,bash,fish} "$target"/release/package/_* "$out/$name/share"
for folder in "$name" "$name-debug"; do
    (cd "$out" && tar --create --sort=name --owner=0 --group=0 --numeric-owner --mtime="@$SOURCE_DATE_EPOCH" --mode='u=rwX,go=rX' "$folder") |
        gzip --best --no-name >"$out/$folder.tar.gz"
    rm -r "${out:?}/$folder"
done
(cd "$out" && sha256sum -- *.deb *.tar.gz >SHA256SUMS && cat SHA256SUMS)
