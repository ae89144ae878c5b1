"""Both kinds of pod, in every direction between them: one with an interface of the kernel's ("kernel") and two with a
vhost-user socket: one finishes its packets itself ("socket"), the other leaves checksums and segments to the switch and has
them left ("leaves"). Each has a kernel's network inside. What is said of one pair is said of all nine, with the same
figures and the same words."""

import contextlib
import json
import re
import socket

import pytest

from harness import frames, traffic
from harness.cni import Cni, container
from harness.pod import address_of
from harness.process import wait_until
from harness.services import NODE, WORLD, add_backend, node_addresses, service
from harness.vhost_pod import VhostPod, add_vhost_pod
from harness.virtio_net import OFFLOADS
from harness.witness import Witness, answer_of, ask, connected

KINDS = ("kernel", "socket", "leaves")  # words of one length, as they are part of what is counted
FAMILIES = pytest.mark.parametrize("family", [4, 6], ids=["IPv4", "IPv6"])
PROTOCOLS = pytest.mark.parametrize("protocol", ["tcp", "udp"])
SMALL_MTU = 1300
EACH = pytest.mark.parametrize("kind", KINDS)
PAIRS = pytest.mark.parametrize("source, target", [(source, target) for source in KINDS for target in KINDS],
                                ids=lambda kind: kind)
HEADERS = {4: 28, 6: 48}  # of IP and ICMP
POOLS = ("10.244.0.0/16", "fd00:10:244::/112")


@pytest.fixture(scope="module")
def node(make_node):
    """The world knows the node alone."""
    made = make_node("parity", uplink="auto")
    for pool in POOLS:
        made.world.ip("route", "del", pool)
    return made


@pytest.fixture(scope="module")
def clients(node):
    with contextlib.ExitStack() as stack:
        made = {"kernel": node.add_pod("client-kernel", "--label", "role=client")}
        for kind in ("socket", "leaves"):
            made[kind] = stack.enter_context(
                add_vhost_pod(node, f"client-{kind}", "--label", "role=client", offload=kind == "leaves"))
        yield made


@pytest.fixture(scope="module")
def servers(node):
    """Each with a server that tells its name, behind the Service of its kind."""
    ports = ("--port", "http:8080/tcp", "--port", "http-udp:8080/udp")
    with contextlib.ExitStack() as stack:
        made = {"kernel": add_backend(node, "server-kernel", "kernel")}
        for kind in ("socket", "leaves"):
            made[kind] = stack.enter_context(
                add_vhost_pod(node, f"server-{kind}", "--label", f"app={kind}", *ports, offload=kind == "leaves"))
        for kind, pod in made.items():
            stack.enter_context(Witness(pod, pod.addresses, 8080, kind))
        yield made


def test_who_leaves_what_to_the_switch(clients, servers):
    for pods in (clients, servers):
        assert pods["leaves"].features & OFFLOADS == OFFLOADS and not pods["socket"].features & OFFLOADS


@FAMILIES
@PAIRS
def test_pings_of_every_size(clients, servers, source, target, family):
    """A small one, the largest packet, and one in fragments."""
    for size in (0, 56, 1500 - HEADERS[family], 4000):
        assert traffic.ping(clients[source], address_of(servers[target], family), count=4, size=size).ok, size


@FAMILIES
@PAIRS
def test_every_byte_of_a_connection_arrives(clients, servers, source, target, family):
    _, sent, received = traffic.transfer(clients[source], servers[target], address_of(servers[target], family), 16 << 20)
    assert sent == received


@FAMILIES
@PAIRS
def test_udp_at_a_modest_pace_loses_nothing(clients, servers, source, target, family):
    figures = traffic.udp(clients[source], servers[target], address_of(servers[target], family), seconds=1, payload=1000,
                          rate="2M")
    assert figures.lost == 0 and figures.sent >= 240


@FAMILIES
@PROTOCOLS
@PAIRS
def test_the_server_sees_the_client(node, clients, servers, source, target, protocol, family):
    """By its own address, and by that of a Service."""
    expected = (target, address_of(clients[source], family))
    with service(node, "of", app=target) as cluster_ips:
        for address, port in ((address_of(servers[target], family), 8080), (cluster_ips[family], 80)):
            answer = ask(clients[source], address, port, protocol)
            assert (answer.name, answer.peer) == expected


