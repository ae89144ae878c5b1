"""millrace-cni as a runtime meets it: commands, versions, errors. KUBERNETES.md section 1 is what is expected."""

import json

import pytest

from harness import traffic
from harness.cni import Cni, CniError, container
from harness.netns import Netns
from harness.process import wait_until

VERSIONS = ["0.3.1", "0.4.0", "1.0.0", "1.1.0"]


@pytest.fixture
def sandbox(node, request):
    """A namespace that no CNI has seen."""
    netns = Netns.create(f"mr-test-sandbox-{node.tag}")
    yield netns
    Cni(node.instance).delete(netns.name, netns.path)
    netns.delete()


@pytest.mark.parametrize("version", VERSIONS)
def test_add_check_del_in_each_version(node, sandbox, version):
    cni = Cni(node.instance, version=version)
    result = cni.add(sandbox.name, sandbox.path)
    assert result["cniVersion"] == version
    assert ("version" in result["ips"][0]) == (version in ("0.3.1", "0.4.0"))
    assert [entry["name"] for entry in result["interfaces"] if entry.get("sandbox") == sandbox.path] == ["eth0"]
    assert traffic.ping(node.netns, result["ips"][0]["address"].split("/")[0], count=2).ok
    if version != "0.3.1":
        cni.check(sandbox.name, sandbox.path, result)
    cni.delete(sandbox.name, sandbox.path, result)
    cni.delete(sandbox.name, sandbox.path, result)
    assert sandbox.ip("link", "show", "eth0", check=False).returncode != 0


def test_version_tells_all_of_them(node):
    cni = Cni(node.instance)
    for environment in ({"CNI_COMMAND": "VERSION"}, cni.environment("VERSION", "", "dummy", "dummy")):
        answer = json.loads(cni.raw('{"cniVersion": "1.1.0"}', environment).stdout)
        assert answer["supportedVersions"] == VERSIONS


def test_check_finds_what_was_changed(node):
    cni = Cni(node.instance)
    with container(cni, "checked") as pod:
        cni.check(pod.container_id, pod.netns.path, pod.result)
        pod.netns.ip("addr", "del", f"{pod.ipv4}/32", "dev", "eth0")
        with pytest.raises(CniError) as failure:
            cni.check(pod.container_id, pod.netns.path, pod.result)
        assert failure.value.code >= 100 and pod.ipv4 in failure.value.message


def test_status_is_good_and_gc_removes_what_is_not_named(node):
    cni = Cni(node.instance, version="1.1.0", name="gcnet")
    assert cni.execute("STATUS", cni.plugins[0]) is None
    with container(cni, "kept") as kept, container(cni, "lost") as lost:
        valid = [{"containerID": kept.container_id, "ifname": "eth0"}]
        assert cni.execute("GC", cni.plugins[0], extra={"cni.dev/valid-attachments": valid}) is None
        left = {entry["key"]["container_id"] for entry in node.instance.query("pod", "list")["pods"]}
        assert kept.container_id in left and lost.container_id not in left
        assert traffic.ping(node.netns, kept.ipv4, count=2).ok


@pytest.mark.parametrize("command, version", [("CHECK", "0.3.1"), ("GC", "1.0.0"), ("STATUS", "1.0.0"), ("ADD", "2.0.0")])
def test_a_version_that_does_not_go_is_code_1(node, sandbox, command, version):
    cni = Cni(node.instance, version=version)
    with pytest.raises(CniError) as failure:
        cni.execute(command, cni.plugins[0], container_id=sandbox.name, netns=sandbox.path)
    assert failure.value.code == 1


def test_add_where_the_interface_exists_is_refused_and_leaves_it(node, sandbox):
    cni = Cni(node.instance)
    sandbox.ip("link", "add", "eth0", "type", "veth", "peer", "name", "mine")
    with pytest.raises(CniError):
        cni.add(sandbox.name, sandbox.path)
    assert "eth0@mine" in sandbox.run("ip", "link", "show", "eth0").stdout
    cni.delete(sandbox.name, sandbox.path)
    sandbox.ip("link", "del", "eth0", check=False)


def test_a_namespace_that_goes_without_del_frees_the_port_and_keeps_the_address(node):
    """The switch has room for another pod at once; who may have the address is for DEL to say."""
    cni = Cni(node.instance)
    netns = Netns.create(f"mr-test-vanish-{node.tag}")
    host_interface = cni.add(netns.name, netns.path)["interfaces"][0]["name"]

    def port_is_there():
        return host_interface in [port["spec"]["interface"] for port in node.instance.query("port", "list")["ports"]]

    def pod():
        return [pod for pod in node.instance.query("pod", "list")["pods"] if pod["key"]["container_id"] == netns.name]

    assert port_is_there()
    netns.delete()
    wait_until(lambda: not port_is_there(), "the switch lets go of the port", timeout_s=5)
    assert [entry["interface_gone"] for entry in pod()] == [True]
    cni.delete(netns.name, netns.path)
    assert pod() == []


