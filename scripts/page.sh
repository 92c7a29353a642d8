#!/usr/bin/env bash
# The operator's page in a real browser, Chromium without a screen, against a server with two shards that has some load:
# every act is clicked once, and what came of it is read at the memcache port. All of it is on 127.0.0.1, has a folder of
# its own below $TMPDIR, and is gone when the script ends. Needs, from Debian:
#   apt-get install chromium fonts-dejavu-core python3-venv
# Usage: scripts/page.sh <folder for pictures> [queues, 100000 without it]
# Each answer to a filter or a page of that many queues may take 100 ms. The debug build is slower than what is shipped:
# for a million queues take RUSHQ_BINARY=target/release/rushq. playwright comes from PyPI, into target/page.
# RUSHQ_BINARY= is another build of rushq.
case "${1:-}" in -h | --help) sed -n '2,/^[^#]/s/^# \{0,1\}//p' "$0"; exit ;; esac
set -euo pipefail
here="$(cd "$(dirname "$0")" && pwd)"
[ $# -ge 1 ] || { echo "a folder for pictures is missing; see scripts/page.sh --help" >&2; exit 2; }
pictures="$1" queues="${2:-100000}"

missing=()
command -v chromium >/dev/null || missing+=(chromium fonts-dejavu-core)
python3 -c 'import ensurepip, venv' 2>/dev/null || missing+=(python3-venv)
[ "${#missing[@]}" -eq 0 ] || { echo "missing: apt-get install --no-install-recommends ${missing[*]}" >&2; exit 2; }

target="${CARGO_TARGET_DIR:-$here/../target}"
rushq="${RUSHQ_BINARY:-}"
if [ -z "$rushq" ]; then
    cargo build --locked -p rushq --manifest-path "$here/../Cargo.toml"
    rushq="$target/debug/rushq"
fi

# It brings no browser: that is Debian's.
playwright=playwright==1.65.2 venv="$target/page/$playwright"
if [ ! -e "$venv/whole" ]; then
    python3 -m venv --clear "$venv"
    "$venv/bin/pip" install --quiet --disable-pip-version-check "$playwright"
    touch "$venv/whole"
fi
exec "$venv/bin/python" -B "$here/page/look.py" "$rushq" "$queues" "$pictures"