@FAMILIES
@PROTOCOLS
@EACH
def test_a_node_port(node, clients, servers, kind, protocol, family):
    """From the node, the world and all kinds of pod; all of them are masqueraded, unless the Service is Local."""
    with service(node, "of", "NodePort", app=kind, node_port=30500):
        for place in (node.netns, node.world, *clients.values()):
            answer = ask(place, NODE[family], 30500, protocol)
            assert answer.name == kind and answer.peer in node_addresses(family)
    with service(node, "of", "NodePort", app=kind, node_port=30501, more="externalTrafficPolicy: Local"):
        assert ask(node.world, NODE[family], 30501, protocol).peer == WORLD[family]


@FAMILIES
@PROTOCOLS
@EACH
def test_a_pod_that_is_its_own_backend(node, servers, kind, protocol, family):
    with service(node, "of", app=kind) as cluster_ips:
        answer = ask(servers[kind], cluster_ips[family], 80, protocol)
        assert answer.name == kind and answer.peer in node_addresses(family)


@FAMILIES
@EACH
def test_a_service_without_endpoints_refuses(node, clients, kind, family):
    with service(node, "empty", app="nobody") as cluster_ips:
        for protocol in ("tcp", "udp"):
            with pytest.raises(ConnectionRefusedError):
                ask(clients[kind], cluster_ips[family], 80, protocol)


@FAMILIES
@EACH
def test_a_closed_port_refuses(clients, servers, kind, family):
    for target in KINDS:
        for protocol in ("tcp", "udp"):
            with pytest.raises(ConnectionRefusedError):
                ask(clients[kind], address_of(servers[target], family), 7999, protocol)


@FAMILIES
@PROTOCOLS
@EACH
def test_the_world_sees_the_node(clients, witness, kind, protocol, family):
    assert ask(clients[kind], WORLD[family], witness, protocol).peer == NODE[family]


@FAMILIES
@EACH
def test_the_world_answers_pings(clients, kind, family):
    for size in (56, 1500 - HEADERS[family], 4000):
        assert traffic.ping(clients[kind], WORLD[family], count=4, size=size).ok


@FAMILIES
@EACH
def test_every_byte_to_the_world_and_from_the_node_arrives(node, clients, kind, family):
    for source, target, address in ((clients[kind], node.world, WORLD[family]),
                                    (node.netns, clients[kind], address_of(clients[kind], family))):
        _, sent, received = traffic.transfer(source, target, address, 4 << 20)
        assert sent == received


POLICY = """
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: %(name)s, namespace: default}
spec: {podSelector: {matchLabels: {%(selected)s}}, policyTypes: [%(direction)s], %(rules)s}
"""


@contextlib.contextmanager
def policy(node, name, selected, direction, rules=""):
    text = POLICY % {"name": name, "selected": selected, "direction": direction, "rules": rules}
    node.instance.cli("apply", "-f", "-", input=text)
    try:
        yield
    finally:
        node.instance.cli("delete", "-f", "-", input=text)


@pytest.mark.parametrize("direction, reason", [("Ingress", "policy_ingress"), ("Egress", "policy_egress")])
@FAMILIES
@PAIRS
def test_a_policy_denies_and_another_allows(node, clients, servers, source, target, direction, reason, family):
    client, address = clients[source], address_of(servers[target], family)
    selected = f"app: {target}" if direction == "Ingress" else "role: client"
    peers, label = ("from", "role: client") if direction == "Ingress" else ("to", f"app: {target}")
    rules = f"{direction.lower()}: [{{{peers}: [{{podSelector: {{matchLabels: {{{label}}}}}}}], ports: [{{port: 8080}}]}}]"
    with policy(node, "deny", selected, direction):
        for protocol in ("tcp", "udp"):
            before = node.instance.drops().get(reason, 0)
            with pytest.raises(TimeoutError):
                ask(client, address, 8080, protocol, timeout_s=0.3)
            assert node.instance.drops().get(reason, 0) == before + 1
        with policy(node, "allow", selected, direction, rules):
            assert ask(client, address, 8080, "tcp").name == target
            with pytest.raises(TimeoutError):
                ask(client, address, 8080, "udp", timeout_s=0.3)
    assert ask(client, address, 8080, "udp").name == target


