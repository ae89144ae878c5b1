"""A node at rest costs little and wakes at once; `poll: always` costs a core and says so."""

import os
import time

import pytest

from harness import traffic


def cpu_seconds(pids):
    total = 0
    for pid in pids:
        with open(f"/proc/{pid}/stat") as handle:
            fields = handle.read().rsplit(")", 1)[1].split()
        total += int(fields[11]) + int(fields[12])
    return total / os.sysconf("SC_CLK_TCK")


def share_of_a_core(instance, seconds):
    pids = instance.pids().values()
    before, start = cpu_seconds(pids), time.monotonic()
    time.sleep(seconds)  # the rest itself is what is measured
    return (cpu_seconds(pids) - before) / (time.monotonic() - start)


def test_a_minute_of_rest_is_cheap_and_the_first_ping_after_it_is_quick(node, pods, figure):
    a, b = pods
    assert traffic.ping(a, b.ipv4).ok
    for _ in range(3):  # what waking costs is the same after each minute; what a machine's host takes is not
        share = share_of_a_core(node.instance, 60)
        first = traffic.ping(a, b.ipv4, count=1)
        figure(f"idle: {share * 100:.1f} % of a core; first ping after a minute: {first.first_ms:.3f} ms")
        assert share <= 0.05 and first.ok
        if first.first_ms <= 2:
            break
    assert first.first_ms <= 2


def test_with_forty_ports_rest_is_as_cheap(node, pods):
    """What a worker does at rest must not grow with the ports it owns."""
    names = [f"idle-{index}" for index in range(40)]
    for name in names:
        node.add_pod(name)
    share = share_of_a_core(node.instance, 5)
    for name in names:
        node.delete_pod(name)
    assert share <= 0.05


def test_poll_always_never_gives_its_core_back(make_node):
    node = make_node(poll="always")
    a, b = node.add_pod("a"), node.add_pod("b")
    assert node.instance.query("status")["switch"]["poll"] == "always"
    before = node.instance.query("counters")["workers"][0]
    assert share_of_a_core(node.instance, 1) > 0.1
    after = node.instance.query("counters")["workers"][0]
    assert after["sleeps"] == before["sleeps"] == 0 and after["loops"] > before["loops"] + 100_000
    assert traffic.ping(a, b.ipv4).ok


@pytest.mark.parametrize("hugepages", ["off", "auto"])
def test_it_runs_with_and_without_hugepages_and_says_which(make_node, hugepages):
    node = make_node(memory={"hugepages": hugepages})
    a, b = node.add_pod("a"), node.add_pod("b")
    memory = node.instance.query("status")["switch"]["memory"]
    assert "hugepages" in memory or "4K pages" in memory
    if hugepages == "off":
        assert memory.startswith("4K pages")
    assert traffic.ping(a, b.ipv4).ok
