"""The way to another node is the kernel's, and the switch follows it: MACs, routes, path MTUs, links. And the node's own network is
left alone, whatever happens to the switch."""

import os
import re
import signal
import socket
import threading
import time

import pytest

from harness import frames, traffic
from harness.capture import Capture
from harness.netns import veth
from harness.process import Background, wait_until
from harness.underlay import LAN0, LAN1, NODE_IPV4, NODE_IPV6, UnderlayNode

FAMILIES = pytest.mark.parametrize("family", [4, 6], ids=["IPv4", "IPv6"])


@pytest.fixture(scope="module")
def node(programs, request):
    with UnderlayNode(programs, "underlay", {"mtu": 1500}) as made:
        request.module.nodes_made = [made]
        made.add_pod("a")
        made.add_peers()
        yield made


@pytest.fixture(scope="module")
def pod(node):
    return node.pods["a"]


def reaches(node, name, family=4):
    peer = node.peers[name]
    return traffic.ping(node.pods["a"], peer.address(family), count=3).ok


def unresolved(node):
    return node.instance.drops().get("tunnel_unresolved", 0)


def test_a_new_mac_of_a_neighbour_is_followed(node):
    """As after a failover of a machine: its kernel asks for something with the new MAC, and that is how ours knows."""
    near, mac = node.places["near"], "02:00:00:00:cc:01"
    near.ip("link", "set", "eth0", "address", mac)
    near.ip("neigh", "flush", "dev", "eth0")
    for name, address in (("near4", NODE_IPV4), ("near6", NODE_IPV6)):
        assert traffic.ping(near, address, count=1).ok
        wait_until(lambda: _bytes(node.tunnel(name)["next_hop_mac"]) == frames.mac_bytes(mac), f"{name}: the MAC is followed")
        assert reaches(node, name, 4) and reaches(node, name, 6)


def _bytes(text):
    """Of a value in protobuf's text format."""
    return text.strip('"').encode().decode("unicode_escape").encode("latin-1")


@FAMILIES
def test_another_router_is_followed(node, family):
    name = f"far{family}"
    tunnel = node.tunnel(name)
    assert _bytes(tunnel["next_hop_mac"]).hex(":") == node.mac_of(node.places["r1"], "eth0")
    node.route_far(4)
    node.places["far"].ip("route", "replace", "default", "via", f"{LAN1[0]}4")
    node.places["far"].ip("-6", "route", "replace", "default", "via", f"{LAN1[1]}4")
    try:
        mac = node.mac_of(node.places["r2"], "eth0")
        wait_until(lambda: _bytes(node.tunnel(name)["next_hop_mac"] if "next_hop_mac" in node.tunnel(name) else "").hex(":")
                   == mac, "the way is by r2", 5)
        node.places["r1"].ip("link", "set", "eth0", "down")
        assert reaches(node, name)
    finally:
        node.places["r1"].ip("link", "set", "eth0", "up")
        node.places["r1"].ip("-6", "addr", "replace", f"{LAN0[1]}3/64", "dev", "eth0", "nodad")
        node.route_far(3)
        node.places["far"].ip("route", "replace", "default", "via", f"{LAN1[0]}3")
        node.places["far"].ip("-6", "route", "replace", "default", "via", f"{LAN1[1]}3")
    node.wait_for_state(name, "UP")
    wait_until(lambda: reaches(node, name), "by r1 again", 5)


@FAMILIES
def test_the_mtu_of_a_path_is_followed(node, pod, family):
    name, mtu = f"far{family}", 1400 - (50 if family == 4 else 70)
    node.route_far(3, "mtu", "1400")
    try:
        wait_until(lambda: node.tunnel(name)["mtu"] == mtu, f"the MTU is {mtu}")
        assert traffic.ping(pod, node.peers[name].ipv4, count=1, size=mtu - 28, options=["-M", "do"]).ok
        done = pod.run("ping", "-n", "-c", "1", "-W", "1", "-M", "do", "-s", mtu - 27, node.peers[name].ipv4, check=False)
        assert re.search(rf"mtu ?[=:] ?{mtu}\b", done.stdout + done.stderr), done.stdout + done.stderr
    finally:
        node.route_far(3)
    wait_until(lambda: node.tunnel(name)["mtu"] == mtu + 100, "the MTU is the uplink's again")


def test_a_smaller_mtu_of_the_uplink_is_followed(node):
    node.netns.ip("link", "set", "uplink0", "mtu", "1420")
    try:
        wait_until(lambda: node.tunnel("near4")["mtu"] == 1370, "the MTU follows the uplink's")
        assert reaches(node, "near4")
    finally:
        node.netns.ip("link", "set", "uplink0", "mtu", "1500")
    wait_until(lambda: node.tunnel("near4")["mtu"] == 1450, "and back")


