#!/usr/bin/env bash
# A worker over libmemcached's memcat and memrm, each with a connection of its own, so that everything goes by names; its
# roles are in workers.py. memccat ends what it prints with a newline of its own.
# worker.sh <take|finish> <port> <queue> <name>
set -euo pipefail
export MEMCACHED_SERVERS="127.0.0.1:$2"
queue="$3"
name="$4"

if [ "$1" = take ]; then
    memccat "$queue/open/as=$name/for=1/t=2000"
    exec sleep 60
fi
# The second message may come before the lease of the first has ended.
for number in 1 2; do
    memccat "$queue/open/as=$name-$number/t=3000"
    memcrm "$queue/as=$name-$number"
done | sort
