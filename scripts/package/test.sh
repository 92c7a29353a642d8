#!/usr/bin/env bash
# Installs the Debian package in a bare Debian, as root, and uses it: an install, a start, messages, an upgrade from a
# version before it, a removal, a purge. The bare Debian is made by mmdebstrap from where this machine's apt has its own
# packages. systemd does not run in it: systemctl is what stands beside this script, which starts what the unit says.
# Where no bare Debian can be made, the package is unpacked into an empty folder by dpkg alone, and that is said.
# Usage: test.sh [manual|newcomer|lifetime]     only this: man pages, completions and lintian; how long it takes from
# `dpkg -i` to the first message, the page and the metrics; the upgrade, the removal and the purge
# It uses target/release as it is with RUSHQ_BUILT=1, and builds otherwise. Takes a minute or two.
case "${1:-}" in -h | --help) sed -n '2,/^[^#]/s/^# \{0,1\}//p' "$0"; exit ;; esac
set -euo pipefail
cd "$(dirname "$0")/../.."

# Mounts of it are no one else's, and end with it.
if [ -z "${RUSHQ_UNSHARED:-}" ]; then
    [ "$(id -u)" -eq 0 ] || { echo "$0 must run as root" >&2; exit 1; }
    export RUSHQ_UNSHARED=1
    exec unshare --mount --propagation private "$0" "$@"
fi

part="${1:-all}"
target="${CARGO_TARGET_DIR:-$PWD/target}"
scratch="$(mktemp -d)"
root="$scratch/root"

fail() { echo "FAILED: $*" >&2; exit 1; }

clean_up() {
    local status=$?
    if [ -d "$root/proc/1" ]; then
        in_root systemctl stop rushq.service || true
        [ "$status" -eq 0 ] || cat "$root/run/rushq.log" "$root/run/systemctl.log" >&2 || true
        sed -n "s|^[^ ]* \($root/[^ ]*\) .*|\1|p" /proc/self/mounts | sort -r | xargs --no-run-if-empty umount || true
    fi
    rm -rf --one-file-system "$scratch"
}
trap clean_up EXIT

in_root() { chroot "$root" /usr/bin/env -i PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin DEBIAN_FRONTEND=noninteractive "$@"; }

# The lines of sources.list that say where this machine's Debian comes from.
own_sources() {
    apt-get indextargets --format "deb \$(REPO_URI) \$(CODENAME) \$(COMPONENT)" 'Created-By: Packages' 'Origin: Debian' |
        grep -E " $1 main$" | sort -u
}

# A bare Debian is kept for the next time, as it comes.
bare_debian() {
    local codename kept
    codename="$(sed -n 's/^VERSION_CODENAME=//p' /etc/os-release)"
    kept="$target/bare-$codename.tar"
    if [ ! -s "$kept" ]; then
        own_sources "$codename" | grep -q . || return 1
        # Without the waits for the disk: it is gone in a minute.
        own_sources "$codename" | timeout 300 mmdebstrap --quiet --mode=root --format=tar --variant=essential --include=systemd,init-system-helpers \
            --dpkgopt=force-unsafe-io --aptopt='Acquire::Languages "none"' "$codename" "$kept.new" - >"$scratch/mmdebstrap.log" 2>&1 ||
            { tail -n 3 "$scratch/mmdebstrap.log" >&2; return 1; }
        mv "$kept.new" "$kept"
    fi
    mkdir "$root"
    tar --extract --file "$kept" --directory "$root" --exclude './dev/*'
    mount -t proc proc "$root/proc"
    # It lists the cores.
    mount -t sysfs -o ro sysfs "$root/sys" 2>/dev/null || mount --bind /sys "$root/sys"
    for device in null zero urandom; do
        [ -e "$root/dev/$device" ] || { : >"$root/dev/$device" && mount --bind "/dev/$device" "$root/dev/$device"; }
    done
    install -m 755 scripts/package/systemctl "$root/usr/local/sbin/systemctl"
    # What tells the package's scripts that systemd runs.
    mkdir -p "$root/run/systemd/system"
    : >"$root/run/systemctl.log"
}

