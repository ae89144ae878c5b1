"""An uplink that no kernel drives: one of DPDK's (net_pcap on a veth here, which no kernel stack listens on), and a vhost-user
socket with the world's kernel behind it. The node's own network goes through the switch, by `up0`; pods leave as the node and come
back beside it."""

import json
import os
import pathlib
import signal
import socket
import sys

import pytest

from harness import node as nodes
from harness import traffic
from harness.netns import Netns, veth
from harness.node import Node
from harness.process import Background, wait_until
from harness.services import add_backend, service
from harness.witness import Witness, ask, connected

NODE = {4: nodes.NODE_IPV4, 6: nodes.NODE_IPV6}
WORLD = {4: nodes.WORLD_IPV4, 6: nodes.WORLD_IPV6}
FAMILIES = pytest.mark.parametrize("family", [4, 6], ids=["IPv4", "IPv6"])
PROTOCOLS = pytest.mark.parametrize("protocol", ["tcp", "udp"])
WIRE = "wire0"
SOCKET_MAC = "02:00:00:00:00:98"
TESTS = pathlib.Path(__file__).resolve().parents[1]
NODE_PORT = 30080


class DeviceNode(Node):
    """A node whose only way to the world is a device that no kernel drives."""

    def __init__(self, programs):
        super().__init__(programs, "dpdk", {"uplink": "up0", "uplinkDevice": f"net_pcap0,iface={WIRE}"})
        self.wire = None  # what stands at the other end

    def make_networks(self):
        self.netns = self.instance.netns = Netns.create(self.netns.name)
        self.world = Netns.create(self.world.name)
        veth(self.netns, WIRE, self.world, "eth0")
        # To the kernel it is no interface of the node's: it answers for nothing there.
        self.netns.ip("link", "set", WIRE, "arp", "off")
        self.netns.sysctl(f"net.ipv6.conf.{WIRE}.disable_ipv6=1")
        # A wire carries complete packets; a veth would leave checksums and segments to its other end.
        self.world.run("ethtool", "-K", "eth0", "tx", "off", "tso", "off", "gso", "off", "gro", "off")
        self.world.ip("addr", "add", f"{WORLD[4]}/24", "dev", "eth0")
        self.world.ip("-6", "addr", "add", f"{WORLD[6]}/64", "dev", "eth0", "nodad")

    def up(self):
        self.make_networks()
        self.instance.up()
        # As a network manager does, when it finds the interface.
        self.netns.ip("addr", "add", f"{NODE[4]}/24", "dev", "up0")
        self.netns.ip("-6", "addr", "add", f"{NODE[6]}/64", "dev", "up0", "nodad")
        self.netns.ip("route", "add", "default", "via", WORLD[4])
        self.netns.ip("-6", "route", "add", "default", "via", WORLD[6])
        return self


class SocketNode(DeviceNode):
    """The device is a socket, where somebody else's switch would be: the world's kernel, as a guest."""

    def __init__(self, programs):
        super().__init__(programs)
        self.path = f"{self.directory}/uplink.sock"
        self.instance.write_config(uplinkDevice=f"vhost-user,path={self.path},mac={SOCKET_MAC}")

    def make_networks(self):
        self.netns = self.instance.netns = Netns.create(self.netns.name)
        self.world = Netns.create(self.world.name)
        self.wire = Background(
            self.world.command(sys.executable, "-m", "harness.tap_guest", self.path, "eth0", "02:00:00:00:00:99", 1500),
            env={**os.environ, "PYTHONPATH": str(TESTS), "PYTHONDONTWRITEBYTECODE": "1"})
        wait_until(lambda: self.world.run("ip", "link", "show", "eth0", check=False).returncode == 0, "the world has eth0", 10)
        self.world.ip("addr", "add", f"{WORLD[4]}/24", "dev", "eth0")
        self.world.ip("-6", "addr", "add", f"{WORLD[6]}/64", "dev", "eth0", "nodad")

    def up(self):
        super().up()
        self.wire.wait_for_output("attached: features", 20)
        return self

    def destroy(self):
        if self.wire:
            self.wire.stop()
        super().destroy()


@pytest.fixture(scope="module", params=[DeviceNode, SocketNode], ids=["DPDK device", "socket"])
def node(programs, request):
    made = request.param(programs)
    request.module.nodes_made = [made]
    with made:
        yield made


def ports_of(node):
    return {port["spec"]["name"]: port for port in node.instance.query("port", "list")["ports"]}


def mac_of(netns, interface):
    return json.loads(netns.ip("-j", "link", "show", interface).stdout)[0]["address"]


def node_reaches_the_world(node, timeout_s=10):
    for family in (4, 6):
        wait_until(lambda: traffic.ping(node.netns, WORLD[family], count=1).ok, f"IPv{family} by up0", timeout_s)


