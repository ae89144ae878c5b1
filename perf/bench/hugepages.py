"""Hugepages for the time of a benchmark, so that both sides have the same memory; given back at the end."""

import contextlib
import pathlib

DIRECTORY = pathlib.Path("/sys/kernel/mm/hugepages/hugepages-2048kB")


def _reserved():
    """Pages of the pool, without surplus ones, which a running program made for itself and will give back."""
    return int((DIRECTORY / "nr_hugepages").read_text()) - int((DIRECTORY / "surplus_hugepages").read_text())


def _reserve(count):
    (DIRECTORY / "nr_hugepages").write_text(str(count))


@contextlib.contextmanager
def hugepages(count):
    """`count` more than there are; as many are given back, so that another user of them is not touched."""
    before = _reserved()
    try:
        _reserve(before + count)
        got = _reserved() - before
        if got < count:
            raise OSError(f"the kernel gives {got} hugepages of 2 MiB and not the {count} that testpmd needs")
        yield
    finally:
        _reserve(max(0, _reserved() - count))
