"""Many machines, one pod network: three nodes and etcd, the third node behind a router.

Every row of the first half is asked with each encapsulation. The nodes' own network and what lies beyond it know nothing of pods
(with `none` the router is told, as BGP would tell it).
"""

import contextlib
import itertools
import json
import re

import pytest

from harness import cluster as clusters
from harness import traffic
from harness.cluster import Cluster
from harness.pod import address_of
from harness.process import Background, wait_until
from harness.reachability import Reachability
from harness.witness import Witness, ask

FAMILIES = pytest.mark.parametrize("family", [4, 6], ids=["IPv4", "IPv6"])
PROTOCOLS = pytest.mark.parametrize("protocol", ["tcp", "udp"])
_numbers = itertools.count()


@pytest.fixture(scope="module", params=["vxlan", "crossSubnet", "none"])
def cluster(programs, request):
    made = Cluster(programs, request.param[:5].lower(), encapsulation=request.param)
    request.module.nodes_made = made.nodes
    with made:
        yield made


@pytest.fixture(scope="module")
def pods(cluster):
    """A pod on each node, and on the first one two."""
    for node in cluster.nodes:
        node.add_pod(f"web-{node.number}", "--label", "app=web", "--label", f"on=n{node.number}", "--port", "http:8080/tcp",
                     "--port", "http-udp:8080/udp")
    cluster.nodes[0].add_pod("client", "--label", "app=client")
    return {name: pod for node in cluster.nodes for name, pod in node.pods.items()}


def apply(node, *objects):
    node.instance.cli("apply", "-f", "-", input=json.dumps({"apiVersion": "v1", "kind": "List", "items": list(objects)}))


def delete(node, *objects):
    node.instance.cli("delete", "-f", "-",
                      input=json.dumps({"apiVersion": "v1", "kind": "List", "items": list(objects)}))


def wait_until_served(place, address, port, protocol):
    """A change is in force where it was made when it returns, on the other nodes a moment later."""
    def answers():
        try:
            return ask(place, address, port, protocol, timeout_s=1) is not None
        except OSError:
            return False
    wait_until(answers, f"{address} is served", timeout_s=5)


@contextlib.contextmanager
def applied(node, *objects):
    apply(node, *objects)
    try:
        yield
    finally:
        delete(node, *objects)


def service(kind="ClusterIP", **more):
    """One of its own for each test: what another node still knows of the last one does not matter."""
    number = next(_numbers)
    return {"apiVersion": "v1", "kind": "Service", "metadata": {"name": f"web-{number}", "namespace": "default"},
            "spec": {"type": kind, "ipFamilyPolicy": "PreferDualStack", "selector": {"app": "web"}, **more, "ports": [
                {"name": protocol, "port": 80, "targetPort": target, "protocol": protocol.upper(),
                 **({"nodePort": 30600 + number} if kind != "ClusterIP" else {})}
                for protocol, target in (("tcp", "http"), ("udp", "http-udp"))]}}


@pytest.fixture(scope="module")
def witnesses(pods):
    """In each web pod a server that tells where it is and who asks."""
    with contextlib.ExitStack() as stack:
        for name, pod in pods.items():
            if name.startswith("web"):
                stack.enter_context(Witness(pod, pod.addresses, 8080, name))
        yield


def test_every_pod_reaches_every_other_by_its_own_address(pods):
    """TCP, UDP and SCTP. Sockets are bound to the pods' addresses, and answers are to those."""
    for family in (4, 6):
        with Reachability(pods, {name: address_of(pod, family) for name, pod in pods.items()}, (80,)) as reach:
            assert set(reach.keys()) - reach.table() == set()


@FAMILIES
@PROTOCOLS
def test_nobody_is_translated_on_the_way(pods, witnesses, protocol, family):
    client = pods["client"]
    for name in ("web-1", "web-2", "web-3"):
        answer = ask(client, address_of(pods[name], family), 8080, protocol)
        assert (answer.name, answer.peer) == (name, address_of(client, family))