@FAMILIES
def test_native_packets_are_as_the_pod_made_them(node, pod, family, tmp_path):
    peer = node.peers["native"]
    address = pod.ipv4 if family == 4 else pod.ipv6
    with Capture(peer.place, "eth0", f"dst host {peer.address(family)}", tmp_path / "native.pcap", 3) as capture:
        assert traffic.ping(pod, peer.address(family), count=3).ok
        packets = capture.packets("eth.src", "eth.dst", "ip.src", "ipv6.src", "ip.ttl", "ipv6.hlim", "udp.dstport")
    for packet in packets:
        assert packet["ip.src" if family == 4 else "ipv6.src"] == address and packet["udp.dstport"] == ""
        assert packet["eth.src"] == node.mac_of(node.netns, "uplink0")
        assert packet["eth.dst"] == node.mac_of(peer.place, "eth0")
        assert packet["ip.ttl" if family == 4 else "ipv6.hlim"] == "63", "one hop: the switch"
    source = ["-I", peer.address(family)]
    assert traffic.ping(peer.place, address, options=source).ok, "what comes for this node's pods is taken"
    assert node.tunnel("native")["mtu"] == 1500


@FAMILIES
def test_every_byte_of_a_native_connection_arrives(node, pod, family):
    peer = node.peers["native"]
    _, sent, received = traffic.transfer(pod, peer.place, peer.address(family), 100 << 20)
    assert sent == received


def test_across_a_router_is_encapsulated_and_on_the_link_is_not(node, pod):
    near, far = node.peers["native"], node.peers["far4"]
    near.encapsulation, near.mac, far.encapsulation = "CROSS_SUBNET", "02:00:00:00:dd:01", "CROSS_SUBNET"
    try:
        node.apply_tunnels()
        assert node.tunnel("native")["encapsulation"] == "ENCAPSULATION_NONE" and node.tunnel("native")["mtu"] == 1500
        assert node.tunnel("far4")["encapsulation"] == "ENCAPSULATION_VXLAN" and node.tunnel("far4")["mtu"] == 1450
        assert reaches(node, "native") and reaches(node, "far4")
        # A remote that comes to be behind a router is encapsulated to from then on.
        node.netns.ip("route", "add", near.remote, "via", f"{LAN0[0]}3")
        wait_until(lambda: node.tunnel("native")["encapsulation"] == "ENCAPSULATION_VXLAN", "encapsulated now")
        node.netns.ip("route", "del", near.remote)
        wait_until(lambda: node.tunnel("native")["encapsulation"] == "ENCAPSULATION_NONE", "as it was")
    finally:
        node.netns.ip("route", "del", near.remote, check=False)
        near.encapsulation, near.mac, far.encapsulation = "NONE", "", "VXLAN"
        node.apply_tunnels()


def without_route(node):
    node.netns.ip("route", "del", f"{LAN1[0]}0/24")
    return lambda: node.route_far(3)


def with_an_unreachable_route(node):
    node.netns.ip("route", "add", "unreachable", f"{LAN1[0]}2/32")
    return lambda: node.netns.ip("route", "del", "unreachable", f"{LAN1[0]}2/32")


def with_a_route_by_another_link(node):
    veth(node.netns, "other0", node.places["fabric"], "other0")
    node.netns.ip("route", "add", f"{LAN1[0]}2/32", "dev", "other0")
    return lambda: node.netns.ip("link", "del", "other0")


def with_a_router_that_is_not_there(node):
    node.netns.ip("route", "add", f"{LAN1[0]}2/32", "via", f"{LAN0[0]}99")
    return lambda: node.netns.ip("route", "del", f"{LAN1[0]}2/32")


def with_the_uplink_down(node):
    node.netns.ip("link", "set", "uplink0", "down")

    def back():
        node.netns.ip("link", "set", "uplink0", "up")
        node.netns.ip("-6", "addr", "replace", f"{NODE_IPV6}/64", "dev", "uplink0", "nodad")
        node.route_far(3)
    return back


@pytest.mark.parametrize("broken, state", [
    (without_route, "NO_ROUTE"), (with_an_unreachable_route, "NO_ROUTE"), (with_a_route_by_another_link, "NOT_UPLINK"),
    (with_a_router_that_is_not_there, "NO_NEIGHBOR"), (with_the_uplink_down, "NO_ROUTE")],
    ids=lambda value: getattr(value, "__name__", value))
