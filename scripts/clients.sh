#!/usr/bin/env bash
# Clients that others wrote, against a fresh rushq with two shards: alone, and all of them at once on one queue.
# Installs what it needs: as root from Debian, and into a scratch folder from PyPI and npm.
# Usage: scripts/clients.sh [rushq binary]
case "${1:-}" in -h | --help) sed -n '2,/^[^#]/s/^# \{0,1\}//p' "$0"; exit ;; esac
set -euo pipefail
here="$(cd "$(dirname "$0")" && pwd)/clients"
cd "$here/../.."

python_packages=(pymemcache==4.0.0 python-memcached==1.62)
pylibmc=pylibmc==1.6.3
# With what memcached itself asks for, so that no version is left open.
npm_packages=(memcached@2.2.2 hashring@3.2.0 connection-parse@0.0.7 simple-lru-cache@0.0.2 jackpot@0.0.6 retry@0.6.0)

if [ $# -gt 0 ]; then
    rushq="$1"
else
    cargo build --locked -p rushq
    rushq="${CARGO_TARGET_DIR:-target}/debug/rushq"
fi

apt_install() {
    apt-get update -qq
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$@" >"$scratch/apt" 2>&1 ||
        { cat "$scratch/apt" >&2; return 1; }
}

php_has() {
    command -v php >/dev/null && php -m | grep -qx "$1"
}

scratch="$(mktemp -d)"
server=""
workers=()
clean_up() {
    status=$?
    for worker in "${workers[@]}"; do
        kill "$worker" 2>/dev/null || true
    done
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

missing=()
command -v memccp >/dev/null && command -v memccapable >/dev/null || missing+=(libmemcached-tools)
command -v openssl >/dev/null || missing+=(openssl)
command -v socat >/dev/null || missing+=(socat)
/usr/bin/python3 -c 'import ensurepip, venv' 2>/dev/null || missing+=(python3 python3-venv)
php_has memcache && php_has memcached || missing+=(php-cli php-memcache php-memcached)
command -v npm >/dev/null || missing+=(nodejs npm ca-certificates)
perl -MCache::Memcached -MCache::Memcached::Fast -e 1 2>/dev/null ||
    missing+=(libcache-memcached-perl libcache-memcached-fast-perl)
[ "${#missing[@]}" -eq 0 ] || apt_install "${missing[@]}"
nginx="$(command -v nginx || true)"
if [ -z "$nginx" ]; then
    # Taken out of its package and not installed, since that would start it.
    [ "${#missing[@]}" -gt 0 ] || apt-get update -qq
    mkdir "$scratch/nginx-package"
    (cd "$scratch/nginx-package" && apt-get download -qq -o APT::Sandbox::User=root nginx >/dev/null && dpkg -x nginx_*.deb .)
    nginx="$scratch/nginx-package/usr/sbin/nginx"
fi

/usr/bin/python3 -m venv "$scratch/venv"
pip() {
    "$scratch/venv/bin/pip" install --quiet --disable-pip-version-check --no-deps "$@"
}
pip "${python_packages[@]}"
if ! pip --only-binary :all: "$pylibmc" 2>/dev/null; then
    apt_install libmemcached-dev python3-dev zlib1g-dev
    pip "$pylibmc"
fi
npm install --prefix "$scratch/npm" --no-save --ignore-scripts --no-audit --no-fund --loglevel error \
    "${npm_packages[@]}" >/dev/null
export NODE_PATH="$scratch/npm/node_modules"
export PYTHONDONTWRITEBYTECODE=1
python="$scratch/venv/bin/python"

"$rushq" -l 127.0.0.1 -p 0 -t 2 -H "$scratch/data" 2>"$scratch/stderr" &
server=$!
port=""
for _ in $(seq 300); do
    port="$(sed -n 's/.*listening on 127\.0\.0\.1:\([0-9]*\).*/\1/p' "$scratch/stderr" | head -n 1)"
    [ -z "$port" ] || break
    kill -0 "$server" 2>/dev/null || { echo "rushq ended before it listened" >&2; exit 1; }
    sleep 0.1
done
[ -n "$port" ] || { echo "rushq does not listen" >&2; exit 1; }

# Alone. Each says in one line what it did.
mkdir "$scratch/libmemcached"
timeout 60 "$here/libmemcached.sh" "$port" "$scratch/libmemcached"
for client in pymemcache memcached pylibmc; do
    timeout 60 "$python" "$here/python_$client.py" "$port"
done
for client in memcache memcached tutorials zend_queue; do
    timeout 60 php "$here/php_$client.php" "$port"
done
timeout 60 node "$here/node_memcached.js" "$port"
mkdir "$scratch/tls"
timeout 120 "$here/tls.sh" "$rushq" "$python" "$scratch/tls"

# Against a server of its own, which has users.
mkdir "$scratch/login"
timeout 60 "$python" "$here/python_login.py" "$rushq" "$scratch/login"

# Workers that are killed with a message open.
timeout 120 "$python" "$here/workers.py" "$port"
mkdir "$scratch/nginx"
timeout 60 "$python" "$here/nginx.py" "$nginx" "$port" "$scratch/nginx"

# The examples in the documents, as they are written but for the port.
example() {
    local document="$1" output
    shift
    sed -n "/^\`\`\`$1\$/,/^\`\`\`\$/p" "$document" | sed "1d;\$d;s/22201/$port/" >"$scratch/example.$1"
    output="$(timeout 60 "${@:2}" "$scratch/example.$1" 2>&1)" || true
    [ "$output" = "seat 14, A" ] || { echo "$document, example of $1: $output" >&2; exit 1; }
    echo "$document, example of $1: seat 14, A"
}
example README.md php php
example protocol/README.md python "$python"

# All at once. The consumers are there before the first message, and the last of them ends when the queue is empty after
# the producers are done.
shared="$scratch/one_queue"
mkdir "$shared" "$shared/memcp"
called=()
one_queue() {
    case "$1" in
        php) command="php $here/one_queue.php" ;;
        py) command="$python $here/one_queue.py" ;;
        js) command="node $here/one_queue.js" ;;
        c) command="$here/one_queue.sh" ;;
    esac
    # shellcheck disable=SC2086
    timeout 120 $command "${@:2}" &
    workers+=($!)
    called[$!]="$2, $1, $3"
}
wait_for() {
    for worker in "$@"; do
        wait "$worker" || { echo "one queue: failed: ${called[$worker]}" >&2; exit 1; }
    done
}

