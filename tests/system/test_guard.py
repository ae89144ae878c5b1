"""A pod sends only from its own MAC and its own addresses: anything else is counted by name and reaches nobody."""

import json

import pytest

from harness import frames
from harness.process import wait_until

GATEWAY_MAC = "02:4d:52:00:00:01"
MARK = b"spoofed-packet-mark"


@pytest.fixture(scope="module")
def third(node, pods):
    return node.add_pod("c")


def udp4(source, target, data=MARK):
    return frames.ipv4(source, target, frames.UDP, frames.udp(source, target, 9, 7100, data))


def udp6(source, target, data=MARK):
    return frames.ipv6(source, target, frames.UDP, frames.udp(source, target, 9, 7100, data))


# name, the drop that must be counted, frame from (pod a, pod b, third pod)
CASES = [
    ("another source MAC", "spoofed_mac",
     lambda a, b, c: frames.ethernet(GATEWAY_MAC, "02:00:00:00:00:99", udp4(a.ipv4, b.ipv4))),
    ("the MAC of another pod", "spoofed_mac", lambda a, b, c: frames.ethernet(GATEWAY_MAC, c.mac, udp4(a.ipv4, b.ipv4))),
    ("the IPv4 address of another pod", "spoofed_address",
     lambda a, b, c: frames.ethernet(GATEWAY_MAC, a.mac, udp4(c.ipv4, b.ipv4))),
    ("an IPv4 address of the world", "spoofed_address",
     lambda a, b, c: frames.ethernet(GATEWAY_MAC, a.mac, udp4("198.51.100.7", b.ipv4))),
    ("the IPv6 address of another pod", "spoofed_address",
     lambda a, b, c: frames.ethernet(GATEWAY_MAC, a.mac, udp6(c.ipv6, b.ipv6), frames.ETH_IPV6)),
    ("a broadcast source", "spoofed_address",
     lambda a, b, c: frames.ethernet(GATEWAY_MAC, a.mac, udp4("255.255.255.255", b.ipv4))),
    ("a loopback source", "spoofed_address",
     lambda a, b, c: frames.ethernet(GATEWAY_MAC, a.mac, udp4("127.0.0.1", b.ipv4))),
    ("an IPv6 multicast source", "bad_source",
     lambda a, b, c: frames.ethernet(GATEWAY_MAC, a.mac, udp6("ff02::1", b.ipv6), frames.ETH_IPV6)),
    ("straight to another pod's MAC", "not_for_gateway",
     lambda a, b, c: frames.ethernet(b.mac, a.mac, udp4(a.ipv4, b.ipv4))),
    ("a VLAN tag", "vlan_on_pod",
     lambda a, b, c: frames.ethernet(GATEWAY_MAC, a.mac, udp4(a.ipv4, b.ipv4), vlan=(100,))),
    ("an ARP request in another's name", "spoofed_address",
     lambda a, b, c: frames.ethernet("ff:ff:ff:ff:ff:ff", a.mac, frames.arp_request(a.mac, c.ipv4, "169.254.1.1"),
                                     frames.ETH_ARP)),
    ("an ARP request with another's MAC inside", "spoofed_mac",
     lambda a, b, c: frames.ethernet("ff:ff:ff:ff:ff:ff", a.mac, frames.arp_request(c.mac, a.ipv4, "169.254.1.1"),
                                     frames.ETH_ARP)),
]


@pytest.mark.parametrize("reason, make", [pytest.param(*case[1:], id=case[0]) for case in CASES])
def test_a_pod_cannot_send(node, pods, third, reason, make):
    a, b = pods
    count = 5
    before = node.instance.drops().get(reason, 0)
    with frames.raw_socket(a) as raw, frames.raw_socket(b) as seen:
        for _ in range(count):
            raw.send(make(a, b, third))
        wait_until(lambda: node.instance.drops().get(reason, 0) >= before + count, f"{count} drops '{reason}'", 5)
        # A good packet behind the bad ones: when it is here, they would be.
        raw.send(frames.ethernet(GATEWAY_MAC, a.mac, udp4(a.ipv4, b.ipv4, b"good-packet-mark")))
        first = frames.receive_matching(seen, lambda frame: MARK in frame or b"good-packet-mark" in frame)
    assert first is not None and MARK not in first


@pytest.mark.parametrize("source", ["127.0.0.1", "255.255.255.255", "224.0.0.1"])
def test_the_host_cannot_send_from_an_address_that_is_nobodys(node, pods, source):
    """The host may send from any address but these."""
    _, b = pods
    mac = json.loads(node.netns.run("ip", "-j", "link", "show", "millrace0").stdout)[0]["address"]
    before = node.instance.drops().get("bad_source", 0)
    with frames.raw_socket(node.netns, "millrace0") as raw:
        raw.send(frames.ethernet(GATEWAY_MAC, mac, udp4(source, b.ipv4)))
    wait_until(lambda: node.instance.drops().get("bad_source", 0) > before, "a drop 'bad_source'", 5)
