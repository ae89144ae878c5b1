"""Addresses: small pools, the order of reuse, delegation to Debian's IPAM plugins."""

import concurrent.futures
import contextlib
import json

import pytest

from harness import traffic
from harness.cni import Cni, CniError, container
from harness.netns import Netns
from harness.node import NODE_IPV4, PLUGIN_DIR
from harness.process import Background, wait_until


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
            "ranges": [[{"subnet": "10.89.0.0/24"}], [{"subnet": "fd00:99::/64"}]]}
    cni.plugins = [cni.plugin(ipam=ipam)]
    with container(cni, "one") as one, container(cni, "two") as two:
        assert one.ipv4.startswith("10.89.0.") and one.ipv6.startswith("fd00:99::")
        assert traffic.ping(one, two.ipv4).ok and traffic.ping(one, two.ipv6).ok
        assert traffic.ping(node.netns, one.ipv4).ok
        cni.check(one.container_id, one.netns.path, one.result)
        kept = {path.name for path in (tmp_path / "delegated").iterdir()}
        assert {one.ipv4, two.ipv4} <= kept
    left = {path.name for path in (tmp_path / "delegated").iterdir()}
    assert not {one.ipv4, two.ipv4} & left, "DEL gave the addresses back"


STATIC = {"type": "static",
          "addresses": [{"address": "10.88.0.7/24", "gateway": "10.88.0.1"}, {"address": "fd00:98::7/64"}],
          "routes": [{"dst": "0.0.0.0/0"}, {"dst": "10.87.0.0/16", "gw": "10.88.0.1"}, {"dst": "fd00:97::/32"}],
          "dns": {"nameservers": ["10.96.0.10"], "search": ["a.example"]}}


def test_static_gives_addresses_routes_and_dns(node):
    """The routes stand in the pod, by way of its own gateway, and in the result; packets take them."""
    cni = Cni(node.instance, name="static")
    cni.plugins = [cni.plugin(ipam=STATIC)]
    with container(cni, "fixed") as pod, container(Cni(node.instance), "other") as other:
        assert (pod.ipv4, pod.ipv6) == ("10.88.0.7", "fd00:98::7")
        assert traffic.ping(node.netns, pod.ipv4).ok and traffic.ping(node.netns, pod.ipv6).ok
        assert traffic.ping(pod, other.ipv4).ok and traffic.ping(other, pod.ipv6).ok
        assert pod.result["dns"] == STATIC["dns"]
        assert {"dst": "10.87.0.0/16", "gw": "169.254.1.1"} in pod.result["routes"]
        assert {"dst": "fd00:97::/32", "gw": "fe80::1"} in pod.result["routes"]
        assert [route["dst"] for route in pod.result["routes"]].count("0.0.0.0/0") == 1
        via = json.loads(pod.netns.ip("-j", "route", "show", "10.87.0.0/16").stdout)
        assert [route["gateway"] for route in via] == ["169.254.1.1"]
        cni.check(pod.container_id, pod.netns.path, pod.result)
        node.netns.ip("addr", "add", "10.87.0.1/32", "dev", "lo")
        try:
            assert traffic.ping(pod, "10.87.0.1").ok
        finally:
            node.netns.ip("addr", "del", "10.87.0.1/32", "dev", "lo")
        pod.netns.ip("route", "del", "10.87.0.0/16")
        with pytest.raises(CniError) as failure:
            cni.check(pod.container_id, pod.netns.path, pod.result)
        assert failure.value.code == 102 and "10.87.0.0/16" in failure.value.message


@pytest.mark.parametrize("route, named", [
    ({"dst": "10.87.0.0/16", "gw": "10.88.0.2"}, "routes[1].gateway"),
    ({"dst": "fd00:97::/32"}, "routes[1].destination"),
    ({"dst": "0.0.0.0/0"}, "routes[1].destination"),
])
def test_a_route_that_cannot_be_fails_the_add_and_gives_the_address_back(node, tmp_path, route, named):
    cni = Cni(node.instance, name="unroutable")
    cni.plugins = [cni.plugin(ipam={"type": "host-local", "dataDir": str(tmp_path),
                                    "ranges": [[{"subnet": "10.88.0.0/24"}]], "routes": [{"dst": "0.0.0.0/0"}, route]})]
    netns = Netns.create(f"mr-test-unroutable-{node.tag}")
    try:
        with pytest.raises(CniError) as failure:
            cni.add(netns.name, netns.path)
        assert failure.value.code == 7 and failure.value.message.startswith(named + ": ")
        assert netns.ip("link", "show", "eth0", check=False).returncode != 0
        assert not [path for path in (tmp_path / "unroutable").iterdir() if path.name.startswith("10.")]
    finally:
        netns.delete()


@contextlib.contextmanager
def dhcp_daemon(node, directory):
    """The real client's daemon. Yields the configuration of its plugin."""
    socket_path, pid_file = directory / "dhcp.sock", directory / "dhcp.pid"
    daemon = node.netns.command(f"{PLUGIN_DIR}/dhcp", "daemon", "-socketpath", socket_path, "-pidfile", pid_file,
                                "-timeout", "1s", "-resendmax", "1s")
    with Background(daemon) as running:
        wait_until(socket_path.exists, "the daemon of dhcp listens")
        assert int(pid_file.read_text()) == running.process.pid
        yield {"type": "dhcp", "daemonSocketPath": str(socket_path)}


