"""A real container runtime: `ctr run --cni` with Debian's containerd calls our plugin, and containers talk."""

import pytest

from harness import traffic
from harness.cni import Cni
from harness.containerd import Containerd
from harness.process import Background, run


@pytest.fixture(scope="module")
def containerd(node):
    with Containerd(node.instance, [Cni(node.instance).plugin()]) as daemon:
        yield daemon


def test_two_containers_reach_each_other(node, containerd):
    with Background(containerd.run_command("server", "sleep", "600")) as server:
        ipv4, ipv6 = containerd.address_of("server")
        assert traffic.ping(node.netns, ipv4, count=2).ok
        for index, (program, address) in enumerate((("ping", ipv4), ("ping6", ipv6))):
            shown = run(containerd.run_command(f"client{index}", program, "-c", "3", "-W", "2", address)).stdout
            assert "3 packets received" in shown
        containerd.ctr("task", "kill", "--signal", "KILL", "server")
        server.finish(check=False)
    left = [pod["key"]["container_id"] for pod in node.instance.query("pod", "list")["pods"]]
    assert left == [], "DEL was called for each container"


def test_containers_one_after_another(node, containerd):
    """Each gets an address that the one before did not have."""
    shown = [run(containerd.run_command(f"brief{index}", "ip", "-4", "addr", "show", "eth0")).stdout
             for index in range(3)]
    addresses = [text.split("inet ")[1].split("/")[0] for text in shown]
    assert len(set(addresses)) == 3
