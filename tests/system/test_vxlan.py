"""Pods of a node and what Linux's own vxlan device has at the other end: traffic, sizes, and each field on the wire."""

import re
import socket

import pytest

from harness import frames, traffic
from harness.capture import Capture
from harness.pod import address_of
from harness.underlay import LAN0, NODE_IPV4, UDP_PORT, VNI, VTEP_MAC, UnderlayNode

FAMILIES = pytest.mark.parametrize("family", [4, 6], ids=["IPv4 inside", "IPv6 inside"])
PEERS = pytest.mark.parametrize("name", ["near4", "near6", "far4", "far6"])
NEAR = pytest.mark.parametrize("name", ["near4", "near6"])
OVERHEAD = {"near4": 50, "far4": 50, "near6": 70, "far6": 70}
HEADERS = {4: 28, 6: 48}  # of IP and ICMP
BULK_BYTES = 100 << 20


@pytest.fixture(scope="module")
def node(programs, request):
    with UnderlayNode(programs, "vxlan", {"mtu": 1500}) as made:
        request.module.nodes_made = [made]
        made.add_pod("a")
        made.add_peers()
        yield made


@pytest.fixture(scope="module")
def pod(node):
    return node.pods["a"]


def from_address(address):
    return ["-I", address]


@FAMILIES
@PEERS
def test_ping(node, pod, name, family):
    peer = node.peers[name]
    assert traffic.ping(pod, peer.address(family)).ok
    assert traffic.ping(peer.place, address_of(pod, family), options=from_address(peer.address(family))).ok


@FAMILIES
@PEERS
def test_every_byte_of_a_long_connection_arrives(node, pod, name, family):
    peer = node.peers[name]
    _, sent, received = traffic.transfer(pod, peer.place, peer.address(family), BULK_BYTES)
    assert sent == received


@FAMILIES
@NEAR
def test_a_connection_from_the_other_node(node, pod, name, family, figure):
    """The peer's pod asks: iperf3 -R, so the bulk goes inward."""
    peer = node.peers[name]
    outward = traffic.tcp(pod, peer.place, peer.address(family), seconds=1)
    inward = traffic.tcp(pod, peer.place, peer.address(family), seconds=1, options=["-R"])
    assert outward.gbit_s > 0.05 and inward.gbit_s > 0.05
    figure(f"VXLAN to Linux, {name}, IPv{family} inside: {outward.gbit_s:.2f} Gbit/s out, {inward.gbit_s:.2f} in")


@FAMILIES
@PEERS
def test_the_largest_packet_passes_and_a_larger_one_is_answered_with_the_mtu(node, pod, name, family):
    peer = node.peers[name]
    mtu = 1500 - OVERHEAD[name]
    assert node.tunnel(name)["mtu"] == mtu
    size = mtu - HEADERS[family]
    assert traffic.ping(pod, peer.address(family), count=3, size=size, options=["-M", "do"]).ok
    done = pod.run("ping", "-n", "-c", "1", "-W", "1", "-M", "do", "-s", size + 1, peer.address(family), check=False)
    told = re.search(r"(?:Frag needed and DF set \(mtu = |Packet too big: mtu=|message too long, mtu[=:] ?)(\d+)",
                     done.stdout + done.stderr)
    assert told and int(told[1]) == mtu, done.stdout + done.stderr
    assert traffic.ping(pod, peer.address(family), count=3, size=3000).ok, "fragments of the pod's own making"


def outer_fields(name):
    return ("ip", "ip.ttl", "ip.dsfield.ecn", "ip.dsfield.dscp") if name.endswith("4") else \
        ("ipv6", "ipv6.hlim", "ipv6.tclass.ecn", "ipv6.tclass.dscp")


