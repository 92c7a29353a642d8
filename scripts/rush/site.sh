#!/usr/bin/env bash
# A site that sells 100 tickets, in small: HAProxy, two nginx, one rushq, a login, workers that take the money. All of
# it is on 127.0.0.1, has a folder of its own below $TMPDIR, and is gone when the script ends. Needs, from Debian:
#   apt-get install nginx haproxy python3, and for `browser` chromium fonts-dejavu-core python3-venv
# Usage: scripts/rush/site.sh run [seconds, 3600 without it]
#        scripts/rush/site.sh crowd [buyers, 20000 without it] [kills of rushq between the first and the last seat, 12]
#        scripts/rush/site.sh browser <folder for pictures>
# run: for a look, until ctrl-c. crowd: a rush by simulated buyers, with rushq and workers killed by kill -9; afterwards
# what each buyer was told is compared with the gate, the messages and the charges, and a fault is a failure. browser:
# the pages as Chromium shows them; playwright comes from PyPI into a scratch folder.
# RUSHQ_BINARY= is another build of rushq, and NGINX= another nginx.
case "${1:-}" in -h | --help) sed -n '2,/^[^#]/s/^# \{0,1\}//p' "$0"; exit ;; esac
set -euo pipefail
here="$(cd "$(dirname "$0")" && pwd)"
what="${1:-run}"
case "$what" in
    run | crowd | browser) ;;
    *) echo "there is no $what; see scripts/rush/site.sh --help" >&2; exit 2 ;;
esac

[ "$what" != browser ] || [ $# -eq 2 ] || { echo "browser needs a folder for pictures" >&2; exit 2; }

nginx="${NGINX:-nginx}"
missing=()
command -v "$nginx" >/dev/null || missing+=(nginx)
command -v haproxy >/dev/null || missing+=(haproxy)
command -v python3 >/dev/null || missing+=(python3)
if [ "$what" = browser ]; then
    command -v chromium >/dev/null || missing+=(chromium fonts-dejavu-core)
    python3 -c 'import ensurepip, venv' 2>/dev/null || missing+=(python3-venv)
fi
[ "${#missing[@]}" -eq 0 ] || { echo "missing: apt-get install --no-install-recommends ${missing[*]}" >&2; exit 2; }

rushq="${RUSHQ_BINARY:-}"
if [ -z "$rushq" ]; then
    cargo build --locked -p rushq --manifest-path "$here/../../Cargo.toml"
    rushq="${CARGO_TARGET_DIR:-$here/../../target}/debug/rushq"
fi
exec python3 -B "$here/show.py" "$rushq" "$nginx" "$what" "${@:2}"
