"""Frames no stack would send. Each is dropped with a name, and the switch goes on."""

import random
import socket
import struct

import pytest

from harness import frames, traffic
from harness.process import wait_until

GATEWAY_MAC = "02:4d:52:00:00:01"


def v4(a, b, protocol=frames.UDP, payload=b"\0" * 16, **fields):
    return frames.ethernet(GATEWAY_MAC, a.mac, frames.ipv4(a.ipv4, b.ipv4, protocol, payload, **fields))


def v6(a, b, next_header, payload, **fields):
    return frames.ethernet(GATEWAY_MAC, a.mac, frames.ipv6(a.ipv6, b.ipv6, next_header, payload, **fields),
                           frames.ETH_IPV6)


def many_extensions(a, b):
    return v6(a, b, 60, struct.pack("!BB6x", 60, 0) * 40 + b"\0" * 8)


CASES = [
    ("an unknown EtherType", "unknown_ether_type", lambda a, b: frames.ethernet(GATEWAY_MAC, a.mac, b"x" * 60, 0x88B5)),
    ("three VLAN tags", "vlan_too_deep",
     lambda a, b: frames.ethernet(GATEWAY_MAC, a.mac, b"\0" * 60, frames.ETH_IPV4, vlan=(1, 2, 3))),
    ("an IPv4 length beyond the frame", "ipv4_truncated", lambda a, b: v4(a, b, length=1500)),
    ("an IPv4 version of 5", "ipv4_bad_header", lambda a, b: v4(a, b, version=5)),
    ("an IPv4 header of 16 bytes", "ipv4_bad_header", lambda a, b: v4(a, b, header_words=4)),
    ("an IPv4 length shorter than the header", "ipv4_bad_header", lambda a, b: v4(a, b, length=12)),
    ("a wrong IPv4 header checksum", "ipv4_bad_checksum", lambda a, b: v4(a, b, header_checksum=0x1234)),
    ("an IPv6 payload length beyond the frame", "ipv6_truncated", lambda a, b: v6(a, b, 17, b"\0" * 16, length=900)),
    ("an IPv6 version of 4", "ipv6_bad_header", lambda a, b: v6(a, b, 17, b"\0" * 16, version=4)),
    ("forty IPv6 extension headers", "ipv6_bad_extension", many_extensions),
    ("an IPv6 extension beyond its packet", "ipv6_bad_extension",
     lambda a, b: v6(a, b, 60, struct.pack("!BB6x", 17, 200))),
    ("a fragment that ends beyond 64 KiB", "fragment_bad", lambda a, b: v4(a, b, offset=0x1FFF, payload=b"\0" * 64)),
    ("a UDP header of 4 bytes", "l4_truncated", lambda a, b: v4(a, b, payload=b"\0" * 4)),
    ("a TCP data offset of 60 in 20 bytes", "l4_truncated",
     lambda a, b: v4(a, b, frames.TCP, struct.pack("!HHIIBBHHH", 1, 2, 0, 0, 0xF0, 2, 100, 0, 0))),
    ("a TCP data offset of 16", "l4_bad_header",
     lambda a, b: v4(a, b, frames.TCP, struct.pack("!HHIIBBHHH", 1, 2, 0, 0, 0x40, 2, 100, 0, 0))),
    ("a UDP length of 3", "l4_bad_header", lambda a, b: v4(a, b, payload=struct.pack("!HHHH", 1, 2, 3, 0) + b"\0" * 8)),
    ("an ARP that is cut off", "arp_bad",
     lambda a, b: frames.ethernet("ff:ff:ff:ff:ff:ff", a.mac, b"\0\1\x08\0\6\4\0", frames.ETH_ARP)),
]


@pytest.mark.parametrize("reason, make", [pytest.param(*case[1:], id=case[0]) for case in CASES])
def test_a_malformed_frame_is_dropped_by_name(node, pods, reason, make):
    a, b = pods
    before = node.instance.drops().get(reason, 0)
    with frames.raw_socket(a) as raw:
        raw.send(make(a, b))
    wait_until(lambda: node.instance.drops().get(reason, 0) > before, f"a drop '{reason}'", 3)


