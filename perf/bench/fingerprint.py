"""What a figure depends on besides the code: written beside every figure."""

import datetime
import os
import pathlib
import platform
import re

from harness.process import run


def _read(path):
    try:
        return pathlib.Path(path).read_text().strip()
    except OSError:
        return "unknown"


def _printed(*argv):
    try:
        return run(argv).stdout.strip()
    except Exception as error:  # a fact that is missing is no reason to stop measuring
        return f"unknown ({type(error).__name__})"


def fingerprint(build):
    cpuinfo, meminfo = _read("/proc/cpuinfo"), _read("/proc/meminfo")
    model = re.search(r"model name\s*:\s*(.*)", cpuinfo)
    memory = re.search(r"MemTotal:\s*(\d+)", meminfo)
    options = re.findall(r'"name": "(b_lto|buildtype|march)".*?"value": ("[^"]*"|\w+)',
                         re.sub(r"\n\s*", " ", _read(build / "meson-info/intro-buildoptions.json")))
    return {
        "time": datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"),
        "commit": _printed("git", "rev-parse", "HEAD"),
        "uncommitted_changes": bool(_printed("git", "status", "--porcelain", "--untracked-files=no")),
        "cpu": model[1] if model else "unknown",
        "cpus": os.cpu_count(),
        "virtual_machine": "hypervisor" in cpuinfo,
        "governor": _read("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor"),
        "memory_bytes": int(memory[1]) * 1024 if memory else 0,
        "hugepages_2m": _read("/sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages"),
        "kernel": platform.release(),
        "dpdk": _printed("dpkg-query", "-W", "-f", "${Version}", "libdpdk-dev"),
        "compiler": _printed("c++", "--version").splitlines()[0],
        "build": {name: value.strip('"') for name, value in options},
    }
