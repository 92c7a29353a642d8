#!/usr/bin/env bash
# A fleet of rushq behind HAProxy.
# Usage: scripts/fleet.sh [options] N                       prints haproxy.cfg for N instances, 1 to 9, on this machine
#        scripts/fleet.sh [options] ADDRESS:PORT[,AGENT_PORT] ...   the same, for instances at these addresses
#        scripts/fleet.sh run N [rushq]                     starts N instances and HAProxy, for trying out, until ctrl-c
#        scripts/fleet.sh check [rushq]                     three instances, of which one is drained, one is killed, and a
#                                                           fourth is added; nothing that was acknowledged is lost
# Options: --proxy-protocol     instances have an option of that name with HAProxy's address, and are told who the client is
#          --login NAME:PASSWORD   instances have --users; the health checks log in as this user, who needs no rights
# Each instance has --agent-check at its AGENT_PORT, or at its PORT + 100. `run` and `check` have a scratch folder, which goes with them,
# and listen on 127.0.0.1 alone. They need haproxy and python3. scripts/haproxy.cfg is what `scripts/fleet.sh 2` prints.
case "${1:-}" in -h | --help | "") sed -n '2,/^[^#]/s/^# \{0,1\}//p' "$0"; exit ;; esac
set -euo pipefail
here="$(cd "$(dirname "$0")" && pwd)"

if [ "$1" = run ] || [ "$1" = check ]; then
    what=("$1")
    shift
    if [ "${what[0]}" = run ]; then
        [[ "${1:-}" =~ ^[1-9]$ ]] || { echo "run takes a number of instances, 1 to 9" >&2; exit 2; }
        what+=("$1")
        shift
    fi
    command -v haproxy >/dev/null || { echo "missing: apt-get install haproxy" >&2; exit 2; }
    rushq="${1:-${RUSHQ_BINARY:-}}"
    if [ -z "$rushq" ]; then
        cargo build --locked --quiet -p rushq --manifest-path "$here/../Cargo.toml"
        rushq="${CARGO_TARGET_DIR:-$here/../target}/debug/rushq"
    fi
    exec python3 -B "$here/fleet/tried.py" "$rushq" "${what[@]}"
fi

header="" check_header="" login="" instances=()
while [[ "${1:-}" = --* ]]; do
    case "$1" in
    --proxy-protocol) header=" send-proxy-v2" check_header=" check-send-proxy" ;;
    --login)
        # What HAProxy would read otherwise is left out.
        [[ "${2:-}" =~ ^[A-Za-z0-9._-]+:[A-Za-z0-9._-]+$ ]] ||
            { echo "--login takes NAME:PASSWORD, of letters, digits, dots, _ and -" >&2; exit 2; }
        login="set login 0 0 ${#2}\\r\\n${2/:/ }\\r\\n"
        shift
        ;;
    *) echo "there is no option $1; see scripts/fleet.sh --help" >&2; exit 2 ;;
    esac
    shift
done
# With quit, what is missing is known to be missing when the instance closes, and not when the check times out.
check="option tcp-check
    tcp-check send \"${login}version\\r\\nquit\\r\\n\"
    tcp-check expect rstring \"^${login:+STORED\\r\\n}VERSION [0-9]\""
if [[ "${1:-}" =~ ^[0-9]+$ ]]; then
    [[ "$1" =~ ^[1-9]$ ]] || { echo "N is 1 to 9; for more, name the addresses" >&2; exit 2; }
    for ((number = 1; number <= $1; number++)); do
        instances+=("127.0.0.1:$((22200 + number))")
    done
else
    instances=("$@")
