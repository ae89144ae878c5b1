"""Pod to pod on two nodes: Millrace's VXLAN, then Linux's own in the same namespaces, then Millrace again, and so on.

Both sides have the same uplinks and the same wire between them (veths on a bridge), the same MTU in the pods, and all of the machine's
processors; Millrace's workers have the two that are named, and rest when there is nothing to do. Linux routes between a veth of the
pod and a vxlan device whose far ends are written down, as flannel does it. On Linux's side nothing is tracked, filtered or
balanced; on Millrace's everything is.

Linux carries a TCP stream in pieces of up to 64 KiB from pod to pod, which no wire does: a veth hands them on as they are. AF_XDP
takes packets of the MTU alone. The row without GSO has such packets on both sides.
"""

import json

import generator
from pods import pieces_of_the_mtu
from rounds import Rounds

from harness import traffic
from harness.cluster import Cluster
from harness.netns import Netns, veth
from harness.process import wait_until

VNI, PORT = 77, 4789
MTU = 1450


def link_mac(netns, device):
    return json.loads(netns.ip("-j", "link", "show", "dev", device).stdout)[0]["address"]


class LinuxPod:
    """A pod as a node without Millrace has it: a veth whose other end the node routes to."""

    def __init__(self, node):
        self.node, self.name = node, f"{node.netns.name}-linux"
        self.ipv4 = f"10.245.{node.number}.2"
        self.netns = Netns.create(self.name)
        veth(node.netns, "linux0", self.netns, "eth0")
        node.netns.ip("addr", "add", f"10.245.{node.number}.1/24", "dev", "linux0")
        self.netns.ip("addr", "add", f"{self.ipv4}/24", "dev", "eth0")
        self.netns.ip("link", "set", "eth0", "mtu", MTU)
        node.netns.run("ethtool", "-K", "linux0", "gro", "on")  # or it takes no frames of XDP's
        self.netns.ip("route", "add", "default", "via", f"10.245.{node.number}.1")
        self.mac, self.gateway_mac = link_mac(self.netns, "eth0"), link_mac(node.netns, "linux0")

    def command(self, *argv):
        return self.netns.command(*argv)

    def run(self, *argv, **options):
        return self.netns.run(*argv, **options)

    def delete(self):
        self.node.netns.ip("link", "del", "linux0")
        self.netns.delete()


def mac_of(node):
    return f"0e:00:00:00:00:{node.number:02x}"


def connect_linux(node, others):
    """The node's vxlan device, and what it is told of the others."""
    node.netns.sysctl("net.ipv4.ip_forward=1")
    ip = node.netns.ip
    ip("link", "add", "vx0", "address", mac_of(node), "type", "vxlan", "id", VNI, "local", node.ipv4, "dev", "uplink0",
       "dstport", PORT, "nolearning")
    ip("link", "set", "vx0", "up", "mtu", MTU)
    for other in others:
        gateway = f"10.245.{other.number}.0"
        node.netns.run("bridge", "fdb", "append", mac_of(other), "dev", "vx0", "dst", other.ipv4)
        ip("neigh", "add", gateway, "lladdr", mac_of(other), "dev", "vx0", "nud", "permanent")
        ip("route", "add", f"10.245.{other.number}.0/24", "via", gateway, "dev", "vx0", "onlink")


class Bench(Rounds):
    def run(self):
        cluster = Cluster(self.programs, "bench", 2, far_nodes=0, encapsulation="vxlan", memory={"hugepages": "2M"})
        for node, cpu in zip(cluster.nodes, (self.setup.switch_cpu, self.setup.generator_cpu)):
            node.instance.write_config(workers={"cpus": [int(cpu)]})
        with cluster:
            a, b = cluster.nodes
            pods = [node.add_pod("pod") for node in (a, b)]
            linux = [LinuxPod(node) for node in (a, b)]
            try:
                for node, other in ((a, b), (b, a)):
                    connect_linux(node, [other])
                for index in range(self.setup.rounds):
                    print(f"round {index + 1} of {self.setup.rounds}", flush=True)
                    if index > 0:
                        for node in cluster.nodes:
                            node.instance.up()
                    self.measure("millrace", *pods, generator.GATEWAY_MAC)
                    for node in cluster.nodes:
                        node.instance.stop_daemons()
                    self.measure("Linux", *linux, linux[0].gateway_mac)
            finally:
                for pod in linux:
                    pod.delete()

    def measure(self, side, source, target, gateway_mac):
        wait_until(lambda: traffic.ping(source, target.ipv4, count=1).ok, f"{side}: pods reach each other", 20)
        seconds = max(1, round(self.setup.seconds))
        self.note(side, "Gbit/s, TCP", traffic.tcp(source, target, target.ipv4, seconds).gbit_s)
        with pieces_of_the_mtu(source, target):  # what the way itself carries
            self.note(side, "Gbit/s, TCP, GSO off", traffic.tcp(source, target, target.ipv4, seconds).gbit_s)
        self.note(side, "ms, round trip", traffic.ping(source, target.ipv4, count=200, interval_s=0.005).median_ms)
        for size in (64, MTU):
            rate = generator.measure(self.programs, source, target, gateway_mac, size, self.setup)
            self.note(side, f"Mpps, {size} B", rate.packets_s / 1e6)
            self.note(side, f"Mpps offered, {size} B", rate.offered_s / 1e6)


def measure(programs, setup):
    bench = Bench(programs, setup)
    bench.run()
    return bench.compared("Linux")
