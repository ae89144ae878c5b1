"""Memory that is plugged into a running guest and taken out again, while its packets pass."""

import pytest

from harness.guest import Guest, make_image
from harness.guest_traffic import Stream, answers, wait_for_rings

DIMM_BYTES = 128 << 20  # as much as Linux takes at a time
ONLINE = "/sys/devices/system/memory/auto_online_blocks"


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
    """From the zone above 4 GiB, since the boot: what is plugged in lies there, and Linux takes packets' buffers from
    it first."""
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
            assert answers(client, pod.ipv4)
    node.delete_pod("machine")
    node.delete_pod("client")
