"""Who reaches whom: real sockets in every pod, each asking each other on each port, all at once.

TCP is a connection of the pods' kernels; UDP a question and its answer. SCTP is INIT and INIT ACK (RFC 9260 section 3.3)
by raw sockets, since this kernel may have no SCTP of its own. What is refused is not answered: a question that is still
open when the others have their answers is asked once more, and denied when that stays without answer, too.
"""

import contextlib
import errno
import ipaddress
import itertools
import os
import selectors
import socket
import struct
import time

from .frames import SCTP

TCP_, UDP_, SCTP_ = "TCP", "UDP", "SCTP"
_FIRST_WAIT_S = 0.7  # answers within the machine take a millisecond; what has none by then is asked again
_SECOND_WAIT_S = 1.5
_INIT, _INIT_ACK = 1, 2


def _crc32c_table():
    table = []
    for value in range(256):
        for _ in range(8):
            value = value >> 1 ^ (0x82F63B78 if value & 1 else 0)
        table.append(value)
    return table


_CRC32C = _crc32c_table()


def _crc32c(data):
    crc = 0xFFFFFFFF
    for byte in data:
        crc = _CRC32C[(crc ^ byte) & 0xFF] ^ crc >> 8
    return crc ^ 0xFFFFFFFF


def sctp_packet(source_port, destination_port, tag, chunk_type, initiate_tag):
    chunk = struct.pack("!BBHIIHHI", chunk_type, 0, 20, initiate_tag, 65536, 1, 1, 1)
    head = struct.pack("!HHI", source_port, destination_port, tag)
    return head + struct.pack("<I", _crc32c(head + bytes(4) + chunk)) + chunk


class _Question:
    def __init__(self, source, target, protocol, port):
        self.key = (source, target, protocol, port)
        self.socket = None


class Reachability:
    """Servers on `ports` in every place of `places` ({name: a pod or namespace with socket()}), and the questions.

    `addresses`: {name: address of that place}, one family. Close it, or use it as a context manager.
    """

    def __init__(self, places, addresses, ports, protocols=(TCP_, UDP_, SCTP_)):
        self.places, self.addresses, self.ports, self.protocols = places, addresses, ports, protocols
        first = next(iter(addresses.values()))
        self.family = socket.AF_INET6 if ipaddress.ip_address(first).version == 6 else socket.AF_INET
        self.selector = selectors.DefaultSelector()
        self.sockets = contextlib.ExitStack()
        self.raw = {}
        self.next_port = itertools.cycle(range(10000, 32000))
        self.waiting = {}
        self.reached = set()
        for name in places:
            self._serve(name)

    def _socket(self, name, *arguments):
        made = self.places[name].socket(self.family, *arguments)
        made.setblocking(False)
        return made

    def _serve(self, name):
        address = self.addresses[name]
        for port in self.ports:
            if TCP_ in self.protocols:
                server = self.sockets.enter_context(self._socket(name, socket.SOCK_STREAM))
                server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                server.bind((address, port))
                server.listen(256)
                self.selector.register(server, selectors.EVENT_READ, self._accept)
            if UDP_ in self.protocols:
                server = self.sockets.enter_context(self._socket(name, socket.SOCK_DGRAM))
                server.bind((address, port))
                self.selector.register(server, selectors.EVENT_READ, self._answer_udp)
        if SCTP_ in self.protocols:
            raw = self.raw[name] = self.sockets.enter_context(self._socket(name, socket.SOCK_RAW, SCTP))
            raw.bind((address, 0))
            self.selector.register(raw, selectors.EVENT_READ, lambda received: self._sctp(received))

    @staticmethod
    def _accept(server):
        with contextlib.suppress(BlockingIOError):
            server.accept()[0].close()

    @staticmethod
    def _answer_udp(server):
        with contextlib.suppress(BlockingIOError, OSError):
            data, peer = server.recvfrom(64)
            server.sendto(data, peer)

    def _sctp(self, raw):
        try:
            data, peer = raw.recvfrom(2048)
        except BlockingIOError:
            return
        if self.family == socket.AF_INET:
            data = data[(data[0] & 15) * 4:]
        source_port, destination_port, _, _ = struct.unpack("!HHII", data[:12])
        if data[12] == _INIT and destination_port in self.ports:
            (initiate_tag,) = struct.unpack("!I", data[16:20])
            answer = sctp_packet(destination_port, source_port, initiate_tag, _INIT_ACK, 2)
            with contextlib.suppress(OSError):
                raw.sendto(answer, (peer[0], 0))
        elif data[12] == _INIT_ACK:
            self._reach(("sctp", destination_port))

    def _reach(self, where):
        question = self.waiting.pop(where, None)
        if question is not None:
            self.reached.add(question.key)

    def _ask(self, key):
        source, target, protocol, port = key
        question = _Question(*key)
        address = self.addresses[target]
        if protocol == SCTP_:
            own_port = next(self.next_port)
            self.waiting[("sctp", own_port)] = question
            with contextlib.suppress(OSError):
                self.raw[source].sendto(sctp_packet(own_port, port, 0, _INIT, 1), (address, 0))
            return
        kind = socket.SOCK_STREAM if protocol == TCP_ else socket.SOCK_DGRAM
        asking = question.socket = self._socket(source, kind)
        where = ("socket", asking.fileno())
        self.waiting[where] = question
        asking.bind((self.addresses[source], 0))
        error = asking.connect_ex((address, port))
        if error not in (0, errno.EINPROGRESS):
            raise OSError(error, os.strerror(error))
        if protocol == UDP_:
            asking.send(b"?")
        self.selector.register(asking, selectors.EVENT_WRITE if protocol == TCP_ else selectors.EVENT_READ, self._told)

    def _told(self, asking):
        where = ("socket", asking.fileno())
        self.selector.unregister(asking)
        if asking.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) == 0:
            self._reach(where)
        else:
            self.waiting.pop(where, None)  # refused: nobody lets it through
        # A reset: no TIME_WAIT, and nothing of it in the next table.
        if asking.type == socket.SOCK_STREAM:
            asking.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        asking.close()

    def _wait(self, timeout_s):
        deadline = time.monotonic() + timeout_s
        while self.waiting and (left := deadline - time.monotonic()) > 0:
            for key, _ in self.selector.select(left):
                key.data(key.fileobj)
        for question in self.waiting.values():
            if question.socket is not None:
                with contextlib.suppress(KeyError, ValueError):
                    self.selector.unregister(question.socket)
                question.socket.close()
        self.waiting.clear()

    def keys(self):
        names = list(self.places)
        return [(source, target, protocol, port) for source in names for target in names if source != target
                for protocol in self.protocols for port in self.ports]

    def table(self, keys=None):
        """The set of (source, target, protocol, port) that are reached."""
        keys = self.keys() if keys is None else keys
        self.reached.clear()
        for key in keys:
            self._ask(key)
        self._wait(_FIRST_WAIT_S)
        again = [key for key in keys if key not in self.reached]
        for key in again:
            self._ask(key)
        self._wait(_SECOND_WAIT_S if len(again) < len(keys) // 2 else _FIRST_WAIT_S)
        return set(self.reached)

    def close(self):
        self.selector.close()
        self.sockets.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


def difference_text(found, expected, limit=12):
    """What of a table is not as it should be, a line each."""
    lines = [f"{source} -> {target} {protocol}/{port} is {'open' if (source, target, protocol, port) in found else 'closed'}"
             for source, target, protocol, port in sorted(found ^ expected)]
    return "\n".join(lines[:limit] + ([f"and {len(lines) - limit} more"] if len(lines) > limit else []))
