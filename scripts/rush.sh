#!/usr/bin/env bash
# The rush: 2,000 buyers come in one second for 500 tickets, through queues and nothing else, while the workers that handle
# their orders are killed by kill -9 every 30 ms in the middle of their work. No order may be lost, be handled again after
# its acknowledgement, or be with two workers at a time. One run takes plain gets before: it shows what these lose, and that
# a loss is seen. Fails at the first fault; needs Python 3 and none of its packages.
# Usage: scripts/rush.sh [runs, 20 without it] [rushq binary]
case "${1:-}" in -h | --help) sed -n '2,/^[^#]/s/^# \{0,1\}//p' "$0"; exit ;; esac
set -euo pipefail
cd "$(dirname "$0")/.."

runs="${1:-20}"
if [ $# -gt 1 ]; then
    rushq="$2"
else
    cargo build --locked -p rushq
    rushq="${CARGO_TARGET_DIR:-target}/debug/rushq"
fi

scratch="$(mktemp -d)"
server=""
clean_up() {
    status=$?
    if [ -n "$server" ]; then
        kill -TERM "$server" 2>/dev/null || true
        wait "$server" || status=$?
    fi
    if [ "$status" -eq 0 ]; then
        rm -rf "$scratch"
    else
        echo "failed with $status; kept for a look: $scratch" >&2
        tail -n 20 "$scratch/stderr" >&2 || true
    fi
    exit "$status"
}
trap clean_up EXIT

# More connections than buyers.
"$rushq" -l 127.0.0.1 -p 0 -t 2 -c 4000 -H "$scratch/data" 2>"$scratch/stderr" &
server=$!
port=""
for _ in $(seq 300); do
    port="$(sed -n 's/.*listening on 127\.0\.0\.1:\([0-9]*\).*/\1/p' "$scratch/stderr" | head -n 1)"
    [ -z "$port" ] || break
    kill -0 "$server" 2>/dev/null || { echo "rushq ended before it listened" >&2; exit 1; }
    sleep 0.1
done
[ -n "$port" ] || { echo "rushq does not listen" >&2; exit 1; }

python3 scripts/rush.py "$port" plain "$scratch/plain"
for run in $(seq "$runs"); do
    python3 scripts/rush.py "$port" opens "$scratch/run-$run"
done
