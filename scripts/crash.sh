#!/usr/bin/env bash
# The long forms of the crash tests, against a release build: kill -9 under load in both modes with one to three shards
# while checkpoints, copying forward and moves to another number of shards go on, and while workers that die in the middle
# of their work have messages open; kills while buyers are at gates; kills in the middle of checkpoints, and of moves; and
# power cuts on an ext4 in an image file (as root). Each number can be set from outside; it takes about an hour.
# Usage: [RUSHQ_KILLS=n] [RUSHQ_OPEN_KILLS=n] [RUSHQ_RUSHES=n] [RUSHQ_GATE_KILLS=n] [RUSHQ_CHECKPOINT_KILLS=n] [RUSHQ_MOVE_KILLS=n] [RUSHQ_MOVED_MESSAGES=n] [RUSHQ_POWER_CUTS=n] scripts/crash.sh
case "${1:-}" in -h | --help) sed -n '2,/^[^#]/s/^# \{0,1\}//p' "$0"; exit ;; esac
set -euo pipefail
cd "$(dirname "$0")/.."

export RUSHQ_KILLS="${RUSHQ_KILLS:-1000}"
export RUSHQ_OPEN_KILLS="${RUSHQ_OPEN_KILLS:-1000}"
export RUSHQ_GATE_KILLS="${RUSHQ_GATE_KILLS:-1000}"
export RUSHQ_RUSHES="${RUSHQ_RUSHES:-50}"
export RUSHQ_CHECKPOINT_KILLS="${RUSHQ_CHECKPOINT_KILLS:-3000}"
export RUSHQ_MOVE_KILLS="${RUSHQ_MOVE_KILLS:-100}"
export RUSHQ_MOVED_MESSAGES="${RUSHQ_MOVED_MESSAGES:-1000000}"
export RUSHQ_POWER_CUTS="${RUSHQ_POWER_CUTS:-200}"

exec cargo test --locked --release -p rushq --test it -- --nocapture --test-threads 1 crash:: open_kills:: gate_kills:: checkpoint_kills:: power_cut:: resharding::
