#!/usr/bin/env bash
# What Prometheus makes of rushq: promtool checks what /metrics and /metrics/queues say, the alerts and their tests; and a
# real Prometheus scrapes a server once a second, finds each message that was put, once, and has an answer to every query
# of the dashboard. All of it is on 127.0.0.1 and in a scratch folder, and gone when the script ends.
# Usage: scripts/metrics.sh [rushq]
# PROMETHEUS= is a folder with prometheus and promtool. Without it and where they are not installed, Debian's package is
# unpacked below target/ and not installed, since that would start it.
case "${1:-}" in -h | --help) sed -n '2,/^[^#]/s/^# \{0,1\}//p' "$0"; exit ;; esac
set -euo pipefail
here="$(cd "$(dirname "$0")" && pwd)"
target="${CARGO_TARGET_DIR:-$here/../target}"

programs="${PROMETHEUS:-}"
if [ -z "$programs" ] && command -v prometheus promtool >/dev/null; then
    programs="$(dirname "$(command -v promtool)")"
elif [ -z "$programs" ]; then
    programs="$target/prometheus/usr/bin"
    if [ ! -x "$programs/promtool" ]; then
        mkdir -p "$target/prometheus"
        apt-get update -qq
        (cd "$target/prometheus" && apt-get download -qq -o APT::Sandbox::User=root prometheus >/dev/null &&
            dpkg -x prometheus_*.deb .)
    fi
fi

rushq="${1:-${RUSHQ_BINARY:-}}"
if [ -z "$rushq" ]; then
    cargo build --locked --quiet -p rushq --manifest-path "$here/../Cargo.toml"
    rushq="$target/debug/rushq"
fi

"$programs/promtool" check rules "$here/alerts.yml"
"$programs/promtool" test rules "$here/alerts_test.yml"
exec python3 -B "$here/metrics/scraped.py" "$programs" "$rushq"
