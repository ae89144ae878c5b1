"""Masquerade: pods reach a world that has no route back to them; the node's own traffic goes on beside it."""

import concurrent.futures
import json
import socket

import pytest

from harness import frames, traffic
from harness import node as nodes
from harness.connections import client_command, server_command
from harness.paced import loses_nothing
from harness.pod import address_of
from harness.process import Background, wait_until
from harness.witness import Witness, answer_of, ask, connected

POOLS = ("10.244.0.0/16", "fd00:10:244::/112")
FIRST_PORT, LAST_PORT = 40960, 65535  # nat.portRange
NODE = {4: nodes.NODE_IPV4, 6: nodes.NODE_IPV6}
WORLD = {4: nodes.WORLD_IPV4, 6: nodes.WORLD_IPV6}
FAMILIES = pytest.mark.parametrize("family", [4, 6], ids=["IPv4", "IPv6"])
PROTOCOLS = pytest.mark.parametrize("protocol", ["tcp", "udp"])


@pytest.fixture(scope="module")
def node(make_node):
    """The world knows the node alone."""
    made = make_node("nat", uplink="auto")
    for pool in POOLS:
        made.world.ip("route", "del", pool)
    return made


def flows_of(node, pod):
    return node.instance.query("flows", "--pod", f"default/{pod.name}")["flows"]


@FAMILIES
@PROTOCOLS
def test_the_world_sees_the_node(pods, witness, family, protocol):
    seen = ask(pods[0], WORLD[family], witness, protocol)
    assert seen.peer == NODE[family] and FIRST_PORT <= seen.peer_port <= LAST_PORT


@FAMILIES
def test_the_world_sees_the_node_ping(node, pods, family):
    sent = frames.packed(NODE[family]) + frames.packed(WORLD[family])
    with frames.raw_socket(node.world) as raw:
        assert traffic.ping(pods[0], WORLD[family]).ok
        request = frames.receive_matching(raw, lambda frame: sent in frame[:54])
    assert request is not None and request[34 if family == 4 else 54] == (8 if family == 4 else 128), "an echo request"


@FAMILIES
@PROTOCOLS
def test_two_pods_with_one_port_are_two_to_the_world(pods, witness, family, protocol):
    held = [connected(pod, WORLD[family], witness, protocol, source_port=33333) for pod in pods]
    try:
        seen = [answer_of(made, protocol) for made in held]
    finally:
        for made in held:
            made.close()
    assert {answer.peer for answer in seen} == {NODE[family]}
    assert seen[0].peer_port != seen[1].peer_port


@FAMILIES
def test_one_udp_port_of_a_pod_is_one_port_to_every_destination(node, pods, family):
    """Endpoint-independent mapping (RFC 4787 REQ-1)."""
    with Witness(node.world, [WORLD[family]], 7101, protocols=["udp"]), \
            Witness(node.world, [WORLD[family]], 7102, protocols=["udp"]):
        seen = [ask(pods[0], WORLD[family], port, "udp", source_port=33334) for port in (7101, 7102)]
    assert seen[0].peer_port == seen[1].peer_port


@FAMILIES
@PROTOCOLS
def test_flows_show_the_connection_and_its_translation(node, pods, witness, family, protocol):
    a, _ = pods
    with connected(a, WORLD[family], witness, protocol) as made:
        port = made.getsockname()[1]
        seen = answer_of(made, protocol)
        shown = [flow for flow in flows_of(node, a) if flow["original"]["source_port"] == port
                 and flow["protocol"] == {"tcp": frames.TCP, "udp": frames.UDP}[protocol]]
    assert len(shown) == 1
    flow = shown[0]
    assert flow["original"] == {"source": address_of(a, family), "destination": WORLD[family], "source_port": port,
                                "destination_port": witness}
    assert flow["translated"] == {"source": NODE[family], "destination": WORLD[family], "source_port": seen.peer_port,
                                  "destination_port": witness}
    assert flow["masqueraded"] and flow["packets"] >= 1 and flow["reply_packets"] >= 1


