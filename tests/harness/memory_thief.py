"""A guest that takes back the memory it lent, while packets pass: its file is cut to `left` bytes, behind the back of
whoever has mapped it.

One process sends frames that begin with `head` without end and takes what comes, until it hits what is not there any
more, too. The other one cuts the file and keeps the connection.

    python3 -m harness.memory_thief SOCKET LEFT HEAD
"""

import os
import signal
import sys

from . import virtio_net
from .tap_guest import connect

ALL, BUFFERS = 0, virtio_net.RINGS_BYTES  # what is left: nothing, the rings
_FRAME_BYTES, _BURST, _UNDER_WAY = 1000, 32, 2000


def send_until_it_is_gone(driver, head):
    frame = bytes(virtio_net.HEADER_BYTES) + head.ljust(_FRAME_BYTES, b"\0")
    while True:
        count = 0
        while count < _BURST and driver.can_send() and len(driver.free) > count:
            count += 1
        if count:
            driver.send([frame] * count)
        driver.receive()
        driver.from_guest.buffers[0]  # the switch may have stopped before us, and what is sent waits in its ring


def main(path, left, head):
    with connect(path) as connection:
        driver = virtio_net.Driver()
        driver.attach(connection)
        sender = os.fork()
        if sender == 0:
            send_until_it_is_gone(driver, bytes.fromhex(head))
        while driver.from_guest.used[1] < _UNDER_WAY:
            os.sched_yield()
        os.ftruncate(driver.memory_fd, int(left))
        _, status = os.waitpid(sender, 0)
        print(f"taken: {signal.Signals(os.WTERMSIG(status)).name}", flush=True)
        signal.sigwait([signal.SIGTERM])


if __name__ == "__main__":
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])
    main(*sys.argv[1:])
