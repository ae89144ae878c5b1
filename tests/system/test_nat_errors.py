"""ICMP errors from the world about masqueraded packets: the pod's own stack must understand them (RFC 5508 REQ-3..5)."""

import errno
import socket

import pytest

from harness import node as nodes
from harness import traffic
from harness.netns import veth
from harness.witness import ask

WORLD = {4: nodes.WORLD_IPV4, 6: nodes.WORLD_IPV6}
FAMILIES = pytest.mark.parametrize("family", [4, 6], ids=["IPv4", "IPv6"])
# Networks behind the world, a router: one it has no way to, one whose way takes 1300 bytes only, one beyond it.
UNREACHABLE = {4: "198.51.100.9", 6: "2001:db8:100::9"}
NARROW = {4: "198.51.101.9", 6: "2001:db8:101::9"}
NARROW_MTU = 1300
RECEIVE_ERRORS = {4: (socket.IPPROTO_IP, 11), 6: (socket.IPPROTO_IPV6, 25)}  # IP_RECVERR: also of UDP, at once


@pytest.fixture(scope="module")
def node(make_node):
    made = make_node("naterr", uplink="auto")
    world = made.world
    for pool in ("10.244.0.0/16", "fd00:10:244::/112"):
        world.ip("route", "del", pool)
    world.sysctl("net.ipv4.ip_forward=1", "net.ipv6.conf.all.forwarding=1", "net.ipv4.icmp_ratemask=0",
                 "net.ipv6.icmp.ratelimit=0")
    veth(world, "narrow0", world, "narrow1")
    world.ip("link", "set", "narrow0", "mtu", NARROW_MTU)
    for addresses, kind in ((UNREACHABLE, ["unreachable"]), (NARROW, [])):
        world.ip("route", "add", *kind, f"{addresses[4]}/32", *([] if kind else ["dev", "narrow0"]))
        world.ip("-6", "route", "add", *kind, f"{addresses[6]}/128", *([] if kind else ["dev", "narrow0"]))
    return made


def ping_output(pod, address, *options):
    return pod.run("ping", "-n", "-c", "1", "-W", "2", *options, address, check=False).stdout


@FAMILIES
def test_a_closed_udp_port_is_refused(pods, node, family):
    with pytest.raises(ConnectionRefusedError):
        ask(pods[0], WORLD[family], 7999, "udp")


@FAMILIES
def test_a_closed_tcp_port_is_refused(pods, node, family):
    with pytest.raises(ConnectionRefusedError):
        ask(pods[0], WORLD[family], 7999, "tcp")


@FAMILIES
@pytest.mark.parametrize("protocol", ["tcp", "udp"])
def test_an_unreachable_host(pods, family, protocol):
    a, _ = pods
    with a.socket(socket.AF_INET if family == 4 else socket.AF_INET6,
                  socket.SOCK_STREAM if protocol == "tcp" else socket.SOCK_DGRAM) as made:
        made.setsockopt(*RECEIVE_ERRORS[family], 1)
        made.settimeout(3)
        with pytest.raises(OSError) as raised:
            made.connect((UNREACHABLE[family], 7100))
            made.send(b"who")
            made.recv(100)
    assert raised.value.errno in (errno.EHOSTUNREACH, errno.ENETUNREACH)


@FAMILIES
def test_ping_of_an_unreachable_host(pods, family):
    text = ping_output(pods[0], UNREACHABLE[family])
    assert f"From {WORLD[family]}" in text and ("Host Unreachable" if family == 4 else "No route") in text


@FAMILIES
def test_traceroute_shows_the_switch_and_the_way_in_the_world(pods, family):
    """What the node's kernel says at the second hop, it says to its own address."""
    texts = {hops: ping_output(pods[0], NARROW[family], "-t", hops) for hops in (1, 3)}
    said = "Time to live exceeded" if family == 4 else "Time exceeded"
    assert all(said in text for text in texts.values()), texts
    assert f"From {WORLD[family]}" in texts[3]


@FAMILIES
def test_path_mtu_of_a_way_in_the_world(pods, family):
    a, _ = pods
    text = ping_output(a, NARROW[family], "-M", "do", "-s", "1400")
    assert (f"mtu = {NARROW_MTU}" if family == 4 else f"mtu={NARROW_MTU}") in text.replace("mtu: ", "mtu="), text
    shown = a.run("ip", f"-{family}", "route", "get", NARROW[family]).stdout
    assert f"mtu {NARROW_MTU}" in shown, "the pod's stack has learned it"


@pytest.fixture(scope="module")
def narrow_uplink(make_node):
    """A node whose uplink takes less than its pods send."""
    made = make_node("small", uplink="uplink0")
    made.netns.ip("link", "set", "uplink0", "mtu", 1400)
    made.instance.stop_daemons()
    made.instance.up()
    return made


@FAMILIES
def test_an_uplink_that_takes_less_than_the_pods_send(narrow_uplink, family):
    """TCP finds the uplink's MTU by the errors of the switch."""
    pod = narrow_uplink.add_pod(f"wide{family}")
    seconds, sent, received = traffic.transfer(pod, narrow_uplink.world, WORLD[family], 8 << 20)
    assert sent == received and seconds < 20
    assert "mtu 1400" in pod.run("ip", f"-{family}", "route", "get", WORLD[family]).stdout
