"""Linux in a virtual machine as a pod: qemu's vhost-user device at the pod's socket, Debian's kernel behind it.

Two guests: `split` connects to the switch's socket; `packed` listens at its own, with two queue pairs. What they do with a pod that
has a kernel interface, with Services, with policies and with each other, and what they survive.
"""

import contextlib
import hashlib
import os
import re
import socket

import pytest

from harness.guest import Guest, make_image
from harness.process import wait_until
from harness.services import add_backend, service
from harness.traffic import ping

FAMILIES = pytest.mark.parametrize("family", [4, 6], ids=["IPv4", "IPv6"])
RINGS = pytest.mark.parametrize("ring", ["split", "packed"])
SIZE_BYTES = 4 << 20
# Both ends of busybox's nc end when the other has nothing more to say, whatever is still to be sent: this one never says so.
LISTEN = "mkfifo -m 600 silence 2>/dev/null; nc <>silence -l -p"
FEATURES = "cat /sys/bus/virtio/drivers/virtio_net/virtio*/features"
QUEUES = {"split": 1, "packed": 2}
DENY = """
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: deny, namespace: default}
spec:
  podSelector: {matchLabels: {app: %(app)s}}
  policyTypes: [%(direction)s]
"""


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


def port_of(node, pod):
    return next(port for port in node.instance.query("port", "list")["ports"] if port["spec"]["name"] == pod.host_interface)


def wait_for_rings(node, pod, pairs=1, timeout_s=30):
    def are_up():
        status = port_of(node, pod)["vhost_user"]
        return status and status["connected"] and status["queue_pairs"] == pairs
    wait_until(are_up, f"the rings of {pod.name} are up", timeout_s)


def address_of(pod, family):
    return pod.ipv4 if family == 4 else pod.ipv6


def pings(machine, address, count=5, size=56):
    """Of `count` echo requests of the guest, how many were answered."""
    said = machine.shell(f"ping -c {count} -i 0.1 -W 2 -s {size} {address}", timeout_s=10 + 3 * count, check=False)
    return int(re.search(r"(\d+) packets received", said)[1])


def connect(place, address, port, timeout_s=5):
    made = place.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_STREAM)
    made.settimeout(timeout_s)
    try:
        made.connect((address, port))
    except OSError:
        made.close()
        return None
    return made


def send_to_guest(client, machine, address, size_bytes=SIZE_BYTES, port=5001):
    """One TCP connection of a pod's to a guest: what was sent, and what arrived, as SHA-256."""
    received = machine.begin(f"{LISTEN} {port} | sha256sum")
    data = os.urandom(size_bytes)
    with wait_until(lambda: connect(client, address, port), f"the guest listens at {address}", 15) as sender:
        sender.settimeout(30)
        sender.sendall(data)
    return hashlib.sha256(data).hexdigest(), received().split()[0]


@contextlib.contextmanager
def listening(pod, address, port):
    with pod.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_STREAM) as made:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        made.settimeout(15)
        made.bind((address, port))
        made.listen(4)
        yield made


def receive_all(listener):
    connection, _ = listener.accept()
    hashed = hashlib.sha256()
    with connection:
        connection.settimeout(30)
        while data := connection.recv(1 << 20):
            hashed.update(data)
    return hashed.hexdigest()


def receive_from_guest(client, machine, address, size_bytes=SIZE_BYTES, port=5002):
    """One TCP connection of a guest's to a pod: what was sent, and what arrived."""
    machine.shell(f"head -c {size_bytes} /dev/urandom >data")
    with listening(client, address, port) as listener:
        done = machine.begin(f"nc {address} {port} <data")
        received = receive_all(listener)
    done()
    return machine.shell("sha256sum <data").split()[0], received


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
    assert ping(client, address_of(machine.pod, family)).ok
    assert ping(client, address_of(machine.pod, family), size=1400).ok


@FAMILIES
@RINGS
def test_tcp_both_ways(machines, client, ring, family):
    machine = machines[ring]
    sent, received = send_to_guest(client, machine, address_of(machine.pod, family))
    assert sent == received
    sent, received = receive_from_guest(client, machine, address_of(client, family))
    assert sent == received


@FAMILIES
def test_guests_reach_each_other(machines, family):
    split, packed = machines["split"], machines["packed"]
    assert pings(split, address_of(packed.pod, family)) == 5
    for source, target in ((split, packed), (packed, split)):
        received = target.begin(f"{LISTEN} 5003 | sha256sum")
        source.shell(f"head -c {SIZE_BYTES} /dev/urandom >data")
        # A listener that is not there yet refuses.
        source.shell(f"until nc {address_of(target.pod, family)} 5003 <data 2>/dev/null; do :; done", timeout_s=40)
        assert source.shell("sha256sum <data").split()[0] == received().split()[0]


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


@contextlib.contextmanager
def denied(node, app, direction):
    text = DENY % {"app": app, "direction": direction}
    node.instance.cli("apply", "-f", "-", input=text)
    try:
        yield
    finally:
        node.instance.cli("delete", "-f", "-", input=text)


@RINGS
def test_a_policy_denies_what_a_guest_sends(node, machines, client, ring):
    machine = machines[ring]
    with denied(node, ring, "Egress"):
        before = drops(node, "policy_egress")
        assert pings(machine, client.ipv4, count=1) == 0
        with listening(client, client.ipv4, 5004):
            assert machine.shell(f"nc -w 1 {client.ipv4} 5004; echo $?").split()[-1] == "1"
        assert drops(node, "policy_egress") >= before + 2
        said = node.instance.cli("trace", "--from", f"default/{ring}", "--to", "client", "--port", "5004/tcp", check=False)
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
        said = node.instance.cli("trace", "--from", "client", "--to", f"default/{ring}", "--port", "5005/tcp", check=False)
        assert said.returncode == 1 and "default/deny" in said.stdout and "policy_ingress" in said.stdout, said.stdout
        assert pings(machine, client.ipv4) == 5  # what it began itself is answered
    assert ping(client, machine.pod.ipv4).ok


@pytest.mark.parametrize("ring", ["split"])
def test_a_guest_outlives_the_switch(node, machines, client, ring):
    machine = machines[ring]
    node.instance.kill("millraced")
    node.instance.up()
    wait_for_rings(node, machine.pod, QUEUES[ring])
    wait_until(lambda: pings(machine, client.ipv4, count=1), "the same guest pings again", 15)
    assert ping(client, machine.pod.ipv4).ok
    sent, received = receive_from_guest(client, machine, client.ipv4)
    assert sent == received
    assert machine.process.poll() is None


def test_the_switch_outlives_a_guest(node, machines, client, image):
    """Killed while it sends; started again without what rings may have besides: mergeable buffers, indirect descriptors."""
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
