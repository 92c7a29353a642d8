#!/usr/bin/env bash
# The long forms of the memory and disk tests: a backlog of 2 GB with -m 64, ten million names that do not exist, a million
# empty queues, 10,000 idle connections, and 10,000 signals at 2 GB of load. Takes some minutes and 3 GB of disk under target/.
# Each number can be set from outside.
# Usage: [RUSHQ_BACKLOG_MB=n] [RUSHQ_ABSENT_NAMES=n] [RUSHQ_EMPTY_QUEUES=n] [RUSHQ_IDLE_CONNECTIONS=n] [RUSHQ_SIGNALS=n] scripts/limits.sh
case "${1:-}" in -h | --help) sed -n '2,/^[^#]/s/^# \{0,1\}//p' "$0"; exit ;; esac
set -euo pipefail
cd "$(dirname "$0")/.."

export RUSHQ_BACKLOG_MB="${RUSHQ_BACKLOG_MB:-2048}"
export RUSHQ_ABSENT_NAMES="${RUSHQ_ABSENT_NAMES:-10000000}"
export RUSHQ_EMPTY_QUEUES="${RUSHQ_EMPTY_QUEUES:-1000000}"
export RUSHQ_IDLE_CONNECTIONS="${RUSHQ_IDLE_CONNECTIONS:-10000}"
export RUSHQ_SIGNALS="${RUSHQ_SIGNALS:-10000}"
export RUSHQ_SIGNAL_MEGABYTES="${RUSHQ_SIGNAL_MEGABYTES:-2048}"

# One at a time: what they measure is memory and time.
exec cargo test --locked --release -p rushq --test it -- --nocapture --test-threads 1 limits:: hostile::idle_connections_cost_little signals::signals_in_a_hail_are_survived
