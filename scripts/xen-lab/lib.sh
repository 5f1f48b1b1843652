# shellcheck shell=bash
# What build, up, run, copy, forward and down share. Sourced, never run.
# Names that only the sourcing scripts read look unused here:
# shellcheck disable=SC2034
set -euo pipefail

LAB_HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
LAB_CACHE=${XENVNC_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/xenvnc}/xen-lab
LAB_IMAGES=$LAB_CACHE/images
LAB_NAME=${XEN_LAB_NAME:-default}
LAB_SELF=xen-lab/$(basename "$0")
LAB_RUN=$LAB_CACHE/instances/$LAB_NAME

case $LAB_NAME in
*[!A-Za-z0-9_-]* | '') echo "$LAB_SELF: XEN_LAB_NAME may hold letters, digits, - and _ only, not \"$LAB_NAME\"" >&2; exit 2 ;;
esac

say() { printf '%s: %s\n' "$LAB_SELF" "$*"; }
warn() { printf '%s: %s\n' "$LAB_SELF" "$*" >&2; }
fail() { warn "$*"; exit 1; }

# show_tail FILE [LINES]: the end of a log, for a message about a step that failed.
show_tail() {
    [ -s "$1" ] || { warn "($1 is empty)"; return 0; }
    printf -- '--- end of %s ---\n' "$1" >&2
    # The lines come from a guest or an emulator: nothing but text may reach the terminal.
    tail -n "${2:-25}" "$1" | tr -d '\r' | LC_ALL=C tr -c '\n\t -~' '?' >&2
    printf -- '---\n' >&2
}

# started_at PID: when the process started (clock ticks since boot), or nothing when it is gone. Together with
# the number this names one process for ever: the number alone may belong to another one by now.
started_at() {
    local stat
    { read -r stat <"/proc/$1/stat"; } 2>/dev/null || return 0
    # The second field, the name, is in brackets and may hold anything.
    stat=${stat##*) }
    # shellcheck disable=SC2086  # splitting is the purpose
    set -- $stat
    [ "$1" = Z ] || echo "${20}"
}

# remember PIDFILE PID: writes down a process that we started.
remember() { echo "$2 $(started_at "$2")" >"$1"; }

# is_alive PIDFILE: is the process that was written down still the one?
is_alive() {
    local pid since
    [ -s "$1" ] || return 1
    read -r pid since <"$1"
    [ -n "$since" ] && [ "$(started_at "$pid")" = "$since" ]
}

# end_process PIDFILE: ends it, politely first. Does nothing to any other process.
end_process() {
    local pid since signal
    for signal in TERM KILL; do
        is_alive "$1" || break
        read -r pid since <"$1"
        kill -s "$signal" "$pid" 2>/dev/null || true
        for _ in $(seq 50); do is_alive "$1" || break; sleep 0.1; done
    done
    rm -f "$1"
}

# need_up: stops with a clear message when this instance is not running.
need_up() {
    if is_alive "$LAB_RUN/qemu.pid" && [ -s "$LAB_RUN/ssh-port" ]; then return 0; fi
    fail "instance \"$LAB_NAME\" is not up (start it with scripts/xen-lab/up)"
}

# The ssh command line for dom0 as the array SSH. The socket's path is relative because the limit for one is 108 bytes:
# whoever uses it changes to $LAB_RUN first.
ssh_command() {
    SSH=(ssh -q -F none -i "$LAB_IMAGES/ssh-key" -p "$(cat "$LAB_RUN/ssh-port")"
        -o HostKeyAlias=xen-lab -o UserKnownHostsFile="$LAB_IMAGES/known_hosts" -o StrictHostKeyChecking=yes
        -o BatchMode=yes -o ConnectTimeout=30 -o ControlMaster=auto -o ControlPath=ssh-control -o ControlPersist=600
        -o IPQoS=none -c aes128-ctr -m hmac-sha1 root@127.0.0.1)
}
