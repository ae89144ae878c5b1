"""A container runtime as libcni is one: calls the plugins of a conflist in order, each with the environment and stdin
of CNI specification 1.1.0, section 2 and "Deriving execution configuration"."""

import contextlib
import json
import secrets

from .netns import Netns
from .node import PLUGIN_DIR
from .pod import Pod
from .process import run


class CniError(Exception):
    def __init__(self, plugin, command, answer):
        self.code, self.message = answer.get("code"), answer.get("msg", "")
        self.answer = answer
        super().__init__(f"{plugin} {command}: {json.dumps(answer)}")


class Cni:
    """One network: a conflist and the directories its plugins are in."""

    def __init__(self, instance, plugins=None, version="1.0.0", name="millrace"):
        self.instance = instance
        self.version = version
        self.name = name
        self.plugins = plugins or [self.plugin()]
        self.path = f"{instance.programs}:{PLUGIN_DIR}"

    def plugin(self, **keys):
        return {"type": "millrace-cni", "agentSocket": self.instance.agent_socket, **keys}

    def environment(self, command, container_id="", netns="", ifname="eth0", args=""):
        values = {"CNI_COMMAND": command, "CNI_CONTAINERID": container_id, "CNI_NETNS": netns, "CNI_IFNAME": ifname,
                  "CNI_PATH": self.path, "CNI_ARGS": args, "PATH": "/usr/sbin:/usr/bin:/sbin:/bin"}
        return {key: value for key, value in values.items() if value or key == "CNI_CONTAINERID"}

    def raw(self, stdin, environment, plugin="millrace-cni", timeout_s=30):
        """One plugin with any input; the completed process."""
        directory = str(self.instance.programs) if plugin == "millrace-cni" else PLUGIN_DIR
        return run(self.instance.netns.command(f"{directory}/{plugin}"), check=False, input=stdin, env=environment,
                   timeout_s=timeout_s)

    def execute(self, command, plugin, previous=None, extra=None, timeout_s=30, **attachment):
        """One plugin; its answer as data, None when it printed nothing. CniError when it failed."""
        config = {"cniVersion": self.version, "name": self.name, **plugin, **(extra or {})}
        if previous is not None:
            config["prevResult"] = previous
        done = self.raw(json.dumps(config), self.environment(command, **attachment), plugin["type"], timeout_s)
        try:
            answer = json.loads(done.stdout) if done.stdout.strip() else None
        except json.JSONDecodeError:
            raise CniError(plugin["type"], command, {"msg": f"no JSON: {done.stdout} {done.stderr}"}) from None
        if done.returncode != 0:
            raise CniError(plugin["type"], command, answer or {"msg": done.stderr})
        return answer

    def add(self, container_id, netns, ifname="eth0", args="", extra=None):
        """ADD through the whole list; the last plugin's result."""
        result = None
        for plugin in self.plugins:
            result = self.execute("ADD", plugin, result, extra, container_id=container_id, netns=netns, ifname=ifname,
                                  args=args)
        return result

    def check(self, container_id, netns, result, ifname="eth0", args="", extra=None):
        for plugin in self.plugins:
            self.execute("CHECK", plugin, result, extra, container_id=container_id, netns=netns, ifname=ifname, args=args)

    def delete(self, container_id, netns="", result=None, ifname="eth0", args="", extra=None):
        """DEL through the list in reverse."""
        for plugin in reversed(self.plugins):
            self.execute("DEL", plugin, result, extra, container_id=container_id, netns=netns, ifname=ifname, args=args)


@contextlib.contextmanager
def container(cni, name="c", args="", extra=None):
    """A pod made by CNI alone, as a runtime does; gone when left."""
    tag = secrets.token_hex(3)
    netns = Netns.create(f"mr-test-{name}-{tag}")
    container_id = f"{name}-{tag}"
    result = None
    try:
        result = cni.add(container_id, netns.path, args=args, extra=extra)
        pod = pod_of(result, netns, name)
        pod.container_id, pod.result = container_id, result
        yield pod
    finally:
        try:
            cni.delete(container_id, netns.path, result, args=args, extra=extra)
        finally:
            netns.delete()


def pod_of(result, netns, name="c"):
    """The Pod that a CNI result describes."""
    interfaces = result["interfaces"]
    inside = next(entry for entry in interfaces if entry.get("sandbox") and entry["name"] == "eth0")
    outside = next((entry["name"] for entry in interfaces if not entry.get("sandbox")), "")
    return Pod(name, netns, [entry["address"].split("/")[0] for entry in result["ips"]], inside["mac"], outside)