@FAMILIES
@NEAR
def test_every_field_on_the_wire(node, pod, name, family, tmp_path):
    """As tshark reads it. Of what stands twice the outer comes first."""
    peer = node.peers[name]
    outer, ttl, _, _ = outer_fields(name)
    fields = ("eth.src", "eth.dst", f"{outer}.src", f"{outer}.dst", ttl, "ip.flags.df", "ip.checksum.status", "udp.dstport",
              "udp.srcport", "udp.checksum", "udp.checksum.status", "udp.length", "vxlan.vni", "vxlan.flags",
              "icmp.checksum.status", "icmpv6.checksum.status", "_ws.malformed")
    what = f"udp dst port {UDP_PORT} and dst host {peer.remote}"
    with Capture(peer.place, "eth0", what, tmp_path / "wire.pcap", 3) as capture:
        assert traffic.ping(pod, peer.address(family), count=3).ok
        packets = capture.packets(*fields)
    assert len(packets) == 3

    def first(packet, field):
        return packet[field] if isinstance(packet[field], str) else packet[field][0]

    for packet in packets:
        assert packet["eth.src"] == [node.mac_of(node.netns, "uplink0"), VTEP_MAC]
        assert packet["eth.dst"] == [node.mac_of(peer.place, "eth0"), peer.mac]
        assert first(packet, f"{outer}.dst") == peer.remote and first(packet, ttl) == "64"
        assert (packet["udp.dstport"], packet["vxlan.vni"], packet["vxlan.flags"]) == (str(UDP_PORT), str(VNI), "0x0800")
        assert 49152 <= int(packet["udp.srcport"]) <= 65535
        assert int(packet["udp.length"]) == 84 + 8 + 8 + 14 + (20 if family == 6 else 0)
        assert packet["icmp.checksum.status" if family == 4 else "icmpv6.checksum.status"] == "1", "1: tshark's Good"
        assert packet["_ws.malformed"] == ""
        if name == "near4":
            assert first(packet, "ip.flags.df") in ("1", "True") and first(packet, "ip.checksum.status") == "1"
            assert packet["udp.checksum"] == "0x0000"
        else:
            assert packet["udp.checksum"] != "0x0000" and packet["udp.checksum.status"] == "1"


@FAMILIES
@NEAR
def test_the_outer_checksum_of_tcp_is_right_in_packets_of_every_size(node, pod, name, family, tmp_path):
    """Of a connection, whose first packets are short and whose others are full."""
    peer = node.peers[name]
    count = 500
    what = f"udp dst port {UDP_PORT} and dst host {peer.remote}"
    with Capture(peer.place, "eth0", what, tmp_path / "tcp.pcap", count) as capture:
        traffic.transfer(pod, peer.place, peer.address(family), 2 << 20)
        packets = capture.packets("udp.checksum", "udp.checksum.status", "tcp.checksum.status", "udp.length")
    assert len(packets) == count and len({packet["udp.length"] for packet in packets}) > 2
    for packet in packets:
        assert packet["udp.checksum.status"] == "1" if name == "near6" else packet["udp.checksum"] == "0x0000"


@NEAR
def test_flows_have_many_source_ports_and_each_flow_one(node, pod, name, tmp_path):
    """So that routers between nodes spread flows, and keep the order of each (RFC 7348 section 5)."""
    peer = node.peers[name]
    flows, each = 256, 2
    what = f"udp dst port {UDP_PORT} and dst host {peer.remote}"
    with Capture(peer.place, "eth0", what, tmp_path / "ports.pcap", flows * each) as capture:
        for number in range(flows):
            with pod.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
                sender.bind(("", 20000 + number))
                for _ in range(each):
                    sender.sendto(b"x", (peer.ipv4, 9))
        packets = capture.packets("udp.srcport")
    outer = {}
    for packet in packets:
        outer_port, inner_port = packet["udp.srcport"]
        outer.setdefault(inner_port, set()).add(int(outer_port))
    assert len(outer) == flows and all(len(ports) == 1 for ports in outer.values())
    ports = set.union(*outer.values())
    assert min(ports) >= 49152
    assert len(ports) > 230, "256 of 16384: about 2 meet"


