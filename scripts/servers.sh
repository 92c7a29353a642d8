# shellcheck shell=bash
# Servers for scripts that put load on them: bench.sh, beside.sh, gate.sh, growth.sh and memtier.sh read this. Each has one thread and
# a core of its own, listens on loopback alone, and is gone with its data when the script ends, however it does.
# Usage, in a script: source scripts/servers.sh
[ "${BASH_SOURCE[0]}" != "$0" ] || { sed -n '2,/^[^#]/s/^# \{0,1\}//p' "$0"; exit; }

server_core="${SERVER_CORE:-0}"
load_core="${LOAD_CORE:-1}"
release="${CARGO_TARGET_DIR:-target}/release"
rushq="${RUSHQ_BINARY:-$release/rushq}"
bench="$release/rushq-bench"

# On a disk, where /tmp may not be.
work="$(mktemp -d "${TMPDIR:-/var/tmp}/rushq-load.XXXXXX")"
declare -A pid=() port=()
ulimit -n "$(ulimit -Hn)"

clean_up() {
    for name in "${!pid[@]}"; do
        stop "$name"
    done
    rm -rf "$work"
}
trap clean_up EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

# choose NAMES: fills `servers` with those of these, separated by commas, that are installed.
servers=()
choose() {
    local wanted name program
    IFS=, read -ra wanted <<<"$1"
    for name in "${wanted[@]}"; do
        case "$name" in
        rushq | "rushq -N") program=bash ;;
        memcached) program=memcached ;;
        "redis always" | "redis everysec") program=redis-server ;;
        *) echo "there is no server $name; there are rushq, rushq -N, memcached, redis always and redis everysec" >&2; exit 1 ;;
        esac
        if command -v "$program" >/dev/null; then
            servers+=("$name")
        else
            echo "left out: $name, since $program is not installed"
        fi
    done
    [ ${#servers[@]} -gt 0 ] || { echo "none of the servers $1 is installed" >&2; exit 1; }
}

build() {
    if [ -n "${RUSHQ_BINARY:-}" ]; then
        cargo build --locked --release --quiet -p rushq-bench
    else
        cargo build --locked --release --quiet -p rushq -p rushq-bench
    fi
    if ! taskset -c "$server_core" true || ! taskset -c "$load_core" true; then
        echo "server and load need a core each; SERVER_CORE and LOAD_CORE say which (0 and 1)" >&2
        exit 1
    fi
}

is_open() {
    (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null
}

# start NAME [OPTION...]: with a fresh data directory; options are for rushq.
start() {
    local name="$1" directory="$work/$1" command
    shift
    mkdir "$directory"
    # Below the range of ports that the kernel gives to clients.
    port[$name]=$((20000 + RANDOM % 12000))
    while is_open "${port[$name]}"; do
        port[$name]=$((20000 + RANDOM % 12000))
    done
    case "$name" in
    rushq*) command=("$rushq" -t 1 -l 127.0.0.1 -p "${port[$name]}" -H "$directory" "$@") ;;
    redis*) command=(redis-server --bind 127.0.0.1 --port "${port[$name]}" --dir "$directory" --save "" --appendonly yes) ;;
    memcached) command=(memcached -u "$(id -un)" -l 127.0.0.1 -p "${port[$name]}" -U 0 -t 1 -m 1024) ;;
    esac
    case "$name" in
    "rushq -N") command+=(-N) ;;
    "redis "*) command+=(--appendfsync "${name#redis }") ;;
    esac
    taskset -c "$server_core" "${command[@]}" >"$directory.log" 2>&1 &
    pid[$name]=$!
    local tries=400
    until is_open "${port[$name]}"; do
        if ! kill -0 "${pid[$name]}" 2>/dev/null || [ $((tries -= 1)) -eq 0 ]; then
            echo "$name does not listen:" >&2
            tail -n 5 "$directory.log" >&2
            exit 1
        fi
        sleep 0.05
    done
}

# What is in it is thrown away, so it may be killed.
stop() {
    kill -KILL "${pid[$1]}" 2>/dev/null || true
    wait "${pid[$1]}" 2>/dev/null || true
    unset "pid[$1]"
    rm -rf "${work:?}/$1"
}

# stats NAME: what the server says of itself, a name and a value a line.
stats() {
    exec 3<>"/dev/tcp/127.0.0.1/${port[$1]}"
    printf 'stats\r\nquit\r\n' >&3
    tr -d '\r' <&3 | sed -n 's/^STAT //p'
    exec 3>&-
}

# load NAME SECONDS [OPTION...]: rushq-bench's report of a run that should not take much longer than that.
load() {
    local name="$1" protocol=memcache_text
    case "$name" in redis*) protocol=redis ;; esac
    timeout $((${2%.*} + 120)) taskset -c "$load_core" "$bench" --hide-histogram -P "$protocol" -p "${port[$name]}" \
        --server-pid "${pid[$name]}" "${@:3}" >"$work/report" 2>&1 ||
        { echo "load on $name failed:" >&2; cat "$work/report" >&2; exit 1; }
}
