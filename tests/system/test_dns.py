"""The cluster's resolver: Debian's dnsmasq in a pod, behind the address that every pod is told, asked by real clients."""

import contextlib
import pathlib
import re

import pytest

from harness import node as nodes
from harness.cni import Cni, container
from harness.process import Background
from harness.witness import Witness, ask

MANIFEST = pathlib.Path(__file__).parents[1] / "kube" / "manifests" / "kube-dns.yaml"
RESOLVER = "10.96.0.10"  # of the manifest, and what Millrace tells pods unless dns.servers says otherwise
DOMAIN = "cluster.example"
WORLD_NAME, WORLD_ADDRESS = "www.world.example", "198.51.100.80"
LONG = ["x" * 200 + str(i) for i in range(12)]  # more than an answer by UDP holds unless the client says so
PROTOCOLS = pytest.mark.parametrize("protocol", ["udp", "tcp"])


@contextlib.contextmanager
def dnsmasq(place, addresses, *options):
    """A dnsmasq that knows what `options` say, while the context is open."""
    server = Background(place.command(
        "dnsmasq", "--keep-in-foreground", "--log-facility=-", "--conf-file=/dev/null", "--no-resolv", "--no-hosts",
        "--pid-file=", "--user=root", "--bind-interfaces", "--edns-packet-max=4096",
        *(f"--listen-address={address}" for address in addresses), *options))
    with server:
        server.wait_for_output("started, version")
        yield server


@pytest.fixture(scope="module")
def node(make_node):
    """The world knows the node alone, and has a resolver of its own."""
    made = make_node("dns", uplink="auto", dns={"domain": DOMAIN})
    for pool in ("10.244.0.0/16", "fd00:10:244::/112"):
        made.world.ip("route", "del", pool)
    with dnsmasq(made.world, [nodes.WORLD_IPV4], f"--host-record={WORLD_NAME},{WORLD_ADDRESS}"):
        yield made


@pytest.fixture(scope="module")
def web_address(node):
    """The ClusterIP of the Service `web`, which has a backend."""
    pod = node.add_pod("web", "--label", "app=web")
    node.instance.cli("apply", "-f", "-", input="""
apiVersion: v1
kind: Service
metadata: {name: web}
spec: {selector: {app: web}, ports: [{port: 80, targetPort: 8080}]}
""")
    with Witness(pod, [pod.ipv4], 8080, "web"):
        yield node.instance.query("get", "svc", "web")["spec"]["clusterIP"]


@pytest.fixture(scope="module")
def resolver(node, web_address):
    pod = node.add_pod("kube-dns-0", "--label", "k8s-app=kube-dns", "--port", "dns:53/udp", "--port", "dns-tcp:53/tcp",
                       namespace="kube-system")
    node.instance.cli("apply", "-f", MANIFEST)
    with dnsmasq(pod, [pod.ipv4], f"--local=/{DOMAIN}/", f"--host-record=web.default.svc.{DOMAIN},{web_address}",
                 f"--txt-record=long.{DOMAIN},{','.join(LONG)}", f"--server={nodes.WORLD_IPV4}"):
        yield pod
    node.instance.cli("delete", "-f", MANIFEST)
    node.delete_pod("kube-dns-0", namespace="kube-system")


@pytest.fixture(scope="module")
def client(node, resolver):
    """A pod as a container runtime makes it, with what the plugin's result tells of names."""
    with container(Cni(node.instance), "client", args="K8S_POD_NAMESPACE=default;K8S_POD_NAME=client") as pod:
        yield pod


def dig(place, *words):
    """One question, one try; dig's whole text."""
    return place.run("dig", f"@{RESOLVER}", "+tries=1", "+timeout=3", "+nocookie", *words).stdout


def answers(text):
    """The data of each record in dig's answer section."""
    section = re.search(r";; ANSWER SECTION:\n(.*?)\n\n", text, re.DOTALL)
    return [line.split(maxsplit=4)[4] for line in section[1].splitlines()] if section else []


def carrier(text):
    """The protocol by which dig says that the answer came."""
    return re.search(rf";; SERVER: {RESOLVER}#53\({RESOLVER}\) \((\w+)\)", text)[1].lower()


def test_a_pod_is_told_the_resolver(client):
    assert client.result["dns"] == {
        "nameservers": [RESOLVER], "domain": DOMAIN, "options": ["ndots:5"],
        "search": [f"default.svc.{DOMAIN}", f"svc.{DOMAIN}", DOMAIN]}


@PROTOCOLS
def test_a_name_resolves(node, client, resolver, web_address, protocol):
    text = dig(client, "+tcp" if protocol == "tcp" else "+notcp", f"web.default.svc.{DOMAIN}")
    assert carrier(text) == protocol and answers(text) == [web_address]
    asked = [flow for flow in node.instance.query("flows", "--pod", "default/client")["flows"]
             if flow["original"]["destination"] == RESOLVER and flow["protocol"] == {"tcp": 6, "udp": 17}[protocol]]
    assert asked and all(flow["translated"]["destination"] == resolver.ipv4 for flow in asked)
    assert {flow["service"] for flow in asked} == {"kube-system/kube-dns:dns" + ("-tcp" if protocol == "tcp" else "")}


def test_the_node_resolves_too(node, resolver, web_address):
    """As a kubelet's or an operator's own look-up does."""
    assert answers(dig(node.netns, f"web.default.svc.{DOMAIN}")) == [web_address]


def test_a_name_that_nobody_has_is_told_so(client):
    assert "status: NXDOMAIN" in dig(client, f"nobody.default.svc.{DOMAIN}")


def test_an_answer_too_long_for_udp_is_asked_for_again_by_tcp(client):
    text = dig(client, "TXT", "+noedns", f"long.{DOMAIN}")
    assert ";; Truncated, retrying in TCP mode." in text and carrier(text) == "tcp"
    assert answers(text) == [" ".join(f'"{part}"' for part in LONG)]


def test_a_long_answer_by_udp_comes_in_fragments(client):
    text = dig(client, "TXT", "+bufsize=4096", "+ignore", f"long.{DOMAIN}")
    assert carrier(text) == "udp" and answers(text) == [" ".join(f'"{part}"' for part in LONG)]


def test_names_of_the_world_are_asked_for_in_the_world(client, resolver):
    """The resolver's own question leaves as the node's; the world has no way to a pod."""
    assert answers(dig(client, WORLD_NAME)) == [WORLD_ADDRESS]


def test_a_programs_resolver_finds_a_service_by_its_short_name(client, web_address, tmp_path):
    """libc with the settings of the plugin's result: it asks for A and AAAA at once, from one port, and tries each
    search domain in turn. Then a connection to what it found."""
    dns = client.result["dns"]
    (tmp_path / "resolv.conf").write_text("".join(f"nameserver {server}\n" for server in dns["nameservers"]) +
                                          f"search {' '.join(dns['search'])}\noptions {' '.join(dns['options'])}\n")
    script = f"mount --bind {tmp_path}/resolv.conf /etc/resolv.conf && exec getent ahosts"
    for name in ("web", "web.default", f"web.default.svc.{DOMAIN}"):
        found = client.run("unshare", "--mount", "sh", "-c", f"{script} {name}").stdout
        assert {line.split()[0] for line in found.splitlines()} == {web_address}
    assert ask(client, web_address, 80).name == "web"
