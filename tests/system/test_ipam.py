"""Addresses: small pools, the order of reuse, delegation to Debian's IPAM plugins."""

import pytest

from harness import traffic
from harness.cni import Cni, CniError, container
from harness.netns import Netns


@pytest.fixture(scope="module")
def small(make_node):
    """A node that can hand out very few IPv4 addresses and no IPv6."""
    return make_node(ipam={"ipv4": {"pool": "10.244.0.0/16", "blockLength": 29}, "ipv6": {"pool": "none"}})


def fill(cni, node):
    """Adds pods until the pool is exhausted; (namespaces, addresses in order, the error)."""
    namespaces, addresses = [], []
    for index in range(32):
        netns = Netns.create(f"mr-test-fill-{node.tag}-{index}")
        namespaces.append(netns)
        try:
            addresses.append(cni.add(netns.name, netns.path)["ips"][0]["address"].split("/")[0])
        except CniError as error:
            return namespaces, addresses, error
    raise AssertionError("a /29 gave 32 addresses")


def test_a_full_pool_says_so_and_a_released_address_comes_last(small):
    cni = Cni(small.instance)
    namespaces, addresses, error = fill(cni, small)
    try:
        assert 5 <= len(addresses) <= 8 and len(set(addresses)) == len(addresses)
        assert error.code == 11 or error.code >= 100
        assert "10.244.0.0/29" in error.message or "exhausted" in error.message.lower()
        # Three go, in an order of their own; they come back in that order.
        for index in (2, 0, 1):
            cni.delete(namespaces[index].name, namespaces[index].path)
        back = [cni.add(namespaces[index].name, namespaces[index].path)["ips"][0]["address"].split("/")[0]
                for index in (0, 1, 2)]
        assert back == [addresses[2], addresses[0], addresses[1]]
    finally:
        for netns in namespaces:
            cni.delete(netns.name, netns.path)
            netns.delete()


def test_a_released_address_is_the_last_to_be_handed_out_again(small):
    cni = Cni(small.instance)
    seen = []
    for _ in range(4):
        with container(cni, "one") as pod:
            seen.append(pod.ipv4)
    assert len(set(seen)) == 4


def test_addresses_survive_a_restart_of_the_agent(small):
    cni = Cni(small.instance)
    with container(cni, "before") as before:
        small.instance.kill("millrace-agent")
        small.instance.up()
        with container(cni, "after") as after:
            assert after.ipv4 != before.ipv4
            assert traffic.ping(after, before.ipv4).ok


def test_host_local_gives_the_addresses(node, tmp_path):
    cni = Cni(node.instance, name="delegated")
    ipam = {"type": "host-local", "dataDir": str(tmp_path),
            "ranges": [[{"subnet": "10.99.0.0/24"}], [{"subnet": "fd00:99::/64"}]]}
    cni.plugins = [cni.plugin(ipam=ipam)]
    with container(cni, "one") as one, container(cni, "two") as two:
        assert one.ipv4.startswith("10.99.0.") and one.ipv6.startswith("fd00:99::")
        assert traffic.ping(one, two.ipv4).ok and traffic.ping(one, two.ipv6).ok
        assert traffic.ping(node.netns, one.ipv4).ok
        cni.check(one.container_id, one.netns.path, one.result)
        kept = {path.name for path in (tmp_path / "delegated").iterdir()}
        assert {one.ipv4, two.ipv4} <= kept
    left = {path.name for path in (tmp_path / "delegated").iterdir()}
    assert not {one.ipv4, two.ipv4} & left, "DEL gave the addresses back"


def test_static_gives_the_address(node):
    cni = Cni(node.instance, name="static")
    cni.plugins = [cni.plugin(ipam={"type": "static", "addresses": [{"address": "10.98.0.7/32"}]})]
    with container(cni, "fixed") as pod:
        assert pod.ipv4 == "10.98.0.7" and traffic.ping(node.netns, pod.ipv4).ok


def test_an_ipam_plugin_that_fails_leaves_nothing(node):
    """Its error is passed on as it is; no pod, no port, no interface remains."""
    cni = Cni(node.instance, name="broken")
    cni.plugins = [cni.plugin(ipam={"type": "host-local"})]
    before = [pod["key"]["container_id"] for pod in node.instance.query("pod", "list")["pods"]]
    netns = Netns.create(f"mr-test-broken-{node.tag}")
    try:
        with pytest.raises(CniError):
            cni.add(netns.name, netns.path)
        assert netns.ip("link", "show", "eth0", check=False).returncode != 0
        assert [pod["key"]["container_id"] for pod in node.instance.query("pod", "list")["pods"]] == before
    finally:
        netns.delete()


def test_an_ipam_plugin_that_is_not_there_is_named(node):
    cni = Cni(node.instance, name="absent")
    cni.plugins = [cni.plugin(ipam={"type": "no-such-ipam"})]
    netns = Netns.create(f"mr-test-absent-{node.tag}")
    try:
        with pytest.raises(CniError) as failure:
            cni.add(netns.name, netns.path)
        assert "no-such-ipam" in failure.value.message
    finally:
        netns.delete()
