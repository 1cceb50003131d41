#!/bin/sh
# Action script for CRIU: a plug holds packets while CRIU dumps and restores a container.
# See criu-action-script.md.
#
#   PLUG_DEV      the host's end of the container's veth pair, with a plug of
#                 `tc-cli plug attach --dev DEV --limit SIZE`
#   PLUG_NETNS    the container's network namespace, as tc-cli -n takes it, if PLUG_DEV is the
#                 container's own end; held packets are then dropped
#   PLUG_JOURNAL  the directory of journals (/run/tc-plug)
#   TC_CLI        the tc-cli to run
set -eu
tc_cli=${TC_CLI:-tc-cli} journal=${PLUG_JOURNAL:-/run/tc-plug}
images=${CRTOOLS_IMAGE_DIR:-}

fail() {
    echo "criu-action-script: $*" >&2
    exit 1
}

plug() {
    operation=$1
    shift
    "$tc_cli" ${PLUG_NETNS:+-n "$PLUG_NETNS"} "$@" \
        plug "$operation" --dev "${PLUG_DEV:?names no device}" --journal-dir "$journal"
}

# CRIU runs network-unlock after a network-lock that failed, too. This file in the image directory
# then keeps the hold of another program from being opened.
foreign=$images/plug-held-by-another

case ${CRTOOLS_SCRIPT_ACTION:-} in
    pre-dump)
        [ -n "${CRTOOLS_INIT_PID:-}" ] || fail 'pre-dump: CRIU names no process'
        # In its own namespace CRIU runs neither network-lock nor network-unlock.
        [ "$(readlink /proc/self/ns/net)" != "$(readlink "/proc/$CRTOOLS_INIT_PID/ns/net")" ] ||
            fail 'pre-dump: CRIU runs in the network namespace of the container and would not' \
                'lock it; run CRIU outside, with --external net[INODE]:KEY'
        ;;
    network-lock)
        rm -f "$foreign"
        if plug status -j | grep -Eq '"mode": *"(buffering|unknown)"'; then
            : >"$foreign"
            fail "network-lock: the plug on $PLUG_DEV already holds packets for another program;" \
                'dump again after tc-cli plug open'
        fi
        plug buffer
        ;;
    network-unlock)
        if [ -e "$foreign" ]; then
            rm "$foreign"
            exit 0
        fi
        unlock=${PLUG_NETNS:+drop}
        unlock=${unlock:-open}
        # CRIU ignores the exit code: the container runs on behind a closed plug.
        plug "$unlock" || plug "$unlock" ||
            fail "network-unlock: plug $unlock failed; while the plug on $PLUG_DEV holds packets," \
                "run: tc-cli ${PLUG_NETNS:+-n $PLUG_NETNS }plug $unlock --dev $PLUG_DEV" \
                "--journal-dir $journal"
        ;;
    pre-restore)
        # network-unlock would never run, and the plug stay closed.
        if [ -e "$images/inventory.img" ]; then
            set -- "$images"/netns-*.img
            [ -e "$1" ] || fail 'pre-restore: the images have no network namespace;' \
                'dump with CRIU outside of it, with --external net[INODE]:KEY'
        fi
        # On another host than that of the dump nothing is held yet.
        plug buffer
        ;;
    # The other actions need nothing.
    *) ;;
esac
