#!/usr/bin/env bash
# A rush on 100 tickets, by 2,000 buyers on as many connections at once: rushq durable and -N, and redis with the usual script
# and appendfsync always and everysec, in rounds by turns, each with a fresh server of one thread on one core and the buyers
# on another. All that the buyers are told is checked. Then how fast buyers are refused once all is sold, beside redis and
# beside the gets of memcached that find nothing. Prints tables of medians, and writes pages with plots.
# SERVERS chooses, separated by commas; BASELINE is whom the others are compared to.
# Usage: scripts/gate.sh [rounds] [seconds] [directory]; 20 rounds, and 3 s for the refusals, take about three minutes.
case "${1:-}" in -h | --help) sed -n '2,/^[^#]/s/^# \{0,1\}//p' "$0"; exit ;; esac
set -euo pipefail
cd "$(dirname "$0")/.."

rounds="${1:-20}"
seconds="${2:-3}"
output="${3:-${CARGO_TARGET_DIR:-target}/gate}"
source scripts/servers.sh
choose "${SERVERS:-rushq,rushq -N,redis always,redis everysec,memcached}"

build
mkdir -p "$output"
echo "$(nproc) cores, Linux $(uname -r), commit $(git describe --always --dirty 2>/dev/null || echo unknown), $rounds rounds"

# begin NAME: with room for all buyers.
begin() {
    case "$1" in
    rushq*) start "$1" -c 4000 ;;
    *) start "$1" ;;
    esac
}

results=()
for ((round = 1; round <= rounds; round++)); do
    for server in "${servers[@]}"; do
        # memcached has no gate.
        [ "$server" != memcached ] || continue
        result="$output/rush $server $round.json"
        begin "$server"
        load "$server" 10 --gate 100 --buyers 2000 -c 2000 --label "2,000 at once/$server" --json-out-file "$result" \
            --html "$output/rush $server.html"
        stop "$server"
        results+=("$result")
    done
done
echo
"$bench" --compare "${results[@]}" --html "$output/rushes.html" --baseline "${BASELINE:-${servers[0]}}"

# refuse NAME ROUND CASE OPTION...: refusals after all is sold; of memcached, gets that find nothing.
refuse() {
    local result="$output/refusals $3 $1 $2.json"
    local what=(--gate 100 --gate-refusals)
    [ "$1" != memcached ] || what=(--ratio 0:1 --key-maximum 0)
    begin "$1"
    load "$1" "$seconds" "${what[@]}" --test-time "$seconds" --label "$3/$1" --json-out-file "$result" "${@:4}"
    stop "$1"
    results+=("$result")
}

results=()
for ((round = 1; round <= 3; round++)); do
    for server in "${servers[@]}"; do
        refuse "$server" "$round" "32 conns, 16 each" -c 32 --pipeline 16
        refuse "$server" "$round" "200 conns, 1 each" -c 200
    done
done
"$bench" --compare "${results[@]}" --html "$output/refusals.html" --baseline "${BASELINE:-${servers[0]}}"
echo "with plots: $output/rushes.html, $output/refusals.html, and a page of the last rush of each server"
