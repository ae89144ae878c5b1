"""What a run may leave behind on a machine, taken before and after: the two must be equal."""

import glob
import json
import os

from .process import run

_PROGRAMS = ("millraced", "millrace-agent", "millrace-cni", "millrace", "millrace-gen")


def _hugepages():
    values = {}
    for path in glob.glob("/sys/kernel/mm/hugepages/*/nr_*hugepages"):
        with open(path) as handle:
            values[path.removeprefix("/sys/kernel/mm/hugepages/")] = int(handle.read())
    return values


def _processes():
    found = set()
    for entry in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{entry}/cmdline", "rb") as handle:
                program = os.path.basename(handle.read().split(b"\0")[0].decode(errors="replace"))
        except OSError:
            continue
        if program in _PROGRAMS:
            found.add(f"{entry} {program}")
    return found


def machine_state():
    """Names of things by kind; only what Millrace, its tests or its demo could have made."""
    links = json.loads(run(["ip", "-j", "link"]).stdout)
    temporary = [path for pattern in ("/tmp/millrace*", "/run/millrace*", "/dev/shm/millrace*", "/dev/hugepages/*",
                                      "/run/dpdk/*", "/var/run/dpdk/*") for path in glob.glob(pattern)]
    return {
        "network namespaces": set(os.listdir("/run/netns")) if os.path.isdir("/run/netns") else set(),
        "interfaces": {link["ifname"] for link in links},
        "processes": _processes(),
        "files": set(temporary),
        "bpf pins": set(glob.glob("/sys/fs/bpf/*")),
        "hugepages": {f"{name}={value}" for name, value in _hugepages().items()},
    }


def difference(before, after):
    """Sentences on what is there after and was not before, or the other way round."""
    lines = []
    for kind in before:
        lines += [f"{kind}: {name} was left behind" for name in sorted(after[kind] - before[kind])]
        lines += [f"{kind}: {name} is gone" for name in sorted(before[kind] - after[kind]) if kind == "hugepages"]
    return lines
