"""Linux in a virtual machine as a pod: qemu's vhost-user device at the pod's socket, Debian's kernel behind it.

Two guests: `split` connects to the switch's socket; `packed` listens at its own, with two queue pairs. What they do
with a pod that has a kernel interface, with Services, with policies and with each other, and what they survive.
"""

import contextlib
import os
import re
import signal

import pytest

from harness.guest import Guest, make_image
from harness.guest_traffic import (PING_S, Stream, answers, connect, listening, pings, port_of, receive_from_guest,
                                   send_between_guests, send_to_guest, serve_to_pod, wait_for_rings)
from harness.pod import address_of
from harness.policies import denied
from harness.process import wait_until
from harness.services import add_backend, service
from harness.traffic import ping

FAMILIES = pytest.mark.parametrize("family", [4, 6], ids=["IPv4", "IPv6"])
RINGS = pytest.mark.parametrize("ring", ["split", "packed"])
FEATURES = "cat /sys/bus/virtio/drivers/virtio_net/virtio*/features"
QUEUES = {"split": 1, "packed": 2}


@pytest.fixture(scope="module")
def node(make_node):
    return make_node("guest")


@pytest.fixture(scope="module")
def client(node):
    return node.add_pod("client")


@pytest.fixture(scope="module")
def image(tmp_path_factory):
    return make_image(tmp_path_factory.mktemp("guest"))


@pytest.fixture(scope="module")
def machines(node, image):
    """Both guests, booted at the same time."""
    pods = {"split": node.add_pod("split", "--type", "vhost-user", "--label", "app=split", "--port", "http:8080/tcp",
                                  "--port", "http-udp:8080/udp"),
            "packed": node.add_pod("packed", "--type", "vhost-user", "--label", "app=packed", "--vhost-listener", "pod",
                                   "--vhost-queues", "2")}
    with contextlib.ExitStack() as stack:
        made = {ring: stack.enter_context(Guest(pod, image, queues=QUEUES[ring], packed=ring == "packed"))
                for ring, pod in pods.items()}
        for machine in made.values():
            machine.boot()
        for ring, pod in pods.items():
            wait_for_rings(node, pod, QUEUES[ring])
        yield made


@RINGS
def test_the_guest_has_the_rings_and_queues_that_were_asked_for(node, machines, ring):
    machine = machines[ring]
    port = port_of(node, machine.pod)
    assert port["state"] == "up"
    assert port["vhost_user"]["packed_rings"] == (ring == "packed")
    assert port["vhost_user"]["queue_pairs"] == QUEUES[ring]
    features = machine.shell(FEATURES).strip()
    assert [features[bit] for bit in (15, 28, 29, 32, 34)] == ["1", "1", "1", "1", "1" if ring == "packed" else "0"], (
        "MRG_RXBUF, INDIRECT_DESC, EVENT_IDX, VERSION_1, RING_PACKED")


@FAMILIES
@RINGS
def test_pings_both_ways(machines, client, ring, family):
    machine = machines[ring]
    assert pings(machine, address_of(client, family)) == 5
    assert pings(machine, address_of(client, family), size=1400) == 5
    assert answers(client, address_of(machine.pod, family))
    assert answers(client, address_of(machine.pod, family), size=1400)


@FAMILIES
@RINGS
def test_tcp_both_ways(machines, client, ring, family):
    machine = machines[ring]
    sent, received = send_to_guest(client, machine, address_of(machine.pod, family))
    assert sent == received
    sent, received = receive_from_guest(client, machine, address_of(client, family))
    assert sent == received


def bytes_a_packet(node, pod, direction, action):
    """The mean over what a port received ("rx") or sent ("tx") meanwhile."""
    before = port_of(node, pod)["totals"]
    action()
    after = port_of(node, pod)["totals"]
    packets, bytes_ = (after[f"{direction}_{unit}"] - before[f"{direction}_{unit}"] for unit in ("packets", "bytes"))
    return bytes_ / packets