def test_a_way_that_is_not_there_has_a_name_and_its_packets_too(node, pod, broken, state):
    """They are not sent to the world by the node's other routes; and all is well when it is back."""
    mend = broken(node)
    try:
        node.wait_for_state("far4", state)
        before = unresolved(node)
        sent = traffic.ping(pod, node.peers["far4"].ipv4, count=5)
        assert sent.received == 0
        assert unresolved(node) - before == 5
        assert "tunnel far4: " in node.instance.log("millraced")
    finally:
        mend()
    node.wait_for_state("far4", "UP")
    assert reaches(node, "far4")


class OwnNetwork:
    """What a person's ssh to the node is, as far as its network can tell: one connection with questions and answers at a steady
    pace, and pings. Knows the longest time without an answer."""

    def __init__(self, node, family):
        address = NODE_IPV4 if family == 4 else NODE_IPV6
        kind = socket.AF_INET if family == 4 else socket.AF_INET6
        self._listener = node.netns.socket(kind, socket.SOCK_STREAM)
        self._listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._listener.bind((address, 22))
        self._listener.listen(1)
        self._client = node.places["near"].socket(kind, socket.SOCK_STREAM)
        self._client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._client.settimeout(10)
        self._client.connect((address, 22))
        self._server, _ = self._listener.accept()
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._answer), threading.Thread(target=self._ask)]
        self.answers, self.longest_s, self.error = 0, 0.0, None

    def _answer(self):
        while data := self._server.recv(64):
            self._server.sendall(data)

    def _ask(self):
        try:
            while not self._stop.wait(0.005):
                asked = time.monotonic()
                self._client.sendall(b"?")
                assert self._client.recv(64) == b"?"
                self.longest_s = max(self.longest_s, time.monotonic() - asked)
                self.answers += 1
        except OSError as error:
            self.error = error
        finally:
            self._client.close()

    def __enter__(self):
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self._stop.set()
        for thread in self._threads:
            thread.join()
        self._server.close()
        self._listener.close()


def restart_after_kill(node):
    node.instance.kill("millraced")
    node.instance.up()


def restart(node):
    node.instance.stop_daemons()
    node.instance.up()


def new_tunnels(node):
    node.apply_tunnels()


@FAMILIES
@pytest.mark.parametrize("change", [new_tunnels, restart, restart_after_kill], ids=lambda value: value.__name__)
def test_the_nodes_own_network_goes_on(node, family, change, figure):
    """It runs, ends, is killed and is started again. A lost packet would show as TCP's retransmission, 200 ms at the least."""
    with OwnNetwork(node, family) as own:
        change(node)
        wait_until(lambda: node.instance.cli("status", check=False).returncode == 0, "status is good again", 15)
        node.apply_tunnels()
        wait_until(lambda: reaches(node, "near4"), "pods reach the other node", 5)
    assert own.error is None and own.answers > 20
    assert own.longest_s < 0.2, f"{own.longest_s:.3f} s without an answer"
    figure(f"the node's own connection, {change.__name__}, IPv{family}: longest answer {own.longest_s * 1e3:.1f} ms")


def test_pings_of_the_node_go_on_while_the_switch_is_killed_and_started(node):
    with Background(node.places["near"].command("ping", "-n", "-i", "0.01", NODE_IPV4)) as ping:
        ping.wait_for_output("icmp_seq=5 ")
        restart_after_kill(node)
        node.apply_tunnels()
        os.killpg(ping.process.pid, signal.SIGINT)
        text = ping.finish(check=False)
    sent, received = map(int, re.search(r"(\d+) packets transmitted, (\d+) received", text).groups())
    assert sent > 20 and sent - received <= 1, "the last may be on its way"


def test_an_uplink_that_is_gone_takes_the_tunnels_down_and_brings_them_back(node, pod):
    """Its interface is deleted, and made again: the node has its network again, and so have its pods."""
    node.netns.ip("link", "del", "uplink0")
    for name in ("near4", "far4", "native"):
        node.wait_for_state(name, "NO_ROUTE")
    before = unresolved(node)
    assert traffic.ping(pod, node.peers["near4"].ipv4, count=3).received == 0
    assert unresolved(node) - before == 3
    node.join(node.netns, "uplink0", "lan0", NODE_IPV4.rsplit(".", 1)[1])
    node.route_far(3)
    for name in ("near4", "far4", "native"):
        node.wait_for_state(name, "UP", timeout_s=20)
    assert all(reaches(node, name) for name in ("near4", "far4", "native"))