# A port that nothing listens on now.
free_port() { python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'; }

install_package() {
    cp "$1" "$root/package.deb"
    in_root dpkg --force-unsafe-io --install /package.deb >"$scratch/dpkg.log" 2>&1 || { cat "$scratch/dpkg.log" >&2; fail "dpkg --install"; }
    ! grep -iE 'warning|error' "$scratch/dpkg.log" || fail "dpkg says more than it should"
}

asked() { grep -qE -- "$1" "$root/run/systemctl.log" || fail "systemctl was not asked to: $1"; }

put() { printf 'set %s 0 0 %d\r\n%s\r\nquit\r\n' "$1" "${#2}" "$2" >"/dev/tcp/127.0.0.1/$port"; }

waiting() { "$root/usr/bin/rushq" stats -p "$port" | sed -n 's/^curr_items *//p'; }

# A link of the root leads elsewhere outside of it.
is_there() { [ -e "$root$1" ] || [ -L "$root$1" ] || fail "$1 is not there $2"; }
is_gone() { { [ ! -e "$root$1" ] && [ ! -L "$root$1" ]; } || fail "$1 is still there $2"; }

# What a newcomer does: seconds from the first command on.
newcomer() {
    local begun admin
    admin="$(free_port)"
    begun="$EPOCHREALTIME"
    seconds() { awk -v now="$EPOCHREALTIME" -v begun="$begun" 'BEGIN { printf "%.1f", now - begun }'; }
    install_package "$new"
    grep -q 'listening on' "$root/run/rushq.log" || fail "the install has not started the server"
    echo "$(seconds) s: installed, and the server listens"
    exec 3<>"/dev/tcp/127.0.0.1/22201"
    printf 'set hello 0 0 5\r\nworld\r\nget hello\r\nquit\r\n' >&3
    [ "$(tr -d '\r' <&3 | tr '\n' ' ')" = "STORED VALUE hello 0 5 world END " ] || fail "the first message"
    exec 3>&-
    echo "$(seconds) s: the first message is put and taken"
    sed -i "s/^RUSHQ_OPTIONS=.*/RUSHQ_OPTIONS=\"--admin 127.0.0.1:$admin\"/" "$root/etc/default/rushq"
    in_root systemctl restart rushq.service
    page="$(curl --silent --show-error --fail --max-time 5 "http://127.0.0.1:$admin/")"
    grep -qi '<!doctype html' <<<"$page" || fail "the page"
    echo "$(seconds) s: the page is open"
    curl --silent --show-error --fail --max-time 5 "http://127.0.0.1:$admin/metrics" >"$scratch/metrics"
    grep -q '^rushq_' "$scratch/metrics" || fail "the metrics"
    echo "$(seconds) s: the metrics are scraped"
    awk -v took="$(seconds)" 'BEGIN { exit took < 10 ? 0 : 1 }' || fail "that is more than 10 s"
    in_root dpkg --purge rushq >/dev/null 2>&1
}

lifetime() {
    port="$(free_port)"
    install_package "$old"
    asked "start rushq.service"
    is_there /etc/systemd/system/multi-user.target.wants/rushq.service "after the install"
    in_root systemd-analyze verify --man=no rushq.service 2>"$scratch/verify.log" || true
    ! grep -i 'rushq' "$scratch/verify.log" || fail "systemd-analyze finds a fault in the unit"
    sed -i "s/^RUSHQ_OPTIONS=.*/RUSHQ_OPTIONS=\"-p $port\"/" "$root/etc/default/rushq"
    in_root systemctl restart rushq.service
    for number in 1 2 3; do put jobs "message $number"; done
    "$root/usr/bin/rushq" ping -p "$port" --timeout 5
    [ "$(waiting)" = 3 ] || fail "3 messages were put, and $(waiting) wait"
    [ "$(in_root stat -c %U:%a /var/lib/rushq)" = rushq:700 ] || fail "the data directory is not of rushq alone"
    [ "$(in_root stat -c %U "/proc/$(cat "$root/run/rushq.pid")")" = rushq ] || fail "the server runs as another user"

    : >"$root/run/systemctl.log"
    install_package "$new"
    asked "restart rushq.service"
    ! grep -q '^stop' "$root/run/systemctl.log" || fail "the upgrade has stopped it before the new version was there"
    [ "$(in_root dpkg-query -f "\${Version}" -W rushq)" != "$old_version" ] || fail "it is not upgraded"
    grep -q -- "-p $port" "$root/etc/default/rushq" || fail "the upgrade has replaced the options"
    [ "$(waiting)" = 3 ] || fail "3 messages were there before the upgrade, and $(waiting) are after it"
    "$root/usr/bin/rushq" peek jobs -p "$port" | grep -q 'message 1' || fail "the first message is another"
    echo "upgraded: the options and the messages are there"

    in_root dpkg --remove rushq >/dev/null 2>&1
    asked "stop rushq.service"
    is_gone /usr/bin/rushq "after the removal"
    is_there /var/lib/rushq/data-1 "after the removal"
    is_there /etc/default/rushq "after the removal"
    install_package "$new"
    [ "$(waiting)" = 3 ] || fail "the messages are not there after a removal and an install"
    echo "removed and installed again: the messages are there"

    in_root dpkg --purge rushq >/dev/null 2>&1
    for path in /usr/bin/rushq /var/lib/rushq /var/log/rushq /etc/default/rushq /etc/logrotate.d/rushq \
        /etc/systemd/system/multi-user.target.wants/rushq.service /usr/lib/sysusers.d/rushq.conf; do
        is_gone "$path" "after the purge"
    done
    in_root getent passwd rushq >/dev/null || fail "the purge has taken the user away, whose number another may get"
    echo "purged: nothing is left but the user"
}

# Without a bare Debian: dpkg unpacks and configures in an empty folder, with this machine's tools.
unpacked_alone() {
    mkdir -p "$root"/var/lib/dpkg/{info,updates,triggers} "$root/etc" "$root/usr/lib/sysusers.d"
    touch "$root/var/lib/dpkg/status" "$root/var/lib/dpkg/available"
    dpkg --root="$root" --force-depends --force-script-chrootless --force-unsafe-io --install "$1" >"$scratch/dpkg.log" 2>&1 ||
        { cat "$scratch/dpkg.log" >&2; fail "dpkg --root"; }
    "$root/usr/bin/rushq" --version
    dpkg --root="$root" --force-depends --force-script-chrootless --purge rushq >/dev/null 2>&1 || fail "dpkg --root --purge"
    is_gone /usr/bin/rushq "after the purge"
}

mkdir "$scratch/old" "$scratch/new"
old_version=0.9.0-1
new="$(scripts/package.sh "$scratch/new" | tail -n 1)"
is_asked() { [ "$part" = all ] || [ "$part" = "$1" ]; }

if is_asked manual; then
    scripts/package/manual-test.sh "$target/release/package" "$target/release/rushq" "$target/release/rushq-bench"
    lintian --allow-root --fail-on error,warning "$new"
    echo "lintian finds nothing in $(basename "$new"): $(($(stat -c %s "$new") / 1024)) KiB"
    if command -v logrotate >/dev/null; then
        # This machine has no such user.
        sed 's/rushq rushq$/root root/' scripts/package/debian/rushq.logrotate >"$scratch/logrotate"
        logrotate --debug --state /dev/null "$scratch/logrotate" >"$scratch/rotate.log" 2>&1 || true
        ! grep -i '^error' "$scratch/rotate.log" || fail "logrotate does not take its file"
    fi
    [ "$part" = all ] || exit 0
fi
if ! bare_debian; then
    echo "NOTE: no bare Debian can be made here; the package is only unpacked and purged"
    rm -rf "$root"
    unpacked_alone "$new"
    exit
fi
! is_asked newcomer || newcomer
if is_asked lifetime; then
    old="$(RUSHQ_BUILT=1 scripts/package.sh --version "$old_version" "$scratch/old" | tail -n 1)"
    lifetime
fi
