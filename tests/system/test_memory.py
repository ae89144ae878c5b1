"""Memory as a machine may have it: hugepages reserved, too few of them, none."""

import itertools
import pathlib
import threading

import pytest

from harness import traffic
from harness.node import Node
from harness.process import wait_until

POOL = pathlib.Path("/sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages")
SURPLUS = POOL.with_name("surplus_hugepages")


def reserve(count):
    """Not while a switch that has ended gives its pages back: the kernel would make reserved ones of them."""
    wait_until(lambda: int(SURPLUS.read_text()) == 0, "no surplus page is in use")
    POOL.write_text(str(count))


@pytest.fixture(params=[1, 16, 40, 512])
def reserved(request):
    """So many hugepages of 2 MiB reserved by an administrator."""
    before = int(POOL.read_text())
    reserve(request.param)
    if int(POOL.read_text()) != request.param:
        given = POOL.read_text().strip()
        reserve(before)
        pytest.skip(f"the kernel gives {given} hugepages and not {request.param}")
    yield request.param
    reserve(before)


def test_it_starts_with_any_number_of_reserved_hugepages(programs, reserved):
    """Also with fewer than it needs: the rest is made, or 4K pages serve, and status says which."""
    with Node(programs, "test") as node:
        a, b = node.add_pod("a"), node.add_pod("b")
        assert traffic.ping(a, b.ipv4).ok
        memory = node.instance.query("status")["switch"]["memory"]
        assert "2M hugepages" in memory or memory.startswith("4K pages")


@pytest.fixture
def pages_come_and_go():
    """Somebody reserves hugepages and gives them back, over and over, as fast as the kernel does it."""
    before, ended = int(POOL.read_text()), threading.Event()

    def churn():
        for count in itertools.cycle((0, 8, 64, 16)):
            if ended.wait(0.005):
                return
            POOL.write_text(str(count))

    thread = threading.Thread(target=churn)
    thread.start()
    yield
    ended.set()
    thread.join()
    reserve(before)


def test_it_starts_while_hugepages_change_hands(programs, pages_come_and_go):
    """DPDK counts free pages by itself, a moment after the switch did; a count that does not hold is made again."""
    with Node(programs, "test") as node:
        for _ in range(6):
            node.instance.down()
            node.instance.up()
            assert node.instance.query("status")["switch"]["memory"]
