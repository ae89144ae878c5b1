"""The pods that a normal cluster has: TCP and UDP from pod to pod and from pod to Service, on one node. Millrace over AF_XDP, then
the kernel in the same way, then Millrace again, and so on.

The kernel's node is a bridge with a veth to each pod, and a Service is a verdict map of nftables before conntrack's DNAT, as
kube-proxy writes it. Both sides have all of the machine's processors, and each its own settings: what is between two pods of
the kernel's is neither tracked nor filtered; Millrace tracks everything, and its server is isolated by a policy that lets the client in.
A pod of the kernel's hands TCP on in pieces of up to 64 KiB, which AF_XDP cannot take: the rows without GSO have packets of the
MTU on both sides. Nothing here is left out because it loses.
"""

import contextlib
import json

import generator
from rounds import Rounds

from harness import traffic
from harness.netns import Netns, veth
from harness.node import Node
from harness.process import Background, CommandError, run, wait_until

PORT = 5201
LINUX_GATEWAY, LINUX_BACKEND, LINUX_SERVICE = "10.20.0.1", "10.30.0.3", "10.96.0.77"

SERVICE = f"""
apiVersion: v1
kind: Service
metadata: {{name: bench}}
spec:
  selector: {{app: server}}
  ports:
  - {{name: tcp, port: {PORT}, targetPort: {PORT}, protocol: TCP}}
  - {{name: udp, port: {generator.PORT}, targetPort: {generator.PORT}, protocol: UDP}}
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {{name: bench}}
spec:
  podSelector: {{matchLabels: {{app: server}}}}
  ingress: [{{from: [{{podSelector: {{matchLabels: {{app: client}}}}}}]}}]
"""


class At:
    """A pod, asked at another address than its own."""

    def __init__(self, pod, address):
        self.pod, self.ipv4 = pod, address

    def __getattr__(self, name):
        return getattr(self.pod, name)


class LinuxPod:
    def __init__(self, node, number):
        self.name, self.ipv4 = f"{node.name}-{number}", f"10.20.0.{number}"
        self.netns = Netns.create(self.name)
        self.command, self.run = self.netns.command, self.netns.run
        veth(node, f"pod{number}", self.netns, "eth0")
        node.ip("link", "set", f"pod{number}", "master", "br0")
        node.run("ethtool", "-K", f"pod{number}", "gro", "on")  # or it takes no frames of XDP's
        self.netns.ip("addr", "add", f"{self.ipv4}/24", "dev", "eth0")
        self.netns.ip("route", "add", "default", "via", LINUX_GATEWAY)
        self.mac = json.loads(self.netns.ip("-j", "link", "show", "dev", "eth0").stdout)[0]["address"]


class LinuxNode:
    """A bridge, and a Service whose backend answers by the node, so that its answers are translated back."""

    def __init__(self, name):
        self.netns = Netns.create(name)
        self.pods = []
        try:
            self.make()
        except BaseException:
            self.delete()
            raise

    def make(self):
        self.netns.sysctl("net.ipv4.ip_forward=1")
        self.netns.ip("link", "add", "br0", "type", "bridge", "mcast_snooping", "0")
        self.netns.ip("link", "set", "br0", "up")
        self.netns.ip("addr", "add", f"{LINUX_GATEWAY}/24", "dev", "br0")
        self.mac = json.loads(self.netns.ip("-j", "link", "show", "dev", "br0").stdout)[0]["address"]
        self.pods += [LinuxPod(self.netns, 2), LinuxPod(self.netns, 3)]
        self.client, self.server = self.pods
        self.server.netns.ip("addr", "add", f"{LINUX_BACKEND}/32", "dev", "lo")
        self.server.netns.ip("rule", "add", "from", LINUX_BACKEND, "lookup", "100")
        self.server.netns.ip("route", "add", "default", "via", LINUX_GATEWAY, "table", "100")
        self.netns.ip("route", "add", f"{LINUX_BACKEND}/32", "via", self.server.ipv4)
        self.netns.run("nft", "-f", "-", input=f"""
            table ip bench {{
              map services {{ type ipv4_addr . inet_proto . inet_service : ipv4_addr . inet_service
                elements = {{ {LINUX_SERVICE} . tcp . {PORT} : {LINUX_BACKEND} . {PORT},
                              {LINUX_SERVICE} . udp . {generator.PORT} : {LINUX_BACKEND} . {generator.PORT} }}
              }}
              chain to {{ type nat hook prerouting priority dstnat; dnat ip to ip daddr . meta l4proto . th dport map @services;
              }}
              chain through {{ type filter hook forward priority filter; policy drop;
                ct state established,related accept; ct state new accept;
              }}
            }}""")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.delete()

    def delete(self):
        for netns in (*(pod.netns for pod in self.pods), self.netns):
            netns.delete()


