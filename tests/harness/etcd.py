"""Etcd: Debian's etcd as one member in a namespace, to be ended and started again as a test wants."""

import base64
import contextlib
import http.client
import json
import os
import signal
import socket

from .process import Background, run


class Etcd:
    def __init__(self, netns, address, directory, options=()):
        """`options` are etcd's own."""
        self.netns, self.address, self.directory, self.options = netns, address, directory, options
        self.log_file = directory / "etcd.log"
        self.process = None

    @property
    def endpoint(self):
        return f"http://{self.address}:2379"

    def start(self):
        """Returns once it serves."""
        peer = f"http://{self.address}:2380"
        self.process = Background(self.netns.command(
            "etcd", "--name", "m0", "--data-dir", self.directory / "etcd", "--listen-client-urls", self.endpoint,
            "--advertise-client-urls", self.endpoint, "--listen-peer-urls", peer, "--initial-advertise-peer-urls", peer,
            "--initial-cluster", f"m0={peer}", "--logger", "zap", "--log-outputs", self.log_file, *self.options))
        self.control("endpoint", "health", "--dial-timeout", "10s", "--command-timeout", "20s")
        return self

    def control(self, *argv, **options):
        return run(self.netns.command("etcdctl", "--endpoints", self.endpoint, *argv),
                   env={**os.environ, "ETCDCTL_API": "3"}, **options)

    def keys(self, prefix="/millrace/v1/"):
        """The names of all keys below the prefix."""
        return [line for line in self.control("get", "--prefix", "--keys-only", prefix).stdout.split("\n") if line]

    def kill(self):
        """As a machine that loses its power."""
        if self.process is not None:
            os.killpg(self.process.process.pid, signal.SIGKILL)
            self.process.process.wait()
            self.process.stop()
            self.process = None

    def stop(self):
        if self.process is not None:
            self.process.stop()
            self.process = None

    @contextlib.contextmanager
    def away(self):
        """Killed while the context is open; serves again after it."""
        self.kill()
        try:
            yield
        finally:
            self.start()


class Writer:
    """Puts keys in large numbers, a transaction of as many as etcd takes at once, over etcd's JSON gateway (v3.4, "gRPC gateway").
    A context manager."""

    KEYS_AT_ONCE = 128

    def __init__(self, etcd):
        self._connection = http.client.HTTPConnection(etcd.address, 2379)
        made = etcd.netns.socket(socket.AF_INET, socket.SOCK_STREAM)
        made.settimeout(30)
        made.connect((etcd.address, 2379))
        self._connection.sock = made
        self._puts = []

    def put(self, key, value):
        self._puts.append({"requestPut": {"key": _base64(key), "value": _base64(value)}})
        if len(self._puts) == self.KEYS_AT_ONCE:
            self.flush()

    def flush(self):
        """Returns when etcd has them all."""
        if not self._puts:
            return
        self._connection.request("POST", "/v3/kv/txn", json.dumps({"success": self._puts}))
        answer = self._connection.getresponse()
        text = answer.read()
        if answer.status != 200 or not json.loads(text).get("succeeded"):
            raise OSError(f"etcd: {answer.status}: {text.decode(errors='replace')}")
        self._puts = []

    def __enter__(self):
        return self

    def __exit__(self, failed, *_):
        if failed is None:
            self.flush()
        self._connection.close()


def _base64(text):
    return base64.b64encode(text.encode()).decode()
