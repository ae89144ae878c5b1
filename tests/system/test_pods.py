"""Pods come and go: what a person sees of it, how fast it is, and that nobody else notices."""

import concurrent.futures
import json
import statistics

from harness import traffic
from harness.cni import Cni
from harness.netns import Netns
from harness.node import timed
from harness.paced import PacedFlow
from harness.pod import Pod


def host_interfaces(node):
    return {link["ifname"] for link in json.loads(node.netns.run("ip", "-j", "link").stdout)}


def test_a_pod_has_what_was_asked_for(node):
    pod = node.add_pod("labelled", "--label", "app=web", "--label", "tier=front", "--port", "http:80/tcp")
    entry = next(entry for entry in node.instance.query("pod", "list")["pods"] if entry["pod_name"] == "labelled")
    assert entry["labels"] == {"app": "web", "tier": "front"}
    assert [(port["name"], port["port"], port["protocol"]) for port in entry["ports"]] == [("http", 80, "TCP")]
    assert traffic.ping(node.netns, pod.ipv4).ok
    node.delete_pod("labelled")


def test_pod_exec_runs_inside(node):
    pod = node.add_pod("inside")
    shown = node.instance.cli("pod", "exec", "inside", "--", "ip", "-4", "addr", "show", "eth0").stdout
    assert pod.ipv4 in shown
    assert node.instance.cli("pod", "exec", "inside", "--", "sh", "-c", "exit 7", check=False).returncode == 7
    node.delete_pod("inside")


def test_a_deleted_pod_leaves_nothing(node):
    before = host_interfaces(node)
    pod = node.add_pod("short")
    node.delete_pod("short")
    assert host_interfaces(node) == before
    assert not pod.netns.exists()
    assert "short" not in [entry["pod_name"] for entry in node.instance.query("pod", "list")["pods"]]
    assert pod.host_interface not in node.instance.port_totals()


def test_the_same_name_in_two_namespaces(node):
    node.instance.cli("pod", "add", "twin", "--namespace", "blue")
    node.instance.cli("pod", "add", "twin", "--namespace", "red")
    blue, red = (Pod.named(node.instance, "twin", namespace) for namespace in ("blue", "red"))
    assert traffic.ping(blue, red.ipv4).ok
    for namespace in ("blue", "red"):
        node.instance.cli("pod", "del", "twin", "--namespace", namespace)


def test_a_name_that_is_taken_is_refused(node):
    node.add_pod("once")
    again = node.instance.cli("pod", "add", "once", check=False)
    assert again.returncode != 0 and "once" in again.stderr + again.stdout
    node.delete_pod("once")


def test_ports_come_and_go_while_others_lose_nothing(node, pods):
    a, b = pods
    with PacedFlow(a, b, b.ipv4) as flow:
        for index in range(8):
            node.add_pod(f"passer-{index}")
        for index in range(8):
            node.delete_pod(f"passer-{index}")
    assert flow.lost == 0, f"{flow.lost} of {flow.sent} packets"
    assert flow.sent > 500


class Crowd:
    """Many pods made by CNI alone, as a runtime makes them."""

    def __init__(self, node, count, label):
        self.cni = Cni(node.instance)
        self.namespaces = [Netns.create(f"mr-test-{label}-{node.tag}-{index}") for index in range(count)]
        self.results = {}

    def add(self, netns):
        self.results[netns.name] = self.cni.add(netns.name, netns.path)

    def addresses(self):
        return [entry["address"].split("/")[0] for result in self.results.values() for entry in result["ips"]]

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for netns in self.namespaces:
            self.cni.delete(netns.name, netns.path)
            netns.delete()


def test_sixteen_adds_at_the_same_moment(node):
    with Crowd(node, 16, "burst") as crowd:
        with concurrent.futures.ThreadPoolExecutor(16) as pool:
            list(pool.map(crowd.add, crowd.namespaces))
        addresses = crowd.addresses()
        assert len(addresses) == 32 and len(set(addresses)) == 32
        for result in crowd.results.values():
            assert traffic.ping(node.netns, result["ips"][0]["address"].split("/")[0], count=1).ok


def test_two_hundred_and_fifty_pods(make_node, figure):
    """On one node, each reachable; the median ADD within 100 ms. The last sixteen come at the same moment."""
    node = make_node()
    first = node.add_pod("first")
    with Crowd(node, 249, "crowd") as crowd:
        single, together = crowd.namespaces[:-16], crowd.namespaces[-16:]
        times = [timed(lambda: crowd.add(netns)) for netns in single]
        median_ms = statistics.median(times) * 1000
        with concurrent.futures.ThreadPoolExecutor(16) as pool:
            burst = list(pool.map(lambda netns: timed(lambda: crowd.add(netns)), together))
        figure(f"16 ADDs at once beside {len(times) + 1} pods: median {statistics.median(burst) * 1000:.0f} ms, "
               f"slowest {max(burst) * 1000:.0f} ms")
        figure(f"ADD of {len(times)} pods: median {median_ms:.1f} ms, slowest {max(times) * 1000:.0f} ms")
        assert len(set(crowd.addresses())) == 2 * 249
        assert len(node.instance.query("pod", "list")["pods"]) == 250
        unreachable = [address for address in crowd.addresses() if not traffic.ping(first, address, count=1).ok]
        assert unreachable == []
        assert median_ms <= 100
    assert [entry["pod_name"] for entry in node.instance.query("pod", "list")["pods"]] == ["first"]
