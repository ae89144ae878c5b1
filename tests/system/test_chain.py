"""Millrace beside Debian's plugins in one conflist: loopback before it, portmap and bandwidth behind it."""

import json

import pytest

from harness import traffic
from harness.cni import Cni, container

LOOPBACK = {"type": "loopback"}


def conflist(cni):
    return [LOOPBACK, cni.plugin(), {"type": "portmap", "capabilities": {"portMappings": True}, "snat": True},
            {"type": "bandwidth", "capabilities": {"bandwidth": True}}]


def test_a_chain_passes_through(node):
    """What ours answers satisfies the plugins behind it, and what they add does not hinder ours."""
    cni = Cni(node.instance, name="chained")
    cni.plugins = conflist(cni)[1:]
    extra = {"runtimeConfig": {"portMappings": [{"hostPort": 18080, "containerPort": 80, "protocol": "tcp"}],
                               "bandwidth": {"ingressRate": 800_000_000, "ingressBurst": 8_000_000}}}
    with container(cni, "chained", extra=extra) as pod:
        assert len(pod.result["ips"]) == 2
        assert traffic.ping(node.netns, pod.ipv4).ok
        # Only ours: portmap 1.1.1 looks for its IPv4 rules in the table of IPv6 when a pod has both.
        cni.execute("CHECK", cni.plugins[0], pod.result, extra, container_id=pod.container_id, netns=pod.netns.path)


def test_keys_as_containerd_writes_them(node):
    """containerd 1.6 sends Go's capital letters in runtimeConfig, and libcni leaves `capabilities` where it was."""
    cni = Cni(node.instance, name="capital")
    cni.plugins = [cni.plugin(capabilities={"portMappings": True, "bandwidth": True})]
    extra = {"runtimeConfig": {"portMappings": [{"HostPort": 18081, "ContainerPort": 80, "Protocol": "tcp", "HostIP": ""}],
                               "bandwidth": {"IngressRate": 1000, "IngressBurst": 1000},
                               "dns": {"Servers": ["10.96.0.10"], "Searches": ["default.svc"], "Options": ["ndots:5"]},
                               "aliases": ["a"]}}
    with container(cni, "capital", extra=extra) as pod:
        assert traffic.ping(node.netns, pod.ipv4).ok


def test_the_loopback_plugin_first(node):
    cni = Cni(node.instance, name="loop")
    with container(cni, "loop") as pod:
        answer = cni.execute("ADD", LOOPBACK, container_id=pod.container_id, netns=pod.netns.path, ifname="lo")
        assert answer["interfaces"][0]["name"] == "lo"
        assert traffic.ping(pod, "127.0.0.1", count=1).ok


def test_the_delivered_conflist_is_what_was_tested(node):
    """deploy/'s conflist is valid JSON, of a version Debian's plugins know, and names our plugin."""
    import pathlib

    delivered = list((pathlib.Path(__file__).parents[2] / "deploy").rglob("*.conflist"))
    assert delivered, "deploy/ holds no conflist"
    for path in delivered:
        content = json.loads(path.read_text())
        assert content["cniVersion"] in ("1.0.0", "1.1.0")
        assert "millrace-cni" in [plugin["type"] for plugin in content["plugins"]]


@pytest.mark.parametrize("args", [
    "K8S_POD_NAMESPACE=default;K8S_POD_NAME=web-0;K8S_POD_INFRA_CONTAINER_ID=abc;K8S_POD_UID=u-1;IgnoreUnknown=1",
    "IgnoreUnknown=1;K8S_POD_UID=u-2;K8S_POD_NAME=web-1;K8S_POD_NAMESPACE=shop;K8S_POD_INFRA_CONTAINER_ID=def",
])
def test_the_pod_is_known_by_what_the_kubelet_said(node, args):
    wanted = dict(part.split("=") for part in args.split(";"))
    with container(Cni(node.instance), "kube", args=args) as pod:
        entry = next(entry for entry in node.instance.query("pod", "list")["pods"]
                     if entry["key"]["container_id"] == pod.container_id)
        assert (entry["pod_namespace"], entry["pod_name"], entry["pod_uid"]) == (
            wanted["K8S_POD_NAMESPACE"], wanted["K8S_POD_NAME"], wanted["K8S_POD_UID"])