consumers=(php/memcache php/memcached py/pymemcache py/memcache py/pylibmc js/memcached c/memcat)
for consumer in "${consumers[@]}"; do
    one_queue "${consumer%/*}" consume "${consumer#*/}" "$port" one-queue "$shared/${consumer/\//-}.taken" "$shared/done"
done
for _ in $(seq 300); do
    ready=("$shared"/*.taken)
    [ "${#ready[@]}" -lt "${#consumers[@]}" ] || break
    sleep 0.1
done
[ "${#ready[@]}" -eq "${#consumers[@]}" ] || { echo "${#ready[@]} consumers, expected ${#consumers[@]}" >&2; exit 1; }

consuming=("${workers[@]}")
workers=()
each=1000
for producer in php/memcache php/memcached py/pymemcache py/memcache py/pylibmc js/memcached; do
    one_queue "${producer%/*}" produce "${producer#*/}" "$port" one-queue "$each"
done
one_queue c produce memcp "$port" one-queue "$each" "$shared/memcp"
producing=("${workers[@]}")
workers+=("${consuming[@]}")
wait_for "${producing[@]}"
touch "$shared/done"
wait_for "${consuming[@]}"
workers=()
"$python" "$here/one_queue_check.py" "$shared" \
    {php-memcache,php-memcached,py-pymemcache,py-memcache,py-pylibmc,js,c}="$each"
