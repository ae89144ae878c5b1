#!/bin/bash
# Millrace as a peer of the kit that `./x bench peers` runs. That program says where it is:
#   MILLRACE_PEER     peers/contender.py
#   MILLRACE_BUILD    build directory with bin/millraced
set -euo pipefail
. "$(dirname "$0")/lib.sh"
export PEERS_DIR SUT_CPU GEN_CPU VH0 VH1 PORTS POD0_MAC POD1_MAC POD1_IP GW_MAC \
    VNI VTEP_LOCAL VTEP_LOCAL_MAC VTEP_REMOTE VTEP_REMOTE_MAC
usage() { echo "usage: $0 up l2|l3|ct|nat|acl|np|vxlan [N] | stats | down"; exit 1; }

case "${1:-}" in
up) [ $# -ge 2 ] || usage
    need_hugepages "${MILLRACE_HUGEPAGES:-2048}"
    /usr/bin/python3 "$MILLRACE_PEER" up "$2" "${3:-0}"
    [ "$PORTS" != vhost ] || wait_for "$VH1" ;;
stats) /usr/bin/python3 "$MILLRACE_PEER" stats ;;
down) stop_pid "$PEERS_DIR/sut.pid"
    /usr/bin/python3 "$MILLRACE_PEER" down ;;
*) usage ;;
esac
