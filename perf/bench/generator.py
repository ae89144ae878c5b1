"""Packets a second from one pod to another: millrace-gen sends in the first, the kernel counts and drops at the second's
first hook.

The receive work of a veth runs on the processor that sends into it, which is the switch's, on both sides of the
comparison; so it must cost little, or it would hide what differs. An nftables counter at the ingress hook costs less
here than an XDP program would: for XDP the kernel copies each packet that AF_XDP sent into a page of its own.
"""

import contextlib
import json
import time
import typing

from harness.process import Background

GATEWAY_MAC = "02:4d:52:00:00:01"
PORT = 8080
WARM_UP_S = 1.0
FLOWS = 1000


class Rate(typing.NamedTuple):
    packets_s: float
    # What the generator offered. When nearly all of it arrives, the generator is the limit and the rate says nothing of the
    # switch.
    offered_s: float


@contextlib.contextmanager
def counting(target):
    """Inside: packets of the flows are counted and dropped where they arrive."""
    target.run("nft", "add table netdev bench; add chain netdev bench in { type filter hook ingress device eth0 priority 0; }; "
                      "add rule netdev bench in meta l4proto udp counter drop")
    try:
        yield
    finally:
        target.run("nft", "delete table netdev bench")


def counted(target):
    """(packets so far, when that was)."""
    rules = json.loads(target.run("nft", "-j", "list", "chain", "netdev", "bench", "in").stdout)["nftables"]
    counters = [part["counter"]["packets"] for rule in rules if "rule" in rule for part in rule["rule"]["expr"]
                if "counter" in part]
    return counters[0], time.monotonic()


def measure(programs, source, target, destination_mac, frame_bytes, setup):
    """The Rate in `target` once the flow is steady."""
    seconds = setup.seconds + WARM_UP_S + 1
    send = source.command("taskset", "-c", setup.generator_cpu, f"{programs}/millrace-gen", "send", "--interface", "eth0",
                          "--source-mac", source.mac, "--destination-mac", destination_mac, "--source-ip", source.ipv4,
                          "--destination-ip", target.ipv4, "--destination-port", PORT, "--flows", FLOWS, "--size", frame_bytes,
                          "--seconds", seconds, "--json")
    with counting(target), Background(send) as sender:
        time.sleep(WARM_UP_S)
        before, start = counted(target)
        time.sleep(setup.seconds)  # the window itself
        after, end = counted(target)
        text = sender.finish(timeout_s=seconds + 20)
    sent = json.loads(text[text.index("{"):])
    return Rate((after - before) / (end - start), sent["made"] / sent["seconds"])
