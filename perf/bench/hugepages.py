"""Hugepages for the time of a benchmark, so that both sides have the same memory; given back at the end."""

import contextlib
import pathlib

PATH = pathlib.Path("/sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages")


@contextlib.contextmanager
def hugepages(count):
    before = int(PATH.read_text())
    try:
        if before < count:
            PATH.write_text(str(count))
        if int(PATH.read_text()) < count:
            raise OSError(f"the kernel has {PATH.read_text().strip()} hugepages of 2 MiB and not the {count} wanted")
        yield
    finally:
        PATH.write_text(str(before))