@contextlib.contextmanager
def dhcp_server(node, directory, last="10.95.0.20", lease_s=3600):
    """A server on the node's own end of the switch, which leases 10.95.0.10 to `last`."""
    (directory / "leases").touch()
    (directory / "udhcpd.conf").write_text(
        f"start 10.95.0.10\nend {last}\ninterface millrace0\nlease_file {directory}/leases\n"
        f"pidfile {directory}/udhcpd.pid\nmin_lease 1\noption lease {lease_s}\n"
        "option subnet 255.255.255.0\noption router 10.95.0.1\n")
    with Background(node.netns.command("busybox", "udhcpd", "-f", "-a", "50", directory / "udhcpd.conf")) as udhcpd:
        udhcpd.wait_for_output("started")
        yield udhcpd


def has_eth0(netns):
    return netns.ip("link", "show", "eth0", check=False).returncode == 0


def test_dhcp_leases_an_address_and_renews_it(node, tmp_path):
    cni = Cni(node.instance, name="leased")
    with dhcp_daemon(node, tmp_path) as ipam, dhcp_server(node, tmp_path, lease_s=10) as server:
        cni.plugins = [cni.plugin(ipam=ipam)]
        with container(cni, "leased") as pod, container(Cni(node.instance), "other") as other:
            assert pod.result["ips"][0]["address"] == f"{pod.ipv4}/24" and pod.ipv4.startswith("10.95.0.")
            assert pod.result["ips"][0]["gateway"] == "10.95.0.1"
            server.wait_for_output(f"sending ACK to {pod.ipv4}")
            assert {"dst": "0.0.0.0/0", "gw": "169.254.1.1"} in pod.result["routes"]
            assert traffic.ping(node.netns, pod.ipv4).ok and traffic.ping(pod, NODE_IPV4).ok
            assert traffic.ping(pod, other.ipv4).ok and traffic.ping(other, pod.ipv4).ok
            cni.check(pod.container_id, pod.netns.path, pod.result)
            server.wait_for_output(f"sending ACK to {pod.ipv4}", times=2)
            assert traffic.ping(node.netns, pod.ipv4).ok, "the lease goes on"
            # A new agent opens the port for renewals, too.
            node.instance.kill("millrace-agent")
            node.instance.up()
            server.wait_for_output(f"sending ACK to {pod.ipv4}", times=3)
            cni.check(pod.container_id, pod.netns.path, pod.result)


def test_del_gives_the_lease_back(node, tmp_path):
    """With one address to lease, for an hour: a second pod gets it when the first is deleted, and not before."""
    cni = Cni(node.instance, name="leased")
    with dhcp_daemon(node, tmp_path) as ipam, dhcp_server(node, tmp_path, last="10.95.0.10"):
        cni.plugins = [cni.plugin(ipam=ipam)]
        netns = Netns.create(f"mr-test-dhcp-{node.tag}")
        try:
            with container(cni, "first") as first:
                ports = node.instance.port_totals().keys()
                with pytest.raises(CniError) as failure:
                    cni.add(netns.name, netns.path)
                assert failure.value.message.startswith("IPAM plugin") and not has_eth0(netns)
                assert node.instance.port_totals().keys() == ports
            with container(cni, "second") as second:
                assert second.ipv4 == first.ipv4 == "10.95.0.10"
                assert traffic.ping(node.netns, second.ipv4).ok
        finally:
            netns.delete()


def test_an_add_without_the_daemon_of_dhcp_says_so_and_a_del_does_without_it(node, tmp_path):
    cni = Cni(node.instance, name="leased")
    with dhcp_daemon(node, tmp_path) as ipam, dhcp_server(node, tmp_path):
        cni.plugins = [cni.plugin(ipam=ipam)]
        pod = contextlib.ExitStack()
        left = pod.enter_context(container(cni, "left"))
    pod.close()  # its DEL
    assert left.container_id not in [entry["key"]["container_id"] for entry in node.instance.query("pod", "list")["pods"]]
    netns = Netns.create(f"mr-test-dhcp-{node.tag}")
    try:
        with pytest.raises(CniError) as failure:
            cni.add(netns.name, netns.path)
        assert failure.value.code == 11 and ipam["daemonSocketPath"] in failure.value.message
        assert not has_eth0(netns)
    finally:
        netns.delete()


def test_an_agent_killed_while_a_lease_is_asked_for_takes_the_interface_back(node, tmp_path):
    """No server answers, so the ADD stays between its halves until it gives up."""
    cni = Cni(node.instance, name="leased")
    netns = Netns.create(f"mr-test-dhcp-{node.tag}")
    ports = node.instance.port_totals().keys()
    try:
        with dhcp_daemon(node, tmp_path) as ipam, concurrent.futures.ThreadPoolExecutor() as pool:
            cni.plugins = [cni.plugin(ipam=ipam)]
            adding = pool.submit(cni.add, netns.name, netns.path)
            wait_until(lambda: has_eth0(netns), "the interface is prepared")
            node.instance.kill("millrace-agent")
            assert not adding.done()
            node.instance.up()
            assert not has_eth0(netns)
            with pytest.raises(CniError):
                adding.result()
            assert node.instance.port_totals().keys() == ports
            cni.delete(netns.name, netns.path)
    finally:
        netns.delete()


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
