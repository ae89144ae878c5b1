"""UnderlayNode: a node whose ways to other nodes a test writes down, and Linux itself at the other end of each.

             ┌── near ──┐                        near and far are Linux: vxlan devices, routes, and addresses of "pods"
    node ── lan0        │
             ├── r1 ── lan1 ── far
             └── r2 ────┘

The agent runs with the embedded store and knows of no other node, so that the tunnels are the test's. lan0 and lan1 are bridges in a
namespace of their own.
"""

import dataclasses
import ipaddress
import json

from .frames import mac_bytes, packed
from .netns import Netns, veth
from .node import NODE_IPV4, NODE_IPV6, Node
from .process import wait_until
from .switch_api import SwitchApi, text_bytes

VNI, UDP_PORT = 4096, 4789
VTEP_MAC = "02:4d:52:00:aa:01"  # of the node under test
LAN0, LAN1 = ("203.0.113.", "2001:db8:113::"), ("198.51.100.", "2001:db8:51::")
POD_POOLS = ("10.244.0.0/16", "fd00:10:244::/112")
_GATEWAY = ("169.254.7.7", "fe80::7")  # of nobody: what stands for the other end of a vxlan device


@dataclasses.dataclass
class Peer:
    """A tunnel of the node and what Linux has at its end: `place` has the addresses `ipv4` and `ipv6` there."""
    name: str
    place: Netns
    remote: str
    device: str         # of vxlan; "" when nothing is encapsulated
    mac: str            # its
    ipv4: str
    ipv6: str
    encapsulation: str = "VXLAN"

    def address(self, family):
        return self.ipv4 if family == 4 else self.ipv6

    def text(self):
        """As a Tunnel of the API."""
        prefixes = "".join(f"prefixes {{ address: {text_bytes(packed(address))} length: {bits} }} "
                           for address, bits in ((self.ipv4, 32), (self.ipv6, 128)))
        mac = f"remote_vtep_mac: {text_bytes(mac_bytes(self.mac))} " if self.mac else ""
        return (f'upsert_tunnels {{ name: "{self.name}" remote: {text_bytes(packed(self.remote))} {mac}'
                f"encapsulation: ENCAPSULATION_{self.encapsulation} {prefixes}}}\n")


