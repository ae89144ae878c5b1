"""The rooms of the house and who may know whom: DESIGN, "Rooms": a room includes only rooms below it."""

import re

import pytest
from sources import files, read

# Layer of each room, lowest first. Rooms of one layer do not include each other, unless SAME_LAYER says so.
ROOMS = [
    ("net", 0), ("policy", 1), ("nat", 1), ("datapath", 2), ("datapath/io", 3),
    ("control/names", 3), ("control/api", 4), ("control/config", 4), ("control/kube", 4),
    ("control/netlink", 4), ("control/etcd", 4),
    ("control/switch", 5), ("control/agent", 5), ("control/cli", 5),
    ("cni-shim", 6), ("perf/gen", 6), ("perf/bench", 6),
]
LAYER = dict(ROOMS)
SAME_LAYER = {("control/kube", "control/config")}  # how values are shown and near names found
# The CNI plugin is small: one exec a pod. It sees the contract, not the daemons.
CNI_MAY_INCLUDE = {"net", "control/api", "control/config", "cni-shim"}

SOURCES = [path for path in files(".h", ".cc", ".def") if path.parts[0] != "tests"]


def room_of(path):
    """The longest room name that the path begins with."""
    names = [room for room, _ in ROOMS if str(path).startswith(room + "/")]
    return max(names, key=len, default=None)


def includes(path):
    return re.findall(r'^\s*#\s*include\s+([<"][^>"]+[>"])', read(path), re.MULTILINE)


def layer_problems(path):
    room = room_of(path)
    for name in includes(path):
        other = room_of(name[1:-1]) if name.startswith('"') else None
        if other is None or other == room:
            continue
        if LAYER[other] > LAYER[room] or (LAYER[other] == LAYER[room] and (room, other) not in SAME_LAYER):
            yield f"{path} ({room}) includes {name}: {other} is not below it"
        if room == "cni-shim" and other not in CNI_MAY_INCLUDE:
            yield f"{path} includes {name}: the CNI plugin stays small"


def test_there_are_sources():
    assert len(SOURCES) > 20


def test_every_source_lies_in_a_room():
    assert [str(path) for path in SOURCES if room_of(path) is None] == []


def test_a_room_includes_only_rooms_below_it():
    assert [problem for path in SOURCES for problem in layer_problems(path)] == []


@pytest.mark.parametrize("room", ["policy", "nat"])
def test_policy_and_nat_know_only_bytes(room):
    bad = [f"{path}: {name}" for path in SOURCES if room_of(path) == room for name in includes(path)
           if name.startswith('"') and room_of(name[1:-1]) not in (room, "net")]
    assert bad == []


def test_includes_name_the_room():
    """A quoted include is relative to the repository's top or of generated code, never `../x.h` or `x.h`."""
    bad = [f"{path}: {name}" for path in SOURCES for name in includes(path)
           if name.startswith('"') and room_of(name[1:-1]) is None and not name.endswith('.pb.h"')
           and not name.endswith('.skel.h"') and "/" not in name]
    assert bad == []


def test_dpdk_only_in_datapath_io():
    bad = [f"{path}: {name}" for path in files(".h", ".cc") for name in includes(path)
           if re.match(r"<rte_", name) and room_of(path) != "datapath/io" and not str(path).startswith("tests/io/")]
    assert bad == []


@pytest.mark.parametrize("room, headers", [
    ("net", ("grpc", "spdlog", "yaml-cpp", "sqlite3", "netlink/")),
    ("policy", ("grpc", "spdlog", "yaml-cpp", "sqlite3", "netlink/")),
    ("nat", ("grpc", "spdlog", "yaml-cpp", "sqlite3", "netlink/")),
    ("datapath", ("grpc", "spdlog", "yaml-cpp", "sqlite3", "netlink/")),
])
def test_packet_rooms_know_no_control_library(room, headers):
    bad = [f"{path}: {name}" for path in SOURCES if room_of(path) == room for name in includes(path)
           if name[1:].startswith(headers)]
    assert bad == []