def test_the_port_is_a_device_and_its_mac_the_nodes(node):
    uplink = ports_of(node)["uplink"]
    assert uplink["spec"]["device"] == node.instance.config["uplinkDevice"]
    assert uplink["spec"]["interface"] == "up0"
    assert mac_of(node.netns, "up0") == uplink["device_mac"]
    if node.wire:
        assert uplink["device_mac"] == SOCKET_MAC
    else:
        assert uplink["device_mac"] != mac_of(node.netns, WIRE)
    shown = node.instance.cli("port", "list").stdout
    assert uplink["spec"]["device"].split(",")[0] in shown and "node link" in shown


@FAMILIES
def test_the_node_and_the_world_reach_each_other(node, family):
    assert traffic.ping(node.netns, WORLD[family]).ok
    assert traffic.ping(node.world, NODE[family]).ok
    assert traffic.ping(node.netns, WORLD[family], size=1400).ok


@FAMILIES
def test_tcp_of_the_node_both_ways(node, family):
    """64 KiB segments of the node's kernel are cut before they reach the switch."""
    traffic.transfer(node.netns, node.world, WORLD[family], 8 << 20)
    traffic.transfer(node.world, node.netns, NODE[family], 8 << 20)


@FAMILIES
def test_a_ping_in_fragments_of_the_node(node, family):
    assert traffic.ping(node.netns, WORLD[family], size=5000).ok


@FAMILIES
@PROTOCOLS
def test_pods_leave_as_the_node(node, pods, witness, family, protocol):
    seen = ask(pods[0], WORLD[family], witness, protocol)
    assert seen.peer == NODE[family] and 40960 <= seen.peer_port <= 65535


@FAMILIES
def test_pods_reach_the_world(node, pods, family):
    assert traffic.ping(pods[0], WORLD[family]).ok
    traffic.transfer(pods[0], node.world, WORLD[family], 8 << 20)


@FAMILIES
@PROTOCOLS
def test_the_world_reaches_a_node_port(node, family, protocol):
    add_backend(node, "web")
    web = node.pods["web"]
    address = web.ipv4 if family == 4 else web.ipv6
    try:
        with service(node, "web", kind="NodePort", node_port=NODE_PORT), Witness(web, [address], 8080, "web"):
            answer = wait_until(lambda: ask_or_none(node.world, NODE[family], NODE_PORT, protocol), "an answer", 10)
        assert answer.name == "web"
    finally:
        node.delete_pod("web")


def ask_or_none(place, address, port, protocol):
    try:
        return ask(place, address, port, protocol, timeout_s=0.5)
    except OSError:
        return None


def connection_to_the_world(node):
    """Both ends of an established TCP connection from the node."""
    with node.world.socket(socket.AF_INET, socket.SOCK_STREAM) as listener:
        listener.bind((WORLD[4], 7200))
        listener.listen(1)
        of_node = connected(node.netns, WORLD[4], 7200, "tcp")
        of_world, peer = listener.accept()
    assert peer[0] == NODE[4]
    of_world.settimeout(20)
    return of_node, of_world


def test_a_connection_of_the_node_survives_a_kill_of_the_switch(node, pods, witness):
    of_node, of_world = connection_to_the_world(node)
    with of_node, of_world:
        node.instance.kill("millraced")
        of_node.sendall(b"said while nobody drives the device")
        assert not traffic.ping(node.netns, WORLD[4], count=1, timeout_s=5).ok, "the device is the switch's alone"
        node.instance.up()
        node_reaches_the_world(node)
        assert of_world.recv(100) == b"said while nobody drives the device"
    assert mac_of(node.netns, "up0") == ports_of(node)["uplink"]["device_mac"]
    assert ask(pods[0], WORLD[4], witness, "tcp").peer == NODE[4]


def test_the_agent_can_be_gone(node, witness):
    node.instance.kill("millrace-agent")
    assert traffic.ping(node.netns, WORLD[4]).ok and traffic.ping(node.world, NODE[6]).ok
    node.instance.up()
    node_reaches_the_world(node)


def test_a_restart_takes_the_device_over(node, pods, witness):
    node.instance.stop_daemons()
    node.instance.up()
    node_reaches_the_world(node)
    assert ask(pods[0], WORLD[4], witness, "tcp").peer == NODE[4]


def test_a_node_end_made_anew_is_linked_again(node, pods, witness):
    """With it the node's addresses are gone: the device is opened again once the agent has made another."""
    node.netns.ip("link", "del", "up0")
    pid = node.instance.pids()["millrace-agent"]
    os.kill(pid, signal.SIGTERM)
    wait_until(lambda: node.instance.pids().get("millrace-agent") != pid, "the agent ends", 10)
    node.instance.up()
    node.netns.ip("addr", "add", f"{NODE[4]}/24", "dev", "up0")
    node.netns.ip("-6", "addr", "add", f"{NODE[6]}/64", "dev", "up0", "nodad")
    node_reaches_the_world(node)
    wait_until(lambda: ask_or_none(pods[0], WORLD[4], witness, "tcp"), "pods reach the world", 10)
