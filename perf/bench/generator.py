"""Packets a second from one pod to another: millrace-gen sends in the first and counts in the second."""

import json

from harness.process import Background, run

GATEWAY_MAC = "02:4d:52:00:00:01"
WARM_UP_S = 1.0
FLOWS = 1000


def measure(programs, source, target, destination_mac, frame_bytes, setup):
    """What arrives in `target` each second once the flow is steady. Both ends share the generator's CPU: the receive
    work of a veth runs on the processor that sends to it, which is the switch's, on both sides of the comparison."""
    pin = ("taskset", "-c", setup.generator_cpu, f"{programs}/millrace-gen")
    receiver = Background(target.command(*pin, "receive", "--interface", "eth0", "--json", "--warm-up", WARM_UP_S,
                                         "--seconds", setup.seconds))
    with receiver:
        receiver.wait_for_output("counting on")
        run(source.command(*pin, "send", "--interface", "eth0", "--source-mac", source.mac, "--destination-mac",
                           destination_mac, "--source-ip", source.ipv4, "--destination-ip", target.ipv4, "--flows", FLOWS,
                           "--size", frame_bytes, "--seconds", setup.seconds + WARM_UP_S + 0.5),
            timeout_s=setup.seconds + 30)
        text = receiver.finish(timeout_s=20)
    return json.loads(text[text.index("{"):])["pps"]