def tables(node):
    return {table["name"]: table["used"] for table in node.instance.query("status")["switch"]["tables"]}


@FAMILIES
@PROTOCOLS
def test_a_flush_ends_the_flows_of_a_pod_and_traffic_goes_on(node, pods, witness, family, protocol):
    a, b = pods
    node.instance.cli("flows", "flush")  # of those before some may end by themselves meanwhile
    with connected(a, WORLD[family], witness, protocol) as of_a, connected(b, WORLD[family], witness, protocol) as of_b:
        before = [answer_of(made, protocol) for made in (of_a, of_b)]
        had, others = flows_of(node, a), flows_of(node, b)
        assert len(had) >= 1 and len(others) >= 1
        assert node.instance.query("flows", "flush", "--pod", f"default/{a.name}") == {"ended": len(had)}
        assert flows_of(node, a) == []
        assert [flow["original"] for flow in flows_of(node, b)] == [flow["original"] for flow in others]
        if protocol == "udp":
            assert answer_of(of_a, protocol).peer == NODE[family], "of a new flow"
            assert answer_of(of_b, protocol).peer_port == before[1].peer_port, "of the flow that was there"
        assert ask(a, WORLD[family], witness, protocol).peer == NODE[family]


def test_a_flush_of_everything_frees_every_port_at_once(node, pods, witness):
    for family in (4, 6):
        for protocol in ("tcp", "udp"):
            ask(pods[0], WORLD[family], witness, protocol)
    names = [f"snat_ports_ipv{family}_{protocol}" for family in (4, 6) for protocol in ("tcp", "udp")]
    # A worker counts once in a millisecond, and when it has a processor.
    wait_until(lambda: all(tables(node)[name] >= 1 for name in names), "a port of each is in use", 5)
    used = tables(node)
    said = node.instance.cli("flows", "flush").stdout
    freed = tables(node)
    assert said.endswith(" flows ended\n") and int(said.split()[0]) >= used["flows_ipv4"] + used["flows_ipv6"] - 1, said
    assert [freed[name] for name in names] == [0, 0, 0, 0], freed
    assert flows_of(node, pods[0]) == []


def test_a_flush_of_whom_nobody_knows_is_refused_by_name(node):
    for words, said in ((("--pod", "nobody"), "--pod: no pod default/nobody with an address on this node"),
                        (("--address", "10.0.0"), '--address: IP address "10.0.0"'),
                        (("--address", "224.0.0.1"), "addresses[0]: 224.0.0.1")):
        done = node.instance.cli("flows", "flush", *words, check=False)
        assert done.returncode == 1 and said in done.stderr, done.stderr


@FAMILIES
@PROTOCOLS
def test_the_node_sees_the_pod_itself(node, pods, family, protocol):
    """Pods, and the agents of their own node, see each other without translation."""
    a, b = pods
    with Witness(node.netns, [NODE[family]], 7103, "node"), Witness(b, [address_of(b, family)], 7103, "b"):
        assert ask(a, NODE[family], 7103, protocol).peer == address_of(a, family)
        assert ask(a, address_of(b, family), 7103, protocol).peer == address_of(a, family)


@FAMILIES
def test_iperf(node, pods, family, figure):
    measured = traffic.tcp(pods[0], node.world, WORLD[family], seconds=5)
    figure(f"masquerade, TCP, IPv{family}: {measured.gbit_s:.2f} Gbit/s, {measured.retransmits} retransmits")
    assert measured.gbit_s > 0.1


@FAMILIES
def test_a_gigabyte_arrives_as_it_was_sent(node, pods, family, figure):
    seconds, sent, received = traffic.transfer(pods[0], node.world, WORLD[family], 1 << 30)
    figure(f"masquerade, 1 GiB, IPv{family}: {seconds:.1f} s")
    assert sent == received
    assert seconds < 60


@FAMILIES
def test_udp_at_a_modest_pace_loses_nothing(node, pods, family):
    loses_nothing(pods[0], node.world, WORLD[family])


