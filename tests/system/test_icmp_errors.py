"""What a router must say: time exceeded, fragmentation needed, packet too big; and fragments where it may cut."""

import socket
import struct

import pytest

from harness import frames, traffic
from harness import node as nodes
from harness.cni import Cni, container

GATEWAY_MAC = "02:4d:52:00:00:01"
SMALL_MTU = 1300


@pytest.fixture(scope="module")
def small(node):
    """A pod whose interface takes only 1300 bytes."""
    cni = Cni(node.instance)
    cni.plugins = [cni.plugin(mtu=SMALL_MTU)]
    with container(cni, "small") as pod:
        yield pod


def icmp_error(raw, kind, code):
    return frames.receive_matching(raw, lambda frame: frame[12:14] == b"\x08\x00" and frame[23] == 1 and
                                   frame[34:36] == bytes((kind, code)))


def icmpv6_error(raw, kind):
    return frames.receive_matching(raw, lambda frame: frame[12:14] == b"\x86\xdd" and frame[20] == 58 and
                                   frame[54] == kind)


def test_ttl_of_one_ends_at_the_switch(pods):
    a, b = pods
    packet = frames.ipv4(a.ipv4, b.ipv4, frames.UDP, frames.udp(a.ipv4, b.ipv4, 33000, 33434, b"trace"), ttl=1)
    with frames.raw_socket(a) as raw:
        raw.send(frames.ethernet(GATEWAY_MAC, a.mac, packet))
        error = icmp_error(raw, 11, 0)
    assert error is not None
    assert frames.checksum(error[14:34]) == 0 and frames.checksum(error[34:34 + struct.unpack("!H", error[16:18])[0] - 20]) == 0
    assert packet[12:28] in error, "it quotes the packet's addresses and ports (RFC 792)"


def test_hop_limit_of_one_ends_at_the_switch(pods):
    a, b = pods
    packet = frames.ipv6(a.ipv6, b.ipv6, frames.UDP, frames.udp(a.ipv6, b.ipv6, 33000, 33434, b"trace"), hop_limit=1)
    with frames.raw_socket(a) as raw:
        raw.send(frames.ethernet(GATEWAY_MAC, a.mac, packet, frames.ETH_IPV6))
        error = icmpv6_error(raw, 3)
    assert error is not None
    message = error[54:54 + struct.unpack("!H", error[18:20])[0]]
    pseudo = frames.pseudo_header(socket.inet_ntop(socket.AF_INET6, error[22:38]), a.ipv6, frames.ICMPV6, len(message))
    assert frames.checksum(pseudo + message) == 0
    assert packet in error, "it quotes the whole of a small packet (RFC 4443 section 3.3)"


def test_the_ttl_goes_down_by_one(pods):
    a, b = pods
    with frames.raw_socket(a) as raw, frames.raw_socket(b) as seen:
        raw.send(frames.ethernet(GATEWAY_MAC, a.mac, frames.ipv4(
            a.ipv4, b.ipv4, frames.UDP, frames.udp(a.ipv4, b.ipv4, 9, 7200, b"ttl-mark"), ttl=40)))
        frame = frames.receive_matching(seen, lambda frame: b"ttl-mark" in frame)
    assert frame is not None and frame[22] == 39 and frames.checksum(frame[14:34]) == 0


def test_fragmentation_needed_tells_the_mtu(pods, small):
    """RFC 1191: don't-fragment and too large: type 3 code 4 with the MTU of the next hop."""
    a, _ = pods
    with frames.raw_socket(a) as raw:
        raw.send(frames.ethernet(GATEWAY_MAC, a.mac, frames.ipv4(
            a.ipv4, small.ipv4, frames.UDP, frames.udp(a.ipv4, small.ipv4, 9, 7300, b"m" * 1400), flags=2)))
        error = icmp_error(raw, 3, 4)
    assert error is not None and struct.unpack("!H", error[40:42])[0] == SMALL_MTU


def test_packet_too_big_tells_the_mtu(pods, small):
    a, _ = pods
    with frames.raw_socket(a) as raw:
        raw.send(frames.ethernet(GATEWAY_MAC, a.mac, frames.ipv6(
            a.ipv6, small.ipv6, frames.UDP, frames.udp(a.ipv6, small.ipv6, 9, 7300, b"m" * 1400)), frames.ETH_IPV6))
        error = icmpv6_error(raw, 2)
    assert error is not None and struct.unpack("!I", error[58:62])[0] == SMALL_MTU


def test_a_packet_that_may_be_cut_is_cut(pods, small):
    """Don't-fragment is clear: the datagram arrives whole, in pieces no larger than the way out takes."""
    a, _ = pods
    data = bytes(range(256)) * 5 + b"e" * 120
    with small.socket(socket.AF_INET, socket.SOCK_DGRAM) as receiver, frames.raw_socket(a) as raw, \
            frames.raw_socket(small) as seen:
        receiver.bind((small.ipv4, 7301))
        receiver.settimeout(3)
        raw.send(frames.ethernet(GATEWAY_MAC, a.mac, frames.ipv4(
            a.ipv4, small.ipv4, frames.UDP, frames.udp(a.ipv4, small.ipv4, 9, 7301, data), flags=0, identification=77)))
        assert receiver.recv(4096) == data
        piece = frames.receive_matching(seen, lambda frame: frame[18:20] == struct.pack("!H", 77))
    assert piece is not None and len(piece) <= SMALL_MTU + 14 and piece[20] & 0x20, "the first piece says more follow"


@pytest.mark.parametrize("family", [4, 6])
def test_tcp_finds_the_small_mtu(pods, small, family):
    """Path MTU discovery of the pod's own stack, by the errors above."""
    a, _ = pods
    assert traffic.tcp(a, small, small.ipv4 if family == 4 else small.ipv6, seconds=1).gbit_s > 0.05


def test_traceroute_shows_the_switch_then_the_node_then_the_world(node, pods):
    """ping with a TTL of 1, 2, 3: the switch, the node's kernel and the world answer in this order."""
    a, _ = pods
    answers = [a.run("ping", "-n", "-c", "1", "-W", "2", "-t", hops, nodes.WORLD_IPV4, check=False).stdout
               for hops in (1, 2, 3)]
    assert "Time to live exceeded" in answers[0] and "Time to live exceeded" in answers[1]
    assert "1 received" in answers[2]
