"""Blocks of pods' addresses announced to a router by BIRD over BGP, with `encapsulation: none`.

    node: millraced, millrace-agent, BIRD (AS 65001) ── BGP over IPv4 and IPv6 ── router: BIRD (AS 65000), etcd

Both BIRDs are Debian's. The router knows nothing of pods but what BGP tells it; its BIRD writes that into its kernel.
"""

import json
import os

import pytest

from harness import traffic
from harness.etcd import Etcd
from harness.node import NODE_IPV4, NODE_IPV6, WORLD_IPV4, WORLD_IPV6, Node
from harness.process import Background, run, wait_until

PODS_OF_A_BLOCK = 5  # /29 less network, host, broadcast

PEER = """
router id {router_id};
protocol device {{}}
{more}
template bgp peer {{ local as {local}; connect retry time 1; connect delay time 1; error wait time 1, 1; hold time 9; }}
protocol bgp v4 from peer {{ source address {local4}; neighbor {remote4} as {remote}; ipv4 {{ {channel4} }}; }}
protocol bgp v6 from peer {{ source address {local6}; neighbor {remote6} as {remote}; ipv6 {{ {channel6} }}; }}
"""


class Bird:
    """BIRD in a namespace, with its files in a directory of the test."""

    def __init__(self, netns, directory, name, config):
        self.netns = netns
        self.config_file, self.socket = directory / f"{name}.conf", directory / f"{name}.ctl"
        self.config_file.write_text(config)
        self.process = None

    def start(self):
        self.process = Background(self.netns.command("bird", "-f", "-c", self.config_file, "-s", self.socket))
        wait_until(self.answers, "BIRD answers")
        return self

    def answers(self):
        return self.control("show", "status", check=False).returncode == 0

    def control(self, *words, check=True):
        return run(["birdc", "-s", self.socket, *words], check=check)

    def stop(self):
        if self.process is not None:
            self.process.stop()
            self.process = None


class RoutedNode(Node):
    """Its world is a router, which has etcd, too."""

    def __init__(self, programs):
        super().__init__(programs, "bird")
        self.exported = self.directory / "millrace.conf"
        self.instance.write_config(
            uplink="uplink0", store="etcd", encapsulation="none", etcd={"endpoints": [f"http://{WORLD_IPV4}:2379"]},
            ipam={"ipv4": {"pool": "10.244.0.0/24", "blockLength": 29},
                  "ipv6": {"pool": "fd00:10:244::/120", "blockLength": 125}},
            bird={"configFile": str(self.exported), "controlSocket": str(self.directory / "node.ctl")})
        self.etcd = self.bird = self.router = None

    def make_networks(self):
        super().make_networks()
        for pool in ("10.244.0.0/16", "fd00:10:244::/112"):
            self.world.ip("route", "del", pool)
        self.world.sysctl("net.ipv4.ip_forward=1", "net.ipv6.conf.all.forwarding=1")
        self.etcd = Etcd(self.world, WORLD_IPV4, self.directory).start()
        self.router = Bird(self.world, self.directory, "router", PEER.format(
            router_id=WORLD_IPV4, local=65000, remote=65001, local4=WORLD_IPV4, remote4=NODE_IPV4, local6=WORLD_IPV6,
            remote6=NODE_IPV6, channel4="import all; export none;", channel6="import all; export none;",
            more="protocol kernel { ipv4 { export all; }; }\nprotocol kernel { ipv6 { export all; }; }")).start()

    def up(self):
        super().up()
        wait_until(self.exported.exists, "the agent has written BIRD's file")
        self.bird = Bird(self.netns, self.directory, "node", PEER.format(
            router_id=NODE_IPV4, local=65001, remote=65000, local4=NODE_IPV4, remote4=WORLD_IPV4, local6=NODE_IPV6,
            remote6=WORLD_IPV6, channel4="table millrace4; import none; export all;",
            channel6="table millrace6; import none; export all;", more=f'include "{self.exported}";')).start()
        return self

    def destroy(self):
        for bird in (self.bird, self.router):
            if bird is not None:
                bird.stop()
        try:
            super().destroy()  # pods are forgotten in etcd, too
        finally:
            if self.etcd is not None:
                self.etcd.stop()

    def blocks(self):
        return {block["prefix"] for block in self.instance.query("ipam", "show")["blocks"] if block["state"] == "held"}

    def announced(self):
        """What the router's kernel has by way of the node."""
        routes = [route for family in ("-4", "-6")
                  for route in json.loads(self.world.ip("-j", family, "route", "show", "proto", "bird").stdout or "[]")]
        assert {route["gateway"] for route in routes} <= {NODE_IPV4, NODE_IPV6}
        return {route["dst"] for route in routes}

    def wait_for_announced(self, what, timeout_s=20):
        wait_until(lambda: self.announced() == self.blocks(), what, timeout_s=timeout_s, interval_s=0.1)


