"""A driver of virtio-net over a vhost-user socket: what is in a guest's kernel, for a process that has frames of its own.

One queue pair, split rings, mergeable receive buffers, every frame with the virtio-net header of 12 bytes before it. It
kicks when the device wants to be, and waits for its calls. Sources: virtio 1.2, sections 2.7 (split virtqueues) and 5.1.6;
QEMU, docs/interop/vhost-user.rst.
"""

import mmap
import os
import socket
import struct
import threading

HEADER_BYTES = 12
F_CSUM, F_GUEST_CSUM, F_GUEST_TSO4, F_GUEST_TSO6, F_HOST_TSO4, F_HOST_TSO6 = (1 << bit for bit in (0, 1, 7, 8, 11, 12))
OFFLOADS = F_CSUM | F_GUEST_CSUM | F_GUEST_TSO4 | F_GUEST_TSO6 | F_HOST_TSO4 | F_HOST_TSO6
_F_MRG_RXBUF, _F_PROTOCOL_FEATURES, _F_VERSION_1 = 1 << 15, 1 << 30, 1 << 32
_PROTOCOL_REPLY_ACK = 1 << 3

_GET_FEATURES, _SET_FEATURES, _SET_OWNER, _SET_MEM_TABLE = 1, 2, 3, 5
_SET_VRING_NUM, _SET_VRING_ADDR, _SET_VRING_BASE, _SET_VRING_KICK, _SET_VRING_CALL = 8, 9, 10, 12, 13
_GET_PROTOCOL_FEATURES, _SET_PROTOCOL_FEATURES, _SET_VRING_ENABLE = 15, 16, 18
_VERSION, _REPLY, _NEED_REPLY = 1, 4, 8

_DESC_WRITE = 2         # the device writes this buffer
_NO_INTERRUPT = 1       # in the flags of the available ring
_NO_NOTIFY = 1          # in the flags of the used ring
_RING_SIZE = 256
_BASE = 1 << 30         # where the memory begins, for rings and buffers alike
_RING_BYTES = 16384     # descriptors, available and used ring of one queue, each on a page of its own
RINGS_BYTES = 2 * _RING_BYTES  # those of both queues lie before all buffers
_USED, _AVAILABLE = 8192, 4096
TO_GUEST, FROM_GUEST = 0, 1


class Refused(OSError):
    """The device said no to a message."""


class Queue:
    """One split virtqueue, each of whose descriptors has a buffer of its own."""

    def __init__(self, memory, number, buffer_bytes):
        self.number, self.buffer_bytes = number, buffer_bytes
        self.rings_at = number * _RING_BYTES
        self.buffers_at = RINGS_BYTES + (0 if number == TO_GUEST else _RING_SIZE * 2048)
        view = memoryview(memory)
        self.buffers = view[self.buffers_at:self.buffers_at + _RING_SIZE * buffer_bytes]
        self.available = view[self.rings_at + _AVAILABLE:self.rings_at + _USED].cast("H")
        self.used = view[self.rings_at + _USED:self.rings_at + _RING_BYTES].cast("H")
        self.used_words = view[self.rings_at + _USED + 4:self.rings_at + _RING_BYTES].cast("I")
        self.descriptors = view[self.rings_at:self.rings_at + _AVAILABLE]
        self.kick_fd = os.eventfd(0, os.EFD_NONBLOCK)
        self.call_fd = os.eventfd(0, os.EFD_NONBLOCK)
        self._fence = threading.Lock()
        self.reset()

    def reset(self):
        """As it is before a device knows it."""
        self.descriptors[:] = bytes(len(self.descriptors))
        self.available[:] = memoryview(bytes(self.available.nbytes)).cast("H")
        self.used[:] = memoryview(bytes(self.used.nbytes)).cast("H")
        self.next_available = self.next_used = 0

    def address(self, index):
        return _BASE + self.buffers_at + index * self.buffer_bytes

    def offer(self, index, length, flags):
        """Descriptor `index` is the device's; it sees it after publish()."""
        struct.pack_into("<QIHH", self.descriptors, 16 * index, self.address(index), length, flags, 0)
        self.available[2 + self.next_available % _RING_SIZE] = index
        self.next_available = (self.next_available + 1) & 0xffff

    def publish(self):
        self.available[1] = self.next_available
        with self._fence:  # an atomic operation, and so a barrier: the device writes its flags, then reads our index
            pass
        if not self.used[0] & _NO_NOTIFY:
            os.eventfd_write(self.kick_fd, 1)

    def want_calls(self, wanted):
        self.available[0] = 0 if wanted else _NO_INTERRUPT
        with self._fence:
            pass

    def has_used(self):
        return self.used[1] != self.next_used

    def take_used(self):
        """(descriptor, bytes that the device wrote). Precondition: has_used()."""
        place = 2 * (self.next_used % _RING_SIZE)
        self.next_used = (self.next_used + 1) & 0xffff
        return self.used_words[place], self.used_words[place + 1]

    def clear_call(self):
        try:
            os.eventfd_read(self.call_fd)
        except BlockingIOError:
            pass