def plain(text, *pods):
    """Without what is each pod's own."""
    for pod in pods:
        for own in (*pod.addresses, pod.name, pod.host_interface):
            text = re.sub(rf"(?<![\w.:]){re.escape(own)}(?![\w]|[.:]\w*[.:])", "POD", text)
    return re.sub(r" +", " ", re.sub(r"identity \d+", "identity N", text))


def assert_same(said):
    """`said`: of each pair, or each kind, the same text."""
    first, *others = said.items()
    for name, text in others:
        assert text == first[1], f"{name} differs from {first[0]}"


def test_a_trace_says_the_same_of_each(node, clients, servers):
    said = {}
    for source in KINDS:
        for target in KINDS:
            client, server = clients[source], servers[target]
            ways = [("--to", f"default/{server.name}", "--port", "9000/tcp"), ("--to", server.ipv6, "--port", "9000/udp"),
                    ("--to", WORLD[4], "--port", "9000/udp"), ("--to", "10.96.200.200", "--port", "53/udp")]
            with policy(node, "deny", f"app: {target}", "Ingress"):
                texts = [node.instance.cli("trace", "--from", f"default/{client.name}", *way, check=False).stdout
                         for way in ways]
            assert "DROP policy_ingress" in texts[0] and "ALLOW" in texts[2]
            said[source, target] = plain("\n".join(texts), client, server)
    assert_same(said)


def test_flows_say_the_same_of_each(node, clients, servers, witness):
    """To a Service, to a pod and to the world, in both families."""
    said = {}
    for source in KINDS:
        for target in KINDS:
            client, server, shown = clients[source], servers[target], []
            with service(node, "flows", app=target) as cluster_ips:
                for family in (4, 6):
                    for address, port in ((cluster_ips[family], 80), (address_of(server, family), 8080),
                                          (WORLD[family], witness)):
                        shown.append(flow_text(node, client, address, port).replace(cluster_ips[family], "SERVICE"))
            said[source, target] = plain("\n".join(shown), client, server)
    assert_same(said)


def flow_text(node, client, address, port):
    """What is shown of one UDP question and its answer."""
    with connected(client, address, port, "udp") as made:
        answer_of(made, "udp")
        own_port = made.getsockname()[1]
        flows = node.instance.query("flows", "--pod", f"default/{client.name}")["flows"]
    flow = next(flow for flow in flows if flow["original"]["source_port"] == own_port and flow["protocol"] == frames.UDP
                and flow["original"]["destination"] == address)
    assert (flow["packets"], flow["reply_packets"]) == (1, 1)
    for changing in ("age_ms", "idle_ms", "expires_ms", "created_ms", "expires_in_ms", "worker"):
        flow.pop(changing, None)
    text = json.dumps(flow, indent=1, sort_keys=True).replace(f": {own_port}", ": PORT")
    return re.sub(r'("translated": \{[^}]*"source_port": )\d+', r"\1PORT", text)


def totals_of(node, pod):
    return node.instance.port_totals()[pod.host_interface]


def difference(before, after):
    return {key: after[key] - before[key] for key in after if key != "drops"}


def test_counters_of_a_ping_are_the_same_for_each(node, clients, servers):
    said = {}
    for source in KINDS:
        for target in KINDS:
            pods = clients[source], servers[target]
            said[source, target] = wait_until(lambda: counted_ping(node, pods), "a ping is counted and nothing else", 10)
    assert_same(said)


def counted_ping(node, pods, count=5):
    """What a ping changes in the counters of both ports; None if a pod's kernel had something else to say meanwhile."""
    before = [totals_of(node, pod) for pod in pods]
    traffic.ping(pods[0], pods[1].ipv4, count=count, size=1000)
    changes = [difference(old, totals_of(node, pod)) for old, pod in zip(before, pods)]
    return changes if all(change["rx_packets"] == change["tx_packets"] == count for change in changes) else None


