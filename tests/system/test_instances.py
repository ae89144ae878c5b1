"""Two Millraces with different config files, side by side on one node."""

import pytest

from harness import traffic
from harness.node import Instance
from harness.pod import Pod


@pytest.fixture(scope="module")
def second(node):
    """Another instance in the same namespace: its own directories, host port and pools."""
    directory = node.directory / "second"
    directory.mkdir()
    instance = Instance(node.netns, node.programs, directory, {
        "hostPort": "millrace1", "nodeName": "second",
        "ipam": {"ipv4": {"pool": "10.245.0.0/16"}, "ipv6": {"pool": "fd00:10:245::/112"}}})
    instance.up()
    yield instance
    if instance.pids():
        instance.down()


def test_both_work_and_reach_each_other_by_the_node(node, pods, second):
    a, b = pods
    second.cli("pod", "add", "other")
    other = Pod.named(second, "other")
    assert other.ipv4.startswith("10.245.")
    assert traffic.ping(a, b.ipv4).ok and traffic.ping(node.netns, other.ipv4).ok
    assert traffic.ping(a, other.ipv4).ok, "from one switch through the node's kernel to the other"
    assert [pod["pod_name"] for pod in second.query("pod", "list")["pods"]] == ["other"]
    second.cli("pod", "del", "other")


def test_the_end_of_one_is_not_the_end_of_the_other(node, pods, second):
    a, b = pods
    second.down()
    assert second.pids() == {}
    assert len(node.instance.pids()) == 2 and traffic.ping(a, b.ipv4).ok and traffic.ping(node.netns, b.ipv6).ok
    second.up()


def test_an_instance_cannot_take_what_another_has(node, second):
    """Same directories: refused, and the first goes on."""
    before = node.instance.pids()
    twin = Instance(node.netns, node.programs, node.directory / "second", {**second.config, "hostPort": "millrace2"})
    twin.config_file = node.directory / "second" / "twin.yaml"
    twin.write_config()
    assert twin.cli("up", check=False, timeout_s=60).returncode != 0 or twin.pids() == {}
    assert len(second.pids()) == 2 and node.instance.pids() == before
    second.write_config()
