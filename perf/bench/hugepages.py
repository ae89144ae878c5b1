"""Hugepages for the time of a benchmark, so that both sides have the same memory; given back at the end."""

import contextlib
import pathlib

PATH = pathlib.Path("/sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages")


@contextlib.contextmanager
def hugepages(count):
    """`count` more than there are; as many are given back, so that another user of them is not touched."""
    before = int(PATH.read_text())
    try:
        PATH.write_text(str(before + count))
        got = int(PATH.read_text()) - before
        if got < count:
            raise OSError(f"the kernel gives {got} hugepages of 2 MiB and not the {count} that testpmd needs")
        yield
    finally:
        PATH.write_text(str(max(0, int(PATH.read_text()) - count)))
