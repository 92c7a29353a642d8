#!/usr/bin/env bash
# rushq beside the servers that people would pick instead, in the same minutes on the same machine: durable and -N,
# memcached, and redis with appendfsync always and everysec. Each run has a fresh server of one thread on one core and the
# load on another; rounds go by turns over the servers, so that a slow minute is no server's alone. Prints a table of medians,
# and writes a page with plots. CASES and SERVERS choose, separated by commas; BASELINE is whom the others are compared to.
# Usage: scripts/bench.sh [seconds] [rounds] [directory]; 3 s and 3 rounds of all take about seven minutes.
case "${1:-}" in -h | --help) sed -n '2,/^[^#]/s/^# \{0,1\}//p' "$0"; exit ;; esac
set -euo pipefail
cd "$(dirname "$0")/.."

seconds="${1:-3}"
rounds="${2:-3}"
output="${3:-${CARGO_TARGET_DIR:-target}/bench}"
source scripts/servers.sh

IFS=, read -ra cases <<<"${CASES:-pl1,pl16,pl64,conns200,big,hot,wide}"

# options CASE: what the load is.
options() {
    case "$1" in
    pl1) echo "-c 32 --pipeline 1 -d 100 --key-maximum 63" ;;
    pl16) echo "-c 32 --pipeline 16 -d 100 --key-maximum 63" ;;
    pl64) echo "-c 32 --pipeline 64 -d 100 --key-maximum 63" ;;
    conns200) echo "-c 200 --pipeline 1 -d 100 --key-maximum 63" ;;
    big) echo "-c 32 --pipeline 1 -d 10000 --key-maximum 63" ;;
    hot) echo "-c 32 --pipeline 16 -d 100 --key-maximum 0" ;;
    wide) echo "-c 32 --pipeline 16 -d 100 --key-maximum 999999" ;;
    *) echo "there is no case $1; there are pl1, pl16, pl64, conns200, big, hot and wide" >&2; return 1 ;;
    esac
}

for name in "${cases[@]}"; do
    options "$name" >/dev/null
done
choose "${SERVERS:-rushq,rushq -N,memcached,redis always,redis everysec}"

build
mkdir -p "$output"
echo "$(nproc) cores, Linux $(uname -r), commit $(git describe --always --dirty 2>/dev/null || echo unknown), $rounds rounds of $seconds s each"
results=()
for name in "${cases[@]}"; do
    for ((round = 1; round <= rounds; round++)); do
        for server in "${servers[@]}"; do
            result="$output/$name $server $round.json"
            start "$server"
            # shellcheck disable=SC2046 # words, not one word
            load "$server" "$seconds" $(options "$name") --test-time "$seconds" --label "$name/$server" \
                --json-out-file "$result"
            stop "$server"
            results+=("$result")
        done
    done
done
echo
"$bench" --compare "${results[@]}" --html "$output/bench.html" --baseline "${BASELINE:-${servers[0]}}"
echo "with plots: $output/bench.html"
