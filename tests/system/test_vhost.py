"""Pods by a vhost-user socket, with DPDK's testpmd on virtio-user as what runs in them: what they are given, and that
traffic, services and policies are the same in every direction between them and pods with a kernel interface."""

import json
import os
import pathlib
import signal
import socket
import time

import pytest

from harness.guest_traffic import port_of
from harness.pod import address_of
from harness.policies import denied
from harness.process import wait_until
from harness.services import service
from harness.testpmd import Testpmd
from harness.traffic import ping

FAMILIES = pytest.mark.parametrize("family", [4, 6], ids=["IPv4", "IPv6"])


@pytest.fixture(scope="module")
def node(make_node):
    return make_node("vhost")


@pytest.fixture(scope="module")
def client(node):
    return node.add_pod("client")


@pytest.fixture(scope="module")
def web(node):
    """The switch listens at its socket."""
    return node.add_pod("web-0", "--type", "vhost-user", "--label", "app=web", "--port", "http:8080/tcp", "--port",
                        "http-udp:8080/udp")


@pytest.fixture(scope="module")
def server(node):
    """It listens itself, so that it outlives the switch."""
    return node.add_pod("server", "--type", "vhost-user", "--vhost-listener", "pod", "--vhost-queues", "2")


def has_guest(node, pod, queue_pairs=1):
    status = port_of(node, pod)["vhost_user"]
    return status and status["connected"] and status["queue_pairs"] == queue_pairs


def guest(node, pod, mode, queues=1, **options):
    """A guest whose rings are up; ends with the context."""
    made = Testpmd(pod, mode, queues, **options)
    try:
        wait_until(lambda: has_guest(node, pod, queues), f"the guest of {pod.name} is there", 20)
    except BaseException:
        made.stop()
        raise
    return made


def echoed(place, address, port, text=b"x" * 64, timeout_s=0.2):
    """Does what was sent come back? A guest's rings are up before it forwards."""
    with place.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_DGRAM) as made:
        made.settimeout(timeout_s)
        made.connect((address, port))
        made.send(text)
        try:
            return made.recv(2048) == text
        except TimeoutError:
            return False


def wait_for_echo(place, address, port):
    wait_until(lambda: echoed(place, address, port), f"{address} port {port} answers", 10)


def denials(node):
    return node.instance.drops().get("policy_ingress", 0)


def test_a_pod_has_a_socket_and_no_interface(node, web):
    assert pathlib.Path(web.socket_path).is_socket()
    assert web.socket_path.startswith(f"{node.instance.config['runtimeDir']}/vhost/")
    assert [link["ifname"] for link in json.loads(web.netns.ip("-j", "link").stdout)] == ["lo"]
    record = json.loads(pathlib.Path(node.instance.config["runtimeDir"], "pods", f"{web.netns.name}.json").read_text())
    assert [(each["name"], each["mac"], each["socketPath"]) for each in record["result"]["interfaces"]] == [
        ("eth0", web.mac, web.socket_path)]
    port = port_of(node, web)
    assert port["spec"]["vhost_user"]["path"] == web.socket_path
    assert port["state"] == "no_guest"
    assert "vhost-user" in node.instance.cli("pod", "list").stdout
    shown = next(line for line in node.instance.cli("port", "list").stdout.splitlines() if web.host_interface in line)
    assert web.socket_path in shown and "no guest" in shown


def test_what_is_for_a_guest_that_is_not_there_is_dropped(node, client, web):
    assert not ping(client, web.ipv4, count=2).received
    assert port_of(node, web)["state"] == "no_guest"


def test_a_ping_and_a_guest_that_comes_again(node, client, web):
    for _ in range(2):
        with guest(node, web, "icmpecho"):
            wait_until(lambda: ping(client, web.ipv4, count=1).ok, "the guest answers", 10)
            assert ping(client, web.ipv4).ok
            assert ping(client, web.ipv4, size=1400).ok
            assert ping(node.netns, web.ipv4).ok
            assert port_of(node, web)["state"] == "up"
        wait_until(lambda: port_of(node, web)["state"] == "no_guest", "the guest is gone", 10)


@FAMILIES
def test_a_service_of_a_guest(node, client, web, family):
    with guest(node, web, "5tswap"), service(node, "web") as addresses:
        wait_for_echo(client, address_of(web, family), 8080)
        wait_for_echo(client, addresses[family], 80)
        assert all(echoed(client, addresses[family], 80, os.urandom(size), 1) for size in (1, 64, 1000, 1452))


def test_packed_rings(node, client, web):
    with guest(node, web, "icmpecho", packed=True):
        wait_until(lambda: ping(client, web.ipv4, count=1).ok, "the guest answers", 10)
        assert port_of(node, web)["vhost_user"]["packed_rings"]


def test_a_policy_denies_what_is_for_a_guest(node, client, web):
    with guest(node, web, "5tswap"):
        wait_for_echo(client, web.ipv4, 8080)
        before = denials(node)
        with denied(node, "web", "Ingress"):
            assert not echoed(client, web.ipv4, 8081)
            assert denials(node) > before
            said = node.instance.cli("trace", "--from", "client", "--to", "default/web-0", "--port", "8081/udp", check=False)
            assert said.returncode == 1 and "default/deny" in said.stdout, said.stdout
        wait_for_echo(client, web.ipv4, 8081)


