"""Guest: a virtual machine with Linux whose network device is a pod's vhost-user socket.

Its memory is shared by a memfd, as vhost-user needs. Commands go to a shell at a port of virtio-serial, one
after the other, each answered by what it printed and its exit status; qemu itself is told by QMP. Both are sockets that
the test listens at before qemu starts, so nothing is polled for.
"""

import contextlib
import functools
import itertools
import json
import os
import pathlib
import re
import select
import socket
import tempfile
import time

from .guest_image import KERNEL, write_initramfs
from .process import Background, CommandError

MEMORY_MB = 256
GATEWAY = {4: "169.254.1.1", 6: "fe80::1"}
_BOOT_S = {"kvm": 30, "tcg": 120}  # tcg: 4 s of a processor that is not shared


class GuestError(Exception):
    """A guest did not do what it was told; its text holds what it printed."""


class Guest(Background):
    """A context manager: leaving it ends the machine. `device`: more properties of it, as qemu has them."""

    def __init__(self, pod, image, accelerator=None, queues=1, packed=False, device=""):
        self.pod = pod
        self.accelerator = accelerator or fastest_accelerator(image)
        self._own_files = tempfile.TemporaryDirectory(prefix="millrace-guest-")
        self._listeners = {name: self._listen(name) for name in ("shell", "monitor")}
        self._streams = {}
        self._numbers = itertools.count(1)
        words = self._machine(image, processors=queues)
        if pod is not None:
            words += self._network(queues, packed, device)
        super().__init__(words)

    def _path(self, name):
        return f"{self._own_files.name}/{name}"

    def _listen(self, name):
        made = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        made.bind(self._path(name))
        made.listen(1)
        return made

    def _machine(self, image, processors):
        return [
            "qemu-system-x86_64", "-nodefaults", "-no-user-config", "-display", "none", "-no-reboot",
            "-machine", "q35,memory-backend=ram", "-cpu", "max", "-smp", processors,
            "-accel", "kvm" if self.accelerator == "kvm" else "tcg,thread=multi",
            "-m", f"size={MEMORY_MB}M,slots=4,maxmem=4G",
            "-object", f"memory-backend-memfd,id=ram,size={MEMORY_MB}M,share=on",
            "-kernel", KERNEL, "-initrd", image,
            "-append", "console=ttyS0 panic=-1 mitigations=off memhp_default_state=online_movable",
            "-chardev", "stdio,id=log", "-device", "isa-serial,chardev=log",
            "-chardev", f"socket,id=shell,path={self._path('shell')}", "-device", "virtio-serial-pci",
            "-device", "virtserialport,chardev=shell",
            "-chardev", f"socket,id=monitor,path={self._path('monitor')}", "-mon", "chardev=monitor,mode=control",
        ]

    def _network(self, queues, packed, device):
        # One that connects tries again every second; one that listens waits for the switch before it starts the guest.
        side = "server=on" if self.pod.listens else "reconnect=1"
        # qemu 7.2 gives a vhost-user device's vectors to KVM, and ends with SIGSEGV where it is not used
        # (virtio_pci_one_vector_unmask): then one interrupt line for all queues.
        vectors = 2 * queues + 2 if self.accelerator == "kvm" else 0
        return [
            "-chardev", f"socket,id=vhost,path={self.pod.socket_path},{side}",
            "-netdev", f"vhost-user,id=net,chardev=vhost,queues={queues}",
            "-device", f"virtio-net-pci,netdev=net,mac={self.pod.mac},packed={'on' if packed else 'off'},"
                       f"mq={'on' if queues > 1 else 'off'},vectors={vectors}{device}",
        ]

    def _stream(self, name, deadline):
        """qemu's end of one of the sockets; it connects when it starts."""
        if name not in self._streams:
            self._wait_readable(self._listeners[name], deadline, f"qemu connects to '{name}'")
            self._streams[name], _ = self._listeners[name].accept()
        return self._streams[name]

    def _wait_readable(self, source, deadline, what):
        """Until `source` has something. What the kernel prints meanwhile is kept, so that it need not wait for us."""
        while True:
            ready, _, _ = select.select([source, self.process.stdout], [], [], max(0, deadline - time.monotonic()))
            if self.process.stdout in ready:
                text = os.read(self.process.stdout.fileno(), 65536)
                if not text:
                    raise CommandError(self.argv, f"ended; {what}: not yet", self.text(), "")
                self.output += text
            if source in ready:
                return
            if time.monotonic() >= deadline:
                raise GuestError(f"{what}: not in time; the guest's log ends with:\n{self.text()[-2000:]}")

    def _read_until(self, pattern, deadline, what):
        """What the shell prints up to a pattern, and the match."""
        stream, text = self._stream("shell", deadline), b""
        while not (found := re.search(pattern, text)):
            self._wait_readable(stream, deadline, what)
            data = stream.recv(65536)
            if not data:
                raise GuestError(f"{what}: the guest ended:\n{self.finish(check=False)[-2000:]}")
            text += data
        return text[:found.start()].decode(errors="replace"), found

    def shell(self, command, timeout_s=20, check=True):
        """What a command in the guest prints; with check, GuestError when its exit status is not 0."""
        mark = f"done-{next(self._numbers)}"
        deadline = time.monotonic() + timeout_s
        self._stream("shell", deadline).sendall(f"{{ {command}\n}} 2>&1 </dev/null; echo {mark}' '$?.\n".encode())
        text, found = self._read_until(rf"{mark} (\d+)\.\n".encode(), deadline, f"'{command}' in the guest")
        if check and int(found[1]) != 0:
            raise GuestError(f"'{command}' in the guest: exit status {int(found[1])}\n{text}")
        return text

    def begin(self, command):
        """Starts a command beside the shell; a function that waits for its end and returns what it printed."""
        number = next(self._numbers)
        self.shell(f"({command}) >job-{number} 2>&1 & job_{number}=$!")
        return lambda timeout_s=30: self.shell(f"wait $job_{number}; cat job-{number}", timeout_s)

    def boot(self):
        """Until the shell is there."""
        limit_s = _BOOT_S[self.accelerator]
        deadline = time.monotonic() + limit_s
        self._read_until(rb"up\n", deadline, "the guest's shell is there")
        if self.pod is not None:
            self._use_addresses()
        return self

    def _use_addresses(self):
        """What a pod's interface has from the agent: its addresses alone, and the gateway as its one neighbour."""
        lines = ["ip link set eth0 up"]
        for address in self.pod.addresses:
            family = 6 if ":" in address else 4
            lines += [f"ip -{family} addr add {address}/{128 if family == 6 else 32} dev eth0"]
            lines += [f"ip -4 route add {GATEWAY[4]}/32 dev eth0"] if family == 4 else []
            lines += [f"ip -{family} route add default via {GATEWAY[family]} dev eth0"]
        self.shell(" && ".join(lines))

    def monitor(self, command, timeout_s=20, **arguments):
        """What qemu answers to a command of QMP."""
        deadline = time.monotonic() + timeout_s
        if "monitor" not in self._streams:
            self._stream("monitor", deadline)
            self._lines = b""
            self._monitor_line(deadline)  # its greeting
            self.monitor("qmp_capabilities")
        named = {name.replace("_", "-"): value for name, value in arguments.items()}
        request = {"execute": command, "arguments": named}
        self._streams["monitor"].sendall(json.dumps(request).encode())
        while True:
            answer = self._monitor_line(deadline)
            if "error" in answer:
                raise GuestError(f"qemu refuses {command}: {answer['error']['desc']}")
            if "return" in answer:
                return answer["return"]

    def wait_for_event(self, name, timeout_s=20):
        """The next event of a name that qemu tells."""
        deadline = time.monotonic() + timeout_s
        while (told := self._monitor_line(deadline)).get("event") != name:
            pass
        return told["data"]

    def _monitor_line(self, deadline):
        while b"\n" not in self._lines:
            self._wait_readable(self._streams["monitor"], deadline, "qemu's monitor")
            data = self._streams["monitor"].recv(65536)
            if not data:
                raise GuestError("qemu closed its monitor")
            self._lines += data
        line, self._lines = self._lines.split(b"\n", 1)
        return json.loads(line)

    def stop(self):
        super().stop()
        for made in (*self._streams.values(), *self._listeners.values()):
            made.close()
        self._own_files.cleanup()


@functools.lru_cache
def fastest_accelerator(image):
    """"kvm" where a guest boots with it, else "tcg". That the device can be opened says too little: on a processor
    without virtualisation KVM interprets the guest's boot one instruction at a time."""
    flags = pathlib.Path("/proc/cpuinfo").read_text()
    if not os.access("/dev/kvm", os.R_OK | os.W_OK) or not re.search(r"^flags\s*:.*\b(vmx|svm)\b", flags, re.MULTILINE):
        return "tcg"
    with contextlib.suppress(GuestError, CommandError):
        with Guest(None, image, "kvm") as probe:
            probe.boot()
            return "kvm"
    return "tcg"


def make_image(directory):
    path = pathlib.Path(directory) / "initramfs"
    write_initramfs(path)
    return path