def tcp_resets(place):
    """RST segments that a place has sent."""
    names, values = [line.split() for line in place.run("cat", "/proc/net/snmp").stdout.splitlines()
                     if line.startswith("Tcp:")]
    return int(values[names.index("OutRsts")])


@FAMILIES
def test_ten_thousand_short_connections_all_end_well(node, pods, family, figure):
    a, _ = pods
    before = tcp_resets(a), tcp_resets(node.world), tcp_resets(node.netns)
    with Background(node.world.command(*server_command([WORLD[family]], 7104))) as server:
        server.wait_for_output("listening")
        result = json.loads(a.run(*client_command(WORLD[family], 7104, 10000), timeout_s=60).stdout)
    assert result == {"answered": 10000, "failed": {}}
    assert (tcp_resets(a), tcp_resets(node.world), tcp_resets(node.netns)) == before


@FAMILIES
def test_the_nodes_own_traffic_goes_on_beside_the_pods(node, pods, witness, family):
    with Witness(node.netns, [NODE[family]], 22, "node"), concurrent.futures.ThreadPoolExecutor() as threads:
        load = threads.submit(traffic.tcp, pods[0], node.world, WORLD[family], 3, port=5203)
        while not load.done():
            assert ask(node.world, NODE[family], 22).peer == WORLD[family]
            assert ask(node.netns, WORLD[family], witness).peer == NODE[family]
            assert traffic.ping(node.netns, WORLD[family], count=5).ok
            assert traffic.ping(node.world, NODE[family], count=5).ok
        assert load.result().gbit_s > 0.05


@FAMILIES
def test_the_nodes_own_pings_with_any_identifier(node, family):
    """An identifier within nat.portRange as well as one without."""
    for identifier in (1, FIRST_PORT - 1, FIRST_PORT, 50000, LAST_PORT):
        assert traffic.ping(node.netns, WORLD[family], count=2, options=("-e", identifier)).ok, identifier


def test_the_kernel_takes_no_port_of_the_masquerade(node):
    reserved = node.netns.run("sysctl", "-n", "net.ipv4.ip_local_reserved_ports").stdout.strip()
    assert reserved == f"{FIRST_PORT}-{LAST_PORT}"


@FAMILIES
def test_ping_in_fragments(pods, family):
    """The request in pieces, and so the reply."""
    for size in (1472, 1473, 4000, 20000):
        assert traffic.ping(pods[0], WORLD[family], count=3, size=size).received == 3, f"payload of {size} bytes"


@FAMILIES
def test_udp_in_fragments(node, pods, family):
    a, _ = pods
    kind = socket.AF_INET6 if family == 6 else socket.AF_INET
    question, answer = bytes(range(256)) * 16, bytes(range(255, -1, -1)) * 24
    with node.world.socket(kind, socket.SOCK_DGRAM) as server, connected(a, WORLD[family], 7105, "udp") as client:
        server.settimeout(3)
        server.bind((WORLD[family], 7105))
        client.send(question)
        received, peer = server.recvfrom(65536)
        server.sendto(answer, peer)
        assert (received, peer[0]) == (question, NODE[family])
        assert client.recv(65536) == answer


def test_without_nat_outgoing_the_world_sees_the_pod(make_node):
    node = make_node("plain", uplink="auto", ipam={"ipv4": {"natOutgoing": False}, "ipv6": {"natOutgoing": False}})
    pod = node.add_pod("plain")
    with Witness(node.world, WORLD.values(), 7100):
        for family in (4, 6):
            for protocol in ("tcp", "udp"):
                assert ask(pod, WORLD[family], 7100, protocol).peer == address_of(pod, family)


def test_excluded_destinations_see_the_pod(make_node):
    node = make_node("excluded", uplink="auto", nat={"excluded": ["203.0.113.0/24"]})
    node.world.ip("route", "del", POOLS[1])
    pod = node.add_pod("excluded")
    with Witness(node.world, WORLD.values(), 7100):
        assert ask(pod, WORLD[4], 7100).peer == pod.ipv4
        assert ask(pod, WORLD[6], 7100).peer == NODE[6]
