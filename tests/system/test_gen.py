"""Millrace-gen against real devices: pods of a switch by vhost-user, with NAT'd answers and commands that change the
switch; DPDK's testpmd by vhost-user and by AF_XDP; and what it shows on a terminal."""

import contextlib
import os
import pathlib
import re
import tempfile

import pytest

from harness.generator import Generator, packets
from harness.netns import Netns, veth
from harness.pod import address_of
from harness.process import Background
from harness.services import service

FAMILIES = pytest.mark.parametrize("family", [4, 6], ids=["IPv4", "IPv6"])


@pytest.fixture(scope="module")
def node(make_node):
    return make_node("gen")


@pytest.fixture(scope="module")
def client(node):
    return node.add_pod("client", "--type", "vhost-user")


@pytest.fixture(scope="module")
def web(node):
    return node.add_pod("web-0", "--type", "vhost-user", "--label", "app=web", "--port", "http:8080/tcp", "--port",
                        "http-udp:8080/udp")


@pytest.fixture(scope="module")
def generator(programs, client, web):
    return Generator.of_pods(programs, client, web)


def clean(generator, *words, tries=3):
    """A run in which every stream came through. What comes must always be right; loss may be the machine's, when other
    work keeps the switch from its rings for a while, so there are some tries."""
    for _ in range(tries):
        result = generator(*words)["result"]
        assert result["total"]["sent"] > 0 and result["total"]["duplicates"] == 0, result["total"]
        assert all(port["damaged"] == port["bad_headers"] == 0 for port in result["ports"]), result["ports"]
        if all(stream["received"] >= 0.98 * stream["due"] for stream in result["streams"]):
            return result
    raise AssertionError(f"loss in each of {tries} runs: {result['streams']}")


@FAMILIES
def test_streams_from_pod_to_pod(generator, client, web, family):
    result = clean(generator, "run", *packets(client, address_of(web, family), 8080, "--flows", "100"), "--rate", "10kpps",
                   "--seconds", "1", "--verify-headers")
    assert result["total"]["due"] == 10000
    assert result["ports"][1]["received"] >= result["total"]["received"]
    assert 0 < result["total"]["latency_ns"]["p50"] <= result["total"]["latency_ns"]["max"]


@FAMILIES
def test_answers_come_back_through_a_service(node, generator, client, web, family):
    """What goes to the Service comes back from it: the answer is translated, and is the packet that was sent."""
    with service(node, "web") as addresses:
        result = clean(generator, "run", *packets(client, addresses[family], 80, "--flows", "500"), "--rate", "10kpps",
                       "--seconds", "1", "--echo", "1", "--verify-headers")
    assert result["ports"][1]["turned"] >= result["total"]["received"]
    assert result["ports"][0]["received"] >= result["total"]["received"]


@FAMILIES
@pytest.mark.parametrize("protocol", ["tcp", "udp"])
def test_connections_to_a_service(node, generator, client, web, family, protocol):
    with service(node, "web") as addresses:
        result = generator(
            "connect", "--source-mac", client.mac, "--destination-mac", "02:4d:52:00:00:01", "--source-ip",
            address_of(client, family), "--destination-ip", addresses[family], "--destination-port", "80", "--protocol",
            protocol, "--server-port", "1", "--rate", "1000", "--request", "100", "--response", "1000", "--seconds",
            "1")["result"]
    assert result["due"] == 1000
    assert result["completed"] >= 500 and result["reset"] == 0, result
    assert result["response_ns"]["count"] >= result["completed"] > 0


def test_a_sweep_of_services_drives_the_switch(node, generator, client, web, tmp_path):
    """Each step applies so many Services by the CLI, as a person would; the table has a row for each."""
    script = tmp_path / "services.sh"
    apply = " ".join(map(str, node.instance.cli_command("apply", "-f", "-")))
    script.write_text(f"""set -e
[ "$1" -le 50 ] || {{ echo "no more than 50 here" >&2; exit 4; }}
for i in $(seq 1 "$1"); do
  printf 'apiVersion: v1\\nkind: Service\\nmetadata: {{name: many-%s}}\\n' $i
  printf 'spec: {{selector: {{app: web}}, ports: [{{port: 80, targetPort: 8080, protocol: UDP}}]}}\\n---\\n'
done | {apply}
""")

    def services():
        return [entry["metadata"]["name"] for entry in node.instance.query("get", "svc")["items"]
                if entry["metadata"]["name"].startswith("many-")]

    csv = tmp_path / "sweep.csv"
    sweep = ["test", "sweep", *packets(client, web.ipv4, 8080), "--configure", f"sh {script} {{n}}", "--seconds", "0.2",
             "--most", "5kpps", "--precision", "0.5", "--csv", str(csv)]
    try:
        result = generator(*sweep, "--values", "5,40")["result"]
        assert [row["value"] for row in result["rows"]] == [5, 40]
        assert all(row["throughput_pps"] > 0 and row["configure_seconds"] > 0 for row in result["rows"]), result["rows"]
        assert len(services()) == 40
        assert len(csv.read_text().splitlines()) == 3
        refused = generator(*sweep, "--values", "5,51", check=False)
        assert refused.returncode == 1
        assert "exit code 4; it printed:\nno more than 50 here" in refused.stderr, refused.stderr
        assert '"name":"5"' in refused.stdout and '"name":"51"' not in refused.stdout
    finally:
        for name in services():
            node.instance.cli("delete", "svc", name)