@FAMILIES
def test_large_packets_fit(pods, family):
    """Whatever a pod may send is carried whole: nothing is too large after it was encapsulated, nothing is fragmented."""
    client, far = pods["client"], address_of(pods["web-3"], family)
    mtu = int(re.search(r"mtu (\d+)", client.run("ip", "link", "show", "eth0").stdout)[1])
    headers = 28 if family == 4 else 48
    assert traffic.ping(client, far, count=3, size=mtu - headers, options=("-M", "do")).ok
    seconds, sent, received = traffic.transfer(client, pods["web-3"], far, 64 << 20)
    assert sent == received


def test_mtu_leaves_room_for_the_encapsulation(cluster, pods):
    expected = {"vxlan": 1450, "crossSubnet": 1450, "none": 1500}[cluster.encapsulation]
    for pod in pods.values():
        assert f"mtu {expected} " in pod.run("ip", "link", "show", "eth0").stdout


def captured(cluster, device, expression, action):
    """How many packets match of what passes the device of the fabric meanwhile."""
    argv = cluster.fabric.command("tcpdump", "-l", "-n", "-i", device, "-Q", "inout", expression)
    with Background(argv) as capture:
        capture.wait_for_output("listening on")
        action()
        capture.process.send_signal(2)
        text = capture.finish(timeout_s=10, check=False)
    return int(re.search(r"(\d+) packets? received by filter", text)[1])


@FAMILIES
@pytest.mark.parametrize("target, far", [("web-2", False), ("web-3", True)], ids=["same subnet", "behind a router"])
def test_what_is_on_the_wire(cluster, pods, target, far, family):
    is_vxlan = cluster.encapsulation == "vxlan" or cluster.encapsulation == "crossSubnet" and far
    pod = pods[target]
    device = f"upli{int(far)}-{target[-1]}"
    plain = f"host {address_of(pod, family)}"
    ping = lambda: traffic.ping(pods["client"], address_of(pod, family), count=5)
    ping()
    assert (captured(cluster, device, "udp port 4789", ping) >= 10) == is_vxlan
    assert (captured(cluster, device, plain, ping) >= 10) == (not is_vxlan)


@FAMILIES
@PROTOCOLS
def test_cluster_ip_has_the_pods_of_all_nodes(cluster, pods, witnesses, protocol, family):
    """Applied on one node, used on another."""
    made = service()
    with applied(cluster.nodes[1], made):
        shown = cluster.nodes[1].instance.query("get", "svc", made["metadata"]["name"])
        ip = next(address for address in shown["spec"]["clusterIPs"] if (":" in address) == (family == 6))
        wait_until_served(pods["client"], ip, 80, protocol)
        answers = [ask(pods["client"], ip, 80, protocol) for _ in range(48)]
        assert {answer.name for answer in answers} == {"web-1", "web-2", "web-3"}
        assert {answer.peer for answer in answers} == {address_of(pods["client"], family)}


@FAMILIES
@PROTOCOLS
def test_node_port_of_any_node_reaches_all(cluster, pods, witnesses, protocol, family):
    """externalTrafficPolicy Cluster: from outside by each node, also to the backends of the others."""
    made = service("NodePort")
    node_port = made["spec"]["ports"][0]["nodePort"]
    with applied(cluster.nodes[0], made):
        for node in cluster.nodes:
            address = node.ipv4 if family == 4 else node.ipv6
            wait_until_served(cluster.world, address, node_port, protocol)
            names = {ask(cluster.world, address, node_port, protocol).name for _ in range(48)}
            assert names == {"web-1", "web-2", "web-3"}, node.name


@FAMILIES
@PROTOCOLS
def test_node_port_local_keeps_the_client(cluster, pods, witnesses, protocol, family):
    made = service("NodePort", externalTrafficPolicy="Local")
    node_port = made["spec"]["ports"][0]["nodePort"]
    with applied(cluster.nodes[0], made):
        for node in cluster.nodes:
            address = node.ipv4 if family == 4 else node.ipv6
            wait_until_served(cluster.world, address, node_port, protocol)
            answers = [ask(cluster.world, address, node_port, protocol) for _ in range(12)]
            assert {(answer.name, answer.peer) for answer in answers} == {
                (f"web-{node.number}", clusters.WORLD_IPV4 if family == 4 else clusters.WORLD_IPV6)}


