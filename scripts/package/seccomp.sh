#!/usr/bin/env bash
# Prints a seccomp profile for containers with rushq: that which docker or podman has by default, with the three calls of
# io_uring, which newer defaults leave out. It is flat, as containerd and CRI-O (Kubernetes) read them, docker and podman
# too: what a default allows to a container with capabilities is left out, since rushq has none.
# Usage: seccomp.sh [DEFAULT] >seccomp.json
# DEFAULT: podman's /usr/share/containers/seccomp.json (Debian: golang-github-containers-common), which it is without
# one; or profiles/seccomp/default.json of moby, which docker is built from.
case "${1:-}" in -h | --help) sed -n '2,/^[^#]/s/^# \{0,1\}//p' "$0"; exit ;; esac
set -euo pipefail

default="${1:-/usr/share/containers/seccomp.json}"
[ -r "$default" ] || { echo "$default cannot be read; name the default profile of your container runtime, see --help" >&2; exit 1; }
jq '
  def ours: . == "amd64" or . == "arm64";
  {
    defaultAction,
    defaultErrnoRet: (.defaultErrnoRet // 1),
    architectures: [.archMap[] | select(.architecture == ("SCMP_ARCH_X86_64", "SCMP_ARCH_AARCH64")) | .architecture, .subArchitectures[]],
    syscalls: ([.syscalls[]
        | select((.includes.caps // []) == [] and (.includes.arches // ["amd64"] | any(ours)))
        | select(.excludes.arches // [] | any(ours) | not)
        | del(.includes, .excludes, .comment)
        | .args = (.args // [])
      ] + [{names: ["io_uring_setup", "io_uring_enter", "io_uring_register"], action: "SCMP_ACT_ALLOW", args: []}])
  }' "$default"
