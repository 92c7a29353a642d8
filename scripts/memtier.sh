#!/usr/bin/env bash
# memtier_benchmark against a fresh rushq: first the lines that are fair to a queue server, then what memtier's defaults do
# to one. Server and load have a core each. Usage: scripts/memtier.sh [seconds]; six runs of 10 s.
#
# Without memtier, the loads of the first lines with pipeline 16 and of the last line are
#   rushq-bench -c 50 -t 1 --key-maximum 63 -d 100 --pipeline 16 --test-time 10
#   rushq-bench -c 50 -t 1 --ratio 1:10 --key-maximum 10000000 -d 32 --test-time 10
case "${1:-}" in -h | --help) sed -n '2,/^[^#]/s/^# \{0,1\}//p' "$0"; exit ;; esac
set -euo pipefail
cd "$(dirname "$0")/.."

seconds="${1:-10}"
if ! command -v memtier_benchmark >/dev/null; then
    echo "memtier_benchmark is missing: package memtier-benchmark where there is one, or github.com/RedisLabs/memtier_benchmark" >&2
    exit 1
fi
source scripts/servers.sh
build

# memtier MODE OPTION...
memtier() {
    local mode="$1"
    shift
    start "$mode"
    timeout $((seconds + 60)) taskset -c "$load_core" memtier_benchmark --server 127.0.0.1 --port "${port[$mode]}" \
        --protocol memcache_text --threads 1 --clients 50 --test-time "$seconds" --hide-histogram "$@" 2>"$work/progress" ||
        { tail -n 5 "$work/progress" >&2; exit 1; }
    echo "rushq counted: $(stats "$mode" | grep -E '^(cmd_set|cmd_get|get_hits|curr_items|queues) ' | paste -sd " ")"
    stop "$mode"
}

# As many gets as sets, and S:S, so that a client's gets go to the queues that its sets went to.
fair=(--ratio 1:1 --key-minimum 1 --key-maximum 64 --key-pattern S:S --data-size 100)
for mode in rushq "rushq -N"; do
    for pipeline in 1 16; do
        echo "== $mode, a queue server's load, pipeline $pipeline"
        memtier "$mode" "${fair[@]}" --pipeline "$pipeline"
    done
done

# Ten gets for a set, and a name out of ten million at random for each. But all clients begin with the same seed, and so send
# the same names: of 22,365 sets of 50 clients, 453 made a queue. Nearly every get is a miss, which costs less than a hit.
echo "== rushq, memtier's defaults"
memtier rushq
# With names of their own nearly every set makes a queue, which costs more than a message in one that is there.
echo "== rushq, memtier's defaults with a seed for each client"
memtier rushq --distinct-client-seed