@FAMILIES
def test_tcp_goes_in_pieces_larger_than_the_mtu(node, machines, client, family):
    """A guest leaves segments and checksums to the switch, which leaves them to a guest that takes such pieces."""
    split, packed = machines["split"], machines["packed"]
    for machine in (split, packed):
        has = machine.shell("ethtool -k eth0")
        for feature in ("tx-checksumming", "tx-tcp-segmentation", "tx-tcp6-segmentation", "rx-checksumming"):
            assert f"{feature}: on" in has, has
    assert bytes_a_packet(node, split.pod, "rx",
                          lambda: serve_to_pod(client, split, address_of(split.pod, family))) > 3000
    assert bytes_a_packet(node, packed.pod, "tx",
                          lambda: send_between_guests(split, packed, address_of(packed.pod, family))) > 3000


@FAMILIES
def test_guests_reach_each_other(machines, family):
    split, packed = machines["split"], machines["packed"]
    assert pings(split, address_of(packed.pod, family)) == 5
    for source, target in ((split, packed), (packed, split)):
        sent, received = send_between_guests(source, target, address_of(target.pod, family))
        assert sent == received


@FAMILIES
@RINGS
def test_a_service(node, machines, ring, family):
    """A guest asks a pod by a Service's address."""
    backend = node.pods.get("web-0") or add_backend(node, "web-0")
    machine = machines[ring]
    with service(node, "web") as addresses, listening(backend, address_of(backend, family), 8080) as listener:
        answer = machine.begin(f"nc {addresses[family]} 80")
        connection, asker = listener.accept()
        with connection:
            connection.sendall(b"of the Service")
        assert answer() == "of the Service"
        assert asker[0] == address_of(machine.pod, family)


@FAMILIES
def test_a_service_of_a_guest(node, machines, client, family):
    machine = machines["split"]
    with service(node, "machine", app="split") as addresses:
        answer = machine.begin("echo of the guest | nc -l -p 8080")
        with wait_until(lambda: connect(client, addresses[family], 80, 1), "the guest listens", 15) as asking:
            assert asking.recv(100) == b"of the guest\n"
        answer()


def drops(node, reason):
    return node.instance.drops().get(reason, 0)


@RINGS
def test_a_policy_denies_what_a_guest_sends(node, machines, client, ring):
    machine = machines[ring]
    with denied(node, ring, "Egress"):
        before = drops(node, "policy_egress")
        assert pings(machine, client.ipv4, count=1, wait_s=1) == 0
        with listening(client, client.ipv4, 5004):
            assert machine.shell(f"nc -w 1 {client.ipv4} 5004; echo $?").split()[-1] == "1"
        assert drops(node, "policy_egress") >= before + 2
        said = node.instance.cli("trace", "--from", f"default/{ring}", "--to", "client", "--port", "5004/tcp",
                                 check=False)
        assert said.returncode == 1 and "default/deny" in said.stdout and "policy_egress" in said.stdout, said.stdout
    assert pings(machine, client.ipv4) == 5


@RINGS
def test_a_policy_denies_what_is_for_a_guest(node, machines, client, ring):
    machine = machines[ring]
    with denied(node, ring, "Ingress"):
        before = drops(node, "policy_ingress")
        assert not ping(client, machine.pod.ipv4, count=2).received
        assert connect(client, machine.pod.ipv4, 5005, timeout_s=1) is None
        assert drops(node, "policy_ingress") >= before + 3
        said = node.instance.cli("trace", "--from", "client", "--to", f"default/{ring}", "--port", "5005/tcp",
                                 check=False)
        assert said.returncode == 1 and "default/deny" in said.stdout and "policy_ingress" in said.stdout, said.stdout
        assert pings(machine, client.ipv4) == 5  # what it began itself is answered
    assert answers(client, machine.pod.ipv4)


def start_switch_again(node, machine, pairs):
    node.instance.kill("millraced")
    node.instance.up()
    wait_for_rings(node, machine.pod, pairs)


