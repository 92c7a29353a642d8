#!/usr/bin/env bash
# Mixed load for a long time, against a release build: bodies from nothing to the limit, deep and shallow queues, both
# modes, restarts and kills in between. Every cycle ends with a drain, a balance that must be zero, and a line of what the
# server costs then; at the end that must be what it was after the first cycle. Usage: scripts/soak.sh [seconds]
case "${1:-}" in -h | --help) sed -n '2,/^[^#]/s/^# \{0,1\}//p' "$0"; exit ;; esac
set -euo pipefail
cd "$(dirname "$0")/.."

export RUSHQ_SOAK_SECONDS="${1:-1800}"
export RUSHQ_SOAK_CYCLE_SECONDS="${RUSHQ_SOAK_CYCLE_SECONDS:-50}"
export RUSHQ_SOAK_SEGMENT_BYTES="${RUSHQ_SOAK_SEGMENT_BYTES:-67108864}"

exec cargo test --locked --release -p rushq --test it -- --nocapture soak::