def tcp(client, server, bound, address, seconds):
    """Gbit/s of one stream to `address`, at which the server that is bound to `bound` answers."""
    with Background(server.command("iperf3", "-s", "-1", "-B", bound, "-p", PORT, "--forceflush")) as listener:
        listener.wait_for_output("Server listening")
        done = run(client.command("iperf3", "-c", address, "-p", PORT, "-t", seconds, "-J"), timeout_s=seconds + 20, check=False)
        report = json.loads(done.stdout or '{"error": "no report"}')
        if "error" in report:
            raise CommandError(["iperf3", address], report["error"], done.stdout, done.stderr)
        listener.finish(timeout_s=10)
    return report["end"]["sum_received"]["bits_per_second"] / 1e9


@contextlib.contextmanager
def pieces_of_the_mtu(*pods):
    for pod in pods:
        pod.run("ethtool", "-K", "eth0", "tso", "off", "gso", "off")
    try:
        yield
    finally:
        for pod in pods:
            pod.run("ethtool", "-K", "eth0", "tso", "on", "gso", "on")


class Bench(Rounds):
    def run(self):
        with Node(self.programs, "bench", {"memory": {"hugepages": "2M"}}) as node:
            client, server = node.add_pod("client", "--label", "app=client"), node.add_pod("server", "--label", "app=server")
            node.instance.cli("apply", "-f", "-", input=SERVICE)
            service = node.instance.query("get", "svc", "bench")["spec"]["clusterIP"]
            with LinuxNode(f"mr-bench-linux-{node.tag}") as linux:
                for index in range(self.setup.rounds):
                    print(f"round {index + 1} of {self.setup.rounds}", flush=True)
                    if index > 0:
                        node.instance.up()
                    self.measure("millrace", client, server, server.ipv4, service, generator.GATEWAY_MAC, generator.GATEWAY_MAC)
                    node.instance.stop_daemons()
                    self.measure("Linux", linux.client, linux.server, LINUX_BACKEND, LINUX_SERVICE, linux.server.mac, linux.mac)

    def measure(self, side, client, server, backend, service, pod_mac, service_mac):
        wait_until(lambda: traffic.ping(client, server.ipv4, count=1).ok, f"{side}: pods reach each other", 20)
        seconds = max(1, round(self.setup.seconds))
        ways = (("pod to pod", server.ipv4, server.ipv4, pod_mac), ("pod to Service", backend, service, service_mac))
        for way, bound, address, mac in ways:
            self.note(side, f"Gbit/s, TCP, {way}", tcp(client, server, bound, address, seconds))
            with pieces_of_the_mtu(client, server):
                self.note(side, f"Gbit/s, TCP, GSO off, {way}", tcp(client, server, bound, address, seconds))
            for size in (64, 1500):
                rate = generator.measure(self.programs, client, At(server, address), mac, size, self.setup)
                self.note(side, f"Mpps, UDP {size} B, {way}", rate.packets_s / 1e6)
                self.note(side, f"Mpps offered, UDP {size} B, {way}", rate.offered_s / 1e6)
        self.note(side, "ms, round trip", traffic.ping(client, server.ipv4, count=200, interval_s=0.005).median_ms)


def measure(programs, setup):
    bench = Bench(programs, setup)
    bench.run()
    return bench.compared("Linux")