def test_thousands_of_random_frames_change_nothing(node, pods):
    """Real frames with random bytes changed, cut or repeated; a fixed seed, so that a failure comes again."""
    a, b = pods
    seed = random.Random(20)
    patterns = [make(a, b) for _, _, make in CASES]
    patterns.append(v4(a, b, payload=frames.udp(a.ipv4, b.ipv4, 1, 2, b"d" * 100)))
    patterns.append(v6(a, b, frames.ICMPV6, frames.icmpv6_echo(a.ipv6, b.ipv6, 1, 1)))
    before = node.instance.pids()
    with frames.raw_socket(a) as raw:
        for _ in range(5000):
            frame = bytearray(seed.choice(patterns))
            for _ in range(seed.randint(1, 8)):
                frame[seed.randrange(12, len(frame))] = seed.randrange(256)
            frame = frame[:seed.randint(14, len(frame))] if seed.random() < 0.3 else frame
            raw.send(bytes(frame))
    assert traffic.ping(a, b.ipv4).ok and traffic.ping(a, b.ipv6).ok
    assert node.instance.pids() == before


def test_every_packet_of_a_pod_is_accounted_for(node, pods):
    """Received is forwarded, answered or dropped by name: no packet goes missing between the counters."""
    a, b = pods
    count = 500
    start = node.instance.port_totals()
    with frames.raw_socket(a) as raw:
        for index in range(count):
            good = v4(a, b, payload=frames.udp(a.ipv4, b.ipv4, 9, 7400, b"n%d" % index))
            raw.send(good if index % 2 else v4(a, b, header_checksum=0x1111))

    def grown(port, key):
        return node.instance.port_totals()[port].get(key, 0) - start[port].get(key, 0)

    wait_until(lambda: grown(a.host_interface, "rx_packets") >= count, "the switch took all frames", 5)
    bad = node.instance.port_totals()[a.host_interface]["drops"]["ipv4_bad_checksum"] - \
        start[a.host_interface].get("drops", {}).get("ipv4_bad_checksum", 0)
    assert bad == count // 2
    assert grown(b.host_interface, "tx_packets") >= count // 2


@pytest.mark.parametrize("protocol", [47, 50, 89], ids=["GRE", "ESP", "OSPF"])
def test_other_protocols_pass(node, pods, protocol):
    a, b = pods
    body = struct.pack("!HHII", 4000, 4001, 0, 0) + b"payload-of-another-protocol"
    assert received_by(b, protocol, a, v4(a, b, protocol, body)) == body


@pytest.mark.parametrize("given", [0, 0x12345678], ids=["left to offload", "of the sender's own"])
def test_sctp_passes_and_gets_the_checksum_it_lacks(node, pods, given):
    """RFC 9260 section 6.8: CRC32c, least significant byte first. Zero is what a stack leaves to offload. An INIT has the tag 0."""
    a, b = pods
    head, chunk = struct.pack("!HHI", 4000, 4001, 0), b"\x01\x00\x00\x14" + b"\0" * 16
    wanted = given or frames.crc32c(head + b"\0\0\0\0" + chunk)
    arrived = received_by(b, frames.SCTP, a, v4(a, b, frames.SCTP, head + struct.pack("<I", given) + chunk))
    assert arrived == head + struct.pack("<I", wanted) + chunk


def received_by(pod, protocol, sender, frame):
    """The IP payload that a raw socket of the pod gets."""
    with pod.socket(socket.AF_INET, socket.SOCK_RAW, protocol) as receiver, frames.raw_socket(sender) as raw:
        receiver.settimeout(3)
        raw.send(frame)
        packet, source = receiver.recvfrom(2000)
    assert source[0] == sender.ipv4
    return packet[20:]


def test_ipv4_options_and_ipv6_extensions_pass(pods):
    a, b = pods
    router_alert_free = b"\x01\x01\x01\x00"
    hop_by_hop = struct.pack("!BB6B", frames.UDP, 0, 1, 4, 0, 0, 0, 0)
    with frames.raw_socket(a) as raw, frames.raw_socket(b) as seen:
        raw.send(v4(a, b, payload=frames.udp(a.ipv4, b.ipv4, 9, 7500, b"with-options"), options=router_alert_free))
        assert frames.receive_matching(seen, lambda frame: b"with-options" in frame)
        segment = frames.udp(a.ipv6, b.ipv6, 9, 7500, b"with-extension")
        raw.send(v6(a, b, 60, hop_by_hop + segment))
        assert frames.receive_matching(seen, lambda frame: b"with-extension" in frame)
