"""What a guest boots: the kernel of Debian's network installer, and an initramfs of packaged programs, made here.

The kernel comes from debian-installer-12-netboot-amd64. Of the packages with a kernel this is the one that only lays
files down: a linux-image makes the machine's next boot another one, and pulls in the tools for that. Its modules lie
in the initrd next to it; the programs are the machine's own: busybox, which is static, and ethtool with its libraries.
"""

import gzip
import io
import pathlib
import re
import stat

from .process import run

_IMAGES = pathlib.Path("/usr/lib/debian-installer/images/12/amd64/text/debian-installer/amd64")
KERNEL = _IMAGES / "linux"
# In the order that they are loaded in.
_MODULES = ("virtio", "virtio_ring", "virtio_pci_legacy_dev", "virtio_pci_modern_dev", "virtio_pci", "failover",
            "net_failover", "virtio_net", "virtio_console")
_PORT = "vport0p1"
_BUSYBOX = "/bin/busybox"
_PROGRAMS = ("/usr/sbin/ethtool",)

# The kernel's log goes to the serial line. The shell is at a port of virtio-serial, which is no terminal: nothing is
# echoed or edited.
_INIT = """#!/bin/busybox sh
/bin/busybox --install -s /bin
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t devtmpfs dev /dev
echo 0 >/proc/sys/net/ipv6/conf/all/accept_dad
echo 0 >/proc/sys/net/ipv6/conf/default/accept_dad
echo 0 >/proc/sys/net/ipv6/conf/default/accept_ra
for module in %(modules)s; do insmod /modules/$module.ko || echo "$module: not loaded"; done
ip link set lo up
cd /tmp
exec <>/dev/%(port)s >&0 2>&1
echo up
exec sh
"""


def _entries(archive):
    """(name, content) of the regular files in a cpio archive of the kind "newc" (Linux,
    Documentation/driver-api/early-userspace/buffer-format.rst); several may follow each other."""
    at = 0
    while at < len(archive):
        if archive[at:at + 6] != b"070701":
            at += 4  # between two archives
            continue
        fields = [int(archive[at + 6 + 8 * i:at + 14 + 8 * i], 16) for i in range(13)]
        mode, size_bytes, name_bytes = fields[1], fields[6], fields[11]
        content = (at + 110 + name_bytes + 3) & ~3
        if stat.S_ISREG(mode):
            yield archive[at + 110:at + 109 + name_bytes].decode(), archive[content:content + size_bytes]
        at = (content + size_bytes + 3) & ~3


class _Archive:
    """A cpio archive in the making."""

    def __init__(self):
        self._out = io.BytesIO()
        self._directories = set()
        self._count = 0

    def add(self, name, content, mode=stat.S_IFREG | 0o755):
        name = name.lstrip("/")
        for parent in reversed(pathlib.PurePath(name).parents[:-1]):
            if str(parent) not in self._directories:
                self._directories.add(str(parent))
                self._write(str(parent), b"", stat.S_IFDIR | 0o755)
        self._write(name, content, mode)

    def directory(self, name):
        self._directories.add(name)
        self._write(name, b"", stat.S_IFDIR | 0o755)

    def _write(self, name, content, mode):
        self._count += 1
        fields = (self._count, mode, 0, 0, 1, 0, len(content), 0, 0, 0, 0, len(name) + 1, 0)
        self._out.write(b"070701" + b"".join(b"%08X" % field for field in fields) + name.encode() + b"\0")
        self._pad()
        self._out.write(content)
        self._pad()

    def _pad(self):
        self._out.write(bytes(-self._out.tell() % 4))

    def finish(self):
        self._write("TRAILER!!!", b"", 0)
        return self._out.getvalue()


def _libraries(program):
    """The files that the dynamic loader maps for a program, and the loader."""
    return sorted(set(re.findall(r"(/\S+) \(0x", run(["ldd", program]).stdout)))


def write_initramfs(path):
    wanted = {f"{module}.ko": None for module in _MODULES}
    for name, content in _entries(gzip.decompress((_IMAGES / "initrd.gz").read_bytes())):
        file = name.rsplit("/", 1)[-1]
        if file in wanted:
            wanted[file] = content
    missing = [file for file, content in wanted.items() if content is None]
    assert not missing, f"{_IMAGES}/initrd.gz has no {', '.join(missing)}"
    archive = _Archive()
    for name in ("proc", "sys", "dev", "tmp"):
        archive.directory(name)
    for file, content in wanted.items():
        archive.add(f"modules/{file}", content)
    for program in (_BUSYBOX, *_PROGRAMS):
        archive.add("/bin/" + pathlib.Path(program).name, pathlib.Path(program).read_bytes())
    for library in {each for program in _PROGRAMS for each in _libraries(program)}:
        archive.add(library, pathlib.Path(library).read_bytes())
    archive.add("init", (_INIT % {"modules": " ".join(_MODULES), "port": _PORT}).encode())
    pathlib.Path(path).write_bytes(archive.finish())