@pytest.mark.parametrize("dscp", [0, 46])
@pytest.mark.parametrize("ecn", range(4), ids=["Not-ECT", "ECT1", "ECT0", "CE"])
@NEAR
def test_class_and_congestion_marks_are_copied_outward(node, pod, name, ecn, dscp, tmp_path):
    """RFC 6040 section 4.1, normal mode; RFC 2983, uniform at the entry."""
    peer = node.peers[name]
    _, _, ecn_field, dscp_field = outer_fields(name)
    with Capture(peer.place, "eth0", f"udp dst port {UDP_PORT} and dst host {peer.remote}", tmp_path / "tos.pcap",
                 1) as capture:
        with pod.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
            sender.setsockopt(socket.IPPROTO_IP, socket.IP_TOS, dscp << 2 | ecn)
            sender.sendto(b"x", (peer.ipv4, 9))
        packet = capture.packets(ecn_field, dscp_field, "ip.dsfield.ecn")[0]

    def first(value):
        return int(value if isinstance(value, str) else value[0])

    assert (first(packet[ecn_field]), first(packet[dscp_field])) == (ecn, dscp)


class Sender:
    """Frames that nobody's vxlan device would send, from the link next to the node."""

    def __init__(self, node, pod):
        self.node, self.pod, self.peer = node, pod, node.peers["near4"]
        self.raw = frames.raw_socket(self.peer.place)
        self.mac = (node.mac_of(node.netns, "uplink0"), node.mac_of(self.peer.place, "eth0"))

    def inner(self, data=b"inner", source=None, tos=0, destination_mac=VTEP_MAC):
        source = source or self.peer.ipv4
        packet = frames.ipv4(source, self.pod.ipv4, frames.UDP, frames.udp(source, self.pod.ipv4, 4000, 4001, data), tos=tos)
        return frames.ethernet(destination_mac, self.peer.mac, packet)

    def vxlan(self, inner, vni=VNI, flags=8):
        return bytes((flags, 0, 0, 0)) + vni.to_bytes(3, "big") + b"\0" + inner

    def outer(self, payload, source=None, tos=0, checksum=None):
        """A datagram to the node's VTEP, as an IPv4 packet."""
        source = source or self.peer.remote
        datagram = frames.udp(source, NODE_IPV4, 50000, UDP_PORT, payload)
        if checksum is not None:
            datagram = datagram[:6] + checksum.to_bytes(2, "big") + datagram[8:]
        return frames.ipv4(source, NODE_IPV4, frames.UDP, datagram, tos=tos)

    def send(self, packet):
        self.raw.send(frames.ethernet(*self.mac, packet))


@pytest.fixture
def sender(node, pod):
    made = Sender(node, pod)
    with made.raw:
        yield made


def arrives_in_pod(pod, sender, packet, data):
    with frames.raw_socket(pod) as raw:
        sender.send(packet)
        return frames.receive_matching(raw, lambda frame: frame.endswith(data))


@pytest.mark.parametrize("outer, inner, seen", [(0, 0, 0), (0, 2, 2), (1, 2, 1), (2, 2, 2), (3, 2, 3), (3, 1, 3), (3, 3, 3),
                                                (0, 3, 3), (1, 0, 0), (2, 0, 0)])
def test_congestion_marks_of_the_way_reach_the_pod(pod, sender, outer, inner, seen):
    """RFC 6040 section 4.2, figure 4. The class of the underlay (46 here) does not."""
    data = b"ecn-%d-%d" % (outer, inner)
    packet = sender.outer(sender.vxlan(sender.inner(data, tos=10 << 2 | inner)), tos=46 << 2 | outer)
    frame = arrives_in_pod(pod, sender, packet, data)
    assert frame is not None and frame[15] == 10 << 2 | seen
    assert frames.checksum(frame[14:34]) == 0


def test_a_checksum_is_checked_and_none_is_taken(pod, sender):
    for number, checksum in enumerate((None, 0)):
        data = b"checksum-%d" % number
        assert arrives_in_pod(pod, sender, sender.outer(sender.vxlan(sender.inner(data)), checksum=checksum), data)


