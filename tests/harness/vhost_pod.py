"""VhostPod: a pod with a vhost-user socket that has the kernel's own network behind it, as a virtual machine would: a
Pod like any other to whoever sends something from it or to it.

Its eth0 (tap_guest.py) gets what the CNI result says of it and nothing else: so the result is enough.
"""

import json
import os
import pathlib
import sys

from .pod import Pod
from .process import Background, wait_until

_TESTS = pathlib.Path(__file__).resolve().parents[1]


class VhostPod(Pod):
    """A pod of `millrace pod add --type vhost-user`; has its eth0 while it is connected."""

    @classmethod
    def of(cls, node, pod, result=None, offload=False):
        """`result`: what ADD answered; else `millrace pod add` has kept it. `offload`: checksums and segments are left to
        the switch as far as it takes them."""
        made = cls(pod.name, pod.netns, pod.addresses, pod.mac, pod.host_interface, pod.socket_path, pod.listens)
        made.offload, made.features = offload, 0  # features: those agreed on
        made.node, made.guest, made.result = node, None, result or made._recorded_result(node)
        made.socket_path = made.result["interfaces"][0]["socketPath"]
        return made

    def _recorded_result(self, node):
        record = pathlib.Path(node.instance.config["runtimeDir"], "pods", f"{self.netns.name}.json")
        return json.loads(record.read_text())["result"]

    def __enter__(self):
        return self if self.guest else self.connect()

    def __exit__(self, *_):
        self.disconnect()

    def connect(self):
        options = ["listen"] * self.listens + ["offload"] * self.offload
        self.guest = Background(
            self.command(sys.executable, "-m", "harness.tap_guest", self.socket_path, "eth0", self.mac, self.mtu(), *options),
            env={**os.environ, "PYTHONPATH": str(_TESTS), "PYTHONDONTWRITEBYTECODE": "1"})
        try:
            self.guest.wait_for_output("attached: features", 20)
            self.features = int(self.guest.text().split("features ")[1].split()[0], 16)
            wait_until(self.has_guest, f"the switch sees the guest of {self.name}", 10)
            self._configure()
        except BaseException:
            self.disconnect()
            raise
        return self

    def disconnect(self):
        self.guest.stop()
        self.guest = None

    def port(self):
        ports = self.node.instance.query("port", "list")["ports"]
        return next(port for port in ports if (port["spec"].get("vhost_user") or {}).get("path") == self.socket_path)

    def mtu(self):
        """CNI results have it from 1.1.0 on."""
        return self.result["interfaces"][0].get("mtu") or self.port()["spec"]["mtu"]

    def has_guest(self):
        status = self.port()["vhost_user"]
        return bool(status and status["connected"] and status["queue_pairs"] == 1)

    def _configure(self):
        self.netns.sysctl("net.ipv6.conf.eth0.accept_ra=0")  # else it asks for routers now and then
        for entry in self.result["ips"]:
            self.netns.ip("addr", "add", entry["address"], "dev", "eth0", *(["nodad"] if ":" in entry["address"] else []))
        for entry in self.result["routes"]:
            way = ["via", entry["gw"]] if entry.get("gw") else []
            self.netns.ip("route", "replace", entry["dst"], *way, "dev", "eth0")


def add_vhost_pod(node, name, *options, listens=False, offload=False, **more):
    """As Node.add_pod; to be connected."""
    listener = ["--vhost-listener", "pod"] if listens else []
    return VhostPod.of(node, node.add_pod(name, "--type", "vhost-user", *listener, *options, **more), offload=offload)
