"""Both kinds of pod on two nodes, over VXLAN and without: what a pod is attached by changes nothing of the way between
nodes. The kinds are those of test_vhost_parity.py."""

import contextlib
import json

import pytest

from harness import traffic
from harness.cluster import Cluster
from harness.pod import address_of
from harness.process import wait_until
from harness.services import add_backend
from harness.vhost_pod import add_vhost_pod
from harness.witness import Witness, ask

KINDS = ("kernel", "socket")
FAMILIES = pytest.mark.parametrize("family", [4, 6], ids=["IPv4", "IPv6"])
PROTOCOLS = pytest.mark.parametrize("protocol", ["tcp", "udp"])
# Between two of the kernel's it is test_cluster.py that says it.
PAIRS = pytest.mark.parametrize("source, target", [("socket", "socket"), ("socket", "kernel"), ("kernel", "socket")],
                                ids=lambda kind: kind)
HEADERS = {4: 28, 6: 48}  # of IP and ICMP
MTU = {"vxlan": 1450, "crossSubnet": 1450, "none": 1500}


@pytest.fixture(scope="module", params=["vxlan", "crossSubnet", "none"])
def cluster(programs, request):
    """The second node is behind a router; with `none` it is told, as BGP would tell it."""
    made = Cluster(programs, f"vh{request.param[:5].lower()}", node_count=2, encapsulation=request.param)
    request.module.nodes_made = made.nodes
    with made:
        yield made


@pytest.fixture(scope="module")
def pods(cluster):
    """Of each node one of each kind: clients on the first, servers on the second."""
    near, far = cluster.nodes
    ports = ("--port", "http:8080/tcp", "--port", "http-udp:8080/udp")
    with contextlib.ExitStack() as stack:
        clients = {"kernel": near.add_pod("client-kernel"),
                   "socket": stack.enter_context(add_vhost_pod(near, "client-socket"))}
        servers = {"kernel": add_backend(far, "server-kernel", "kernel"),
                   "socket": stack.enter_context(add_vhost_pod(far, "server-socket", "--label", "app=socket", *ports))}
        for kind, pod in servers.items():
            stack.enter_context(Witness(pod, pod.addresses, 8080, kind))
        yield clients, servers


@pytest.fixture
def client(pods, source):
    return pods[0][source]


@pytest.fixture
def server(pods, target):
    return pods[1][target]


@contextlib.contextmanager
def applied(node, made):
    node.instance.cli("apply", "-f", "-", input=json.dumps(made))
    try:
        yield
    finally:
        node.instance.cli("delete", "-f", "-", input=json.dumps(made))


def service(name, app, **more):
    ports = [{"name": protocol, "port": 80, "targetPort": target, "protocol": protocol.upper(), **more}
             for protocol, target in (("tcp", "http"), ("udp", "http-udp"))]
    return {"apiVersion": "v1", "kind": "Service", "metadata": {"name": name, "namespace": "default"},
            "spec": {"type": "NodePort" if more else "ClusterIP", "ipFamilyPolicy": "PreferDualStack",
                     "selector": {"app": app}, "ports": ports}}


def answer(place, address, port, protocol):
    """None until what was applied on one node is in force on the other."""
    try:
        return ask(place, address, port, protocol, timeout_s=1)
    except OSError:
        return None


@FAMILIES
@PAIRS
def test_pods_of_two_nodes(cluster, client, server, family):
    """The largest packet fits as it is, and every byte arrives."""
    size = MTU[cluster.encapsulation] - HEADERS[family]
    for source, target in ((client, server), (server, client)):
        assert traffic.ping(source, address_of(target, family), count=4, size=size, options=("-M", "do")).ok
        _, sent, received = traffic.transfer(source, target, address_of(target, family), 4 << 20)
        assert sent == received


@FAMILIES
@PROTOCOLS
@PAIRS
def test_nobody_is_translated(client, server, target, protocol, family):
    seen = ask(client, address_of(server, family), 8080, protocol)
    assert (seen.name, seen.peer) == (target, address_of(client, family))


@FAMILIES
@PROTOCOLS
@PAIRS
def test_a_service_whose_backend_is_elsewhere(cluster, client, server, source, target, protocol, family):
    near, far = cluster.nodes
    name = f"{source}-{target}-{protocol}-{family}"  # what the other node still knows of the last one does not matter
    with applied(far, service(name, target)):
        ips = far.instance.query("get", "svc", name)["spec"]["clusterIPs"]
        address = next(ip for ip in ips if (":" in ip) == (family == 6))
        seen = wait_until(lambda: answer(client, address, 80, protocol), "the service is known", 5)
        assert (seen.name, seen.peer) == (target, address_of(client, family))


@FAMILIES
@PROTOCOLS
def test_a_node_port_of_the_other_node(cluster, pods, protocol, family):
    near, _ = cluster.nodes
    with applied(near, service(f"port-{protocol}-{family}", "socket", nodePort=30600 + 2 * family + (protocol == "udp"))):
        port = 30600 + 2 * family + (protocol == "udp")
        address = near.ipv4 if family == 4 else near.ipv6
        assert wait_until(lambda: answer(cluster.world, address, port, protocol), "the port is served", 5).name == "socket"


@PAIRS
def test_a_policy_of_the_other_node(cluster, client, server, source, target):
    _, far = cluster.nodes
    policy = {"apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy",
              "metadata": {"name": f"deny-{source}-{target}", "namespace": "default"},
              "spec": {"podSelector": {"matchLabels": {"app": target}}, "policyTypes": ["Ingress"],
                       "ingress": [{"ports": [{"protocol": "TCP", "port": 8080}]}]}}
    with applied(far, policy):
        assert ask(client, server.ipv4, 8080, "tcp").name == target
        before = far.instance.drops().get("policy_ingress", 0)
        with pytest.raises(TimeoutError):
            ask(client, server.ipv4, 8080, "udp", timeout_s=0.3)
        assert far.instance.drops().get("policy_ingress", 0) == before + 1


def test_a_trace_shows_the_way_to_the_other_node(cluster, pods):
    """The same for both kinds, names and numbers apart."""
    (clients, servers), (near, _) = pods, cluster.nodes
    said = [near.instance.cli("trace", "--from", f"default/{clients[kind].name}", "--to", servers["socket"].ipv4, "--port",
                              "9000/tcp").stdout.replace(clients[kind].ipv4, "CLIENT").replace(clients[kind].name, "CLIENT")
            .replace(clients[kind].host_interface, "PORT").splitlines() for kind in KINDS]
    assert said[0][1:] == said[1][1:] and said[0][-1].startswith("verdict ALLOW")
