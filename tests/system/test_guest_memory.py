"""Memory that is plugged into a running guest and taken out again, while its packets pass."""

import threading

import pytest

from harness.guest import Guest, make_image
from harness.guest_traffic import listening, wait_for_rings
from harness.process import wait_until
from harness.traffic import ping

# One in a guest's line: no size of a page, a buffer or a segment is a multiple of its length.
LINE = b"0123456789abcdef\n"
DIMM_BYTES = 128 << 20  # as much as Linux takes at a time
ONLINE = "/sys/devices/system/memory/auto_online_blocks"


class Stream:
    """A connection on which a guest sends one line over and over, for as long as the context is open."""

    def __init__(self, guest, pod, port):
        self.received_bytes = 0
        self.wrong_at = None
        with listening(pod, pod.ipv4, port) as listener:
            guest.begin(f"yes {LINE.decode().strip()} | nc {pod.ipv4} {port}")
            self._connection, _ = listener.accept()
        self._connection.settimeout(30)
        self._thread = threading.Thread(target=self._receive)
        self._ends = False

    def _receive(self):
        expected = LINE * (1 + (1 << 18) // len(LINE))
        while not self._ends:
            data = self._connection.recv(1 << 18)
            at = self.received_bytes % len(LINE)
            if data != expected[at:at + len(data)] or not data:
                self.wrong_at = self.received_bytes
                return
            self.received_bytes += len(data)

    def goes_on(self, more_bytes=2 << 20):
        """Until so much more has come, all of it right."""
        target = self.received_bytes + more_bytes
        wait_until(lambda: self.received_bytes >= target or self.wrong_at is not None, "more of the stream comes", 30)
        assert self.wrong_at is None, f"other bytes, or the end, after {self.wrong_at}"

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._ends = True
        self._thread.join()
        self._connection.close()


def plug(guest, name, online):
    """Returns when the guest has it."""
    guest.shell(f"echo {online} >{ONLINE}")
    guest.monitor("object-add", qom_type="memory-backend-memfd", id=name, size=DIMM_BYTES, share=True)
    guest.monitor("device_add", driver="pc-dimm", id=f"dimm-{name}", memdev=name)
    told = guest.wait_for_event("ACPI_DEVICE_OST")["info"]
    assert (told["device"], told["status"]) == (f"dimm-{name}", 0)


def unplug(guest, name):
    guest.monitor("device_del", id=f"dimm-{name}")
    while guest.wait_for_event("DEVICE_DELETED", 30).get("device") != f"dimm-{name}":
        pass
    guest.monitor("object-del", id=name)


def pages_taken(guest):
    """From the zone above 4 GiB, since the boot: what is plugged in lies there, and Linux takes packets' buffers from it
    first."""
    return int(guest.shell("grep pgalloc_normal /proc/vmstat").split()[1])


@pytest.mark.parametrize("packed", [False, True], ids=["split", "packed"])
def test_memory_comes_and_goes_while_packets_pass(make_node, tmp_path, packed):
    node = make_node("memory")
    client = node.add_pod("client")
    pod = node.add_pod("machine", "--type", "vhost-user")
    with Guest(pod, make_image(tmp_path), packed=packed) as guest:
        guest.boot()
        wait_for_rings(node, pod)
        with Stream(guest, client, 5001) as stream:
            stream.goes_on()
            plug(guest, "movable", "online_movable")
            stream.goes_on()
            unplug(guest, "movable")
            stream.goes_on()
            plug(guest, "kernel", "online_kernel")
            before = pages_taken(guest)
            stream.goes_on(8 << 20)
            assert pages_taken(guest) - before > 1000
            assert ping(client, pod.ipv4).ok
    node.delete_pod("machine")
    node.delete_pod("client")
