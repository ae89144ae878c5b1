"""Traffic of guests: pings and TCP with what runs in a guest as one end, or as both."""

import contextlib
import hashlib
import os
import re
import socket
import threading

from .process import run, wait_until
from .traffic import ping

SIZE_BYTES = 4 << 20
PING_S = 15  # a guest without KVM stands still for seconds where others want the processors
# One in a guest's line: no size of a page, a buffer or a segment is a multiple of its length.
LINE = b"0123456789abcdef\n"
RECEIVED_BYTES = 1 << 18
# Busybox's nc ends when the other end has nothing more to say, whatever is still to be sent: this one never says so.
LISTEN = "mkfifo -m 600 silence 2>/dev/null; nc <>silence -l -p"


def port_of(node, pod):
    ports = node.instance.query("port", "list")["ports"]
    return next(port for port in ports if port["spec"]["name"] == pod.host_interface)


def wait_for_rings(node, pod, pairs=1, timeout_s=30):
    def are_up():
        status = port_of(node, pod)["vhost_user"]
        return status and status["connected"] and status["queue_pairs"] == pairs
    wait_until(are_up, f"the rings of {pod.name} are up", timeout_s)


def pings(machine, address, count=5, size=56, wait_s=PING_S):
    """Of `count` echo requests of the guest, how many were answered."""
    said = machine.shell(f"ping -c {count} -i 0.1 -W {wait_s} -s {size} {address}", 10 + 2 * wait_s, check=False)
    return int(re.search(r"(\d+) packets received", said)[1])


def answers(place, address, size=56):
    """Does a guest answer ten echo requests of `place`, all of them in time, once the machine lets it?"""
    return wait_until(lambda: ping(place, address, size=size).ok, f"{address} answers", 2 * PING_S)


def connect(place, address, port, timeout_s=5):
    made = place.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_STREAM)
    made.settimeout(timeout_s)
    try:
        made.connect((address, port))
    except OSError:
        made.close()
        return None
    return made


def send_to_guest(client, machine, address, size_bytes=SIZE_BYTES, port=5001):
    """One TCP connection of a pod's to a guest: what was sent, and what arrived, as SHA-256."""
    received = machine.begin(f"{LISTEN} {port} | sha256sum")
    data = os.urandom(size_bytes)
    with wait_until(lambda: connect(client, address, port), f"the guest listens at {address}", 15) as sender:
        sender.settimeout(30)
        sender.sendall(data)
    return hashlib.sha256(data).hexdigest(), received().split()[0]


@contextlib.contextmanager
def listening(pod, address, port):
    with pod.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_STREAM) as made:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        made.settimeout(15)
        made.bind((address, port))
        made.listen(4)
        yield made


def receive_all(listener):
    connection, _ = listener.accept()
    hashed = hashlib.sha256()
    with connection:
        connection.settimeout(30)
        while data := connection.recv(1 << 20):
            hashed.update(data)
    return hashed.hexdigest()


def receive_from_guest(client, machine, address, size_bytes=SIZE_BYTES, port=5002):
    """One TCP connection of a guest's to a pod: what was sent, and what arrived."""
    machine.shell(f"head -c {size_bytes} /dev/urandom >data")
    with listening(client, address, port) as listener:
        done = machine.begin(f"nc {address} {port} <data")
        received = receive_all(listener)
    done()
    return machine.shell("sha256sum <data").split()[0], received


def serve_to_pod(client, machine, address, size_bytes=SIZE_BYTES, port=8090):
    """A file of a guest's, by HTTP: sent from the page cache, in pieces as large as the connection takes, where nc writes one KB
    at a time. What was sent, and what arrived."""
    machine.shell(f"head -c {size_bytes} /dev/urandom >data; httpd -p {port} -h .")
    url = f"http://[{address}]:{port}/data" if ":" in address else f"http://{address}:{port}/data"
    fetched = run(client.command("sh", "-c", f"curl -sf --max-time 30 --noproxy '*' -g '{url}' | sha256sum"), timeout_s=40)
    machine.shell("killall httpd")
    return machine.shell("sha256sum <data").split()[0], fetched.stdout.split()[0]


def send_between_guests(source, target, address, size_bytes=SIZE_BYTES, port=5003):
    """One TCP connection of a guest's to another: what was sent, and what arrived."""
    received = target.begin(f"{LISTEN} {port} | sha256sum")
    source.shell(f"head -c {size_bytes} /dev/urandom >data")
    # A listener that is not there yet refuses.
    source.shell(f"until nc {address} {port} <data 2>/dev/null; do :; done", timeout_s=40)
    return source.shell("sha256sum <data").split()[0], received().split()[0]


class Stream:
    """A connection on which a guest sends one line over and over, for as long as the context is open."""

    def __init__(self, guest, pod, port):
        self.received_bytes = 0
        self.wrong_at = None
        with listening(pod, pod.ipv4, port) as listener:
            guest.begin(f"yes {LINE.decode().strip()} | nc {pod.ipv4} {port}")
            self._connection, _ = listener.accept()
        self._connection.settimeout(30)
        self._thread = threading.Thread(target=self._receive)
        self._ends = False

    def _receive(self):
        expected = LINE * (2 + RECEIVED_BYTES // len(LINE))  # as much as is received at once, from anywhere in a line
        while not self._ends:
            data = self._connection.recv(RECEIVED_BYTES)
            at = self.received_bytes % len(LINE)
            if data != expected[at:at + len(data)] or not data:
                self.wrong_at = self.received_bytes
                return
            self.received_bytes += len(data)

    def goes_on(self, more_bytes=2 << 20):
        """Until so much more has come, all of it right."""
        target = self.received_bytes + more_bytes
        wait_until(lambda: self.received_bytes >= target or self.wrong_at is not None, "more of the stream comes", 30)
        assert self.wrong_at is None, f"other bytes, or the end, after {self.wrong_at}"

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._ends = True
        self._thread.join()
        self._connection.close()
