"""Nodes of one cluster, of which one has no network but by a device that DPDK drives: etcd, the other node's tunnel and the
node's own traffic all go through it."""

import pytest

from harness import traffic
from harness.cluster import SUBNETS, Cluster, ClusterNode, ROUTER
from harness.netns import Netns, veth
from harness.pod import address_of
from harness.process import wait_until
from harness.witness import Witness, ask

FAMILIES = pytest.mark.parametrize("family", [4, 6], ids=["IPv4", "IPv6"])


class DeviceNode(ClusterNode):
    def __init__(self, cluster, number, lan, config):
        super().__init__(cluster, number, lan, {**config, "uplink": "up0", "uplinkDevice": "net_pcap0,iface=wire0"})

    def make_networks(self):
        self.netns = self.instance.netns = Netns.create(self.netns.name)
        fabric, far = self.cluster.fabric, f"wire{self.lan}-{self.number}"
        veth(self.netns, "wire0", fabric, far)
        fabric.ip("link", "set", far, "master", f"lan{self.lan}")
        # A wire carries complete packets; a veth would leave checksums and segments to its other end.
        fabric.run("ethtool", "-K", far, "tx", "off", "tso", "off", "gso", "off")
        self.netns.ip("link", "set", "wire0", "arp", "off")
        self.netns.sysctl("net.ipv6.conf.wire0.disable_ipv6=1")
        # The node's end may be made before, with what belongs on it.
        self.netns.ip("link", "add", "up0", "type", "veth", "peer", "name", "up0s")
        self.netns.ip("link", "set", "up0", "up")
        ipv4, ipv6 = SUBNETS[self.lan]
        self.netns.ip("addr", "add", f"{self.ipv4}/24", "dev", "up0")
        self.netns.ip("-6", "addr", "add", f"{self.ipv6}/64", "dev", "up0", "nodad")
        self.netns.ip("link", "set", "up0s", "up")
        self.netns.ip("route", "add", "default", "via", f"{ipv4}.{ROUTER}")
        self.netns.ip("-6", "route", "add", "default", "via", f"{ipv6}::{ROUTER}")


@pytest.fixture(scope="module", params=["vxlan", "none"])
def cluster(programs, request):
    made = Cluster(programs, f"d{request.param[:4]}", node_count=2, far_nodes=0, encapsulation=request.param)
    made.nodes[0].destroy()  # which was not made yet
    made.nodes[0] = DeviceNode(made, 1, 0, {"encapsulation": request.param})
    request.module.nodes_made = made.nodes
    with made:
        yield made


@pytest.fixture(scope="module")
def pods(cluster):
    return [node.add_pod(f"pod-{node.number}") for node in cluster.nodes]


@FAMILIES
def test_pods_reach_each_other_with_their_own_addresses(pods, family):
    for source, target in (pods, reversed(pods)):
        assert traffic.ping(source, address_of(target, family)).ok
    with Witness(pods[1], [address_of(pods[1], family)], 8080, "far"):
        for protocol in ("tcp", "udp"):
            assert ask(pods[0], address_of(pods[1], family), 8080, protocol).peer == address_of(pods[0], family)


@FAMILIES
def test_bulk_tcp_both_ways(pods, family):
    traffic.transfer(pods[0], pods[1], address_of(pods[1], family), 8 << 20)
    traffic.transfer(pods[1], pods[0], address_of(pods[0], family), 8 << 20)


@FAMILIES
def test_the_far_node_and_its_pods(cluster, pods, family):
    near, far = cluster.nodes
    assert traffic.ping(near.netns, address_of(pods[1], family)).ok
    assert traffic.ping(far.netns, address_of(pods[0], family)).ok
    assert traffic.ping(near.netns, far.ipv4 if family == 4 else far.ipv6).ok


def test_both_daemons_killed_find_etcd_again(cluster, pods):
    node = cluster.nodes[0]
    for program in ("millrace-agent", "millraced"):
        node.instance.kill(program)
    node.instance.up()
    wait_until(lambda: traffic.ping(pods[0], pods[1].ipv4, count=1).ok, "pods reach each other", 20)
    cluster.wait_for_nodes(cluster.nodes)
