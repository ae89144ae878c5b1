"""Services of Kubernetes: manifests as tutorials have them, real servers behind them, and pods, the node and the world
as clients. What a server sees of its client is what the service did to the address."""

import contextlib
import json
import time

import pytest

from harness.connections import client_command, server_command
from harness.process import Background, wait_until
from harness.services import (BALANCER_IP, EXTERNAL_IP, NODE, WORLD, add_backend, applied, node_addresses, service,
                              show_services_alone, slice_of)
from harness.witness import Witness, answer_of, ask, connected

FAMILIES = pytest.mark.parametrize("family", [4, 6], ids=["IPv4", "IPv6"])
PROTOCOLS = pytest.mark.parametrize("protocol", ["tcp", "udp"])


@pytest.fixture(scope="module")
def node(make_node):
    made = make_node("svc", uplink="auto")
    show_services_alone(made)
    return made


@pytest.fixture(scope="module")
def backends(node):
    """Two pods `app: web`, each with a server that tells its own name."""
    made = [add_backend(node, name) for name in ("web-0", "web-1")]
    with Witness(made[0], made[0].addresses, 8080, "web-0"), Witness(made[1], made[1].addresses, 8080, "web-1"):
        yield made


@pytest.fixture(scope="module")
def places(node, backends):
    client = node.add_pod("client")
    return {"pod": client, "node": node.netns, "world": node.world, "backend": backends[0]}


def own_address(node, place, family):
    """The address that a place's packets have before any translation."""
    if place is node.world:
        return WORLD[family]
    return next(address for address in place.addresses if (":" in address) == (family == 6))


def ask_until_both(place, address, port, protocol):
    """Answers until each of two servers has been heard, 64 at most: the chance of none by one of them is 2^-63."""
    answers = []
    while len({answer.name for answer in answers}) < 2 and len(answers) < 64:
        answers.append(ask(place, address, port, protocol))
    assert {answer.name for answer in answers} == {"web-0", "web-1"}
    return answers


# KUBERNETES.md section 3: who asks, what for, under which policy, and whether the server sees the node in his place.
LOCAL = "externalTrafficPolicy: Local"
ROWS = [
    ("pod", "ClusterIP", "", False),
    ("node", "ClusterIP", "", True),
    ("world", "ClusterIP", "", True),
    ("pod", "NodePort", "", True),
    ("world", "NodePort", "", True),
    ("world", "NodePort", LOCAL, False),
    ("pod", "NodePort", LOCAL, False),
    ("pod", "externalIP", "", True),
    ("world", "externalIP", "", True),
    ("world", "externalIP", LOCAL, False),
    ("pod", "externalIP", LOCAL, False),
    ("pod", "load balancer of status", "", True),
    ("world", "load balancer of status", "", True),
    ("world", "load balancer of status", LOCAL, False),
    ("pod", "load balancer of status", LOCAL, False),
    ("world", "loadBalancerIP", "", True),
    ("world", "loadBalancerIP", LOCAL, False),
    ("node", "externalIP", "", True),
    ("node", "externalIP", LOCAL, True),
    ("node", "load balancer of status", "", True),
    ("node", "load balancer of status", LOCAL, True),
    ("node", "loadBalancerIP", "", True),
    ("node", "NodePort", "", True),
    ("node", "NodePort", LOCAL, True),
]


def way_to(way, family):
    """How a Service is reached that way: its keys, and from its ClusterIPs the address and port."""
    return {
        "ClusterIP": ({}, lambda cluster_ips: (cluster_ips[family], 80)),
        "NodePort": ({"kind": "NodePort", "node_port": 30500}, lambda _: (NODE[family], 30500)),
        "externalIP": ({"kind": "NodePort", "more": f"externalIPs: [{EXTERNAL_IP[family]}]"},
                       lambda _: (EXTERNAL_IP[family], 80)),
        "load balancer of status": ({"kind": "LoadBalancer", "ingress": [BALANCER_IP[family]]},
                                    lambda _: (BALANCER_IP[family], 80)),
        "loadBalancerIP": ({"kind": "LoadBalancer", "more": f"loadBalancerIP: {BALANCER_IP[family]}"},
                           lambda _: (BALANCER_IP[family], 80)),
    }[way]


