"""Millrace between the two ports of the peers' kit: `contender.py up CASE N`, `stats`, `down`.

Everything is on in every case: each packet is guarded, tracked, routed and rewritten, and the server's pod is isolated:
a policy lets the clients' networks in, or in `np` and `acl` the N rules of the kit do. Port 0 is a pod with the clients'
networks behind it, port 1 the server's pod, or in `vxlan` the uplink.
"""

import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[3]
sys.path.insert(0, str(ROOT / "tests"))

# The harness of the tests knows the switch's API. pylint: disable=wrong-import-position
from harness.frames import mac_bytes, packed  # noqa: E402
from harness.netns import Netns, veth  # noqa: E402
from harness.node import Instance  # noqa: E402
from harness.process import wait_until  # noqa: E402
from harness.switch_api import RpcError, SwitchApi, text_bytes  # noqa: E402

CLIENT_NETWORKS = (("10.1.0.0", 16), ("20.0.0.0", 6), ("24.0.0.0", 8))
CLIENT_ADDRESS = "10.0.0.2"  # of the clients' pod itself, which the kit does not use
NODE_END, SWITCH_END = "up0", "up0s"
WORD = {name: os.environ.get(name, "") for name in (
    "PEERS_DIR", "SUT_CPU", "GEN_CPU", "VH0", "VH1", "PORTS", "POD0_MAC", "POD1_MAC", "POD1_IP", "GW_MAC", "VNI",
    "VTEP_LOCAL", "VTEP_LOCAL_MAC", "VTEP_REMOTE", "VTEP_REMOTE_MAC", "MILLRACE_BUILD")}
HOME = pathlib.Path(WORD["PEERS_DIR"]) / "millrace"
PID_FILE = pathlib.Path(WORD["PEERS_DIR"]) / "sut.pid"


class Here:
    """The namespace the kit runs in: with PORTS=afxdp one of its own, else the machine's."""
    name = "peers-millrace"

    @staticmethod
    def command(*argv):
        return [str(word) for word in argv]


def instance(place):
    """One worker on SUT_CPU that polls and never rests, as the other switches do."""
    HOME.mkdir(parents=True, exist_ok=True)
    return Instance(place, pathlib.Path(WORD["MILLRACE_BUILD"]) / "bin", HOME, {
        "poll": "always", "workers": {"cpus": [int(WORD["SUT_CPU"])]}, "portLimit": 16,
        "memory": {"hugepages": "2M", "packets": 32768}, "policy": {"ruleLimit": 65536},
        "flows": {"limit": int(os.environ.get("MILLRACE_FLOWS", "2000000"))}})


def mac(text):
    return f"mac: {text_bytes(mac_bytes(text))}"


def prefix(address, bits):
    return f"{{ address: {text_bytes(packed(address))} length: {bits} }}"


def place_of(number):
    if WORD["PORTS"] == "afxdp":
        return f'interface: "h{number}"'
    return f'vhost_user {{ path: "{WORD[f"VH{number}"]}" role: VHOST_ROLE_SERVER queue_pairs: 1 }}'


def pods(with_server):
    behind = " ".join(f"prefixes {prefix(*network)}" for network in CLIENT_NETWORKS)
    text = (f'upsert_ports {{ name: "clients" kind: PORT_KIND_POD {place_of(0)} {mac(WORD["POD0_MAC"])} '
            f"addresses: {text_bytes(packed(CLIENT_ADDRESS))} {behind} mtu: 1500 }}\n")
    if with_server:
        text += (f'upsert_ports {{ name: "server" kind: PORT_KIND_POD {place_of(1)} {mac(WORD["POD1_MAC"])} '
                 f'addresses: {text_bytes(packed(WORD["POD1_IP"]))} mtu: 1500 }}\n')
    return text


def table(name, count):
    return [line.split() for line in (pathlib.Path(WORD["PEERS_DIR"]) / f"{name}.{count}").read_text().splitlines()]


def policy(rules):
    """A policy of (networks, UDP port or None) that isolates the server's pod."""
    text = []
    for index, (networks, port) in enumerate(rules):
        blocks = " ".join(f"blocks {{ cidr {prefix(*network)} }}" for network in networks)
        ports = f"ports {{ protocol: 17 first: {port} last: {port} }}" if port else ""
        text.append(f"ingress {{ index: {index} {blocks} {ports} }}")
    return (f'upsert_policies {{ name: "in" object: "peers/in" {" ".join(text)} }}\n'
            'upsert_port_policies { port: "server" ingress: "in" }\n')


def case_rules(count):
    return [([(cidr.split("/")[0], int(cidr.split("/")[1]))], port) for cidr, port in table("rules", count)]


