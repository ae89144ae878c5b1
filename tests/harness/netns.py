"""Network namespaces: made, entered and taken away with everything that runs in them.

Commands enter with nsenter and not with `ip netns exec`: that one also makes a mount namespace, in which a pod's
namespace made later would not be seen by a daemon started earlier.
"""

import ctypes
import os
import signal
import socket
import threading

from .process import run, wait_until

RUN_DIR = "/run/netns"
_libc = ctypes.CDLL(None, use_errno=True)
_CLONE_NEWNET = 0x40000000


class Netns:
    def __init__(self, name):
        self.name = name
        self.path = f"{RUN_DIR}/{name}"

    @classmethod
    def create(cls, name):
        run(["ip", "netns", "add", name])
        netns = cls(name)
        netns.ip("link", "set", "lo", "up")
        return netns

    def exists(self):
        return os.path.exists(self.path)

    def command(self, *argv):
        return ["nsenter", f"--net={self.path}", "--", *map(str, argv)]

    def run(self, *argv, **options):
        return run(self.command(*argv), **options)

    def ip(self, *argv, **options):
        return run(["ip", "-n", self.name, *map(str, argv)], **options)

    def sysctl(self, *assignments):
        self.run("sysctl", "-q", "-w", *assignments)

    def socket(self, *arguments):
        """A socket that lives in this namespace; the caller's thread stays where it is."""
        result = []

        def make():
            try:
                with open(self.path) as handle:
                    if _libc.setns(handle.fileno(), _CLONE_NEWNET) != 0:
                        raise OSError(ctypes.get_errno(), f"setns {self.path}")
                result.append(socket.socket(*arguments))
            except OSError as error:
                result.append(error)

        thread = threading.Thread(target=make)
        thread.start()
        thread.join()
        if isinstance(result[0], OSError):
            raise result[0]
        return result[0]

    def processes(self):
        """Ids of all processes whose network namespace this is."""
        try:
            own = os.stat(self.path)
        except FileNotFoundError:
            return []
        found = []
        for entry in filter(str.isdigit, os.listdir("/proc")):
            try:
                status = os.stat(f"/proc/{entry}/ns/net")
            except OSError:
                continue  # it has just ended
            if (status.st_dev, status.st_ino) == (own.st_dev, own.st_ino):
                found.append(int(entry))
        return found

    def delete(self):
        """Ends what runs in the namespace and takes it away. Succeeds when it is gone already."""
        if not self.exists():
            return
        for number in (signal.SIGTERM, signal.SIGKILL):
            for pid in self.processes():
                try:
                    os.kill(pid, number)
                except ProcessLookupError:
                    pass
            try:
                wait_until(lambda: not self.processes(), f"processes in {self.name} end", timeout_s=3)
                break
            except TimeoutError:
                continue
        run(["ip", "netns", "del", self.name])


def veth(first, first_name, second, second_name):
    """A veth pair between two namespaces, both ends up."""
    first.ip("link", "add", first_name, "type", "veth", "peer", "name", second_name, "netns", second.name)
    first.ip("link", "set", first_name, "up")
    second.ip("link", "set", second_name, "up")
