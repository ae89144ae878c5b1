"""A cluster in which things go away: etcd, a node, an agent, the network to etcd. What was there goes on."""

import json

import pytest

from harness import traffic
from harness.cluster import LEASE_SECONDS, Cluster
from harness.process import CommandError, wait_until

POLICY = {"apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy", "metadata": {"name": "closed", "namespace": "default"},
          "spec": {"podSelector": {"matchLabels": {"app": "closed"}}, "ingress": [
              {"from": [{"podSelector": {"matchLabels": {"app": "friend"}}}]}]}}


@pytest.fixture(scope="module")
def cluster(programs, request):
    made = Cluster(programs, "faults", encapsulation="vxlan")
    request.module.nodes_made = made.nodes
    try:
        yield made.up()
    finally:
        made.destroy()


@pytest.fixture(scope="module")
def pods(cluster):
    for node in cluster.nodes:
        node.add_pod(f"pod-{node.number}")
    return [node.pods[f"pod-{node.number}"] for node in cluster.nodes]


def all_talk(pods):
    return all(traffic.ping(here, there.ipv4, count=3).ok and traffic.ping(here, there.ipv6, count=3).ok
               for here in pods for there in pods if here is not there)


def blocks(node):
    return {block["prefix"]: block["node"] for block in node.instance.query("ipam", "show")["blocks"]}


def test_while_etcd_is_away_pods_talk_and_new_ones_start(cluster, pods):
    first, second, _ = cluster.nodes
    second.instance.cli("apply", "-f", "-", input=json.dumps(POLICY))
    with cluster.etcd.away():
        assert all_talk(pods)
        started = first.add_pod("late")
        assert traffic.ping(started, pods[0].ipv4, count=3).ok
        assert traffic.ping(started, pods[2].ipv4, count=3).ok, "the others' routes are of blocks, not of pods"
        with pytest.raises(CommandError, match="etcd"):
            first.instance.cli("apply", "-f", "-", input=json.dumps({**POLICY, "metadata": {"name": "no"}}))
    # Back: what happened meanwhile is known everywhere.
    wait_until(lambda: any(pod["metadata"]["name"] == "late" for pod in
                           second.instance.query("get", "pods")["items"]), "node-2 knows the new pod", timeout_s=20)
    assert all_talk([*pods, started])
    first.delete_pod("late")
    second.instance.cli("delete", "-f", "-", input=json.dumps(POLICY))


def test_everything_restarts_while_etcd_is_away(cluster, pods):
    """Agent and switch of a node start anew and know what they knew."""
    node = cluster.nodes[0]
    before = blocks(node)
    with cluster.etcd.away():
        node.instance.kill("millrace-agent")
        node.instance.kill("millraced")
        node.instance.up()
        wait_until(lambda: all_talk(pods), "pods talk again", timeout_s=20)
        assert blocks(node) == before
        started = node.add_pod("late")
        assert traffic.ping(started, pods[1].ipv4, count=3).ok
    node.delete_pod("late")
    cluster.wait_for_nodes(cluster.nodes)


def test_a_node_that_stops_goes_and_comes_back(cluster, pods, figure):
    first, second, third = cluster.nodes
    before = blocks(first)
    for program in ("millrace-agent", "millraced"):
        third.instance.kill(program)
    for node in (first, second):
        wait_until(lambda: "node-3" not in cluster.reachable(node), "node-3 is gone", timeout_s=3 * LEASE_SECONDS)
        routes = node.instance.query("route", "list")["routes"]
        assert not [route for route in routes if route["node"] == "node-3" and route["state"] == "up"]
    assert blocks(first) == before, "its addresses are still its own"
    assert all_talk(pods[:2])
    third.instance.up()
    cluster.wait_for_nodes(cluster.nodes)
    assert blocks(first) == before
    assert all_talk(pods)


def test_an_agent_that_dies_is_not_noticed(cluster, pods):
    """The switch goes on; the node's lease ends, and that is when the others let go of it."""
    node = cluster.nodes[1]
    node.instance.kill("millrace-agent")
    assert all_talk(pods)
    node.instance.up()
    cluster.wait_for_nodes(cluster.nodes)
    assert all_talk(pods)


def test_a_node_cut_off_from_etcd_alone_keeps_what_it_has(cluster, pods):
    """The others let go of it when its lease ends; it comes back with what it had."""
    node = cluster.nodes[1]
    node.netns.run("nft", "add table inet cut; add chain inet cut out { type filter hook output priority 0; }; "
                          "add rule inet cut out tcp dport 2379 drop")
    try:
        wait_until(lambda: "node-2" not in cluster.reachable(cluster.nodes[0]), "node-2 is gone",
                   timeout_s=4 * LEASE_SECONDS)
        started = node.add_pod("cut-off")
        assert traffic.ping(started, pods[1].ipv4, count=3).ok
        node.delete_pod("cut-off")
    finally:
        node.netns.run("nft", "delete table inet cut")
    cluster.wait_for_nodes(cluster.nodes)
    wait_until(lambda: all_talk(pods), "pods talk again", timeout_s=20)