class UnderlayNode(Node):
    def __init__(self, programs, prefix, config=None):
        super().__init__(programs, prefix, {"uplink": "uplink0", **(config or {})})
        names = ("fabric", "near", "r1", "r2", "far")
        self.places = {name: Netns(f"mr-{prefix}-{name}-{self.tag}") for name in names}
        self.world = self.places["near"]
        self.switch = SwitchApi(self.instance)
        self.peers = {}

    def make_networks(self):
        self.netns = self.instance.netns = Netns.create(self.netns.name)
        for name, place in self.places.items():
            self.places[name] = Netns.create(place.name)
        self.world = self.places["near"]
        fabric = self.places["fabric"]
        for lan in ("lan0", "lan1"):
            fabric.ip("link", "add", lan, "type", "bridge", "mcast_snooping", "0")
            fabric.ip("link", "set", lan, "up")
        self.join(self.netns, "uplink0", "lan0", NODE_IPV4.rsplit(".", 1)[1])
        self.join(self.places["near"], "eth0", "lan0", 2)
        for number, name in ((3, "r1"), (4, "r2")):
            self.join(self.places[name], "eth0", "lan0", number)
            self.join(self.places[name], "eth1", "lan1", number)
            self.places[name].sysctl("net.ipv4.ip_forward=1", "net.ipv6.conf.all.forwarding=1")
        self.join(self.places["far"], "eth0", "lan1", 2)
        self.route_far(3)
        self.places["far"].ip("route", "add", "default", "via", f"{LAN1[0]}3")
        self.places["far"].ip("-6", "route", "add", "default", "via", f"{LAN1[1]}3")

    def join(self, place, device, lan, number):
        port = f"{device[:3]}{lan[-1]}-{number}"
        veth(place, device, self.places["fabric"], port)
        self.places["fabric"].ip("link", "set", port, "master", lan)
        ipv4, ipv6 = LAN0 if lan == "lan0" else LAN1
        place.ip("addr", "add", f"{ipv4}{number}/24", "dev", device)
        place.ip("-6", "addr", "add", f"{ipv6}{number}/64", "dev", device, "nodad")

    def route_far(self, router, *options):
        """The node's way to lan1 is by this router."""
        self.netns.ip("route", "replace", f"{LAN1[0]}0/24", "via", f"{LAN0[0]}{router}", *options)
        self.netns.ip("-6", "route", "replace", f"{LAN1[1]}/64", "via", f"{LAN0[1]}{router}", *options)

    def add_peers(self):
        """near and far by IPv4 and by IPv6, each with VXLAN; `native`: the router r2, without."""
        for number, (place, family) in enumerate((("near", 4), ("near", 6), ("far", 4), ("far", 6)), start=1):
            lan = (LAN0 if place == "near" else LAN1)[0 if family == 4 else 1]
            self._add_vxlan(f"{place}{family}", self.places[place], f"{lan}2", number)
        r2 = self.places["r2"]
        peer = Peer("native", r2, f"{LAN0[0]}4", "", "", "10.250.5.2", "fd00:250:5::2", "NONE")
        r2.ip("addr", "add", f"{peer.ipv4}/32", "dev", "lo")
        r2.ip("-6", "addr", "add", f"{peer.ipv6}/128", "dev", "lo", "nodad")
        for pool, via in zip(POD_POOLS, (NODE_IPV4, NODE_IPV6)):
            r2.ip("route", "add", pool, "via", via)
        self.peers[peer.name] = peer
        self.apply_tunnels()

    def _add_vxlan(self, name, place, remote, number):
        is_v6 = ":" in remote
        device, mac = f"vx{6 if is_v6 else 4}", f"02:4d:52:00:bb:{number:02x}"
        peer = Peer(name, place, remote, device, mac, f"10.250.{number}.2", f"fd00:250:{number}::2")
        place.ip("link", "add", device, "address", mac, "type", "vxlan", "id", VNI, "local", remote, "remote",
                 NODE_IPV6 if is_v6 else NODE_IPV4, "dstport", UDP_PORT, "nolearning", *(["udp6zerocsumrx"] if is_v6 else []))
        # It has little to multicast of its own accord: drops that a test counts are then the test's.
        place.ip("link", "set", device, "mtu", 1500 - (70 if is_v6 else 50), "multicast", "off", "addrgenmode", "none", "up")
        place.ip("addr", "add", f"{peer.ipv4}/32", "dev", device)
        place.ip("-6", "addr", "add", f"{peer.ipv6}/128", "dev", device, "nodad")
        table = str(100 + number)
        for family, source, gateway in (("-4", peer.ipv4, _GATEWAY[0]), ("-6", peer.ipv6, _GATEWAY[1])):
            place.ip("neigh", "add", gateway, "lladdr", VTEP_MAC, "dev", device)
            place.ip(family, "route", "add", "default", "via", gateway, "dev", device, "onlink", "table", table)
            place.ip(family, "rule", "add", "from", source, "lookup", table)
        self.peers[name] = peer

    def apply_tunnels(self, *peers, vni=VNI):
        """All of them, or those that are named; returns once each is up."""
        chosen = [self.peers[name] for name in peers] or list(self.peers.values())
        prefixes = "".join(f"local_prefixes {{ address: {text_bytes(network.network_address.packed)} "
                           f"length: {network.prefixlen} }} " for network in map(ipaddress.ip_network, POD_POOLS))
        self.switch.apply(f"underlay {{ ipv4: {text_bytes(packed(NODE_IPV4))} ipv6: {text_bytes(packed(NODE_IPV6))} "
                          f"vtep_mac: {text_bytes(mac_bytes(VTEP_MAC))} vni: {vni} udp_port: {UDP_PORT} {prefixes}}}\n"
                          + "".join(peer.text() for peer in chosen))
        for peer in chosen:
            self.wait_for_state(peer.name, "UP")

    def tunnel(self, name):
        return self.switch.tunnels()[name]

    def wait_for_state(self, name, state, timeout_s=5):
        return wait_until(lambda: self.tunnel(name)["state"] == f"TUNNEL_STATE_{state}", f"tunnel {name} is {state}", timeout_s)

    def mac_of(self, place, device):
        """Of an interface of `place`."""
        return json.loads(place.ip("-j", "link", "show", "dev", device).stdout)[0]["address"]

    def destroy(self):
        try:
            super().destroy()
        finally:
            for place in self.places.values():
                place.delete()
