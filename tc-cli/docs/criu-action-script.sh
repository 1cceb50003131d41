#!/bin/sh
# Holds a container's output while CRIU dumps it, in place of CRIU's own network lock,
# which drops. See criu-action-script.md.
#
#   PLUG_DEV      the container's device on the host (a veth end), already plugged:
#                 tc-cli plug attach --dev DEV --limit SIZE
#   PLUG_JOURNAL  where journals are kept (/run/tc-plug)
#   TC_CLI        the tc-cli to use
set -eu
tc_cli=${TC_CLI:-tc-cli} journal=${PLUG_JOURNAL:-/run/tc-plug}

plug() {
    operation=$1
    shift
    "$tc_cli" plug "$operation" --dev "${PLUG_DEV:?names no device}" --journal-dir "$journal" "$@"
}

case ${CRTOOLS_SCRIPT_ACTION:-} in
    network-lock) plug buffer ;;
    network-unlock) plug open ;;
    # CRIU calls it for other actions too.
    *) ;;
esac