def test_del_after_the_namespace_is_gone(node):
    cni = Cni(node.instance)
    netns = Netns.create(f"mr-test-early-{node.tag}")
    cni.add(netns.name, netns.path)
    netns.delete()
    cni.delete(netns.name, netns.path)
    cni.delete(netns.name, "")
    assert netns.name not in [pod["key"]["container_id"] for pod in node.instance.query("pod", "list")["pods"]]


def test_a_namespace_that_is_not_there_is_an_error(node):
    cni = Cni(node.instance)
    with pytest.raises(CniError) as failure:
        cni.add("nowhere", "/run/netns/mr-test-no-such")
    assert failure.value.code in (3, 4, 5)
    cni.delete("nowhere", "/run/netns/mr-test-no-such")


def test_wishes_of_the_runtime_are_kept(node, sandbox):
    """MAC and IP in CNI_ARGS, as podman sends them."""
    cni = Cni(node.instance)
    result = cni.add(sandbox.name, sandbox.path, args="IgnoreUnknown=1;IP=10.244.0.200;MAC=02:11:22:33:44:55")
    assert "10.244.0.200" in [entry["address"].split("/")[0] for entry in result["ips"]]
    assert "02:11:22:33:44:55" in sandbox.run("ip", "link", "show", "eth0").stdout
    assert traffic.ping(node.netns, "10.244.0.200", count=2).ok
    cni.delete(sandbox.name, sandbox.path, args="IgnoreUnknown=1;IP=10.244.0.200;MAC=02:11:22:33:44:55")


HOSTILE = [
    ("no stdin", "", {}),
    ("no JSON", "{{{{", {}),
    ("a list", "[]", {}),
    ("deep nesting", "[" * 100000, {}),
    ("a name with a path in it", '{"cniVersion":"1.0.0","name":"../../etc","type":"millrace-cni"}', {}),
    ("mtu a string", '{"cniVersion":"1.0.0","name":"n","type":"millrace-cni","mtu":"big"}', {}),
    ("ipam with a path", '{"cniVersion":"1.0.0","name":"n","type":"millrace-cni","ipam":{"type":"../sh"}}', {}),
    ("32 MiB", '{"name":"' + "x" * (32 << 20) + '"}', {}),
    ("an unknown command", '{"cniVersion":"1.0.0","name":"n"}', {"CNI_COMMAND": "EXPLODE"}),
    ("a container id with a slash", '{"cniVersion":"1.0.0","name":"n"}', {"CNI_CONTAINERID": "a/b"}),
    ("an interface name of 16 characters", '{"cniVersion":"1.0.0","name":"n"}', {"CNI_IFNAME": "abcdefghijklmnop"}),
    ("an interface named ..", '{"cniVersion":"1.0.0","name":"n"}', {"CNI_IFNAME": ".."}),
    ("a namespace that is a directory", None, {"CNI_NETNS": "/"}),
    ("a namespace that is no namespace", None, {"CNI_NETNS": "/etc/passwd"}),
]


@pytest.mark.parametrize("stdin, changes", [pytest.param(*case[1:], id=case[0]) for case in HOSTILE])
def test_hostile_input_is_a_clear_error(node, sandbox, stdin, changes):
    cni = Cni(node.instance)
    before = len(node.instance.query("pod", "list")["pods"])
    config = stdin if stdin is not None else json.dumps({"cniVersion": "1.0.0", "name": "n", **cni.plugins[0]})
    done = cni.raw(config, {**cni.environment("ADD", sandbox.name, sandbox.path), **changes})
    answer = json.loads(done.stdout)
    assert done.returncode != 0 and answer["code"] > 0 and len(answer["msg"]) > 5
    assert len(node.instance.query("pod", "list")["pods"]) == before


def test_without_the_agent_it_is_try_again_later(make_node):
    node = make_node()
    cni = Cni(node.instance)
    netns = Netns.create(f"mr-test-alone-{node.tag}")
    try:
        node.instance.down()
        with pytest.raises(CniError) as failure:
            cni.add(netns.name, netns.path)
        assert failure.value.code == 11 and "agent" in failure.value.message.lower()
        node.instance.up()
        result = cni.add(netns.name, netns.path)
        assert traffic.ping(node.netns, result["ips"][0]["address"].split("/")[0], count=2).ok
        cni.delete(netns.name, netns.path)
    finally:
        netns.delete()