BAD = {
    "another VNI": ("tunnel_bad_vni", lambda s: s.outer(s.vxlan(s.inner(), vni=VNI + 1))),
    "no VNI": ("tunnel_bad_header", lambda s: s.outer(s.vxlan(s.inner(), flags=0))),
    "shorter than its header": ("tunnel_bad_header", lambda s: s.outer(b"\x08\0\0\0")),
    "from a node that nobody knows": ("tunnel_unknown_peer",
                                      lambda s: s.outer(s.vxlan(s.inner()), source=f"{LAN0[0]}77")),
    "to another VTEP's MAC": ("tunnel_bad_mac", lambda s: s.outer(s.vxlan(s.inner(destination_mac="02:00:00:00:00:99")))),
    "wrong outer checksum": ("tunnel_bad_checksum", lambda s: s.outer(s.vxlan(s.inner()), checksum=0x1234)),
    "the source of a pod of another node": ("tunnel_source",
                                            lambda s: s.outer(s.vxlan(s.inner(source=s.node.peers["far4"].ipv4)))),
    "the source of a pod of this node": ("tunnel_source", lambda s: s.outer(s.vxlan(s.inner(source="10.244.0.99")))),
    "congestion that cannot be told": ("tunnel_ecn", lambda s: s.outer(s.vxlan(s.inner()), tos=3)),
}


@pytest.mark.parametrize("case", BAD)
def test_what_is_not_right_is_dropped_under_its_name(node, pod, sender, case):
    reason, make = BAD[case]
    before = node.instance.drops()
    with frames.raw_socket(pod) as raw:
        sender.send(make(sender))
        sender.send(sender.outer(sender.vxlan(sender.inner(b"behind it"))))
        assert frames.receive_matching(raw, lambda frame: frame.endswith((b"inner", b"behind it"))).endswith(b"behind it")
    after = node.instance.drops()
    # What Linux multicasts in its VXLAN of its own accord is dropped as tunnel_bad_mac, whenever that is.
    tunnel = {name: count - before.get(name, 0) for name, count in after.items()
              if name.startswith("tunnel_") and name != "tunnel_bad_mac"}
    assert {name: count for name, count in tunnel.items() if count} == ({} if reason == "tunnel_bad_mac" else {reason: 1})
    assert reason != "tunnel_bad_mac" or after[reason] > before.get(reason, 0)


def test_fragments_are_refused_and_counted(node, pod, sender):
    """RFC 7348 section 4.3. The later ones have no ports, and are known by the first."""
    whole = sender.outer(sender.vxlan(sender.inner(b"y" * 1000)))
    payload = whole[20:]
    before = node.instance.drops()
    for at, more in ((0, 1), (512, 0)):
        sender.send(frames.ipv4(sender.peer.remote, NODE_IPV4, frames.UDP, payload[at:at + 512] if more else payload[at:],
                                identification=77, flags=more, offset=at // 8))
    assert arrives_in_pod(pod, sender, sender.outer(sender.vxlan(sender.inner(b"behind"))), b"behind")
    after = node.instance.drops()
    assert after["tunnel_fragment"] - before.get("tunnel_fragment", 0) == 2


def test_counters_of_a_tunnel(node, pod):
    peer = node.peers["near4"]
    before = node.tunnel("near4")
    assert traffic.ping(pod, peer.ipv4, count=10, size=100).ok
    after = node.tunnel("near4")
    for way in ("tx", "rx"):
        assert after[f"{way}_packets"] - before.get(f"{way}_packets", 0) == 10
        assert after[f"{way}_bytes"] - before.get(f"{way}_bytes", 0) == 10 * 128, "bytes of the pods' packets"


def test_a_person_and_a_monitor_see_the_tunnels(node):
    listed = {entry["spec"]["name"]: entry for entry in node.instance.query("tunnel", "list")["tunnels"]}
    assert listed.keys() == node.peers.keys()
    metrics = node.instance.cli("counters", "-o", "prometheus").stdout
    for name, peer in node.peers.items():
        assert listed[name]["spec"]["remote"] == peer.remote and listed[name]["interface"] == "uplink0"
        encapsulation = "vxlan" if peer.device else "direct"
        assert (f'millrace_tunnel_up{{tunnel="{name}",remote="{peer.remote}",encapsulation="{encapsulation}",state="up"}} 1\n'
                in metrics)
        assert re.search(rf'^millrace_tunnel_packets_total{{tunnel="{name}",direction="tx"}} \d+$', metrics, re.M)
