"""Pods with a vhost-user socket by a real runtime: containerd as a kubelet asks it, the annotation of the pod, the
socket's directory mounted into a container that is not root, and DPDK's testpmd in there as the guest."""

import json
import pathlib

import pytest

from harness.containerd import IMAGE, Containerd
from harness.cri import Cri, CriError
from harness.process import wait_until
from harness.testpmd import GATEWAY_MAC
from harness.traffic import ping

USER = 1000
# The image has little: the node's programs, read only.
PROGRAMS = [("/usr", "/usr", True), ("/usr/lib", "/lib", True), ("/usr/lib64", "/lib64", True)]


@pytest.fixture(scope="module")
def containerd(node):
    """With the conflist as it is delivered."""
    with Containerd(node.instance, json.loads(node.conflist.read_text())["plugins"], cri=True) as daemon:
        yield daemon


@pytest.fixture
def cri(containerd):
    made = Cri(containerd, IMAGE)
    yield made
    made.remove_pods()


def sockets_of(node):
    return pathlib.Path(node.instance.config["runtimeDir"], "vhost")


def pod_of(node, name):
    return next((pod for pod in node.instance.query("pod", "list")["pods"] if pod["pod_name"] == name), None)


def port_of(node, pod):
    ports = {port["spec"]["name"]: port for port in node.instance.query("port", "list")["ports"]}
    return ports.get(pod["host_interface"])


def mounted(node, sandbox, read_only):
    """What a hostPath volume with `subPathExpr: $(POD_UID)` becomes."""
    return (sockets_of(node) / sandbox.uid, "/run/vhost", read_only)


def start_guest(node, sandbox, listens):
    """testpmd that answers pings, as a user of its own."""
    mac, server = pod_of(node, sandbox.name)["mac"], ",server=1" if listens else ""
    return sandbox.start(
        ["/usr/bin/dpdk-testpmd", "--no-pci", "--no-huge", "-m", "128", "--no-telemetry", "--no-shconf", "--lcores=0@0,1@0",
         f"--vdev=net_virtio_user0,path=/run/vhost/eth0/vhost.sock,mac={mac}{server}", "--", "--forward-mode=icmpecho",
         "--port-topology=loop", "--total-num-mbufs=4096", "--no-flush-rx", f"--eth-peer=0,{GATEWAY_MAC}",
         "--stats-period=3600"],
        [*PROGRAMS, mounted(node, sandbox, not listens)], USER, {"RUNTIME_DIRECTORY": "/tmp"})


def answers(node, pod):
    return ping(node.netns, pod["addresses"][0], count=1).ok


@pytest.mark.parametrize("listener", ["switch", "pod"])
def test_a_container_that_is_not_root_is_the_guest(node, cri, listener):
    sandbox = cri.run_pod("vm", {"millrace.io/port-type": "vhost-user", "millrace.io/vhost-listener": listener,
                                 "millrace.io/vhost-queues": "1"})
    pod = pod_of(node, "vm")
    assert pod["socket_path"] == str(sockets_of(node) / sandbox.uid / "eth0" / "vhost.sock")
    guest = start_guest(node, sandbox, listener == "pod")
    assert sandbox.run(guest, "/usr/bin/id", "-u") == (0, f"{USER}\n")
    wait_until(lambda: answers(node, pod), "the guest in the container answers", 20)
    assert port_of(node, pod)["vhost_user"]["connected"]
    if listener == "switch":
        status, said = sandbox.run(guest, "/bin/busybox", "rm", "/run/vhost/eth0/vhost.sock")
        assert status != 0 and "Read-only file system" in said
    sandbox.stop()
    assert not (sockets_of(node) / sandbox.uid).exists()
    assert pod_of(node, "vm") is None and port_of(node, pod) is None


def test_a_container_that_listens_outlives_both_daemons(node, cri):
    sandbox = cri.run_pod("vm", {"millrace.io/port-type": "vhost-user", "millrace.io/vhost-listener": "pod"})
    pod = pod_of(node, "vm")
    guest = start_guest(node, sandbox, True)
    wait_until(lambda: answers(node, pod), "the guest in the container answers", 20)
    for killed in (["millraced"], ["millrace-agent"], ["millraced", "millrace-agent"]):
        for program in killed:
            node.instance.kill(program)
        node.instance.up()
        wait_until(lambda: node.instance.cli("status", check=False).returncode == 0, "status is good again", 15)
        wait_until(lambda: answers(node, pod), f"the same guest answers after {killed}", 15)
        assert sandbox.is_running(guest)


def test_a_pod_without_the_annotation_has_an_interface(node, cri):
    sandbox = cri.run_pod("plain", {"example.org/other": "vhost-user"})
    assert pod_of(node, "plain")["socket_path"] == ""
    container = sandbox.start(["/bin/sleep", "600"])
    assert "eth0" in sandbox.run(container, "/bin/ip", "link")[1]
    assert answers(node, pod_of(node, "plain"))


@pytest.mark.parametrize("annotation, value, allowed", [
    ("port-type", "sriov", "kernel vhost-user"), ("vhost-queues", "65", "1..64"), ("vhost-listener", "both", "switch pod")])
def test_a_wrong_annotation_ends_the_start_of_the_pod(node, cri, annotation, value, allowed):
    before = sorted(sockets_of(node).iterdir())
    with pytest.raises(CriError) as raised:
        cri.run_pod("wrong", {"millrace.io/port-type": "vhost-user", f"millrace.io/{annotation}": value})
    assert f'millrace.io/{annotation} is "{value}"; allowed: {allowed}' in str(raised.value)
    assert pod_of(node, "wrong") is None and sorted(sockets_of(node).iterdir()) == before
