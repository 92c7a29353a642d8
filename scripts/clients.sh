#!/usr/bin/env bash
# Clients that others wrote, against a fresh rushq with two shards: pymemcache from PyPI, and libmemcached's
# memcp and memcat, which Debian calls memccp and memccat.
# Installs what it needs (as root, for the Debian package). Usage: scripts/clients.sh [rushq binary]
set -euo pipefail
here="$(cd "$(dirname "$0")" && pwd)"
cd "$here/.."

if [ $# -gt 0 ]; then
    rushq="$1"
else
    cargo build -p rushq
    rushq="${CARGO_TARGET_DIR:-target}/debug/rushq"
fi

missing=""
command -v memccp >/dev/null && command -v memccat >/dev/null || missing="$missing libmemcached-tools"
python3 -c 'import ensurepip, venv' 2>/dev/null || missing="$missing python3-venv"
if [ -n "$missing" ]; then
    apt-get update -qq
    # shellcheck disable=SC2086
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $missing
fi

scratch="$(mktemp -d)"
server=""
clean_up() {
    status=$?
    if [ -n "$server" ]; then
        kill -TERM "$server" 2>/dev/null || true
        wait "$server" || status=$?
    fi
    if [ "$status" -eq 0 ]; then
        rm -rf "$scratch"
    else
        echo "failed with $status; kept for a look: $scratch" >&2
        cat "$scratch/stderr" >&2 || true
    fi
    exit "$status"
}
trap clean_up EXIT

python3 -m venv "$scratch/venv"
"$scratch/venv/bin/pip" install --quiet --disable-pip-version-check 'pymemcache==4.0.0'

"$rushq" -l 127.0.0.1 -p 0 -t 2 -H "$scratch/data" 2>"$scratch/stderr" &
server=$!
port=""
for _ in $(seq 300); do
    port="$(sed -n 's/.*listening on 127\.0\.0\.1:\([0-9]*\).*/\1/p' "$scratch/stderr" | head -n 1)"
    [ -z "$port" ] || break
    kill -0 "$server" || { echo "rushq ended before it listened" >&2; exit 1; }
    sleep 0.1
done
[ -n "$port" ] || { echo "rushq does not listen" >&2; exit 1; }

"$scratch/venv/bin/python" "$here/clients_pymemcache.py" "$port"

# memccp names a queue after the file; memccat takes one message from each queue that it is given.
mkdir "$scratch/files"
for number in 1 2 3 4 5 6 7 8; do
    name="memcp-$number"
    { echo "first of $name"; head -c $((number * 9000)) /dev/urandom | base64; } >"$scratch/files/$name"
    memccp --servers="127.0.0.1:$port" "$scratch/files/$name"
done
echo "second of memcp-1" >"$scratch/second"
mkdir "$scratch/again"
cp "$scratch/second" "$scratch/again/memcp-1"
memccp --servers="127.0.0.1:$port" "$scratch/again/memcp-1"
for number in 1 2 3 4 5 6 7 8; do
    name="memcp-$number"
    memccat --servers="127.0.0.1:$port" "$name" >"$scratch/taken"
    # memccat ends what it prints with a newline of its own.
    { cat "$scratch/files/$name"; echo; } | cmp - "$scratch/taken"
done
memccat --servers="127.0.0.1:$port" memcp-1 >"$scratch/taken"
{ cat "$scratch/second"; echo; } | cmp - "$scratch/taken"
if memccat --servers="127.0.0.1:$port" memcp-1 >"$scratch/taken" 2>/dev/null && [ -s "$scratch/taken" ]; then
    echo "memcp-1 was empty, and memcat found something in it" >&2
    exit 1
fi
echo "memcp and memcat: 9 messages through 8 queues"