@pytest.fixture(scope="module")
def node(programs, request):
    made = RoutedNode(programs)
    request.module.nodes_made = [made]
    with made:
        yield made


@pytest.fixture(scope="module")
def pod(node):
    return node.add_pod("first")


def test_blocks_arrive_at_the_router_and_pods_are_reached_by_them(node, pod):
    assert len(node.blocks()) == 2
    node.wait_for_announced("the router has the node's blocks")
    for address in (pod.ipv4, pod.ipv6):
        assert traffic.ping(node.world, address, count=3).ok


def test_a_block_that_is_claimed_arrives_and_one_that_is_given_back_goes(node, pod):
    before = node.blocks()
    for number in range(PODS_OF_A_BLOCK):
        last = node.add_pod(f"more-{number}")
    assert before < node.blocks()
    node.wait_for_announced("the router has the new blocks")
    assert traffic.ping(node.world, last.ipv4, count=3).ok and traffic.ping(node.world, last.ipv6, count=3).ok
    for number in range(PODS_OF_A_BLOCK):
        node.delete_pod(f"more-{number}")
    for family in (4, 6):  # as a node that finds no free block asks
        node.etcd.control("put", f"/millrace/v1/wanted/{family}", "another-node")
    wait_until(lambda: node.blocks() == before, "the blocks without pods are given back")
    node.wait_for_announced("the router has lost them")
    assert traffic.ping(node.world, pod.ipv4, count=3).ok


def test_the_kernel_of_the_node_is_left_alone(node, pod):
    assert node.netns.ip("route", "show", "proto", "bird").stdout == ""
    assert "blackhole" not in node.netns.ip("route", "show", "table", "all").stdout


def test_an_agent_that_starts_anew_does_not_touch_the_file(node, pod):
    before = os.stat(node.exported)
    node.instance.kill("millrace-agent")
    node.instance.up()
    assert node.announced() == node.blocks()
    after = os.stat(node.exported)
    assert (before.st_ino, before.st_mtime_ns) == (after.st_ino, after.st_mtime_ns)


def test_a_bird_that_was_away_knows_what_came_meanwhile(node, pod):
    before = node.blocks()
    node.bird.stop()
    wait_until(lambda: not node.announced(), "the router has withdrawn what the node said", timeout_s=20)
    for number in range(PODS_OF_A_BLOCK):
        node.add_pod(f"away-{number}")
    node.bird.start()
    node.wait_for_announced("the router has all blocks")
    assert before < node.announced()


def test_a_mistake_in_bird_conf_is_told_and_the_next_try_after_it_is_mended_works(node, pod):
    whole = node.bird.config_file.read_text()
    node.bird.config_file.write_text(whole + "protocol nonsense {}\n")
    for name in [name for name in node.pods if name.startswith("away")]:
        node.delete_pod(name)
    had = node.announced()
    for family in (4, 6):
        node.etcd.control("put", f"/millrace/v1/wanted/{family}", "another-node")
    wait_until(lambda: "BIRD: 8002" in node.instance.log("millrace-agent"), "the agent says what BIRD said")
    assert node.announced() == had, "what was there stays in force"
    node.bird.config_file.write_text(whole)
    node.wait_for_announced("the router has lost the blocks")


def test_what_is_taken_down_is_withdrawn(node, pod):
    node.instance.down()
    wait_until(lambda: not node.announced(), "the router has no block of the node")
    node.instance.up()
    node.wait_for_announced("the router has the node's blocks again")
    assert traffic.ping(node.world, pod.ipv4, count=3).ok
