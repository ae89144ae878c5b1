"""What becomes of packets, as a person is told: of one that is not sent, of real ones as they pass, and of each that is
dropped."""

import contextlib
import json
import time

import pytest

from harness import frames
from harness.process import Background, wait_until
from harness.services import NODE, WORLD, add_backend, applied, service
from harness.traffic import ping
from harness.witness import Witness, ask

GATEWAY_MAC = "02:4d:52:00:00:01"
UNKNOWN_SERVICE = "10.96.200.200"


@pytest.fixture(scope="module")
def node(make_node):
    return make_node("trace", uplink="auto")


@pytest.fixture(scope="module")
def web(node):
    return add_backend(node, "web-0")


@pytest.fixture(scope="module")
def client(node):
    return node.add_pod("client")


def trace(node, *words):
    """What is said, and the exit status."""
    done = node.instance.cli("trace", *map(str, words), check=False)
    return done.stdout, done.returncode


def trace_data(node, *words):
    done = node.instance.cli("trace", *map(str, words), "-o", "json", check=False)
    return json.loads(done.stdout)


@contextlib.contextmanager
def watching(node, *words):
    """A command that watches, once it has begun to."""
    with Background(node.instance.cli_command(*words)) as watcher:
        watcher.wait_for_output("watching")
        yield watcher


def events(watcher):
    """Of one that prints an object a line: those that are whole."""
    lines = watcher.text().split("\n")[:-1]
    return [json.loads(line) for line in lines if line.startswith("{")]


def test_a_trace_of_a_service_shows_its_backend_and_passes(node, client, web):
    with service(node, "web") as addresses:
        # The pods behind it come with the next change of its endpoints: what is traced is what is in force.
        said, status = wait_until(lambda: answer_with(trace(node, "--from", "client", "--to", "web", "--port", "80/tcp"), 0),
                                  "the service has its backend")
        lines = said.splitlines()
        assert lines[0].startswith(f"from    default/client ({client.ipv4}), port {client.host_interface}")
        assert lines[1] == f"service default/web:tcp {addresses[4]}:80 -> {web.ipv4}:8080 (1 of 1 backend)"
        assert lines[2].startswith(f"to      default/web-0 ({web.ipv4}), port {web.host_interface}")
        assert lines[3] == "egress  default/client is not isolated"
        assert lines[4] == "ingress default/web-0 is not isolated"
        assert lines[-1] == f"verdict ALLOW: leaves by port {web.host_interface}"
        assert status == 0
        # What was said is what happens, and a flow that is there is told.
        with Witness(web, web.addresses, 8080, "web-0"):
            assert ask(client, addresses[4], 80, "tcp").name == "web-0"
        said, _ = trace(node, "--from", client.ipv4, "--to", addresses[4], "--port", "80/tcp")
        assert any(line.startswith(f"flow    tcp {client.ipv4}:") for line in said.splitlines()), said


def answer_with(answer, status):
    return answer if answer[1] == status else None


def test_a_pod_wins_over_a_service_of_its_name(node, client, web):
    with service(node, "web-0") as addresses:
        pod = trace_data(node, "--from", "client", "--to", "default/web-0", "--port", "8080")
        named = trace_data(node, "--from", "client", "--to", "service/default/web-0", "--port", "80")
        assert pod["service"] is None and pod["translated"]["destination"] == web.ipv4
        assert named["service"]["name"] == "default/web-0:tcp"
        assert named["translated"]["destination"] in (addresses[4], web.ipv4)


# who, where to, the words in the verdict, the exit status
ROWS = [
    ("client", UNKNOWN_SERVICE, "DROP service_no_frontend", 1),
    ("client", "224.0.0.1", "DROP multicast", 1),
    ("client", "127.0.0.1", "DROP no_route", 1),
    ("client", WORLD[4], "ALLOW: leaves by port millrace0", 0),
    ("client", WORLD[6], "ALLOW: leaves by port millrace0", 0),
    (NODE[4], "client", "ALLOW", 0),
    (WORLD[4], "client", "ALLOW", 0),
]