class Driver:
    """`attach` gives a device that listens, or that came, the memory and both queues. `wanted`: of OFFLOADS; `features`
    is what was agreed. `send` and `receive` do not wait."""

    def __init__(self, wanted=0):
        self.wanted, self.features = wanted, 0
        self.frame_bytes = 65536 + HEADER_BYTES
        self.memory_bytes = RINGS_BYTES + _RING_SIZE * (2048 + self.frame_bytes)
        self.memory_fd = os.memfd_create("guest")
        os.ftruncate(self.memory_fd, self.memory_bytes)
        memory = mmap.mmap(self.memory_fd, self.memory_bytes)
        self.to_guest = Queue(memory, TO_GUEST, 2048)
        self.from_guest = Queue(memory, FROM_GUEST, self.frame_bytes)
        self.connection = None

    def attach(self, connection):
        self.connection = connection
        offered = self._ask(_GET_FEATURES)
        needed = _F_VERSION_1 | _F_MRG_RXBUF | _F_PROTOCOL_FEATURES
        if offered & needed != needed:
            raise Refused(f"the device offers {offered:#x} and not all of {needed:#x}")
        self._ask_reply = False
        if self._ask(_GET_PROTOCOL_FEATURES) & _PROTOCOL_REPLY_ACK:
            self._tell(_SET_PROTOCOL_FEATURES, struct.pack("<Q", _PROTOCOL_REPLY_ACK))
            self._ask_reply = True
        self._tell(_SET_OWNER)
        self.features = offered & (needed | self.wanted)
        self._tell(_SET_FEATURES, struct.pack("<Q", self.features))
        region = struct.pack("<IIQQQQ", 1, 0, _BASE, self.memory_bytes, _BASE, 0)
        self._tell(_SET_MEM_TABLE, region, [self.memory_fd])
        for queue in (self.to_guest, self.from_guest):
            self._start(queue)
        self.free = list(range(_RING_SIZE))
        self.from_guest.want_calls(False)
        for index in range(_RING_SIZE):
            self.to_guest.offer(index, self.to_guest.buffer_bytes, _DESC_WRITE)
        self.to_guest.publish()

    def _start(self, queue):
        queue.reset()
        rings = _BASE + queue.rings_at
        self._tell(_SET_VRING_NUM, struct.pack("<II", queue.number, _RING_SIZE))
        self._tell(_SET_VRING_BASE, struct.pack("<II", queue.number, 0))
        self._tell(_SET_VRING_ADDR, struct.pack("<IIQQQQ", queue.number, 0, rings, rings + _USED, rings + _AVAILABLE, 0))
        self._tell(_SET_VRING_CALL, struct.pack("<Q", queue.number), [queue.call_fd])
        self._tell(_SET_VRING_KICK, struct.pack("<Q", queue.number), [queue.kick_fd])
        self._tell(_SET_VRING_ENABLE, struct.pack("<II", queue.number, 1))

    def _message(self, request, flags, payload, descriptors):
        socket.send_fds(self.connection, [struct.pack("<III", request, _VERSION | flags, len(payload)) + payload],
                        descriptors)

    def _answer(self, request):
        data = self.connection.recv(20, socket.MSG_WAITALL)
        if len(data) != 20:
            raise Refused(f"message {request}: the device hung up")
        answered, flags, _, value = struct.unpack("<IIIQ", data)
        if answered != request or not flags & _REPLY:
            raise Refused(f"message {request}: answered with {answered}")
        return value

    def _ask(self, request):
        self._message(request, 0, b"", [])
        return self._answer(request)

    def _tell(self, request, payload=b"", descriptors=()):
        self._message(request, _NEED_REPLY if self._ask_reply else 0, payload, list(descriptors))
        if self._ask_reply and (code := self._answer(request)):
            raise Refused(f"message {request}: the device failed with {code}")

    def can_send(self):
        while self.from_guest.has_used():
            self.free.append(self.from_guest.take_used()[0])
        return bool(self.free)

    def send(self, frames):
        """Frames with their headers. Precondition: can_send() before each, so at most one a free descriptor."""
        for frame in frames:
            index = self.free.pop()
            start = index * self.frame_bytes
            self.from_guest.buffers[start:start + len(frame)] = frame
            self.from_guest.offer(index, len(frame), 0)
        self.from_guest.publish()

    def receive(self):
        """Frames with their headers, as many as there are; their buffers are the device's again."""
        queue, frames = self.to_guest, []
        while queue.has_used():
            pieces, count = [], 1
            while len(pieces) < count:
                index, length = queue.take_used()
                start = index * queue.buffer_bytes
                pieces.append(bytes(queue.buffers[start:start + length]))
                if len(pieces) == 1:
                    count = struct.unpack_from("<H", pieces[0], HEADER_BYTES - 2)[0]
                queue.offer(index, queue.buffer_bytes, _DESC_WRITE)
            frames.append(b"".join(pieces))
        if frames:
            queue.publish()
        return frames
