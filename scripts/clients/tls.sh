#!/usr/bin/env bash
# pymemcache over TLS, and libmemcached, which has none, by way of socat: against a rushq of its own. Called by clients.sh,
# with the server's binary, a Python that has pymemcache, and an empty folder to work in.
set -euo pipefail
rushq="$1"
python="$2"
folder="$3"
here="$(cd "$(dirname "$0")" && pwd)"

openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=localhost \
    -addext subjectAltName=DNS:localhost,IP:127.0.0.1 -keyout "$folder/key" -out "$folder/cert" 2>/dev/null
processes=()
clean_up() {
    kill "${processes[@]}" 2>/dev/null || true
    wait
}
trap clean_up EXIT

wait_for_port() {
    for _ in $(seq 300); do
        (: <"/dev/tcp/127.0.0.1/$1") 2>/dev/null && return
        sleep 0.1
    done
    echo "nothing listens on port $1" >&2
    return 1
}

"$rushq" -N -p 0 -t 2 -H "$folder/data" --tls-cert "$folder/cert" --tls-key "$folder/key" 2>"$folder/stderr" &
processes+=($!)
port=""
for _ in $(seq 300); do
    port="$(sed -n 's/.*listening on 127\.0\.0\.1:\([0-9]*\).*/\1/p' "$folder/stderr" | head -n 1)"
    [ -z "$port" ] || break
    sleep 0.1
done
[ -n "$port" ] || { cat "$folder/stderr" >&2; exit 1; }

timeout 60 "$python" "$here/python_pymemcache.py" "$port" "$folder/cert"

# A port that is free now; socat cannot tell which one it took.
plain="$("$python" -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')"
socat "TCP-LISTEN:$plain,bind=127.0.0.1,fork,reuseaddr" \
    "OPENSSL:127.0.0.1:$port,cafile=$folder/cert,commonname=localhost" 2>"$folder/socat" &
processes+=($!)
wait_for_port "$plain"
mkdir "$folder/libmemcached"
echo "over TLS, by socat: $(timeout 60 "$here/libmemcached.sh" "$plain" "$folder/libmemcached")"