@pytest.mark.parametrize("source, destination, verdict, status", ROWS)
def test_a_trace_ends_with_the_verdict(node, client, source, destination, verdict, status):
    said, code = trace(node, "--from", source, "--to", destination, "--port", "80/udp")
    assert said.splitlines()[-1].startswith(f"verdict {verdict}"), said
    assert code == status


def test_a_packet_to_the_world_leaves_as_the_node(node, client):
    said, _ = trace(node, "--from", "client", "--to", WORLD[4], "--port", "icmp")
    assert f"leaves  as {NODE[4]} (masquerade)" in said.splitlines()
    assert ping(client, WORLD[4], count=1).received == 1


def test_words_that_are_wrong_are_told_by_flag(node, client):
    rows = [
        (("--from", "nobody", "--to", "client", "--port", "80"), "--from: no pod default/nobody with an address"),
        (("--from", "client", "--to", "x/nobody", "--port", "80"), "--to: no pod of this node and no service is x/nobody"),
        (("--from", "client", "--to", WORLD[4], "--port", "80/tpc"), "--port: 80/tpc; allowed: PORT/tcp"),
        (("--from", "client", "--to", WORLD[4]), f"--port: missing, and {WORLD[4]} has none of its own"),
        (("--to", "client"), "--from: missing; allowed: --from and --to, or --live alone"),
        (("--live", "nobody"), "--live: no pod default/nobody with an address"),
    ]
    for words, text in rows:
        done = node.instance.cli("trace", *words, check=False)
        assert (done.returncode, done.stdout) == (1, "")
        assert done.stderr.startswith(f"millrace: {text}"), done.stderr


def test_live_shows_a_real_ping_both_ways(node, client, web):
    with watching(node, "trace", "--live", "client", "-o", "json") as watcher:
        before_ns = time.time_ns()
        assert ping(client, web.ipv4, count=1).received == 1
        watcher.wait_for_output('"icmp_type":0')
        after_ns = time.time_ns()
        seen = [event for event in events(watcher) if event["protocol"] == 1]
    request = next(event for event in seen if event["icmp_type"] == 8)
    reply = next(event for event in seen if event["icmp_type"] == 0)
    assert (request["in"]["description"], request["out"]["description"]) == ("default/client", "default/web-0")
    assert request["arrived"]["source"] == client.ipv4 and request["left"]["destination"] == web.ipv4
    assert (reply["in"]["description"], reply["out"]["description"]) == ("default/web-0", "default/client")
    assert reply["is_reply"] and not request["is_reply"]
    assert all(before_ns - 10**9 <= event["time_unix_ns"] <= after_ns for event in (request, reply))


def test_live_for_people_is_a_line_a_packet_and_ends_with_the_pod(node):
    gone = node.add_pod("gone")
    with watching(node, "trace", "--live", "gone") as watcher:
        assert ping(gone, WORLD[4], count=1).received == 1
        watcher.wait_for_output(f"default/gone: icmp type 8 {gone.ipv4}:")
        watcher.wait_for_output(f"from {NODE[4]}:")
        node.delete_pod("gone")
        said = watcher.finish(timeout_s=10, check=False)
    assert watcher.process.returncode == 1
    assert said.splitlines()[-1] == f'millrace: millraced: port "{gone.host_interface}" is gone'


def spoofed(pod, target):
    source = "198.51.100.7"
    return frames.ethernet(GATEWAY_MAC, pod.mac,
                           frames.ipv4(source, target, frames.UDP, frames.udp(source, target, 9, 7100, b"x")))