fi
[ "${#instances[@]}" -gt 0 ] || { echo "an instance is missing; see scripts/fleet.sh --help" >&2; exit 2; }
letters=({a..z})
[ $((${#instances[@]} - 1)) -lt ${#letters[@]} ] || { echo "there are 26 instances at most" >&2; exit 2; }
for instance in "${instances[@]}"; do
    [[ "$instance" =~ ^[^,[:space:]\"]+:[0-9]+(,[0-9]+)?$ ]] ||
        { echo "$instance is not ADDRESS:PORT[,AGENT_PORT]; see scripts/fleet.sh --help" >&2; exit 2; }
done

# server NUMBER OPTIONS: an instance's line. In OPTIONS, @ is its name and AGENT its agent's port.
server() {
    local letter="${letters[$1]}" instance="${instances[$1]}" agent
    agent="${instance#*,}"
    instance="${instance%,*}"
    [ "$agent" != "$instance" ] || agent=$((${instance##*:} + 100))
    local options="${2//@/$letter}"
    options="${options//AGENT/\"\$\{RUSHQ_${letter^^}_AGENT-$agent\}\"}"
    echo "    server $letter \"\${RUSHQ_${letter^^}-$instance}\"$options$header"
}

# servers OPTIONS: a line for each instance.
servers() {
    local number
    for number in "${!instances[@]}"; do
        server "$number" "$1"
    done
}

cat <<END
# HAProxy in front of ${#instances[@]} rushq instances, made by scripts/fleet.sh: make it again rather than change it. The tests run
# it with HAProxy 2.6. Which listener is for what stands in server/README.md, under "Behind a proxy". Addresses come from
# the environment too:
#   RUSHQ_A=10.0.0.1:22201 RUSHQ_A_AGENT=22301 haproxy -f haproxy.cfg

global
    # Each takes two descriptors.
    maxconn 2000
    # \`show stat\` says which instances are up.
    stats socket "\${RUSHQ_PROXY_ADMIN-/run/haproxy/rushq.sock}" mode 600 level operator

defaults
    mode tcp
    timeout connect 2s
    timeout check 1s
    # How long a client may wait between two commands before it has to connect again.
    timeout client 1h
    timeout server 1h
    # An instance that stopped a moment ago refuses connections before its health check has seen it. Another one gets
    # them at once, and the client does not notice.
    retries 3
    option redispatch 1
    # No \`on-marked-down shutdown-sessions\`: an instance that stops still answers what it has read.
    default-server inter 500ms fall 2 rise 1

# Any instance. Not leastconn: a consumer that connects again is to get to another instance.
listen fleet
    bind "\${RUSHQ_FLEET-127.0.0.1:22211}"
    balance roundrobin
    # It does not pass for a process that hangs: the kernel would still take its connections.
    $check
$(servers " check$check_header")

# Producers: more to instances with a small backlog, little to one with a full disk, none to one that drains or stops.
# Each instance says that itself to its agent-check. Its percentages are of the weight, so that must not be 1.
listen producers
    bind "\${RUSHQ_PRODUCERS-127.0.0.1:22212}"
    balance roundrobin
    $check
$(servers " check$check_header weight 100 agent-check agent-inter 500ms agent-port AGENT")

# A client, by its address, stays on one instance.
listen by_client
    bind "\${RUSHQ_BY_CLIENT-127.0.0.1:22213}"
    balance source
    hash-type consistent
$(servers " track fleet/@")

# A queue stays on one instance: a connection goes to the one of the queue that its first command names, and stays there
# whatever it names later. A first command without a queue goes anywhere. Weights would move queues, so there are none.
listen by_queue
    bind "\${RUSHQ_BY_QUEUE-127.0.0.1:22214}"
    # A connection that says nothing waits for its first line as long as an idle one may live.
    tcp-request inspect-delay 1h
    tcp-request content set-var(txn.queue) req.payload(0,0),word(2,"\\ \\r\\n") if { req.payload(0,0) -m sub "\\n" }
    balance hash var(txn.queue)
    hash-type consistent
$(servers " track fleet/@")

# A port for the queues of each instance. When it is down they wait for it, and nothing else ever has a part of them.
END
for number in "${!instances[@]}"; do
    letter="${letters[$number]}"
    cat <<END
listen only_$letter
    bind "\${RUSHQ_ONLY_${letter^^}-127.0.0.1:$((22215 + number))}"
$(server "$number" " track fleet/@")
END
done
