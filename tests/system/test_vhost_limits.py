"""What is asked of a vhost-user pod wrongly, or too much: the error names the field, its value and the limit, and nothing
was made."""

import pathlib
import secrets
import tempfile

import pytest

from harness.cni import Cni, CniError
from harness.netns import Netns
from harness.node import Node
from harness.traffic import ping
from harness.vhost_pod import add_vhost_pod


@pytest.fixture(scope="module")
def node(make_node):
    """Room for the host port and three pods."""
    return make_node("limits", portLimit=4)


@pytest.fixture(scope="module")
def client(node):
    return node.add_pod("client")


@pytest.fixture(scope="module")
def bystander(node):
    with add_vhost_pod(node, "bystander") as pod:
        yield pod


ARGS = "K8S_POD_NAMESPACE=default;K8S_POD_NAME=c;{};IgnoreUnknown=1"


@pytest.mark.parametrize("words, told", [
    ("MILLRACE_PORT_TYPE=sriov", 'MILLRACE_PORT_TYPE is "sriov"; allowed: kernel vhost-user'),
    ("MILLRACE_PORT_TYPE=vhost-user;MILLRACE_VHOST_QUEUES=65", 'MILLRACE_VHOST_QUEUES is "65"; allowed: 1..64'),
    ("MILLRACE_PORT_TYPE=vhost-user;MILLRACE_VHOST_QUEUES=-1", 'MILLRACE_VHOST_QUEUES is "-1"; allowed: 1..64'),
    ("MILLRACE_PORT_TYPE=vhost-user;MILLRACE_VHOST_LISTENER=both", 'MILLRACE_VHOST_LISTENER is "both"; allowed: switch pod'),
])
def test_a_word_that_is_wrong_is_named(node, words, told):
    refused(node, ARGS.format(words), 4, told)


@pytest.mark.parametrize("annotations, told", [
    ("millrace.io/port-type: sriov", 'metadata.annotations.millrace.io/port-type: "sriov"; allowed: kernel, vhost-user'),
    ('millrace.io/port-type: vhost-user, millrace.io/vhost-queues: "65"',
     'metadata.annotations.millrace.io/vhost-queues: "65"; allowed: 1..64'),
    ("millrace.io/port-type: vhost-user, millrace.io/vhost-listener: both",
     'metadata.annotations.millrace.io/vhost-listener: "both"; allowed: switch, pod'),
])
def test_an_annotation_that_is_wrong_is_named(node, annotations, told):
    manifest = ("apiVersion: v1\nkind: Pod\nmetadata: {name: c, annotations: {%s}}\nspec: {containers: [{name: main}]}" %
                annotations)
    node.instance.cli("apply", "-f", "-", input=manifest)
    try:
        refused(node, ARGS.format("K8S_POD_UID=u"), None, told)
    finally:
        node.instance.cli("delete", "-f", "-", input=manifest)


def refused(node, args, code, told):
    """ADD says why, and nothing was made."""
    root = pathlib.Path(node.instance.config["runtimeDir"], "vhost")  # made by the switch
    before = sorted(root.iterdir()), [pod["key"] for pod in node.instance.query("pod", "list")["pods"]]
    netns = Netns.create(f"mr-test-refused-{secrets.token_hex(3)}")
    try:
        with pytest.raises(CniError) as raised:
            Cni(node.instance).add("refused", netns.path, args=args)
        assert "eth0" not in netns.ip("link").stdout
    finally:
        netns.delete()
    assert told in raised.value.message + raised.value.answer.get("details", ""), raised.value.answer
    assert code is None or raised.value.code == code
    assert (sorted(root.iterdir()), [pod["key"] for pod in node.instance.query("pod", "list")["pods"]]) == before


def test_a_socket_that_another_container_has(node, client, bystander):
    uid = pathlib.Path(bystander.socket_path).parents[1].name
    cni, words = Cni(node.instance), ARGS.format(f"K8S_POD_UID={uid};MILLRACE_PORT_TYPE=vhost-user")
    with pytest.raises(CniError) as raised:
        cni.add("second", client.netns.path, args=words)
    assert f"vhost-user socket {bystander.socket_path} is that of attachment" in raised.value.message
    assert ping(client, bystander.ipv4, count=1).ok


@pytest.mark.parametrize("kind", ["kernel", "vhost-user"])
def test_a_port_too_many(node, client, bystander, kind):
    """Both kinds count, and are told the same."""
    node.add_pod("third", "--type", "vhost-user")
    try:
        refused(node, ARGS.format(f"MILLRACE_PORT_TYPE={kind}"), 100,
                "upsert_ports: 5 ports in all; portLimit of the switch is 4")
    finally:
        node.delete_pod("third")
    assert ping(client, bystander.ipv4, count=1).ok


def test_a_path_too_long(programs):
    """It is the instance's own directory that has to be shorter."""
    with tempfile.TemporaryDirectory(prefix=f"millrace-{'l' * 30}-") as directory, \
            Node(programs, "long", {"runtimeDir": f"{directory}/run"}) as node:
        refused(node, ARGS.format("MILLRACE_PORT_TYPE=vhost-user;K8S_POD_UID=0123456789-0123456789-0123456789"), None,
                "bytes; allowed: at most 107")
