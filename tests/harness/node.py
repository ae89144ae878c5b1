"""Node: a machine of a cluster, as far as Millrace can tell, inside one network namespace of this machine.

    pods --- millraced --- millrace0 --- node namespace (forwards) --- veth --- world namespace

The machine's own network is not touched. Everything of the node lies in one temporary directory: config, sockets,
pid files, the agent's database and the CNI configuration. The world has a route back to the pods by the node, as a
router next to a real node would.
"""

import contextlib
import json
import os
import pathlib
import secrets
import shutil
import signal
import tempfile
import time

from .netns import Netns, veth
from .process import CommandError, run, wait_until

CONFLIST = pathlib.Path(__file__).resolve().parents[2] / "deploy" / "10-millrace.conflist"
PLUGIN_DIR = "/usr/lib/cni"  # Debian's containernetworking-plugins

WORLD_IPV4, WORLD_IPV6 = "203.0.113.2", "2001:db8:113::2"
NODE_IPV4, NODE_IPV6 = "203.0.113.1", "2001:db8:113::1"


def yaml(values, indent=""):
    """Block YAML of nested dicts, lists and scalars."""
    lines = []
    for key, value in values.items():
        if isinstance(value, dict):
            lines += [f"{indent}{key}:", yaml(value, indent + "  ").rstrip("\n")]
        else:
            lines.append(f"{indent}{key}: {json.dumps(value)}")
    return "\n".join(lines) + "\n"


class Instance:
    """One Millrace: a config file, its directories and its programs, in a node's namespace."""

    def __init__(self, netns, programs, directory, config):
        self.netns = netns
        self.programs = pathlib.Path(programs)
        self.directory = pathlib.Path(directory)
        self.config = {"runtimeDir": f"{directory}/run", "stateDir": f"{directory}/state", **config}
        self.config_file = self.directory / "config.yaml"
        self.write_config()

    def write_config(self, **changes):
        self.config.update(changes)
        self.config_file.write_text(yaml(self.config))

    @property
    def agent_socket(self):
        return f"{self.config['runtimeDir']}/agent.sock"

    @property
    def switch_socket(self):
        return f"{self.config['runtimeDir']}/switch.sock"

    def program(self, name):
        return str(self.programs / name)

    def cli_command(self, *argv):
        return self.netns.command(self.program("millrace"), "--config", self.config_file, *argv)

    def cli(self, *argv, **options):
        return run(self.cli_command(*argv), **options)

    def query(self, *argv):
        """The answer of a CLI command as data."""
        return json.loads(self.cli(*argv, "-o", "json").stdout)

    def up(self):
        self.cli("up", timeout_s=60)

    def down(self):
        self.cli("down", timeout_s=60)

    def pids(self):
        """Process id of each daemon that runs, by program."""
        found = {}
        for pid in self.netns.processes():
            with contextlib.suppress(OSError):
                words = pathlib.Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
                program = os.path.basename(words[0].decode())
                if program in ("millraced", "millrace-agent") and str(self.config_file).encode() in words:
                    found[program] = pid
        return found

    def kill(self, program):
        """kill -9 of one daemon; returns when it is gone. Its memory, and with it its command line, goes before its locks do."""
        pid = self.pids()[program]
        os.kill(pid, signal.SIGKILL)
        wait_until(lambda: _has_ended(pid), f"{program} {pid} is gone", timeout_s=5)

    def stop_daemons(self):
        """Ends both and leaves the pods' interfaces where they are, as a restart of a service does."""
        for program in ("millrace-agent", "millraced"):
            pid = self.pids()[program]
            os.kill(pid, signal.SIGTERM)
            wait_until(lambda: self.pids().get(program) != pid, f"{program} {pid} ends", timeout_s=15)

    def drops(self):
        """Packets dropped since the switch started, by reason, over all workers and ports."""
        total = {}
        for entry in self.port_totals().values():
            for reason, count in entry.get("drops", {}).items():
                total[reason] = total.get(reason, 0) + int(count)
        return total

    def port_totals(self):
        """Counters of each port, summed over workers; the row "(removed)" is of ports that are gone."""
        counters = self.query("counters")
        rows = {}
        for worker in counters.get("workers", []):
            for port in worker.get("ports", []):
                row = rows.setdefault(port["port"], {"drops": {}})
                _add(row, port.get("totals", {}))
        rows["(removed)"] = {"drops": {}}
        _add(rows["(removed)"], counters.get("removed_ports", {}))
        return rows

    def log(self, program):
        """What a daemon wrote, for a test that failed."""
        return "\n".join(path.read_text(errors="replace") for path in self.directory.rglob(f"{program}*.log"))


