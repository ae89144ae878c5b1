"""A guest without a virtual machine: the kernel's own network stack behind a vhost-user socket.

    switch --- vhost-user socket --- virtio_net.Driver --- TAP --- the namespace's kernel

Frames pass with the header that virtio-net and a TAP have in common, so nothing is read or changed here, and what the
kernel leaves to its device is exactly what the device agreed to do: no offer, complete frames. It sleeps while there is
nothing to do. A device that goes is waited for, with the interface as it is.

    python3 -m harness.tap_guest SOCKET INTERFACE MAC MTU [listen] [offload]
"""

import contextlib
import errno
import fcntl
import os
import select
import signal
import socket
import struct
import subprocess
import sys
import time

from . import virtio_net

_TUNSETIFF, _TUNSETOFFLOAD, _TUNSETVNETHDRSZ = 0x400454ca, 0x400454d0, 0x400454d8
_IFF_TAP, _IFF_NO_PI, _IFF_VNET_HDR = 0x0002, 0x1000, 0x4000
_TUN_F_CSUM, _TUN_F_TSO4, _TUN_F_TSO6 = 1, 2, 4
_BURST = 32
_RETRY_S = 0.05  # no event tells of a socket that somebody listens at again


class Tap:
    def __init__(self, name, mac, mtu):
        self.fd = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
        fcntl.ioctl(self.fd, _TUNSETIFF, struct.pack("16sH22x", name.encode(), _IFF_TAP | _IFF_NO_PI | _IFF_VNET_HDR))
        fcntl.ioctl(self.fd, _TUNSETVNETHDRSZ, struct.pack("i", virtio_net.HEADER_BYTES))
        subprocess.run(["ip", "link", "set", name, "address", mac, "mtu", mtu, "up"], check=True)

    def leave_to_device(self, features):
        """Of checksums and segments, what the device has agreed to."""
        bits = _TUN_F_CSUM if features & virtio_net.F_CSUM else 0
        if bits:
            bits |= _TUN_F_TSO4 if features & virtio_net.F_HOST_TSO4 else 0
            bits |= _TUN_F_TSO6 if features & virtio_net.F_HOST_TSO6 else 0
        fcntl.ioctl(self.fd, _TUNSETOFFLOAD, bits)

    def read(self):
        """A frame, or nothing."""
        with contextlib.suppress(BlockingIOError):
            return os.read(self.fd, 65536 + virtio_net.HEADER_BYTES)
        return b""

    def write(self, frame):
        try:
            os.write(self.fd, frame)
        except OSError as error:
            if error.errno not in (errno.EAGAIN, errno.EINVAL, errno.EIO):  # full, no valid header, down: as a NIC drops
                raise


def connect(path):
    while True:
        made = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            made.connect(path)
            return made
        except OSError as error:
            made.close()
            if error.errno not in (errno.ENOENT, errno.ECONNREFUSED):
                raise
            time.sleep(_RETRY_S)


def serve(driver, tap):
    """Until the device goes."""
    poller = select.epoll()
    poller.register(driver.connection, select.EPOLLIN | select.EPOLLRDHUP)
    poller.register(driver.to_guest.call_fd, select.EPOLLIN)
    poller.register(driver.from_guest.call_fd, select.EPOLLIN)
    poller.register(tap.fd, select.EPOLLIN)
    reads_tap = True
    with poller:
        while True:
            for ready, _ in poller.poll():
                if ready == driver.connection.fileno():
                    return
            driver.to_guest.clear_call()
            for frame in driver.receive():
                tap.write(frame)
            frames = []
            while len(frames) < min(_BURST, len(driver.free)) or (not frames and driver.can_send()):
                frame = tap.read()
                if not frame:
                    break
                frames.append(frame)
            if frames:
                driver.send(frames)
            # A full queue: its device calls when it has read.
            driver.from_guest.want_calls(not driver.can_send())
            driver.from_guest.clear_call()
            if reads_tap != driver.can_send():
                reads_tap = not reads_tap
                poller.modify(tap.fd, select.EPOLLIN if reads_tap else 0)


def main(path, name, mac, mtu, *options):
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    tap = Tap(name, mac, mtu)
    driver = virtio_net.Driver(virtio_net.OFFLOADS if "offload" in options else 0)
    listener = None
    if "listen" in options:
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        with contextlib.suppress(FileNotFoundError):
            os.unlink(path)
        listener.bind(path)
        listener.listen(1)
    while True:
        with (listener.accept()[0] if listener else connect(path)) as connection:
            try:
                driver.attach(connection)
            except (ConnectionError, virtio_net.Refused) as error:
                print(f"not attached: {error}", flush=True)
                time.sleep(_RETRY_S)
                continue
            tap.leave_to_device(driver.features)
            print(f"attached: features {driver.features:#x}", flush=True)
            serve(driver, tap)
            print("detached", flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
