"""A guest that does not want its calls, and wants whoever calls it to wait: the eventfds that it is called by are full, and
their open files, which it has in common with the device, are set to block.

It sends frames that begin with `head`, asks to be called for each, and takes what comes. It says when so many have passed,
each way, that whoever calls it would wait by then.

    python3 -m harness.deaf_guest SOCKET HEAD
"""

import fcntl
import os
import signal
import sys
import time

from . import virtio_net
from .tap_guest import connect

_FULL = 0xfffffffffffffffe  # eventfd(2)
_FRAME_BYTES, _PAUSE_S, _UNDER_WAY = 200, 0.001, 100


def be_deaf(queue):
    queue.clear_call()
    os.eventfd_write(queue.call_fd, _FULL)
    fcntl.fcntl(queue.call_fd, fcntl.F_SETFL, 0)
    queue.want_calls(True)


def main(path, head):
    with connect(path) as connection:
        driver = virtio_net.Driver()
        driver.attach(connection)
        for queue in (driver.to_guest, driver.from_guest):
            be_deaf(queue)
        frame = bytes(virtio_net.HEADER_BYTES) + bytes.fromhex(head).ljust(_FRAME_BYTES, b"\0")
        received, is_told = 0, False
        while True:
            if driver.can_send():
                driver.send([frame])
            received += len(driver.receive())
            if not is_told and min(received, driver.from_guest.next_used) >= _UNDER_WAY:
                is_told = True
                print("deaf, and packets pass", flush=True)
            time.sleep(_PAUSE_S)


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    main(*sys.argv[1:])
