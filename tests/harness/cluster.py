"""Cluster: machines that share a network and an etcd, each a namespace of this machine.

    node-1 ──┐
    node-2 ──┼── lan0 ── fabric, the router ──┬── lan1 ── node-3
    etcd   ──┘                                └── world

The last node is behind a router, as in another rack. The world knows the nodes, and nothing of pods; so does the router, unless a
test tells it.
"""

import pathlib
import secrets
import shutil
import tempfile

from .etcd import Etcd
from .netns import Netns, veth
from .node import Node
from .process import CommandError, wait_until

SUBNETS = (("192.0.2", "2001:db8:2"), ("198.51.100", "2001:db8:51"))  # of lan0 and lan1
ROUTER = 254                                                            # last part of the router's addresses
ETCD_IPV4 = f"{SUBNETS[0][0]}.100"
WORLD_IPV4, WORLD_IPV6 = "203.0.113.2", "2001:db8:113::2"
LEASE_SECONDS = 5


class ClusterNode(Node):
    """A node with its uplink in the cluster's network. Its `world` is the cluster's."""

    def __init__(self, cluster, number, lan, config):
        super().__init__(cluster.programs, f"{cluster.prefix}{number}", {
            "nodeName": f"node-{number}", "uplink": "uplink0", "store": "etcd",
            "etcd": {"endpoints": [cluster.etcd.endpoint], "leaseSeconds": LEASE_SECONDS}, **config})
        self.cluster, self.number, self.lan = cluster, number, lan
        self.name = f"node-{number}"
        self.ipv4, self.ipv6 = f"{SUBNETS[lan][0]}.{number}", f"{SUBNETS[lan][1]}::{number}"

    def make_networks(self):
        self.netns = self.instance.netns = Netns.create(self.netns.name)
        self.cluster.connect(self.netns, "uplink0", self.lan, self.number)


class Cluster:
    """`up` makes it, `destroy` removes every trace of it, whatever state it is in."""

    def __init__(self, programs, prefix, node_count=3, far_nodes=1, **config):
        self.programs, self.prefix, self.encapsulation = programs, prefix, config["encapsulation"]
        self.directory = pathlib.Path(tempfile.gettempdir()) / f"millrace-{prefix}-{secrets.token_hex(8)}"
        self.directory.mkdir(mode=0o700)
        tag = secrets.token_hex(2)
        self.fabric = Netns(f"mr-{prefix}-fabric-{tag}")
        self.world = Netns(f"mr-{prefix}-world-{tag}")
        self.etcd_netns = Netns(f"mr-{prefix}-etcd-{tag}")
        self.etcd = Etcd(self.etcd_netns, ETCD_IPV4, self.directory)
        self.nodes = [ClusterNode(self, number, int(number > node_count - far_nodes), config)
                      for number in range(1, node_count + 1)]

    def connect(self, netns, device, lan, number):
        """`device` of `netns`, with an address in the network and a route out of it."""
        ipv4, ipv6 = SUBNETS[lan]
        veth(netns, device, self.fabric, f"{device[:4]}{lan}-{number}")
        self.fabric.ip("link", "set", f"{device[:4]}{lan}-{number}", "master", f"lan{lan}")
        netns.ip("addr", "add", f"{ipv4}.{number}/24", "dev", device)
        netns.ip("-6", "addr", "add", f"{ipv6}::{number}/64", "dev", device, "nodad")
        netns.ip("route", "add", "default", "via", f"{ipv4}.{ROUTER}")
        netns.ip("-6", "route", "add", "default", "via", f"{ipv6}::{ROUTER}")

    def make_network(self):
        self.fabric = Netns.create(self.fabric.name)
        self.world = Netns.create(self.world.name)
        self.etcd_netns = self.etcd.netns = Netns.create(self.etcd_netns.name)
        self.fabric.sysctl("net.ipv4.ip_forward=1", "net.ipv6.conf.all.forwarding=1")
        for lan, (ipv4, ipv6) in enumerate(SUBNETS):
            self.fabric.ip("link", "add", f"lan{lan}", "type", "bridge", "mcast_snooping", "0")
            self.fabric.ip("link", "set", f"lan{lan}", "up")
            self.fabric.ip("addr", "add", f"{ipv4}.{ROUTER}/24", "dev", f"lan{lan}")
            self.fabric.ip("-6", "addr", "add", f"{ipv6}::{ROUTER}/64", "dev", f"lan{lan}", "nodad")
        veth(self.fabric, "world0", self.world, "eth0")
        for netns, device, last in ((self.fabric, "world0", 1), (self.world, "eth0", 2)):
            netns.ip("addr", "add", f"203.0.113.{last}/24", "dev", device)
            netns.ip("-6", "addr", "add", f"2001:db8:113::{last}/64", "dev", device, "nodad")
        self.world.ip("route", "add", "default", "via", "203.0.113.1")
        self.world.ip("-6", "route", "add", "default", "via", "2001:db8:113::1")
        self.connect(self.etcd_netns, "eth0", 0, int(ETCD_IPV4.rsplit(".", 1)[1]))

    def up(self):
        self.make_network()
        self.etcd.start()
        for node in self.nodes:
            node.up()
        self.wait_for_nodes(self.nodes)
        if self.encapsulation == "none":
            self.tell_router()
        return self

    def wait_for_nodes(self, nodes):
        """Returns once each of `nodes` has a way to every other of them."""
        names = {node.name for node in nodes}
        for node in nodes:
            wait_until(lambda: names <= self.reachable(node), f"{node.name} reaches {sorted(names)}", timeout_s=20,
                       interval_s=0.1)

    def tell_router(self):
        """The router gets a route to each block by its node, as it would from BGP."""
        by_name = {node.name: node for node in self.nodes}
        for block in self.nodes[0].instance.query("ipam", "show")["blocks"]:
            node = by_name[block["node"]]
            self.fabric.ip("route", "replace", block["prefix"], "via", node.ipv6 if ":" in block["prefix"] else node.ipv4)

    @staticmethod
    def reachable(node):
        """Names of the nodes that `node` has a way to, and its own."""
        return {entry["name"] for entry in node.instance.query("node", "list")["nodes"] if entry["ready"]}

    def destroy(self):
        """Takes everything down; goes on past what fails and raises the first failure at the end."""
        problems = []

        def attempt(action, *arguments):
            try:
                action(*arguments)
            except (CommandError, OSError, TimeoutError) as error:
                problems.append(error)

        for node in self.nodes:
            attempt(node.destroy)
        attempt(self.etcd.stop)
        for netns in (self.etcd_netns, self.world, self.fabric):
            attempt(netns.delete)
        attempt(shutil.rmtree, self.directory, True)
        if problems:
            raise problems[0]

    def __enter__(self):
        try:
            return self.up()
        except BaseException:
            self.destroy()
            raise

    def __exit__(self, *_):
        self.destroy()
