#!/usr/bin/env bash
# libmemcached's memcp, memcat, memstat, memping, memrm, memflush and memcapable, which Debian calls memccp and so on,
# against a rushq that listens on 127.0.0.1 at the port given. Called by clients.sh, with an empty folder to work in.
set -euo pipefail
port="$1"
folder="$2"
export MEMCACHED_SERVERS="127.0.0.1:$port"

expect() {
    if [ "$2" != "$3" ]; then
        echo "$1: found '$2', expected '$3'" >&2
        exit 1
    fi
}

expect_file() {
    # memccat ends what it prints with a newline of its own.
    { cat "$2"; echo; } | cmp - "$folder/taken" || { echo "memcat $1: not what memcp stored" >&2; exit 1; }
}

memcping
expect "memping of nobody" "$(memcping --servers=127.0.0.1:1 --quiet || echo failed)" failed

# memccp names a queue after the file; memccat takes one message from each queue that it is given.
mkdir "$folder/files" "$folder/again"
for number in 1 2 3 4 5 6 7 8; do
    name="memcp-$number"
    { echo "first of $name"; head -c $((number * 9000)) /dev/urandom | base64; } >"$folder/files/$name"
done
echo "second of memcp-1" >"$folder/again/memcp-1"
memccp "$folder"/files/memcp-*
memccp --flag 4294967295 "$folder/again/memcp-1"
expect "memstat --args=queue" "$(memcstat --args=queue | grep memcp-1: | tr -d '\t')" "memcp-1: 2/0"
for number in 1 2 3 4 5 6 7 8; do
    memccat "memcp-$number" >"$folder/taken"
    expect_file "memcp-$number" "$folder/files/memcp-$number"
done
memccat --flag memcp-1 >"$folder/taken"
expect "flags" "$(head -n 1 "$folder/taken")" 4294967295
tail -n +2 "$folder/taken" | cmp - <(cat "$folder/again/memcp-1"; echo) || { echo "memcat --flag: not what memcp stored" >&2; exit 1; }
expect "memcat of an empty queue" "$(memccat memcp-1 2>/dev/null || true)" ""
expect "memstat --args=queue" "$(memcstat --args=queue | grep memcp-1: | tr -d '\t')" "memcp-1: 2/2"

memcstat | grep -q "version: [1-9][0-9]*\.[0-9]*\.[0-9]*$" || { echo "memstat: no version" >&2; exit 1; }
memcrm memcp-1
expect "memrm of what is not there" "$(memcrm memcp-1 2>/dev/null || echo failed)" failed
memccp "$folder/again/memcp-1"
memcflush
expect "memcat after memflush" "$(memccat memcp-1 2>/dev/null || true)" ""

# Its own idea of a server that speaks the protocol, but for what queues do not have.
tests=("version" "quit" "verbosity" "set" "set noreply" "get" "gets" "mget" "flush" "flush noreply" "delete"
    "delete noreply" "stat")
for name in "${tests[@]}"; do
    memccapable -h 127.0.0.1 -p "$port" -a -v -T "ascii $name" >"$folder/capable" 2>&1 ||
        { cat "$folder/capable" >&2; exit 1; }
    grep -q '\[pass\]' "$folder/capable" || { echo "memcapable: no test 'ascii $name'" >&2; exit 1; }
done
echo "memcp, memcat, memstat, memping, memrm, memflush: 9 messages through 8 queues; memcapable: ${#tests[@]} tests"