@FAMILIES
@PROTOCOLS
@pytest.mark.parametrize("place, way, policy, is_masqueraded", ROWS,
                         ids=[f"{row[0]} to {row[1]}{' Local' if row[2] else ''}" for row in ROWS])
def test_what_the_server_sees(node, places, place, way, policy, is_masqueraded, protocol, family):
    source = places[place]
    keys, place_of = way_to(way, family)
    with service(node, "web", **{**keys, "more": f"{keys.get('more', '')}\n  {policy}"}) as cluster_ips:
        for answer in ask_until_both(source, *place_of(cluster_ips), protocol):
            if is_masqueraded:
                assert answer.peer in node_addresses(family)
            else:
                assert answer.peer == own_address(node, source, family)


@FAMILIES
def test_the_node_is_led_to_the_ports_of_a_service_and_no_further(node, places, family):
    address = EXTERNAL_IP[family]

    def way(port, *more):
        route = node.netns.ip("-j", "route", "get", address, "ipproto", "tcp", "dport", port, *more).stdout
        return json.loads(route)[0]["dev"]

    def rules():
        return [rule for rule in json.loads(node.netns.ip("-j", f"-{family}", "rule").stdout) if rule.get("dst") == address]

    with service(node, "web", "NodePort", more=f"externalIPs: [{address}]", node_port=30500):
        assert way("80") == "millrace0" and way("81") == "uplink0"
        assert way("80", "from", WORLD[family], "iif", "uplink0") == "uplink0", "what the node forwards"
        assert len(rules()) == 2, "TCP and UDP"
        assert not [rule for rule in json.loads(node.netns.ip("-j", f"-{family}", "rule").stdout)
                    if rule.get("dst") == NODE[family]], "node ports need none"
    assert way("80") == "uplink0" and not rules()


def tables(netns):
    return set(netns.run("nft", "list", "tables").stdout.splitlines())


def test_the_kernel_has_a_table_while_a_service_has_a_node_port(node, places):
    own = {"table ip millrace-millrace0", "table ip6 millrace-millrace0"}
    with service(node, "web"):
        assert not tables(node.netns), "connection tracking for nothing"
    with service(node, "web", "NodePort", node_port=30500):
        with service(node, "more", "NodePort", node_port=30501):
            assert ask(node.netns, NODE[4], 30501).name in ("web-0", "web-1")
        with pytest.raises(ConnectionRefusedError):
            ask(node.netns, NODE[4], 30501)
        assert tables(node.netns) == own
        assert ask(node.netns, NODE[6], 30500).name in ("web-0", "web-1")
    assert not tables(node.netns)


def answers(place, address, port, protocol):
    try:
        return ask(place, address, port, protocol, timeout_s=0.3).name in ("web-0", "web-1")
    except OSError:
        return False


@PROTOCOLS
def test_node_ports_follow_the_nodes_addresses(node, places, protocol):
    later = NODE[4].rsplit(".", 1)[0] + ".77"
    with service(node, "web", "NodePort", node_port=30500):
        node.netns.ip("addr", "add", f"{later}/24", "dev", "uplink0")
        try:
            wait_until(lambda: answers(node.world, later, 30500, protocol), "the new address has the node port")
            assert answers(node.world, NODE[4], 30500, protocol), "and the old one"
        finally:
            node.netns.ip("addr", "del", f"{later}/24", "dev", "uplink0")


@FAMILIES
@PROTOCOLS
def test_a_pod_that_is_its_own_backend(node, family, protocol):
    pod = add_backend(node, "alone", app="alone")
    with Witness(pod, pod.addresses, 8080, "alone"), service(node, "alone", app="alone") as cluster_ips:
        answer = ask(pod, cluster_ips[family], 80, protocol)
        assert answer.name == "alone" and answer.peer in node_addresses(family)
    node.delete_pod("alone")


@FAMILIES
@PROTOCOLS
@pytest.mark.parametrize("place", ["pod", "node", "world"])
def test_a_service_without_endpoints_refuses_at_once(node, places, place, protocol, family):
    with service(node, "empty", "NodePort", app="nobody", node_port=30501,
                 more=f"externalIPs: [{EXTERNAL_IP[family]}]") as cluster_ips:
        ways = [(cluster_ips[family], 80), (NODE[family], 30501)]
        if place != "node":
            ways += [(EXTERNAL_IP[family], 80)]
        for address, port in ways:
            start = time.monotonic()
            with pytest.raises(ConnectionRefusedError):
                ask(places[place], address, port, protocol)
            assert time.monotonic() - start < 1


