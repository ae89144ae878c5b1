"""Traffic between two places: ping, TCP and UDP, each with the figures a person wants to see.

A place is whatever has `command(*argv)`: a pod, a node's namespace, the world beyond it.
"""

import dataclasses
import hashlib
import json
import os
import re
import socket
import statistics
import threading
import time

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
    """`count` echo requests; replies later than 1 s count as lost.

    Once ping has had a reply it waits for the last ones for two round trips alone, which a busy machine may take longer for: when
    only the last are missing, all are sent once more, and a third time.
    """
    argv = source.command("ping", "-n", "-c", count, "-i", interval_s, "-W", "1", "-s", size, *options, address)
    patience_s = timeout_s or 10 + count * (interval_s + 0.1)
    for _ in range(3):
        done = run(argv, timeout_s=patience_s, check=False)
        answered = {int(number) for number in re.findall(r"bytes from .*icmp_seq=(\d+)", done.stdout)}
        if answered != set(range(1, len(answered) + 1)) or len(answered) in (0, count):
            break
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


def transfer(source, target, address, size_bytes, port=5202):
    """One TCP connection that carries `size_bytes`; (seconds, sent SHA-256, received SHA-256)."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    received = hashlib.sha256()
    with target.socket(family, socket.SOCK_STREAM) as listener, source.socket(family, socket.SOCK_STREAM) as sender:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((address, port))
        listener.listen(1)
        for made in (listener, sender):
            made.settimeout(10)

        def receive():
            connection, _ = listener.accept()
            connection.settimeout(10)
            buffer = memoryview(bytearray(1 << 20))
            with connection:
                while count := connection.recv_into(buffer):
                    received.update(buffer[:count])

        receiver = threading.Thread(target=receive)
        receiver.start()
        start = time.monotonic()
        try:
            sender.connect((address, port))
            sent = _send_random(sender, size_bytes)
            sender.shutdown(socket.SHUT_WR)
        finally:
            receiver.join()
    return time.monotonic() - start, sent, received.hexdigest()


def _send_random(sender, size_bytes):
    """Bytes that repeat after more than any window, each time shifted; their SHA-256."""
    block = os.urandom((8 << 20) + 4099)
    hashed, left = hashlib.sha256(), size_bytes
    while left > 0:
        piece = memoryview(block)[:left]
        hashed.update(piece)
        sender.sendall(piece)
        left -= len(piece)
    return hashed.hexdigest()