def test_a_policy_that_comes_and_goes_while_packets_run(node, generator, client, web, tmp_path):
    """The first change denies what the stream sends, the second takes that back: both take effect, and when is told."""
    (tmp_path / "deny.yaml").write_text("""
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: deny, namespace: default}
spec: {podSelector: {matchLabels: {app: web}}, policyTypes: [Ingress]}
""")
    cli = " ".join(map(str, node.instance.cli_command()))
    change = f"if [ {{i}} -eq 1 ]; then {cli} apply -f {tmp_path}/deny.yaml; else {cli} delete -f {tmp_path}/deny.yaml; fi"
    try:
        result = generator("run", *packets(client, web.ipv4, 8081), "--rate", "5kpps", "--seconds", "5", "--reconfigure",
                           change, "--first", "1", "--every", "2")["result"]
    finally:
        node.instance.cli("delete", "-f", str(tmp_path / "deny.yaml"), check=False)
    deny, allow = result["reconfiguration"]["changes"]
    assert deny["error"] == allow["error"] == ""
    stopped, began = deny["streams"][0], allow["streams"][0]
    assert stopped["effect"] == "stopped" and began["effect"] == "began", (deny, allow)
    assert 0 <= stopped["effect_ns"] < 1.9e9 and 0 <= began["effect_ns"] < 1.9e9
    assert stopped["longest_gap_ns"] > 0.1e9
    lost = sum(count for _, count in result["reconfiguration"]["losses"][0]["lost"])
    assert lost == result["total"]["lost"] >= 500


def test_what_a_command_cannot_do_is_told_and_the_run_goes_on(generator, client, web):
    result = generator("run", *packets(client, web.ipv4, 8080), "--rate", "1kpps", "--seconds", "1", "--reconfigure",
                       "echo the switch is busy >&2; exit 9", "--first", "0.2")["result"]
    assert [change["error"] for change in result["reconfiguration"]["changes"]] == [
        "'echo the switch is busy >&2; exit 9': exit code 9; it printed:\nthe switch is busy"]
    assert result["total"]["received"] > 0


@contextlib.contextmanager
def forwarder(devices, mode, *options, place=None):
    """DPDK's own forwarder; it has started its ports when the context begins."""
    cpu = min(os.sched_getaffinity(0))
    with tempfile.TemporaryDirectory(prefix="millrace-testpmd-") as files:
        argv = ["dpdk-testpmd", "--no-pci", "--no-huge", "-m", "256", "--no-telemetry", "--no-shconf",
                f"--lcores=0@{cpu},1@{cpu}", *[f"--vdev={device}" for device in devices], "--", f"--forward-mode={mode}",
                "--total-num-mbufs=8192", "--nb-cores=1", "--no-flush-rx", "--stats-period=3600", *options]
        argv = place.command(*argv) if place else argv
        made = Background(argv, env={**os.environ, "RUNTIME_DIRECTORY": files})
        try:
            made.wait_for_output("Port statistics", 20)
            yield made
        finally:
            made.stop()