def test_each_drop_is_shown_with_its_pod_and_its_reason(node, client, web):
    with watching(node, "drops", "--watch") as watcher, frames.raw_socket(client) as raw:
        raw.send(spoofed(client, web.ipv4))
        watcher.wait_for_output("spoofed_address")
        client.run("python3", "-c", "import socket; socket.socket(socket.AF_INET, socket.SOCK_DGRAM)"
                   f".sendto(b'x', ('{UNKNOWN_SERVICE}', 53))")
        watcher.wait_for_output("service_no_frontend")
        lines = watcher.text().splitlines()
    spoof = next(line for line in lines if "spoofed_address" in line)
    assert f" default/client: udp 198.51.100.7:9 > {web.ipv4}:7100 (default/web-0), " in spoof
    stray = next(line for line in lines if "service_no_frontend" in line)
    assert f" default/client: udp {client.ipv4}:" in stray and f" > {UNKNOWN_SERVICE}:53, " in stray
    assert stray.endswith("DROP service_no_frontend: an address of the service range that no service has")


def test_drops_of_one_pod_are_its_own(node, client, web):
    with watching(node, "drops", "--watch", "--pod", "web-0", "-o", "json") as watcher:
        with frames.raw_socket(client) as other, frames.raw_socket(web) as own:
            other.send(spoofed(client, web.ipv4))
            wait_until(lambda: totals(node, "client").get("spoofed_address"), "the other pod's drop is counted")
            own.send(spoofed(web, client.ipv4))
            watcher.wait_for_output("spoofed_address")
        seen = [event["in"]["description"] for event in events(watcher) if event["drop"] == "spoofed_address"]
    assert seen == ["default/web-0"]


def totals(node, pod):
    """Packets dropped of a pod, by reason."""
    return {row["drop"]: row["packets"] for row in node.instance.query("drops", "--pod", pod)["drops"]}


def test_totals_are_by_pod_and_reason(node, client):
    before = totals(node, "client").get("spoofed_address", 0)
    with frames.raw_socket(client) as raw:
        for _ in range(3):
            raw.send(spoofed(client, WORLD[4]))
    wait_until(lambda: totals(node, "client").get("spoofed_address", 0) == before + 3, "three more drops are counted")
    row = next(line for line in node.instance.cli("drops").stdout.splitlines()
               if line.startswith("default/client") and " spoofed_address " in line)
    assert str(before + 3) in row.split() and client.host_interface in row.split()


POLICY = {"apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy", "metadata": {"name": "web-in"},
          "spec": {"podSelector": {"matchLabels": {"app": "web"}}, "policyTypes": ["Ingress"],
                   "ingress": [{"from": [{"podSelector": {"matchLabels": {"role": "admin"}}}]},
                               {"ports": [{"protocol": "TCP", "port": 8080}]}]}}


def test_a_policy_says_who_it_isolates_and_which_rule_decides(node, client, web):
    with applied(node, [POLICY]):
        said, status = trace(node, "--from", "client", "--to", "web-0", "--port", "8080/tcp")
        assert "ingress default/web-0 is isolated by default/web-in; rule ingress[1] of default/web-in allows it" in said
        assert status == 0
        said, status = trace(node, "--from", "client", "--to", "web-0", "--port", "81/tcp")
        assert "ingress default/web-0 is isolated by default/web-in; no rule allows it (default deny)" in said
        assert said.splitlines()[-1].startswith("verdict DROP policy_ingress: ") and status == 1

        shown = node.instance.query("policy", "show", "web-0")["ports"][0]["ingress"]
        assert shown["isolated"] and [rule["index"] for rule in shown["policies"][0]["rules"]] == [0, 1]
        with Witness(web, web.addresses, 8080, "web-0"):
            assert ask(client, web.ipv4, 8080, "tcp").name == "web-0"
        text = node.instance.cli("policy", "show", "web-0").stdout
        assert "  default/web-in ingress[1]: from anybody, at 8080/tcp: 1 flow\n" in text
        assert "egress  not isolated" in text

        with watching(node, "drops", "--watch", "--pod", "web-0") as watcher:
            ping(client, web.ipv4, count=1)
            watcher.wait_for_output("policy_ingress: default/web-0 is isolated by default/web-in\n")
            assert f" default/client: icmp type 8 {client.ipv4}:" in watcher.text()
        assert totals(node, "web-0")["refused"] >= 1
    said, status = trace(node, "--from", "client", "--to", "web-0", "--port", "81/tcp")
    assert "ingress default/web-0 is not isolated" in said and status == 0
