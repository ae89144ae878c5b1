"""Pod to pod over AF_XDP: Millrace, then testpmd's io mode on the same two veths, then Millrace again, and so on.

What is alike on both sides: the two veth pairs and their pods, one forwarding core, hugepages, everything else on the
other core, pure polling (testpmd knows nothing else; for Millrace `poll: always`). What is not: testpmd moves frames
and reads nothing of them; Millrace parses, guards, routes and rewrites. TCP is measured with checksums made by the
pods' kernels on both sides, for testpmd cannot complete them, and for Millrace once more with its default.
"""

import contextlib
import dataclasses

import generator
import testpmd
from hugepages import hugepages
from rounds import Rounds

from harness import traffic
from harness.node import Node
from harness.process import wait_until

GATEWAY = "169.254.1.1"


@dataclasses.dataclass
class Setup:
    switch_cpu: int
    generator_cpu: int
    rounds: int
    seconds: float


class Pinned:
    """A place whose commands run on one CPU."""

    def __init__(self, place, cpu):
        self.place, self.cpu = place, cpu

    def command(self, *argv):
        return self.place.command("taskset", "-c", self.cpu, *argv)


class Bench(Rounds):
    def run(self):
        config = {"poll": "always", "workers": {"cpus": [self.setup.switch_cpu]}, "memory": {"hugepages": "2M"}}
        with hugepages(1024), Node(self.programs, "bench", config) as node:
            self.node = node
            self.a, self.b = node.add_pod("a"), node.add_pod("b")
            for index in range(self.setup.rounds):
                print(f"round {index + 1} of {self.setup.rounds}", flush=True)
                if index > 0:
                    node.instance.up()
                self.millrace_round()
                node.instance.stop_daemons()  # the veths stay, for testpmd
                self.testpmd_round()

    def millrace_round(self):
        wait_until(lambda: traffic.ping(self.a, self.b.ipv4, count=1).ok, "pods reach each other", 10)
        self.packets("millrace", generator.GATEWAY_MAC)
        self.tcp("millrace", "TCP, defaults")
        with self.checksums_by_the_kernel():
            self.tcp("millrace", "TCP, no offload")

    def testpmd_round(self):
        with testpmd.start(self.node, (self.a.host_interface, self.b.host_interface), self.setup.switch_cpu,
                           self.setup.generator_cpu), self.neighbours(), self.checksums_by_the_kernel():
            wait_until(lambda: traffic.ping(self.a, self.b.ipv4, count=1).ok, "pods reach each other", 10)
            self.packets("testpmd", self.b.mac)
            self.tcp("testpmd", "TCP, no offload")

    def packets(self, side, destination_mac):
        for size in (64, 1500):
            rate = generator.measure(self.programs, self.a, self.b, destination_mac, size, self.setup)
            self.note(side, f"Mpps, {size} B", rate.packets_s / 1e6)
            self.note(side, f"Mpps offered, {size} B", rate.offered_s / 1e6)

    def tcp(self, side, case):
        cpu = self.setup.generator_cpu
        figures = traffic.tcp(Pinned(self.a, cpu), Pinned(self.b, cpu), self.b.ipv4, max(1, round(self.setup.seconds)))
        self.note(side, f"Gbit/s, {case}", figures.gbit_s)

    @contextlib.contextmanager
    def checksums_by_the_kernel(self):
        for pod in (self.a, self.b):
            pod.run("ethtool", "-K", "eth0", "tx", "off", "tso", "off", "gso", "off")
        try:
            yield
        finally:
            for pod in (self.a, self.b):
                pod.run("ethtool", "-K", "eth0", "tx", "on", "tso", "on", "gso", "on")

    @contextlib.contextmanager
    def neighbours(self):
        """testpmd answers no ARP: the pods' gateway is, for as long as it forwards, the other pod."""
        for pod, other in ((self.a, self.b), (self.b, self.a)):
            pod.netns.ip("neigh", "replace", GATEWAY, "lladdr", other.mac, "dev", "eth0", "nud", "permanent")
        try:
            yield
        finally:
            for pod in (self.a, self.b):
                pod.netns.ip("neigh", "del", GATEWAY, "dev", "eth0")


def measure(programs, setup):
    bench = Bench(programs, setup)
    bench.run()
    return bench.compared("testpmd")
