"""A node of a large cluster: 1000 nodes, 50 000 pods, 5000 Services in a real etcd, and one real node that joins them.

The other 999 are keys, as their agents would write them; the node's agent and switch do not know the difference. Figures are printed
and not judged here: they are the machine's.
"""

import ipaddress
import json
import pathlib
import statistics
import time

import pytest

from harness.cluster import Cluster
from harness.etcd import Writer
from harness.process import wait_until

NODES, PODS, SERVICES = 1000, 50_000, 5000
CHANGES = 10
PREFIX = "/millrace/v1/"
BLOCKS_IPV4 = ipaddress.ip_network("10.160.0.0/12")   # of /24
REMOTES = ipaddress.ip_address("198.18.0.0")          # behind the router, each
CLUSTER_IPS = ipaddress.ip_address("10.96.8.0")


@pytest.fixture(scope="module")
def cluster(programs, request):
    made = Cluster(programs, "scale", 1, far_nodes=0, encapsulation="vxlan", ipam={
        "ipv4": {"pool": str(BLOCKS_IPV4)}, "ipv6": {"pool": "fd00:10:128::/104"}})
    request.module.nodes_made = made.nodes
    try:
        made.make_network()
        made.etcd.start()
        yield made
    finally:
        made.destroy()


def name_of(node):
    return f"far-{node}"


def address_of(pod):
    """Of the pod with this number: in its node's block. Pod p is on node p % NODES."""
    node, place = pod % NODES, pod // NODES
    return str(BLOCKS_IPV4[256 * (node + 1) + 2 + place])


def cluster_ip(service):
    return str(CLUSTER_IPS + service)


def put_node(writer, number):
    name, instance = name_of(number), f"{number:032x}"
    writer.put(f"{PREFIX}nodes/{name}", json.dumps({
        "name": name, "addresses": [str(REMOTES + number + 1)], "vtepMac": f"0e:00:00:00:{number >> 8:02x}:{number & 255:02x}",
        "epoch": 1, "instance": instance, "version": "0.1.0"}))
    block = str(BLOCKS_IPV4[256 * (number + 1)])
    writer.put(f"{PREFIX}blocks/4/{block}-24", json.dumps({"node": name, "instance": instance, "state": "held"}))


def put_pod(writer, number, app):
    name = f"pod-{number}"
    writer.put(f"{PREFIX}objects/Pod/default/{name}", json.dumps({
        "apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "namespace": "default", "labels": {"app": app}},
        "spec": {"containers": [{"name": "main", "ports": [{"containerPort": 8080, "name": "http", "protocol": "TCP"}]}]}}))
    writer.put(f"{PREFIX}attachments/{name_of(number % NODES)}/if{number}", json.dumps({
        "addresses": [address_of(number)], "createdUnixMs": 1, "id": number + 1,
        "pod": {"name": name, "namespace": "default", "uid": f"uid-{number}"}}))


def put_service(writer, number, app):
    name, ip = f"service-{number}", cluster_ip(number)
    writer.put(f"{PREFIX}objects/Service/default/{name}", json.dumps({
        "apiVersion": "v1", "kind": "Service", "metadata": {"name": name, "namespace": "default"},
        "spec": {"type": "ClusterIP", "clusterIP": ip, "clusterIPs": [ip], "ipFamilies": ["IPv4"],
                 "ipFamilyPolicy": "SingleStack", "selector": {"app": app},
                 "ports": [{"port": 80, "protocol": "TCP", "targetPort": "http"}]}}))
    writer.put(f"{PREFIX}claims/clusterip/{ip}", f"default/{name}")


def fill(etcd):
    with Writer(etcd) as writer:
        for number in range(NODES - 1):
            put_node(writer, number)
        for number in range(PODS):
            if number % NODES != NODES - 1:   # the last node is the real one
                put_pod(writer, number, f"app-{number % SERVICES}")
        for number in range(SERVICES):
            put_service(writer, number, f"app-{number}")


def memory_mib(pid):
    for line in pathlib.Path(f"/proc/{pid}/status").read_text().split("\n"):
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / 1024
    raise ValueError(f"process {pid} has no VmRSS")


def asked(node, service):
    """What the switch would do with a connection of the node's pod to the Service: {} while it does not know it."""
    told = node.instance.cli("trace", "--from", "default/probe", "--to", cluster_ip(service), "--port", "80/tcp", "-o", "json",
                             check=False).stdout
    return json.loads(told).get("service") or {} if told else {}


def test_first_state_and_one_change(cluster, figure):
    fill(cluster.etcd)
    assert len(cluster.etcd.keys()) == 2 * (NODES - 1) + 2 * (PODS - PODS // NODES) + 2 * SERVICES
    node = cluster.nodes[0]
    started = time.monotonic()
    node.up()
    node.add_pod("probe")
    last = SERVICES - 2   # its pods are on far nodes
    wait_until(lambda: asked(node, last).get("backend_count") == PODS // SERVICES, "the switch has the last Service",
               timeout_s=120, interval_s=0.1)
    wait_until(lambda: len(node.instance.query("node", "list")["nodes"]) == NODES, "all nodes are known", timeout_s=60)
    took = time.monotonic() - started
    pids = node.instance.pids()
    figure(f"a node joins {NODES} nodes, {PODS} pods, {SERVICES} Services: {took:.1f} s to the state in the switch, start of both "
           f"daemons included; agent {memory_mib(pids['millrace-agent']):.0f} MiB, switch {memory_mib(pids['millraced']):.0f} MiB")

    seconds = []
    with Writer(cluster.etcd) as writer:
        for number in range(CHANGES):
            put_service(writer, SERVICES + number, f"fresh-{number}")
        writer.flush()
        for number in range(CHANGES):
            pod = PODS + number
            put_pod(writer, pod, f"fresh-{number}")
            begun = time.monotonic()
            writer.flush()
            wait_until(lambda: asked(node, SERVICES + number).get("backend_address") == address_of(pod),
                       f"pod {pod} is an endpoint", timeout_s=30, interval_s=0.01)
            seconds.append(time.monotonic() - begun)
    figure(f"a new pod of a far node is an endpoint in the switch after {statistics.median(seconds):.2f} s "
           f"({min(seconds):.2f}..{max(seconds):.2f}, the command that asks included)")