def test_a_trace_to_a_guest_and_from_it(node, client, web):
    there = node.instance.cli("trace", "--from", "client", "--to", "default/web-0", "--port", "8080/udp").stdout
    assert there.splitlines()[-1] == f"verdict ALLOW: leaves by port {web.host_interface}"
    back = node.instance.cli("trace", "--from", "default/web-0", "--to", "default/client", "--port", "53/udp").stdout
    assert back.splitlines()[-1] == f"verdict ALLOW: leaves by port {client.host_interface}"


def sends(source, target):
    return ["--burst=1", "--txpkts=128", f"--tx-ip={source},{target}", "--tx-udp=9000,9001"]


def test_a_guest_begins_a_flow_to_a_pod(node, client, web):
    with client.socket(socket.AF_INET, socket.SOCK_DGRAM) as receiver:
        receiver.settimeout(10)
        receiver.bind((client.ipv4, 9001))
        with guest(node, web, "txonly", options=sends(web.ipv4, client.ipv4)):
            text, sender = receiver.recvfrom(2048)
        assert sender == (web.ipv4, 9000) and len(text) == 128 - 42


def test_a_guest_cannot_speak_for_another_address(node, client, web, server):
    spoofed = port_of(node, web)["totals"].get("drops", {})
    with guest(node, web, "txonly", options=sends(server.ipv4, client.ipv4)):
        def dropped():
            now = port_of(node, web)["totals"].get("drops", {})
            return [name for name, count in now.items() if int(count) > int(spoofed.get(name, 0))]
        assert [name for name in wait_until(dropped, "the guest's packets are dropped", 10) if name == "spoofed_address"]


def test_guests_reach_each_other(node, web, server):
    """One begins, the other sends it back, until the ring of the first, which does not read, is full."""
    before = port_of(node, web)["totals"]["tx_packets"]
    with guest(node, server, "5tswap", queues=2), guest(node, web, "txonly", options=sends(web.ipv4, server.ipv4)):
        wait_until(lambda: port_of(node, web)["totals"]["tx_packets"] - before > 100, "packets come back", 10)


def test_a_guest_that_listens_outlives_the_switch(node, client, server):
    with guest(node, server, "icmpecho", queues=2) as alive:
        wait_until(lambda: ping(client, server.ipv4, count=1).ok, "the guest answers", 10)
        node.instance.kill("millraced")
        node.instance.up()
        wait_until(lambda: node.instance.cli("status", check=False).returncode == 0, "status is good again", 15)
        wait_until(lambda: ping(client, server.ipv4, count=1).ok, "the same guest answers", 15)
        assert ping(client, server.ipv4).ok
        assert alive.process.poll() is None


def test_sockets_are_there_again_after_both_were_killed(node, client, web):
    for program in ("millraced", "millrace-agent"):
        node.instance.kill(program)
    node.instance.up()
    wait_until(lambda: node.instance.cli("status", check=False).returncode == 0, "status is good again", 15)
    with guest(node, web, "icmpecho"):
        wait_until(lambda: ping(client, web.ipv4, count=1).ok, "a new guest answers", 10)


def test_a_guest_that_stops_reading_harms_nobody(node, client, web):
    """Its ring fills, and what is for it is dropped; others go on."""
    other = node.add_pod("other")
    with guest(node, web, "icmpecho") as stopped:
        wait_until(lambda: ping(client, web.ipv4, count=1).ok, "the guest answers", 10)
        os.killpg(stopped.process.pid, signal.SIGSTOP)
        os.waitpid(stopped.process.pid, os.WUNTRACED)  # all of its threads stand still
        try:
            assert not ping(client, web.ipv4, count=500, interval_s=0.002).received
            assert ping(client, other.ipv4).ok
        finally:
            os.killpg(stopped.process.pid, signal.SIGCONT)
        wait_until(lambda: ping(client, web.ipv4, count=1).ok, "the guest answers again", 10)
    node.delete_pod("other")


def test_an_idle_guest_does_not_keep_the_switch_awake(node, client, web):
    """Naps of 250 us would be some thousand turns a second. The guest's packet after a rest arrives all the same."""
    def turns():
        return sum(worker["loops"] for worker in node.instance.query("counters")["workers"])
    with guest(node, web, "icmpecho"):
        wait_until(lambda: ping(client, web.ipv4, count=1).ok, "the guest answers", 10)
        for _ in range(3):
            before = turns()
            time.sleep(1)
            assert turns() - before < 1000
            assert ping(client, web.ipv4, count=1).ok


def test_the_annotation_of_an_object_chooses(node):
    pod = ("apiVersion: v1\nkind: Pod\nmetadata: {name: annotated, annotations: {millrace.io/port-type: %s}}\n"
           "spec: {containers: [{name: main}]}")
    node.instance.cli("apply", "-f", "-", input=pod % "vhost-user")
    made = node.add_pod("annotated")
    assert pathlib.Path(made.socket_path).is_socket()
    node.delete_pod("annotated")
    node.instance.cli("apply", "-f", "-", input=pod % "sriov")
    refused = node.instance.cli("pod", "add", "annotated", check=False)
    assert refused.returncode != 0
    assert "millrace.io/port-type" in refused.stderr and "allowed: kernel, vhost-user" in refused.stderr, refused.stderr


def test_the_socket_goes_with_the_pod(node, server):
    directory = pathlib.Path(server.socket_path).parent
    assert directory.is_dir()
    node.delete_pod("server")
    assert not directory.exists()