def test_testpmd_by_vhost_user(programs, tmp_path):
    """Between two vhost-user ports of DPDK's own: streams of every kind, with VLAN and VXLAN, IMIX and two directions."""
    sockets = [str(tmp_path / f"vh{i}.sock") for i in (0, 1)]
    profile = tmp_path / "streams.yaml"
    macs = "source-mac: '02:00:00:00:01:01', destination-mac: '02:00:00:00:01:02'"
    profile.write_text(f"""
streams:
  - {{name: mix, rate: 2kpps, size: imix, flows: 1000, order: zipf}}
  - {{name: tagged, rate: 1kpps, vlan: 100, protocol: tcp, size: 200}}
  - {{name: sctp, rate: 1kpps, protocol: sctp, size: 300}}
  - {{name: v6, rate: 1kpps, source-ip: 'fd00::1', destination-ip: 'fd00::2', size: 200}}
  - {{name: tunnel, rate: 1kpps, size: 200, vxlan: {{vni: 5, {macs}, source-ip: '2001:db8::1', destination-ip: '2001:db8::2'}}}}
  - {{name: back, port: 1, rate: 2kpps, protocol: icmp, size: 100}}
""")
    generator = Generator(programs, [f"net_virtio_user{i},path={path},queue_size=1024" for i, path in enumerate(sockets)])
    with forwarder([f"net_vhost{i},iface={path}" for i, path in enumerate(sockets)], "io"):
        result = clean(generator, "run", "--profile", str(profile), "--seconds", "1", "--verify-headers")
        assert len(result["streams"]) == 6
        recorded = tmp_path / "recorded.pcap"
        Generator(programs, [f"net_pcap0,tx_pcap={recorded},rx_iface=lo"])("run", "--size", "200",
                                                                                "--packets", "500", "--rate", "100kpps")
        replayed = generator("run", "--replay", str(recorded), "--rate", "5kpps", "--packets", "1000")["result"]
        assert replayed["total"]["sent"] == 1000
        assert replayed["ports"][1]["received"] >= 500


def test_testpmd_by_af_xdp(programs):
    """An interface of the kernel at each end: what testpmd turns round comes back."""
    with contextlib.ExitStack() as stack:
        place = Netns.create(f"mr-gen-xdp-{os.getpid()}")
        stack.callback(place.delete)
        veth(place, "gen0", place, "dut0")
        stack.enter_context(forwarder(["net_af_xdp1,iface=dut0"], "macswap", "--port-topology=loop", place=place))
        generator = Generator(programs, ["net_af_xdp0,iface=gen0"], place)
        assert clean(generator, "run", "--rate", "5kpps", "--seconds", "1", "--size", "100", "--flows", "50")


def test_a_socket_that_is_not_there_is_named(programs):
    done = Generator(programs, ["net_virtio_user0,path=/nowhere/vh0.sock"])("run", check=False)
    assert done.returncode == 1
    assert "--port net_virtio_user0: there is no /nowhere/vh0.sock" in done.stderr, done.stderr


def test_a_socket_that_a_killed_generator_left_is_made_anew(node, programs, web):
    pod = node.add_pod("listens", "--type", "vhost-user", "--vhost-listener", "pod")
    generator = Generator.of_pods(programs, pod)
    run = ("run", *packets(pod, web.ipv4, 8080), "--rate", "1kpps")
    killed = Background(generator.command(*run, "--seconds", "60", "--live", "--interval", "0.1"))
    try:
        killed.wait_for_output("sent", 20)
        killed.process.kill()
        killed.process.wait()
    finally:
        killed.stop()
    assert pathlib.Path(pod.socket_path).is_socket()
    assert generator(*run, "--seconds", "0.5")["result"]["total"]["sent"] > 0
    node.delete_pod("listens")


def test_a_terminal_shows_the_run_in_place(programs):
    """One block, drawn over itself and gone at the end; stdout has the result alone."""
    generator = Generator(programs, ["net_ring0"])
    shown, result = generator.on_terminal("run", "--rate", "20kpps", "--seconds", "2", "--interval", "0.2", "--live", "--json")
    assert '"kind":"run"' in result and "\x1b" not in result
    assert shown.startswith("\x1b[?25l") and shown.endswith("\x1b[?25h"), "the cursor is hidden meanwhile"
    drawn = re.split(r"\x1b\[\d+A", shown)
    assert len(drawn) >= 4, shown
    assert all("headroom" in block and "latency p99" in block for block in drawn[:-1]), shown
    assert drawn[-1].lstrip("\r").startswith("\x1b[J"), "it is cleared away"
    lines = [line for block in drawn for line in block.replace("\x1b[K", "").split("\r\n")]
    assert max(map(len, lines)) <= 100


def test_what_is_no_terminal_gets_a_line_a_sample(programs):
    generator = Generator(programs, ["net_ring0"])
    done = generator("run", "--rate", "20kpps", "--seconds", "1", "--interval", "0.2", "--live", check=False)
    assert done.returncode == 0
    assert len(done.stderr.splitlines()) >= 2 and "\x1b" not in done.stderr, done.stderr