def services(count):
    text = []
    for vip, port, backend, backend_port in table("services", count):
        frontends = " ".join(
            f"frontends {{ address: {text_bytes(packed(vip))} protocol: {protocol} port: {port} "
            "from_pod { action: FRONTEND_ACTION_BALANCE } from_node { action: FRONTEND_ACTION_BALANCE } "
            "from_external { action: FRONTEND_ACTION_DROP } }" for protocol in (6, 17))
        text.append(f'upsert_services {{ name: "peers/{vip}" backend_sets {{ backends {{ address: '
                    f"{text_bytes(packed(backend))} port: {backend_port} }} }} {frontends} }}\n")
    return "".join(text)


def tunnel():
    """The uplink is a vhost-user socket; the node's end of its link has the routes."""
    device = f"vhost-user,path={WORD['VH1']},mac={WORD['VTEP_LOCAL_MAC']}"
    return (f'upsert_ports {{ name: "node" kind: PORT_KIND_NODE_LINK interface: "{SWITCH_END}" {mac("02:00:00:00:00:60")} mtu: 1500 }}\n'
            f'upsert_ports {{ name: "uplink" kind: PORT_KIND_UPLINK interface: "{NODE_END}" device: "{device}" '
            f'{mac(WORD["VTEP_LOCAL_MAC"])} mtu: 1500 }}\n'
            f'underlay {{ ipv4: {text_bytes(packed(WORD["VTEP_LOCAL"]))} vtep_{mac(WORD["GW_MAC"])} vni: {WORD["VNI"]} '
            "udp_port: 4789 }\n"
            f'upsert_tunnels {{ name: "other" remote: {text_bytes(packed(WORD["VTEP_REMOTE"]))} '
            f'remote_vtep_{mac(WORD["POD1_MAC"])} encapsulation: ENCAPSULATION_VXLAN prefixes {prefix(WORD["POD1_IP"], 32)} }}\n')


def request(case, count):
    gateway = (f'replace_all: true gateway {{ {mac(WORD["GW_MAC"])} ipv4: {text_bytes(packed("169.254.1.1"))} '
               f'icmp_source_ipv4: {text_bytes(packed("10.0.0.1"))} }}\n')
    text = gateway + pods(with_server=case != "vxlan")
    if case == "vxlan":
        return text + tunnel()
    text += policy(case_rules(count) if case in ("np", "acl") else [(CLIENT_NETWORKS, None)])
    return text + (services(count) if case == "nat" else "")


def make_node_link():
    netns = Netns.create(Here.name)
    netns.ip("link", "add", NODE_END, "address", WORD["VTEP_LOCAL_MAC"], "type", "veth", "peer", "name", SWITCH_END)
    for end in (NODE_END, SWITCH_END):
        netns.sysctl(f"net.ipv6.conf.{end}.disable_ipv6=1")  # the kit has no use for what the kernel says of its own accord
        netns.ip("link", "set", end, "up")
    netns.ip("addr", "add", f"{WORD['VTEP_LOCAL']}/24", "dev", NODE_END)
    netns.ip("neigh", "add", WORD["VTEP_REMOTE"], "lladdr", WORD["VTEP_REMOTE_MAC"], "dev", NODE_END, "nud", "permanent")
    return netns


def start(switch):
    log = (pathlib.Path(WORD["PEERS_DIR"]) / "sut.log").open("wb")
    command = switch.netns.command("nice", "-n", "-20", switch.program("millraced"), "--config", switch.config_file)
    started = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True)
    PID_FILE.write_text(f"{started.pid}\n")  # `ip netns exec` and nice become the program

    def is_up():
        if started.poll() is not None:
            sys.exit(f"millraced ended:\n{pathlib.Path(log.name).read_text()}")
        return os.path.exists(switch.switch_socket)
    wait_until(is_up, "millraced serves its socket", 60)


def up(case, count):
    if case == "l2":
        sys.exit("case l2: Millrace routes between pods, it is no bridge")
    place = make_node_link() if case == "vxlan" else Here
    switch = instance(place)
    start(switch)
    try:
        reply = SwitchApi(switch).apply(request(case, count))
        if "failures" in reply:
            sys.exit(reply)
    except RpcError as error:
        sys.exit(str(error))
    if case == "vxlan":
        wait_until(lambda: SwitchApi(switch).tunnels()["other"]["state"] == "TUNNEL_STATE_UP", "the tunnel is up", 10)


def stats():
    switch = instance(Here)
    for words in (("port", "list"), ("counters",), ("status",)):
        subprocess.run(switch.cli_command(*words), check=False)


def down():
    shutil.rmtree(HOME, ignore_errors=True)
    if os.path.exists(f"/run/netns/{Here.name}"):
        subprocess.run(["ip", "netns", "del", Here.name], check=False)
    for socket in ("VH0", "VH1"):
        pathlib.Path(WORD[socket]).unlink(missing_ok=True)


if __name__ == "__main__":
    if sys.argv[1] == "up":
        up(sys.argv[2], sys.argv[3])
    else:
        {"stats": stats, "down": down}[sys.argv[1]]()
