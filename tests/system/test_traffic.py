"""Everyday traffic between all kinds of places, in both families, with checksum offload and without."""

import pytest

from harness import node as nodes
from harness import traffic
from harness.cni import Cni, container
from harness.paced import loses_nothing


@pytest.fixture(scope="module")
def ways(node, pods):
    a, b = pods
    host = node.netns
    return {
        "pod to pod": (a, b, b.ipv4, b.ipv6),
        "pod to host": (a, host, nodes.NODE_IPV4, nodes.NODE_IPV6),
        "host to pod": (host, b, b.ipv4, b.ipv6),
        "pod to world": (a, node.world, nodes.WORLD_IPV4, nodes.WORLD_IPV6),
        "world to pod": (node.world, b, b.ipv4, b.ipv6),
    }


WAYS = ["pod to pod", "pod to host", "host to pod", "pod to world", "world to pod"]
FAMILIES = pytest.mark.parametrize("family", [4, 6], ids=["IPv4", "IPv6"])


def pick(ways, way, family):
    source, target, ipv4, ipv6 = ways[way]
    return source, target, ipv4 if family == 4 else ipv6


@FAMILIES
@pytest.mark.parametrize("way", WAYS)
def test_ping(ways, way, family):
    source, _, address = pick(ways, way, family)
    assert traffic.ping(source, address).ok


@FAMILIES
@pytest.mark.parametrize("way", WAYS)
def test_ping_of_every_size_up_to_fragments(ways, way, family):
    source, _, address = pick(ways, way, family)
    for size in (0, 1, 17, 64, 1452, 1472, 4000):
        assert traffic.ping(source, address, count=3, size=size).received == 3, f"payload of {size} bytes"


@FAMILIES
@pytest.mark.parametrize("way", WAYS)
def test_tcp(ways, way, family):
    source, target, address = pick(ways, way, family)
    assert traffic.tcp(source, target, address, seconds=1).gbit_s > 0.1


@FAMILIES
@pytest.mark.parametrize("way", WAYS)
def test_udp_at_a_modest_pace_loses_nothing(ways, way, family):
    source, target, address = pick(ways, way, family)
    loses_nothing(source, target, address)


@FAMILIES
def test_tcp_without_checksum_offload(node, family):
    """What the pod's own stack has summed up arrives as well as what it left to the switch."""
    cni = Cni(node.instance)
    with container(cni, "plain") as plain, container(cni, "other") as other:
        plain.run("ethtool", "-K", "eth0", "tx", "off", "rx", "off")
        address = other.ipv4 if family == 4 else other.ipv6
        back = plain.ipv4 if family == 4 else plain.ipv6
        assert traffic.tcp(plain, other, address, seconds=1).gbit_s > 0.1
        assert traffic.tcp(other, plain, back, seconds=1).gbit_s > 0.1


def test_a_damaged_checksum_is_not_mended(node, pods):
    """Completing a checksum that was left to offload must not turn a damaged packet into a good one."""
    import socket

    from harness import frames

    a, b = pods
    gateway = node.instance.config.get("gateway", {}).get("mac", "02:4d:52:00:00:01")
    with b.socket(socket.AF_INET, socket.SOCK_DGRAM) as receiver, frames.raw_socket(a) as raw:
        receiver.bind((b.ipv4, 7001))
        receiver.settimeout(1)
        good = frames.udp(a.ipv4, b.ipv4, 9, 7001, b"good")
        bad = frames.udp(a.ipv4, b.ipv4, 9, 7001, b"evil")
        bad = bad[:6] + bytes((bad[6] ^ 0x55, bad[7])) + bad[8:]
        for segment in (bad, good):
            raw.send(frames.ethernet(gateway, a.mac, frames.ipv4(a.ipv4, b.ipv4, frames.UDP, segment)))
        assert receiver.recv(100) == b"good"