@FAMILIES
@PROTOCOLS
def test_only_the_outside_sees_the_node_s_address(cluster, pods, witnesses, protocol, family):
    world = clusters.WORLD_IPV4 if family == 4 else clusters.WORLD_IPV6
    node = cluster.nodes[0]
    with Witness(cluster.world, [world], 8081, "world"), \
            Witness(cluster.nodes[2].netns, [cluster.nodes[2].ipv4, cluster.nodes[2].ipv6], 8082, "node-3"):
        assert ask(pods["client"], world, 8081, protocol).peer == (node.ipv4 if family == 4 else node.ipv6)
        other = cluster.nodes[2].ipv4 if family == 4 else cluster.nodes[2].ipv6
        assert ask(pods["client"], other, 8082, protocol).peer == address_of(pods["client"], family)


@FAMILIES
@PROTOCOLS
def test_a_node_reaches_pods_of_the_others(cluster, pods, witnesses, protocol, family):
    for node in cluster.nodes:
        for name in ("web-1", "web-2", "web-3"):
            assert ask(node.netns, address_of(pods[name], family), 8080, protocol).name == name


def policy(name, spec):
    return {"apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy",
            "metadata": {"name": name, "namespace": "default"}, "spec": spec}


def test_policies_know_the_pods_of_other_nodes(cluster, pods):
    """Ingress is judged where the destination is, by who the source is; egress where the source is."""
    names = ("web-1", "web-2", "web-3", "client")
    ingress = policy("only-client", {"podSelector": {"matchLabels": {"on": "n3"}}, "ingress": [
        {"from": [{"podSelector": {"matchLabels": {"app": "client"}}}], "ports": [{"port": 80, "protocol": "TCP"}]}]})
    egress = policy("to-n2", {"podSelector": {"matchLabels": {"on": "n1"}}, "policyTypes": ["Egress"], "egress": [
        {"to": [{"podSelector": {"matchLabels": {"on": "n2"}}}]}]})
    for family in (4, 6):
        addresses = {name: address_of(pods[name], family) for name in names}
        with Reachability({name: pods[name] for name in names}, addresses, (80,), ("TCP", "UDP")) as reach, \
                applied(cluster.nodes[1], ingress, egress):
            wanted = {(source, target, protocol, 80) for source, target, protocol, _ in reach.keys()
                      if (target != "web-3" or (source, protocol) == ("client", "TCP"))
                      and (source != "web-1" or target == "web-2")}
            # Applied on another node: in force there when it was answered, on the others a moment later.
            wait_until(lambda: reach.table() == wanted, "policies are in force on all nodes", timeout_s=10)
            assert reach.table() == wanted


def test_lists(cluster, pods):
    node = cluster.nodes[0]
    nodes = {entry["name"]: entry for entry in node.instance.query("node", "list")["nodes"]}
    assert set(nodes) == {"node-1", "node-2", "node-3"} and all(entry["ready"] for entry in nodes.values())
    blocks = node.instance.query("ipam", "show")["blocks"]
    assert {block["node"] for block in blocks} == set(nodes)
    assert len({block["prefix"] for block in blocks}) == len(blocks) >= 6
    routes = {route["prefix"]: route for route in node.instance.query("route", "list")["routes"]}
    assert {block["prefix"] for block in blocks} <= set(routes)


def test_what_nobody_has_is_not_sent_round(cluster, pods):
    """An address of another node's block that no pod has: the other node says so, and it does not come back."""
    block = next(block["prefix"] for block in cluster.nodes[0].instance.query("ipam", "show")["blocks"]
                 if block["node"] == "node-2" and ":" not in block["prefix"])
    nobody = block.rsplit(".", 1)[0] + ".200"
    done = pods["client"].run("ping", "-c", "1", "-W", "1", nobody, check=False)
    assert "Unreachable" in done.stdout or "100% packet loss" in done.stdout
    assert traffic.ping(pods["client"], pods["web-2"].ipv4, count=3).ok
