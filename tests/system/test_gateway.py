"""The gateway that is in no namespace: the switch answers ARP, neighbour discovery and echo for it."""

import struct

from harness import frames, traffic

GATEWAY_MAC = "02:4d:52:00:00:01"


def test_the_pod_reaches_its_gateway_by_ping(pods):
    a, _ = pods
    assert traffic.ping(a, "169.254.1.1").ok
    assert traffic.ping(a, "fe80::1%eth0").ok


def test_arp_for_the_gateway_is_answered(pods):
    a, _ = pods
    with frames.raw_socket(a) as raw:
        raw.send(frames.ethernet("ff:ff:ff:ff:ff:ff", a.mac, frames.arp_request(a.mac, a.ipv4, "169.254.1.1"),
                                 frames.ETH_ARP))
        reply = frames.receive_matching(raw, lambda frame: frame[12:14] == b"\x08\x06")
    assert reply is not None
    assert reply[:6] == frames.mac_bytes(a.mac) and reply[6:12] == frames.mac_bytes(GATEWAY_MAC)
    operation, sender_mac, sender = struct.unpack("!6xH6s4s", reply[14:32])
    assert (operation, sender_mac, sender) == (2, frames.mac_bytes(GATEWAY_MAC), frames.packed("169.254.1.1"))


def test_neighbour_solicitation_for_the_gateway_is_answered(pods):
    a, _ = pods
    destination, packet = frames.neighbour_solicitation(a.ipv6, "fe80::1", a.mac)
    group = "33:33:" + ":".join(f"{byte:02x}" for byte in frames.packed(destination)[12:])
    with frames.raw_socket(a) as raw:
        raw.send(frames.ethernet(group, a.mac, packet, frames.ETH_IPV6))
        reply = frames.receive_matching(raw, lambda frame: frame[12:14] == b"\x86\xdd" and frame[20] == 58 and
                                        frame[54] == 136)
    assert reply is not None
    assert reply[21] == 255, "hop limit (RFC 4861 section 7.1.2)"
    assert reply[62:78] == frames.packed("fe80::1") and frames.mac_bytes(GATEWAY_MAC) in reply[78:]


def test_arp_for_the_pods_own_address_is_not_answered(pods):
    """Proxy ARP answers for what is routed elsewhere (RFC 1027); an answer for the asker's own address would take it
    away (RFC 5227)."""
    a, b = pods
    with frames.raw_socket(a) as raw:
        for target in (a.ipv4, b.ipv4):  # an answer to the first would come before the answer to the second
            raw.send(frames.ethernet("ff:ff:ff:ff:ff:ff", a.mac, frames.arp_request(a.mac, a.ipv4, target),
                                     frames.ETH_ARP))
        reply = frames.receive_matching(raw, lambda frame: frame[12:14] == b"\x08\x06")
    assert reply is not None and reply[28:32] == frames.packed(b.ipv4)


def test_tcp_to_the_gateway_is_counted_and_answers_nothing(node, pods):
    a, _ = pods
    before = node.instance.drops().get("gateway_protocol", 0)
    done = a.run("timeout", "1", "bash", "-c", "exec 3<>/dev/tcp/169.254.1.1/80", check=False)
    assert done.returncode != 0
    assert node.instance.drops()["gateway_protocol"] > before
