"""kill -9 at bad moments: after a restart all is as it should be, and pods that exist never notice the agent."""

import concurrent.futures
import itertools
import threading

import pytest

from harness import traffic
from harness.cni import Cni, CniError
from harness.netns import Netns
from harness.paced import PacedFlow
from harness.process import wait_until


def consistent(node):
    """Every pod has addresses of its own and a port; every pod port has a pod."""
    pods = node.instance.query("pod", "list")["pods"]
    addresses = [address for pod in pods for address in pod["addresses"]]
    assert len(addresses) == len(set(addresses)), "one address twice"
    ports = {port["spec"]["name"]: port["spec"] for port in node.instance.query("port", "list")["ports"]}
    pod_interfaces = {pod["host_interface"] for pod in pods}
    switch_interfaces = {spec["interface"] for spec in ports.values() if "POD" in str(spec["kind"]).upper()}
    assert switch_interfaces == pod_interfaces
    return pods


def ready(node):
    """Both daemons run again and agree; status fails as long as they do not."""
    return wait_until(lambda: node.instance.cli("status", check=False).returncode == 0, "status is good again", 15)


def test_pods_do_not_notice_that_the_agent_is_gone(node, pods):
    a, b = pods
    with PacedFlow(a, b, b.ipv4) as flow:
        node.instance.kill("millrace-agent")
        assert traffic.ping(a, b.ipv6).ok
        node.instance.up()
        ready(node)
    assert flow.lost == 0, f"{flow.lost} of {flow.sent} packets"
    consistent(node)


def test_pods_work_again_after_the_switch_was_killed(node, pods):
    a, b = pods
    node.instance.kill("millraced")
    node.instance.up()
    ready(node)
    wait_until(lambda: traffic.ping(a, b.ipv4, count=1).ok, "pods reach each other", 5)
    assert traffic.ping(a, b.ipv4).ok and traffic.ping(a, b.ipv6).ok and traffic.ping(node.netns, b.ipv4).ok
    assert traffic.tcp(a, b, b.ipv4, seconds=1).gbit_s > 0.1
    consistent(node)


def test_pods_work_again_after_both_were_killed(node, pods):
    a, b = pods
    for program in ("millraced", "millrace-agent"):
        node.instance.kill(program)
    node.instance.up()
    ready(node)
    assert traffic.ping(a, b.ipv4).ok and traffic.ping(a, b.ipv6).ok
    consistent(node)


def test_the_port_of_a_pod_that_went_meanwhile_is_removed(node, pods):
    """A pod's namespace disappears while no daemon runs: its port must not come back."""
    gone = node.add_pod("gone")
    for program in ("millraced", "millrace-agent"):
        node.instance.kill(program)
    gone.netns.delete()
    node.instance.up()
    ready(node)
    ports = [port["spec"]["interface"] for port in node.instance.query("port", "list")["ports"]]
    assert gone.host_interface not in ports
    node.delete_pod("gone")
    consistent(node)


@pytest.mark.parametrize("round", range(3))
def test_kill_the_agent_in_a_storm_of_adds_and_dels(node, pods, round):
    """Callers try again as a kubelet does: DEL, then ADD. In the end every pod works and no address is given twice."""
    cni = Cni(node.instance)
    namespaces = [Netns.create(f"mr-test-storm{round}-{node.tag}-{index}") for index in range(12)]
    results, first_failure = {}, threading.Event()
    stop_churn = threading.Event()

    def add_until_it_works(netns):
        for _ in itertools.count():
            try:
                results[netns.name] = cni.add(netns.name, netns.path)
                return
            except CniError:
                first_failure.set()
                delete_until_it_works(netns)

    def delete_until_it_works(netns):
        for attempt in itertools.count():
            try:
                return cni.delete(netns.name, netns.path)
            except CniError:
                assert attempt < 500
                first_failure.wait(0.02)  # no event tells that the agent is back: a kubelet waits, too

    def churn(netns):
        while not stop_churn.is_set():
            add_until_it_works(netns)
            delete_until_it_works(netns)
        add_until_it_works(netns)

    try:
        with concurrent.futures.ThreadPoolExecutor(len(namespaces)) as pool:
            jobs = [pool.submit(churn, netns) for netns in namespaces]
            wait_until(lambda: len(results) >= 4 + round * 3, "the storm is on", 20)
            node.instance.kill("millrace-agent")
            node.instance.up()
            ready(node)
            stop_churn.set()
            for job in jobs:
                job.result(timeout=60)
        pods_now = consistent(node)
        assert {pod["key"]["container_id"] for pod in pods_now} >= {netns.name for netns in namespaces}
        for result in results.values():
            assert traffic.ping(pods[0], result["ips"][0]["address"].split("/")[0], count=2).ok
    finally:
        stop_churn.set()
        for netns in namespaces:
            cni.delete(netns.name, netns.path)
            netns.delete()
    consistent(node)


def test_a_pool_is_whole_after_storms(node):
    """Nothing leaked: only the two pods' addresses are in use."""
    used = {pool["pool"]: int(pool["used"]) for pool in node.instance.query("status")["agent"]["pools"]}
    assert set(used.values()) == {len(node.instance.query("pod", "list")["pods"])}
