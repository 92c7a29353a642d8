#!/usr/bin/env bash
# A producer or consumer of the queue that all languages share, over libmemcached's memcp and memcat.
# produce memcp <port> <queue> <count> <empty folder to work in>
# consume memcat <port> <queue> <file for what it takes> <file that is there when the producers are done>
set -euo pipefail
role="$1"
export MEMCACHED_SERVERS="127.0.0.1:$3"
queue="$4"
seconds_max=90

if [ "$role" = produce ]; then
    # memccp names the queue after the file, so each message has a folder of its own.
    files=()
    for ((number = 0; number < $5; number++)); do
        mkdir "$6/$number"
        printf -v padding '%*s' $((number * 37 % 1500)) ""
        printf 'c %d %s' "$number" "${padding// /x}" >"$6/$number/$queue"
        files+=("$6/$number/$queue")
    done
    memccp "${files[@]}"
else
    taken="$5"
    : >"$taken"
    while [ "$SECONDS" -lt "$seconds_max" ]; do
        last=no
        [ ! -e "$6" ] || last=yes
        # Whether there was a message shows in what memccat prints, which ends in a newline of its own.
        body="$(memccat "$queue" 2>>"$taken.errors" || true)"
        if [ -n "$body" ]; then
            printf '%s\n' "$body" >>"$taken"
        elif [ "$last" = yes ]; then
            exit 0
        else
            sleep 0.01
        fi
    done
    echo "memcat: out of time" >&2
    exit 1
fi
