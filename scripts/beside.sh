#!/usr/bin/env bash
# What a client feels beside a load: the median, the 99th percentile and the longest time of its set and get, while other
# connections of rushq-bench do one thing all the time. rushq durable, rushq -N and memcached, a fresh server of one thread
# on one core for each round, client and load on another; rounds go by turns over the servers. Prints a table with the
# medians' ratios to memcached's, and writes a page. LOADS (all) and SERVERS choose, separated by commas.
# Usage: scripts/beside.sh [seconds for each load] [rounds] [directory]; 3 s and 3 rounds of all take about five minutes.
case "${1:-}" in -h | --help) sed -n '2,/^[^#]/s/^# \{0,1\}//p' "$0"; exit ;; esac
set -euo pipefail
cd "$(dirname "$0")/.."

seconds="${1:-3}"
rounds="${2:-3}"
output="${3:-${CARGO_TARGET_DIR:-target}/beside}"
source scripts/servers.sh
choose "${SERVERS:-rushq,rushq -N,memcached}"

build
mkdir -p "$output"
echo "$(nproc) cores, Linux $(uname -r), commit $(git describe --always --dirty 2>/dev/null || echo unknown), $rounds rounds of $seconds s each"
results=()
for ((round = 1; round <= rounds; round++)); do
    for server in "${servers[@]}"; do
        result="$output/$server $round.json"
        rm -f "$result"
        start "$server"
        # A load that a server does not bear is a line of the table and no end of the rounds. Each load has the time of
        # its preparation, and of ten silent seconds.
        timeout $((10 * (${seconds%.*} * 10 + 30))) taskset -c "$load_core" "$bench" --beside "${LOADS:-all}" \
            --test-time "$seconds" -p "${port[$server]}" --label "$server" --json-out-file "$result" >"$work/report" 2>&1 || true
        [ -s "$result" ] || { echo "no result of $server:" >&2; cat "$work/report" >&2; exit 1; }
        stop "$server"
        results+=("$result")
    done
done
baseline="${servers[-1]}"
echo
"$bench" --compare "${results[@]}" --html "$output/beside.html" --baseline "${BASELINE:-$baseline}"
echo "with plots: $output/beside.html"
