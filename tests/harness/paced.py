"""A UDP flow at a steady pace that knows exactly which of its packets arrived: for tests in which none may be lost.

The pace is low and the receiver's buffer large, so that what is missing was lost on the way and not at its ends.
"""

import socket
import struct
import threading
import time

from .process import wait_until

_SO_RCVBUFFORCE = 33


class PacedFlow:
    """Runs while the context is open: `batch` packets every `interval_s`."""

    def __init__(self, source, target, address, port=7000, batch=10, interval_s=0.005, payload=200):
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        self.receiver = target.socket(family, socket.SOCK_DGRAM)
        self.receiver.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, 64 << 20)
        self.receiver.bind(("", port))
        self.receiver.settimeout(0.2)
        self.sender = source.socket(family, socket.SOCK_DGRAM)
        self.sender.connect((address, port))
        self.batch, self.interval_s, self.filler = batch, interval_s, b"p" * (payload - 8)
        self.sent = 0
        self.arrived = set()
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._send), threading.Thread(target=self._receive)]
        self._sending_done = threading.Event()

    def _send(self):
        due = time.monotonic()
        while not self._stop.is_set():
            for _ in range(self.batch):
                self.sender.send(struct.pack("!Q", self.sent) + self.filler)
                self.sent += 1
            # What a stalled machine kept from being sent is not made up for: a veth's queue is 256 packets long.
            due = max(due + self.interval_s, time.monotonic())
            time.sleep(max(0.0, due - time.monotonic()))  # the pace itself
        self._sending_done.set()

    def _receive(self):
        while True:
            try:
                self.arrived.add(struct.unpack_from("!Q", self.receiver.recv(2048))[0])
            except TimeoutError:
                if self._sending_done.is_set():
                    return

    def __enter__(self):
        for thread in self._threads:
            thread.start()
        wait_until(lambda: self.arrived, "the first packet of the flow arrives", timeout_s=5)
        return self

    def __exit__(self, *_):
        self._stop.set()
        for thread in self._threads:
            thread.join()
        self.sender.close()
        self.receiver.close()

    @property
    def lost(self):
        """How many never arrived; meaningful once the context is closed."""
        return self.sent - len(self.arrived)


def loses_nothing(source, target, address, count=2000, payload=1000):
    """Sends a paced flow of at least `count` packets; fails when one is missing."""
    with PacedFlow(source, target, address, payload=payload) as flow:
        wait_until(lambda: flow.sent >= count, f"{count} packets are sent")
    assert flow.lost == 0, f"{flow.lost} of {flow.sent} packets"
