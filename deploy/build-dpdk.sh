#!/usr/bin/env bash
# usage: build-dpdk.sh DIRECTORY
# Debian's DPDK, from Debian's source package and of the version that libdpdk-dev has here, built for this processor
# (Debian's own is for any x86-64): libraries, headers and libdpdk.pc, in DIRECTORY. With the drivers that Millrace and
# millrace-gen link. Nothing of the machine is changed; apt checks the source's signature as it does a package's.
set -euo pipefail
[ $# = 1 ] || { sed -n '2p' "$0" >&2; exit 2; }
mkdir -p "$1"
destination=$(cd "$1" && pwd)
version=$(dpkg-query -W -f '${source:Version}' libdpdk-dev)
drivers=bus/pci,bus/vdev,common/iavf,mempool/ring,net/af_packet,net/af_xdp,net/e1000,net/ena,net/i40e,net/iavf,net/ice
drivers+=,net/igc,net/ixgbe,net/null,net/pcap,net/ring,net/tap,net/vhost,net/virtio,net/vmxnet3

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
# The sources of where the packages come from, by lists of our own.
mkdir -p "$work/list.d" "$work/lists/partial"
for list in /etc/apt/sources.list /etc/apt/sources.list.d/*.list /etc/apt/sources.list.d/*.sources; do
  [ ! -f "$list" ] || sed -E 's/^deb([[:space:]])/deb-src\1/; s/^Types:.*/Types: deb-src/' "$list" >"$work/list.d/$(basename "$list")"
done
apt=(apt-get -q -o Dir::Etc::sourcelist=/dev/null -o Dir::Etc::sourceparts="$work/list.d" -o Dir::State::lists="$work/lists"
  -o APT::Sandbox::User=root)
"${apt[@]}" update || true  # another's list may have no sources; whether ours is there, the next step tells
cd "$work"
"${apt[@]}" source "dpdk=$version"
cd dpdk-*/
/usr/bin/meson setup build --prefix="$destination" --libdir=lib --buildtype=release -Dplatform=native \
  -Ddefault_library=static -Dtests=false -Ddisable_apps='*' -Denable_drivers="$drivers"
ninja -C build
ninja -C build install >/dev/null
printf '%s\n' "$version" >"$destination/version"
