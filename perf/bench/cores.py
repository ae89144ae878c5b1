"""How near the switch's and the generator's processors are to each other while something is measured.

A virtual machine's processors are threads of its host, which puts them wherever it likes: under one last-level cache, or not. A cache
line then takes several times as long from one to the other, and a switch and its guest do little else than hand each other lines. The
host moves them when they have rested, so mostly between two measurements: one start of a switch is fast and the next is slow,
whatever the switch. So this is measured before and behind each figure, and figures are compared when both had it alike.
"""

import math
import time

from harness.process import run

ALIKE = 2.5  # two round trips within this factor are of one placement: 60 to 130 ns under one cache, 400 and more under two
PATIENCE_S = 180  # of one run, spent waiting for the host
PAUSE_S = 1


def alike(first, second):
    return max(first, second) <= ALIKE * min(first, second)


class Cores:
    def __init__(self, build, setup):
        self.command = [str(build / "perf" / "bench" / "core_to_core"), str(setup.switch_cpu), str(setup.generator_cpu)]
        self.patience_s = PATIENCE_S
        self.least = math.inf
        self.round_trip_ns()

    def round_trip_ns(self):
        """A cache line's way to the other processor and back, now. Both must be idle."""
        took = float(run(self.command).stdout)
        self.least = min(self.least, took)
        return took

    def settle(self):
        """Waits until the two are as near as they ever were in this run, while patience lasts; the round trip then."""
        took = self.round_trip_ns()
        while not alike(took, self.least) and self.patience_s > 0:
            time.sleep(PAUSE_S)  # where they are is the host's to say, and it tells of no change
            self.patience_s -= PAUSE_S
            took = self.round_trip_ns()
            if self.patience_s <= 0 and not alike(took, self.least):
                print(f"the cores are far from each other ({took:.0f} ns, {self.least:.0f} at best): from now on measured so", flush=True)
        return took

    def measured(self, measure, tries):
        """figures of `measure`, with "core_ns" beside them: the farther of before and behind. Again when the two differ."""
        for attempt in range(tries):
            before = self.settle()
            figures = measure()
            behind = self.round_trip_ns()
            figures["core_ns"] = max(before, behind)
            if alike(before, behind) and (alike(behind, self.least) or self.patience_s <= 0) or attempt + 1 == tries:
                return figures
        raise AssertionError("not reached")
