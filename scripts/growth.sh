#!/usr/bin/env bash
# What becomes of the throughput as one thing grows, step by step ten times as much: waiting messages, connections, queues,
# bytes of a body. Prints a table for each, for the durable default and for -N: medians of ROUNDS (3) rounds of
# SECONDS_EACH (1) s, taken by turns. Server and load have a core each, and what fills the queues before a step is not
# counted. On a machine that others use too, the server's CPU time for an answer says more than what it got done.
# Usage: scripts/growth.sh [backlog|connections|queues|bodies ...]; all four take about ten minutes and 12 GB of disk.
case "${1:-}" in -h | --help) sed -n '2,/^[^#]/s/^# \{0,1\}//p' "$0"; exit ;; esac
set -euo pipefail
cd "$(dirname "$0")/.."
source scripts/servers.sh

seconds="${SECONDS_EACH:-1}"
rounds="${ROUNDS:-3}"
modes=("rushq" "rushq -N")

start_both() {
    for mode in "${modes[@]}"; do
        start "$mode" -c 12000
    done
}

stop_both() {
    for mode in "${modes[@]}"; do
        stop "$mode"
    done
}

# head_of_table WHAT [WITH_MB]
head_of_table() {
    local columns="messages/s | to the step before | p99 ms | cpu us |${2:+ MB/s |}" line="---:|---:|---:|---:|${2:+---:|}"
    echo
    echo "| $1 | $columns -N $columns"
    echo "|---:|$line$line"
    before=()
}

# column NUMBER MODE: the median over the rounds.
column() {
    cut -d " " -f "$1" "$work/$2.rounds" | sort -g | awk '{ v[NR] = $1 } END { print (v[int((NR + 1) / 2)] + v[int(NR / 2) + 1]) / 2 }'
}

# step VALUE WITH_MB OPTION...: the row of a table.
declare -A before=()
step() {
    local value="$1" mb="$2" row="| $1 |" messages
    shift 2
    for mode in "${modes[@]}"; do
        : >"$work/$mode.rounds"
    done
    for ((round = 0; round < rounds; round++)); do
        for mode in "${modes[@]}"; do
            load "$mode" "$seconds" --test-time "$seconds" "$@"
            awk '/^Totals/ { printf "%s %s %s ", $2, $9, $12 / 1000 } /^the server used/ { print $4 }' "$work/report" \
                >>"$work/$mode.rounds"
        done
    done
    for mode in "${modes[@]}"; do
        messages="$(column 1 "$mode")"
        row+="$(awk -v messages="$messages" -v before="${before[$mode]:-0}" -v p99="$(column 2 "$mode")" -v cpu="$(column 4 "$mode")" \
            'BEGIN { printf " %.0f | %s | %.2f | %.2f |", messages, before ? sprintf("%.2f", messages / before) : "", p99, cpu }')"
        [ -z "$mb" ] || row+="$(printf " %.0f |" "$(column 3 "$mode")")"
        before[$mode]="$messages"
    done
    echo "$row"
}

# The queues that the load uses are filled, and as many sets as gets leave them as they are.
backlog() {
    local value missing
    head_of_table "waiting messages"
    start_both
    for value in 0 1000 10000 100000 1000000 10000000 20000000; do
        for mode in "${modes[@]}"; do
            missing=$((value - $(stats "$mode" | sed -n "s/^curr_items //p")))
            if [ "$missing" -gt 0 ]; then
                load "$mode" 120 -c 10 --pipeline 1000 --ratio 1:0 -n $(((missing + 9) / 10))
            fi
        done
        sleep 1
        step "$value" "" -c 32 --pipeline 16
    done
    stop_both
}

connections() {
    local value
    head_of_table connections
    for value in 1 10 100 1000 10000; do
        start_both
        step "$value" "" -c "$value"
        stop_both
    done
}

# One set into each makes the queues.
queues() {
    local value
    head_of_table queues
    start_both
    for value in 1 10 100 1000 10000 100000 1000000; do
        for mode in "${modes[@]}"; do
            load "$mode" 120 -c 1 --pipeline 1000 --ratio 1:0 --key-pattern S:S -n "$value" --key-maximum $((value - 1))
        done
        sleep 1
        step "$value" "" -c 32 --pipeline 16 --key-maximum $((value - 1))
    done
    stop_both
}

bodies() {
    local value
    head_of_table "bytes of a body" with_mb
    for value in 0 10 100 1024 10240 102400 1048576; do
        start_both
        step "$value" with_mb -c 32 -d "$value"
        stop_both
    done
}

[ $# -gt 0 ] || set -- backlog connections queues bodies
for dimension in "$@"; do
    case "$dimension" in
    backlog | connections | queues | bodies) ;;
    *) echo "usage: $0 [backlog|connections|queues|bodies ...]" >&2; exit 2 ;;
    esac
done
build
for dimension in "$@"; do
    "$dimension"
done
