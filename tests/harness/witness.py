"""A server that tells each client its own name and the address it sees the client with: what translation of addresses
did on the way is then in the answer."""

import dataclasses
import itertools
import selectors
import socket
import threading

_LIMIT_BYTES = 2048


@dataclasses.dataclass(frozen=True)
class Answer:
    name: str       # of the server that answered
    peer: str       # the client's address as the server sees it
    peer_port: int


class Witness:
    """TCP and UDP on each of `addresses` of a place, while the context is open."""

    def __init__(self, place, addresses, port, name="", protocols=("tcp", "udp")):
        self.name = name
        self._selector = selectors.DefaultSelector()
        self._end, self._wake = socket.socketpair()
        self._selector.register(self._wake, selectors.EVENT_READ, None)
        self._sockets = []
        try:
            for address in addresses:
                for protocol in protocols:
                    self._listen(place, address, port, protocol)
        except BaseException:
            self._close()
            raise
        self._thread = threading.Thread(target=self._serve)

    def _listen(self, place, address, port, protocol):
        made = _socket(place, address, protocol)
        self._sockets.append(made)
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        made.bind((address, port))
        if protocol == "tcp":
            made.listen(128)
        self._selector.register(made, selectors.EVENT_READ, self._accept if protocol == "tcp" else self._reply)

    def _text(self, peer):
        return f"{self.name} {peer[0]} {peer[1]}".encode()

    def _accept(self, listener):
        connection, peer = listener.accept()
        with connection:
            connection.settimeout(2)
            try:
                connection.sendall(self._text(peer))
                connection.shutdown(socket.SHUT_WR)
                connection.recv(_LIMIT_BYTES)  # the client closes first: no port of the server waits
            except OSError:
                pass

    def _reply(self, made):
        try:
            _, peer = made.recvfrom(_LIMIT_BYTES)
            made.sendto(self._text(peer), peer)
        except OSError:
            pass  # an ICMP error about an earlier answer

    def _serve(self):
        while True:
            for key, _ in self._selector.select():
                if key.data is None:
                    return
                key.data(key.fileobj)

    def _close(self):
        self._selector.close()
        for made in [*self._sockets, self._end, self._wake]:
            made.close()

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._end.send(b"x")
        self._thread.join()
        self._close()


def _socket(place, address, protocol):
    return place.socket(socket.AF_INET6 if ":" in address else socket.AF_INET,
                        socket.SOCK_STREAM if protocol == "tcp" else socket.SOCK_DGRAM)


def connected(place, address, port, protocol, source_port=0, timeout_s=3):
    """A connected socket of a place. Raises what connect raises."""
    made = _socket(place, address, protocol)
    made.settimeout(timeout_s)
    try:
        if source_port:
            made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            made.bind(("", source_port))
        made.connect((address, port))
    except BaseException:
        made.close()
        raise
    return made


def answer_of(made, protocol):
    """What a witness says on a connected socket. Raises TimeoutError, ConnectionRefusedError."""
    text = b""
    if protocol == "udp":
        made.send(b"who")
        text = made.recv(_LIMIT_BYTES)
    else:
        while data := made.recv(_LIMIT_BYTES):
            text += data
    name, peer, port = text.decode().rsplit(" ", 2)
    return Answer(name, peer, int(port))


# No two questions have one port, as a kernel's own choice would now and then: the later of two connections with one
# port to one backend, by different addresses of it, is masqueraded to tell them apart.
_source_ports = itertools.cycle(range(10_000, 30_000))


def ask(place, address, port, protocol="tcp", **options):
    """One question on a connection of its own."""
    options.setdefault("source_port", next(_source_ports))
    with connected(place, address, port, protocol, **options) as made:
        return answer_of(made, protocol)
