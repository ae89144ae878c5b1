"""Which endpoints of a Service answer whom, and who is turned away: traffic policies, terminating endpoints, source
ranges, addresses that no Service has, and what a load balancer's probe is told. KUBERNETES.md section 3."""

import contextlib
import itertools
import json

import pytest

from harness import node as nodes
from harness import witness
from harness.services import BALANCER_IP, NODE, add_backend, applied, service, show_services_alone, slice_of
from harness.witness import Witness

FAMILIES = pytest.mark.parametrize("family", [4, 6], ids=["IPv4", "IPv6"])
PROTOCOLS = pytest.mark.parametrize("protocol", ["tcp", "udp"])
NODE_PORT = 30500
# An endpoint of another node: an address of the world, of another network than the one it asks from.
ELSEWHERE = {4: "192.0.2.7", 6: "2001:db8:192::7"}
EXTERNAL_LOCAL, INTERNAL_LOCAL = "externalTrafficPolicy: Local", "internalTrafficPolicy: Local"


@pytest.fixture(scope="module")
def node(make_node):
    made = make_node("policy", uplink="auto")
    show_services_alone(made)
    made.world.ip("addr", "add", f"{ELSEWHERE[4]}/32", "dev", "lo")
    made.world.ip("-6", "addr", "add", f"{ELSEWHERE[6]}/128", "dev", "lo", "nodad")
    return made


@pytest.fixture(scope="module")
def here(node):
    """The pod that is the endpoint of this node, and a server at each endpoint that tells where it is."""
    pod = add_backend(node, "here")
    with Witness(pod, pod.addresses, 8080, "here"), Witness(node.world, ELSEWHERE.values(), 8080, "elsewhere"):
        yield pod


@pytest.fixture(scope="module")
def places(node, here):
    return {"pod": node.add_pod("client"), "node": node.netns, "world": node.world}


def endpoint(node, where, family, **conditions):
    """As a slice has it. `where` is "here" or "elsewhere"."""
    is_here = where == "here"
    address = next(address for address in node.pods["here"].addresses if (":" in address) == (family == 6))
    return {"addresses": [address if is_here else ELSEWHERE[family]], "conditions": conditions,
            "nodeName": node.instance.config["nodeName"] if is_here else "another-node"}


@contextlib.contextmanager
def policy_service(node, policy, endpoints):
    """A LoadBalancer with the policy, whose endpoints are `endpoints(family)`; its ClusterIPs."""
    with applied(node, [slice_of("policy", family, endpoints(family)) for family in (4, 6)]), \
            service(node, "policy", "LoadBalancer", app=None, more=policy, node_port=NODE_PORT,
                    ingress=BALANCER_IP.values()) as cluster_ips:
        yield cluster_ips


def way_to(way, family, cluster_ips):
    return {"ClusterIP": (cluster_ips[family], 80), "NodePort": (NODE[family], NODE_PORT),
            "LoadBalancer": (BALANCER_IP[family], 80)}[way]


_source_ports = itertools.count(10000)


def ask(place, address, port, protocol, **options):
    """One question of a client that has not asked before: from a port used again it might be a flow that is there."""
    return witness.ask(place, address, port, protocol, source_port=next(_source_ports), **options)


def who_answers(place, address, port, protocol):
    """Names of all that answer: of two, 48 questions miss one with a chance of 2^-47."""
    return {ask(place, address, port, protocol).name for _ in range(48)}


ROWS = [
    ("pod", "ClusterIP", "", "here elsewhere"),
    ("pod", "ClusterIP", INTERNAL_LOCAL, "here"),
    ("node", "ClusterIP", INTERNAL_LOCAL, "here"),
    ("world", "ClusterIP", INTERNAL_LOCAL, "here"),
    ("world", "NodePort", "", "here elsewhere"),
    ("world", "NodePort", EXTERNAL_LOCAL, "here"),
    ("world", "LoadBalancer", EXTERNAL_LOCAL, "here"),
    ("pod", "NodePort", EXTERNAL_LOCAL, "here elsewhere"),
    ("pod", "LoadBalancer", EXTERNAL_LOCAL, "here elsewhere"),
    ("world", "NodePort", INTERNAL_LOCAL, "here elsewhere"),
]


@FAMILIES
@PROTOCOLS
@pytest.mark.parametrize("place, way, policy, names", ROWS, ids=[f"{row[0]} to {row[1]} {row[2]}" for row in ROWS])
def test_who_answers(node, places, place, way, policy, names, protocol, family):
    both = lambda of_family: [endpoint(node, "here", of_family), endpoint(node, "elsewhere", of_family)]
    with policy_service(node, policy, both) as cluster_ips:
        assert who_answers(places[place], *way_to(way, family, cluster_ips), protocol) == set(names.split())


def assert_dropped(node, name, place, address, port, protocol):
    """One packet, no answer, and the switch says why. A SYN is not sent again before the time is up."""
    before = node.instance.drops().get(name, 0)
    with pytest.raises(TimeoutError):
        ask(place, address, port, protocol, timeout_s=0.5)
    assert node.instance.drops().get(name, 0) == before + 1


@FAMILIES
@PROTOCOLS
@pytest.mark.parametrize("place, way, policy", [
    ("world", "NodePort", EXTERNAL_LOCAL), ("world", "LoadBalancer", EXTERNAL_LOCAL), ("pod", "ClusterIP", INTERNAL_LOCAL),
    ("node", "ClusterIP", INTERNAL_LOCAL), ("world", "ClusterIP", INTERNAL_LOCAL)])
