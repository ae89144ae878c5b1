"""Traffic between two places: ping, TCP and UDP, each with the figures a person wants to see.

A place is whatever has `command(*argv)`: a pod, a node's namespace, the world beyond it.
"""

import dataclasses
import json
import re
import statistics

from .process import Background, CommandError, run


@dataclasses.dataclass
class Ping:
    sent: int
    received: int
    median_ms: float
    worst_ms: float
    first_ms: float

    @property
    def ok(self):
        return self.sent == self.received > 0


@dataclasses.dataclass
class Throughput:
    gbit_s: float
    packets_s: float     # UDP only
    lost: int            # UDP only: sent and not received
    sent: int            # UDP only
    retransmits: int     # TCP only


def ping(source, address, count=10, interval_s=0.02, size=56, options=(), timeout_s=None):
    """`count` echo requests; replies later than 1 s count as lost."""
    argv = source.command("ping", "-n", "-c", count, "-i", interval_s, "-W", "1", "-s", size, *options, address)
    done = run(argv, timeout_s=timeout_s or 10 + count * (interval_s + 0.1), check=False)
    summary = re.search(r"(\d+) packets transmitted, (\d+) received", done.stdout)
    if not summary:
        raise CommandError(argv, f"exit status {done.returncode}", done.stdout, done.stderr)
    times = [float(value) for value in re.findall(r"time=([\d.]+) ms", done.stdout)]
    return Ping(int(summary[1]), int(summary[2]), statistics.median(times) if times else float("nan"),
                max(times, default=float("nan")), times[0] if times else float("nan"))


def _iperf(source, target, address, seconds, options, port):
    # Bound to the address: a UDP reply from the wildcard would leave with another of the place's addresses.
    server = Background(target.command("iperf3", "-s", "-1", "-B", address, "-p", port, "--forceflush"))
    with server:
        server.wait_for_output("Server listening")
        client = run(source.command("iperf3", "-c", address, "-p", port, "-t", seconds, "-J", *options),
                     timeout_s=seconds + 20, check=False)
        try:
            report = json.loads(client.stdout)
        except json.JSONDecodeError:
            raise CommandError(["iperf3", address], "printed no report", client.stdout, client.stderr) from None
        if "error" in report or client.returncode != 0:
            raise CommandError(["iperf3", address], report.get("error", client.returncode), "", client.stderr)
        server.finish(timeout_s=10)
    return report


def tcp(source, target, address, seconds=2, options=(), port=5201):
    """One TCP stream as fast as it goes; figures of the receiver."""
    end = _iperf(source, target, address, seconds, options, port)["end"]
    return Throughput(end["sum_received"]["bits_per_second"] / 1e9, 0, 0, 0, end["sum_sent"].get("retransmits", 0))


def udp(source, target, address, seconds=2, payload=1400, rate="0", options=(), port=5201):
    """UDP datagrams at `rate` bits a second (0: as fast as they go, then loss is no fault); figures of the receiver."""
    end = _iperf(source, target, address, seconds, ["-u", "-b", rate, "-l", payload, *options], port)["end"]
    total = end["sum_received"]
    received = total["packets"] - total["lost_packets"]
    return Throughput(total["bits_per_second"] / 1e9, received / total["seconds"], total["lost_packets"],
                      total["packets"], 0)