@RINGS
def test_a_guest_outlives_the_switch(node, machines, client, ring):
    """Killed again and again while the guest sends. Neither its rings nor its connections have to begin again."""
    machine = machines[ring]
    with Stream(machine, client, 5007) as stream:
        stream.goes_on()
        for _ in range(5):
            start_switch_again(node, machine, QUEUES[ring])
            stream.goes_on()
    assert answers(client, machine.pod.ipv4)
    assert pings(machine, client.ipv6) == 5
    sent, received = send_to_guest(client, machine, machine.pod.ipv4)
    assert sent == received
    assert machine.process.poll() is None


@contextlib.contextmanager
def flood(machine, address):
    """Pings in dozens of fragments, from all of the guest's processors; also while it has no network."""
    machine.shell("touch flood")
    done = [machine.begin(f"while [ -e flood ]; do ping -q -c 20 -i 0.01 -W 1 -s 60000 {address}; done")
            for _ in range(8)]
    try:
        yield
    finally:
        machine.shell("rm flood")
        for each in done:
            each()


def test_packed_rings_of_a_guest_outlive_a_switch_that_hangs_and_is_killed(node, machines, client):
    """They are full then. QEMU, which does not know where in them the switch was, drops what it finds at a place of its
    own: in one lap of two there is something."""
    machine = machines["packed"]
    sent = "cat /sys/class/net/eth0/statistics/tx_packets"
    log_bytes = len(node.instance.log("millraced"))
    with Stream(machine, client, 5008) as stream, flood(machine, client.ipv4):
        for _ in range(10):
            stream.goes_on(1 << 16)
            os.kill(node.instance.pids()["millraced"], signal.SIGSTOP)
            # Until nothing more fits, or nearly.
            machine.shell(f"for _ in $(seq 10); do [ $({sent}) = $(sleep 0.2; {sent}) ] && break; done", 4 * PING_S)
            start_switch_again(node, machine, QUEUES["packed"])
            stream.goes_on(1 << 16)
            if given_back := re.search(r"; ([1-9]\d*) given back", node.instance.log("millraced")[log_bytes:]):
                break
    assert given_back
    assert pings(machine, client.ipv4) == 5
    sent, received = send_to_guest(client, machine, machine.pod.ipv4)
    assert sent == received


def test_the_switch_outlives_a_guest(node, machines, client, image):
    """Killed while it sends; started again with rings that have no extensions."""
    pod = node.add_pod("again", "--type", "vhost-user")
    with Guest(pod, image) as first:
        first.boot()
        with listening(client, client.ipv4, 5006) as listener:
            first.begin(f"nc {client.ipv4} 5006 </dev/zero")
            connection, _ = listener.accept()
            with connection:
                connection.settimeout(15)
                assert connection.recv(1)
                first.process.kill()
                first.process.wait()
    wait_until(lambda: port_of(node, pod)["state"] == "no_guest", "the guest is gone", 10)
    assert pings(machines["split"], client.ipv4) == 5
    with Guest(pod, image, device=",mrg_rxbuf=off,indirect_desc=off,event_idx=off") as second:
        second.boot()
        features = second.shell(FEATURES).strip()
        assert [features[bit] for bit in (15, 28, 29)] == ["0", "0", "0"], "MRG_RXBUF, INDIRECT_DESC, EVENT_IDX"
        assert pings(second, client.ipv4) == 5
        sent, received = send_to_guest(client, second, pod.ipv4)
        assert sent == received
        sent, received = receive_from_guest(client, second, client.ipv4)
        assert sent == received
    node.delete_pod("again")


def test_packed_rings_without_indirect_descriptors_are_refused_by_name(node, machines, client, image):
    """The next switch could not go on with them."""
    pod = node.add_pod("chains", "--type", "vhost-user")
    with Guest(pod, image, packed=True, device=",indirect_desc=off") as guest:
        guest.boot()
        wait_until(lambda: "its guest wants packed rings without indirect descriptors" in node.instance.log("millraced"),
                   "the log says so", 10)
        assert port_of(node, pod)["state"] == "no_guest" and port_of(node, pod)["vhost_user"]["refusals"] >= 1
        assert pings(machines["split"], client.ipv4) == 5
    node.delete_pod("chains")
