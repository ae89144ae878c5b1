"""up, down, status; what the sockets endure; what stays after the end."""

import os
import socket
import stat

import pytest

from harness import traffic
from harness.node import Node
from harness.process import wait_until
from harness.services import service


@pytest.fixture
def fresh(programs):
    """A node whose networks are there and whose Millrace is not up."""
    node = Node(programs, "test")
    node.make_networks()
    yield node
    node.destroy()


def test_up_and_down_may_be_said_twice(fresh):
    instance = fresh.instance
    assert instance.cli("status", check=False).returncode != 0
    instance.up()
    pids = instance.pids()
    instance.up()
    assert instance.pids() == pids and len(pids) == 2
    assert instance.cli("status").returncode == 0
    instance.down()
    instance.down()
    assert instance.pids() == {}


def test_down_takes_the_host_port_with_it_and_pods_come_back_with_up(fresh):
    fresh.instance.up()
    a, b = fresh.add_pod("a"), fresh.add_pod("b")
    fresh.instance.down()
    assert "millrace0" not in fresh.netns.run("ip", "-o", "link").stdout
    assert a.run("ping", "-c", "1", "-W", "1", b.ipv4, check=False).returncode != 0
    fresh.instance.up()
    assert traffic.ping(a, b.ipv4).ok and traffic.ping(fresh.netns, b.ipv6).ok


def test_down_takes_the_table_of_node_ports_with_it_and_a_start_mends_it(fresh):
    def tables():
        return set(fresh.netns.run("nft", "list", "tables").stdout.splitlines())

    both = {"table ip millrace-millrace0", "table ip6 millrace-millrace0"}
    fresh.instance.up()
    with service(fresh, "web", "NodePort", node_port=30500):
        assert tables() == both
        fresh.instance.down()
        assert not tables()
        fresh.netns.run("nft", "add", "table", "ip", "millrace-millrace0")
        fresh.instance.up()
        assert tables() == both
        rules = fresh.netns.run("nft", "list", "table", "ip", "millrace-millrace0").stdout
        assert "udp . 30500 : " in rules and "hook output" in rules
        fresh.instance.down()
        fresh.instance.write_config(services={"nodePortsFromNode": False})
        fresh.instance.up()
        assert not tables(), "switched off"


def test_the_sockets_are_for_root_and_its_group(node):
    for path in (node.instance.agent_socket, node.instance.switch_socket):
        assert stat.S_IMODE(os.stat(path).st_mode) == 0o660


@pytest.mark.parametrize("garbage", [b"", b"GET / HTTP/1.1\r\n\r\n", os.urandom(65536),
                                     b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\xff" * 4096],
                         ids=["nothing", "HTTP/1", "64 KiB of noise", "a broken HTTP/2 preface"])
@pytest.mark.parametrize("which", ["agent_socket", "switch_socket"])
def test_garbage_on_a_socket_is_survived(node, pods, which, garbage):
    before = node.instance.pids()
    for _ in range(20):
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(getattr(node.instance, which))
            try:
                client.sendall(garbage)
            except BrokenPipeError:
                pass  # it was refused before we had said all of it
    assert node.instance.pids() == before
    assert node.instance.cli("status").returncode == 0
    assert traffic.ping(pods[0], pods[1].ipv4).ok


def test_many_open_connections_do_not_shut_others_out(node):
    clients = [socket.socket(socket.AF_UNIX) for _ in range(200)]
    try:
        for client in clients:
            client.connect(node.instance.agent_socket)
        assert node.instance.cli("status").returncode == 0
    finally:
        for client in clients:
            client.close()


def test_topology_says_what_was_chosen_and_why(node):
    topology = node.instance.query("topology")
    roles = [cpu["role"] for cpu in topology["cpus"] if cpu["role"].startswith("worker")]
    assert roles and topology["reasons"]
    assert all(cpu["why"] for cpu in topology["cpus"] if cpu["role"])
    assert "worker" in node.instance.cli("topology").stdout


def test_workers_can_be_pinned(make_node):
    cpu = max(os.sched_getaffinity(0))
    node = make_node(workers={"cpus": [cpu]})
    workers = [entry["cpu"] for entry in node.instance.query("topology")["cpus"] if entry["role"].startswith("worker")]
    assert workers == [cpu]
    assert [worker["cpu"] for worker in node.instance.query("counters")["workers"]] == [cpu]


def test_two_workers_hand_packets_over(make_node):
    """Pods on different workers, which share the cores of a small machine."""
    cpus = sorted(os.sched_getaffinity(0))
    if len(cpus) < 2:
        pytest.skip("one CPU")
    node = make_node(workers={"cpus": cpus[:2]})
    pods = [node.add_pod(f"w{index}") for index in range(4)]
    owners = {port["worker"] for port in node.instance.query("port", "list")["ports"]}
    assert owners == {0, 1}
    for first in pods:
        for second in pods:
            if first is not second:
                assert traffic.ping(first, second.ipv4, count=3).ok
    assert traffic.tcp(pods[0], pods[1], pods[1].ipv4, seconds=1).gbit_s > 0.1


def test_the_interface_of_a_pod_that_is_taken_away_under_the_switch(node, pods):
    """Somebody deletes a pod's veth: others go on, and DEL of that pod still succeeds."""
    victim = node.add_pod("victim")
    node.netns.ip("link", "del", victim.host_interface)
    assert traffic.ping(pods[0], pods[1].ipv4).ok
    node.delete_pod("victim")
    wait_until(lambda: node.instance.cli("status", check=False).returncode == 0, "status is good", 10)
    assert traffic.ping(pods[0], pods[1].ipv6).ok