def test_without_an_endpoint_here_local_is_silence(node, places, place, way, policy, protocol, family):
    """So that a balancer in front tries another node; who may ask the others is answered by them."""
    with policy_service(node, policy, lambda of_family: [endpoint(node, "elsewhere", of_family)]) as cluster_ips:
        assert_dropped(node, "service_dropped", places[place], *way_to(way, family, cluster_ips), protocol)
        other_way = "NodePort" if way == "ClusterIP" else "ClusterIP"
        assert ask(places["pod"], *way_to(other_way, family, cluster_ips), protocol).name == "elsewhere"


@FAMILIES
@PROTOCOLS
def test_one_port_of_a_client_reaches_one_backend_by_three_addresses(node, places, protocol, family):
    """Three connections to the client, and three to the backend: each has an outside port of its own."""
    with policy_service(node, "", lambda of_family: [endpoint(node, "elsewhere", of_family)]) as cluster_ips, \
            contextlib.ExitStack() as stack:
        port = next(_source_ports)
        seen = []
        for way in ("ClusterIP", "LoadBalancer", "NodePort"):
            made = stack.enter_context(witness.connected(
                places["pod"], *way_to(way, family, cluster_ips), protocol, source_port=port))
            seen.append(witness.answer_of(made, protocol))
    assert {(answer.name, answer.peer) for answer in seen} == {("elsewhere", NODE[family])}
    assert len({answer.peer_port for answer in seen}) == 3


ENDING = {"ready": False, "serving": True, "terminating": True}
OVER = {"ready": False, "serving": False, "terminating": True}


@FAMILIES
@PROTOCOLS
@pytest.mark.parametrize("here_is, elsewhere_is, policy, names", [
    (ENDING, {}, "", "elsewhere"), (ENDING, ENDING, "", "here elsewhere"), (ENDING, OVER, "", "here"),
    (ENDING, {}, EXTERNAL_LOCAL, "here")],
    ids=["a ready one comes first", "none is ready", "one serves still", "decided for this node alone"])
def test_endpoints_that_end_serve_when_no_other_does(node, places, here_is, elsewhere_is, policy, names, protocol, family):
    ending = lambda of_family: [endpoint(node, "here", of_family, **here_is),
                                endpoint(node, "elsewhere", of_family, **elsewhere_is)]
    with policy_service(node, policy, ending) as cluster_ips:
        assert who_answers(places["world"], *way_to("LoadBalancer", family, cluster_ips), protocol) == set(names.split())


@FAMILIES
@PROTOCOLS
@pytest.mark.parametrize("place, ranges, is_let_in", [
    ("world", ["203.0.113.0/24", "2001:db8:113::/64"], True),
    ("world", [f"{nodes.WORLD_IPV4}/32", f"{nodes.WORLD_IPV6}/128"], True),
    ("world", ["198.18.0.0/15", "2001:db8:198::/64"], False),
    ("world", ["203.0.113.128/25", "2001:db8:113::8000/113"], False),
    ("pod", ["10.244.0.0/16", "fd00:10:244::/112"], True),
    ("pod", ["203.0.113.0/24", "2001:db8:113::/64"], False),
], ids=["its network", "itself", "another network", "the other half of its network", "pods", "a pod where pods are not"])
def test_source_ranges_of_a_load_balancer(node, places, place, ranges, is_let_in, protocol, family):
    with service(node, "ranges", "LoadBalancer", app="web", more=f"loadBalancerSourceRanges: {json.dumps(ranges)}",
                 node_port=NODE_PORT, ingress=BALANCER_IP.values()):
        if is_let_in:
            assert ask(places[place], BALANCER_IP[family], 80, protocol).name == "here"
        else:
            assert_dropped(node, "source_range", places[place], BALANCER_IP[family], 80, protocol)
        assert ask(places[place], NODE[family], NODE_PORT, protocol).name == "here", "the node port has no ranges"


@FAMILIES
@PROTOCOLS
@pytest.mark.parametrize("place", ["pod", "node", "world"])
def test_an_address_of_the_range_that_no_service_has_is_silent(node, places, place, protocol, family):
    nobodys = {4: "10.96.200.200", 6: "fd00:10:96::c8c8"}[family]
    assert_dropped(node, "service_no_frontend", places[place], nobodys, 80, protocol)


def test_the_probe_of_a_balancer_is_told_whether_an_endpoint_is_here(node, places):
    """healthCheckNodePort, from the world, on an address of either family."""
    def probe(family):
        port = node.instance.query("get", "svc", "policy")["spec"]["healthCheckNodePort"]
        address = f"[{NODE[family]}]" if family == 6 else NODE[family]
        done = node.world.run("curl", "--silent", "--max-time", 5, "--write-out", "\\n%{http_code}",
                              f"http://{address}:{port}/healthz")
        body, status = done.stdout.rsplit("\n", 1)
        return int(status), json.loads(body)

    name = {"namespace": "default", "name": "policy"}
    for where, status, count in (("here", 200, 1), ("elsewhere", 503, 0), ("here", 200, 1)):
        with policy_service(node, EXTERNAL_LOCAL, lambda of_family, where=where: (
                [endpoint(node, where, of_family)] if of_family == 4 else [])):
            for family in (4, 6):
                assert probe(family) == (status, {"service": name, "localEndpoints": count, "serviceProxyHealthy": True})