@PROTOCOLS
def test_a_port_that_the_service_does_not_have_is_refused(node, places, protocol):
    with service(node, "web") as cluster_ips, pytest.raises(ConnectionRefusedError):
        ask(places["pod"], cluster_ips[4], 81, protocol)


def test_session_affinity_keeps_a_client_at_its_backend(node, places):
    with service(node, "sticky", "NodePort", more="sessionAffinity: ClientIP", node_port=30502) as cluster_ips:
        for place, address, port in ((places["pod"], cluster_ips[4], 80), (places["pod"], cluster_ips[6], 80),
                                     (places["world"], NODE[4], 30502)):
            assert len({ask(place, address, port).name for _ in range(32)}) == 1


@FAMILIES
def test_connections_go_on_while_endpoints_come_and_go(node, places, family):
    """One long connection to a backend that stays, thousands of short ones: none may see that others change."""
    steady = add_backend(node, "steady-0", app="steady")
    with Background(steady.command(*server_command(steady.addresses, 8080))) as server, \
            service(node, "steady", app="steady") as cluster_ips:
        server.wait_for_output("listening")
        with connected(places["pod"], cluster_ips[family], 80, "tcp") as held:
            load = Background(places["pod"].command(*client_command(cluster_ips[family], 80, 6000, 16)))
            with load:
                changes = 0
                while load.process.poll() is None and changes < 12:
                    _come_and_go(node)
                    changes += 1
                result = json.loads(load.finish(timeout_s=60))
            held.sendall(b"still here\n")
            assert held.recv(100) == b"still here\n"
    node.delete_pod("steady-0")
    assert changes >= 2 and result == {"answered": 6000, "failed": {}}


def _come_and_go(node):
    """A second backend that serves before it is one, and is one no more before it ends to serve."""
    node.add_pod("steady-1")
    extra = node.pods["steady-1"]
    with Background(extra.command(*server_command(extra.addresses, 8080))) as server:
        server.wait_for_output("listening")
        with applied(node, [slice_of("steady", family, [{"addresses": [address]}])
                            for family, address in ((4, extra.ipv4), (6, extra.ipv6))]):
            pass
        # Its connections end by themselves: each has one question.
        wait_until(lambda: not [line for line in extra.run("ss", "-Htn", "state", "established").stdout.splitlines()],
                   "the last connection ends", timeout_s=5)
    node.delete_pod("steady-1")


def test_a_udp_client_moves_on_when_its_backend_goes(node, places):
    """When a UDP endpoint goes, its flows go; the next packet of the same socket finds another."""
    made = {name: add_backend(node, name, app="moving") for name in ("moving-0", "moving-1")}
    with contextlib.ExitStack() as stack:
        cluster_ips = stack.enter_context(service(node, "moving", app="moving"))
        servers = {name: Witness(pod, pod.addresses, 8080, name) for name, pod in made.items()}
        for server in servers.values():
            stack.enter_context(server)
        with connected(places["pod"], cluster_ips[4], 80, "udp") as client:
            first = answer_of(client, "udp").name
            assert {answer_of(client, "udp").name for _ in range(16)} == {first}
            node.delete_pod(first)
            assert answer_of(client, "udp").name == next(name for name in made if name != first)
    for name in made:
        if name in node.pods:
            node.delete_pod(name)


def test_flows_name_the_service(node, places):
    with service(node, "named") as cluster_ips, connected(places["pod"], cluster_ips[4], 80, "tcp") as made:
        port = made.getsockname()[1]
        server = answer_of(made, "tcp").name
        flow = next(flow for flow in node.instance.query("flows", "--pod", "default/client")["flows"]
                    if (flow["original"]["source_port"], flow["original"]["destination"]) == (port, cluster_ips[4]))
    assert "named" in flow["service"] and flow["original"]["destination_port"] == 80
    assert flow["translated"]["destination"] == node.pods[server].ipv4
    assert flow["translated"]["destination_port"] == 8080
