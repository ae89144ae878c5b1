"""Millrace-gen as a person calls it, with its result as data."""

import fcntl
import json
import os
import pty
import select
import struct
import subprocess
import termios
import time

from .process import run

GATEWAY_MAC = "02:4d:52:00:00:01"


class Generator:
    """`ports`: DPDK devices, as --port takes them. `place`: a namespace to run in; None: where the test runs."""

    def __init__(self, programs, ports, place=None):
        self.program = programs / "millrace-gen"
        self.ports, self.place = ports, place

    @classmethod
    def of_pods(cls, programs, *pods):
        """Its ports are the guests of pods that have a vhost-user socket."""
        return cls(programs, [f"net_virtio_user{i},path={pod.socket_path},mac={pod.mac},queue_size=1024"
                              f"{',server=1' if pod.listens else ''}" for i, pod in enumerate(pods)])

    def command(self, *words):
        argv = [self.program, words[0], *words[1:], "--no-hugepages"]
        for port in self.ports:
            argv += ["--port", port]
        return self.place.command(*argv) if self.place else [str(word) for word in argv]

    def __call__(self, *words, timeout_s=90, check=True):
        """The result, {kind, machine, result}. With check=False: the finished process."""
        done = run(self.command(*words, "--json"), timeout_s=timeout_s, check=check)
        return json.loads(done.stdout) if check else done

    def on_terminal(self, *words, columns=100, lines=30, timeout_s=60):
        """What a terminal of that size is sent on stderr, and what comes on stdout; ends with the program."""
        ours, theirs = pty.openpty()
        try:
            fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))
            process = subprocess.Popen(self.command(*words), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=theirs,
                                       env={**os.environ, "TERM": "xterm"}, start_new_session=True)
        finally:
            os.close(theirs)
        shown, deadline = b"", time.monotonic() + timeout_s
        try:
            while time.monotonic() < deadline:
                if not select.select([ours], [], [], 1)[0]:
                    continue
                try:
                    shown += os.read(ours, 65536)
                except OSError:  # the other end is closed: the program has ended
                    break
            stdout, _ = process.communicate(timeout=max(1, deadline - time.monotonic()))
        finally:
            process.kill()
            process.wait()
            os.close(ours)
        return shown.decode(), stdout.decode()


def packets(pod, target, port, *more):
    """Flags of a stream from a pod to an address by the switch's gateway."""
    address = pod.ipv6 if ":" in target else pod.ipv4
    return ["--source-mac", pod.mac, "--destination-mac", GATEWAY_MAC, "--source-ip", address, "--destination-ip", target,
            "--destination-port", str(port), "--size", "100", *more]