def _has_ended(pid):
    """It is no more, or waits for its parent alone: its files are closed then."""
    try:
        return pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] in "ZX"
    except (FileNotFoundError, ProcessLookupError):
        return True


def _add(row, totals):
    for key, value in totals.items():
        if key == "drops":
            for reason, count in value.items():
                row["drops"][reason] = row["drops"].get(reason, 0) + int(count)
        else:
            row[key] = row.get(key, 0) + int(value)


class Node:
    """A node with a world beyond it. `up` makes it, `destroy` removes every trace of it, whatever state it is in."""

    def __init__(self, programs, prefix, config=None):
        self.programs = programs
        self.prefix = prefix
        self.tag = secrets.token_hex(2)
        # Not mkdtemp: its names may end in "_", and containerd refuses a namespace of that name.
        self.directory = pathlib.Path(tempfile.gettempdir()) / f"millrace-{prefix}-{secrets.token_hex(8)}"
        self.directory.mkdir(mode=0o700)
        self.netns = Netns(f"mr-{prefix}-node-{self.tag}")
        self.world = Netns(f"mr-{prefix}-world-{self.tag}")
        self.instance = Instance(self.netns, programs, self.directory, {"nodeName": f"node-{self.tag}", **(config or {})})
        self.conflist = self._write_conflist()
        self.pods = {}

    def _write_conflist(self):
        """The one that is delivered, for this node's agent."""
        content = json.loads(CONFLIST.read_text())
        for plugin in content["plugins"]:
            if plugin["type"] == "millrace-cni":
                plugin["agentSocket"] = self.instance.agent_socket
        path = self.directory / CONFLIST.name
        path.write_text(json.dumps(content))
        return path

    def make_networks(self):
        self.netns = self.instance.netns = Netns.create(self.netns.name)
        self.world = Netns.create(self.world.name)
        veth(self.netns, "uplink0", self.world, "eth0")
        for netns, device, ipv4, ipv6 in ((self.netns, "uplink0", NODE_IPV4, NODE_IPV6),
                                          (self.world, "eth0", WORLD_IPV4, WORLD_IPV6)):
            netns.ip("addr", "add", f"{ipv4}/24", "dev", device)
            netns.ip("-6", "addr", "add", f"{ipv6}/64", "dev", device, "nodad")
        self.netns.ip("route", "add", "default", "via", WORLD_IPV4)
        self.netns.ip("-6", "route", "add", "default", "via", WORLD_IPV6)
        for pool, gateway in (("10.244.0.0/16", NODE_IPV4), ("fd00:10:244::/112", NODE_IPV6)):
            self.world.ip("route", "add", pool, "via", gateway)

    def up(self):
        self.make_networks()
        self.instance.up()
        return self

    def add_pod(self, name, *options, namespace="default", timeout_s=30):
        """What a kubelet does for a new pod: a namespace, then the CNI plugin."""
        from .pod import Pod

        self.instance.cli("pod", "add", name, "--namespace", namespace, "--conflist", self.conflist, *options,
                          timeout_s=timeout_s)
        pod = Pod.named(self.instance, name, namespace)
        self.pods[name] = pod
        return pod

    def delete_pod(self, name, namespace="default"):
        self.instance.cli("pod", "del", name, "--namespace", namespace)
        self.pods.pop(name, None)

    def destroy(self):
        """Takes everything down; goes on past what fails and raises the first failure at the end."""
        problems = []

        def attempt(action, *arguments):
            try:
                action(*arguments)
            except (CommandError, OSError, TimeoutError) as error:
                problems.append(error)

        if self.netns.exists():
            if self.instance.pids():
                attempt(self._delete_all_pods)
                attempt(self.instance.down)
            attempt(self.netns.delete)
        attempt(self.world.delete)
        attempt(self._delete_pod_namespaces)
        attempt(shutil.rmtree, self.directory, True)
        if problems:
            raise problems[0]

    def _delete_all_pods(self):
        for pod in self.instance.query("pod", "list")["pods"]:
            if pod.get("pod_name"):
                self.instance.cli("pod", "del", pod["pod_name"], "--namespace", pod["pod_namespace"] or "default")

    def _delete_pod_namespaces(self):
        """Those that outlived the daemons, after a kill -9 or a failed test."""
        for pod in self.pods.values():
            pod.netns.delete()

    def __enter__(self):
        try:
            return self.up()
        except BaseException:
            self.destroy()
            raise

    def __exit__(self, *_):
        self.destroy()


def timed(action):
    """Seconds an action took."""
    start = time.monotonic()
    action()
    return time.monotonic() - start