@EACH
def test_a_pod_cannot_speak_for_another(node, clients, servers, kind):
    pod = clients[kind]
    packet = frames.ipv4("198.51.100.7", servers["kernel"].ipv4, frames.UDP,
                         frames.udp("198.51.100.7", servers["kernel"].ipv4, 9, 7100, b"x"))
    before = totals_of(node, pod)["drops"].get("spoofed_address", 0)
    with frames.raw_socket(pod) as raw:
        raw.send(frames.ethernet("02:4d:52:00:00:01", pod.mac, packet))
    wait_until(lambda: totals_of(node, pod)["drops"].get("spoofed_address", 0) == before + 1, "the drop is counted")
    assert "spoofed_address" in node.instance.cli("drops", "--pod", f"default/{pod.name}").stdout


@FAMILIES
@EACH
def test_a_ttl_of_one_ends_at_the_switch(clients, kind, family):
    said = "Time to live exceeded" if family == 4 else "Time exceeded"
    assert said in clients[kind].run("ping", "-n", "-c", "1", "-W", "2", "-t", "1", WORLD[family], check=False).stdout


@pytest.fixture(scope="module")
def narrow(node):
    """Pods that take only small packets, made by CNI alone as a runtime does; the newest version tells the MTU."""
    cni = Cni(node.instance, version="1.1.0")
    cni.plugins = [cni.plugin(mtu=SMALL_MTU)]
    with container(cni, "narrow-kernel") as kernel, \
            container(cni, "narrow-socket", "MILLRACE_PORT_TYPE=vhost-user") as first, \
            container(cni, "narrow-leaves", "MILLRACE_PORT_TYPE=vhost-user") as second, \
            VhostPod.of(node, first, first.result) as socket_pod, \
            VhostPod.of(node, second, second.result, offload=True) as leaving_pod:
        assert socket_pod.result["interfaces"][0]["mtu"] == SMALL_MTU
        yield {"kernel": kernel, "socket": socket_pod, "leaves": leaving_pod}


@FAMILIES
@PAIRS
def test_who_sends_too_much_is_told_the_mtu(clients, narrow, source, target, family):
    """ICMP's "fragmentation needed", ICMPv6's "packet too big": both from the switch. TCP finds the way by it."""
    client, address = clients[source], address_of(narrow[target], family)
    done = client.run("ping", "-n", "-c", "1", "-W", "2", "-M", "do", "-s", "1400", address, check=False)
    assert re.search(rf"mtu ?= ?{SMALL_MTU}", done.stdout), done.stdout
    _, sent, received = traffic.transfer(client, narrow[target], address, 1 << 20)
    assert sent == received
    assert f"mtu {SMALL_MTU}" in client.run("ip", f"-{family}", "route", "get", address).stdout


@PAIRS
def test_what_may_be_cut_is_cut(clients, narrow, source, target):
    assert traffic.ping(clients[source], narrow[target].ipv4, count=3, size=1400, options=("-M", "dont")).ok
    assert traffic.ping(narrow[target], clients[source].ipv4, count=3, size=4000, options=("-M", "dont")).ok


@PAIRS
def test_a_connection_outlives_the_switch(node, clients, servers, source, target):
    """Its ends are where they were, and it is picked up where it was; nobody connects the guest anew but itself."""
    client, server = clients[source], servers[target]
    with server.socket(socket.AF_INET, socket.SOCK_STREAM) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((server.ipv4, 7300))
        listener.listen(1)
        with connected(client, server.ipv4, 7300, "tcp", timeout_s=15) as made:
            accepted, _ = listener.accept()
            with accepted:
                accepted.settimeout(15)
                made.send(b"before")
                assert accepted.recv(64) == b"before"
                node.instance.kill("millraced")
                node.instance.up()
                made.send(b"after")
                assert accepted.recv(64) == b"after"
                accepted.send(b"and back")
                assert made.recv(64) == b"and back"
