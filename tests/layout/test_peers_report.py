"""What `./x bench peers` makes of its rounds, while they come."""

import collections
import sys

from sources import TOP

sys.path.insert(0, str(TOP / "perf" / "bench"))
from peers import cases, run  # noqa: E402


def test_each_round_is_judged_with_those_before_also_where_a_peer_is_missing():
    """The round trip is not measured of the kernel."""
    case = next(case for case in cases.CASES if case.mode == cases.PING and case.has_goal)
    sides = collections.defaultdict(list)
    for count in (1, 2, 3):
        for peer, us in ((run.MILLRACE, 2.0), (run.FLOOR, 1.6), (run.OVS, 4.0)):
            sides[peer].append({"p50": us * count, "p99": 1.5 * us * count, "core_ns": 100.0})
        row = run.judge(case, sides)
        assert set(row["sides"]) == {run.MILLRACE, run.FLOOR, run.OVS}
        assert len(row["of_ovs"]["rounds"]) == count and row["of_ovs"]["median"] == 0.5
        assert row["of_kernel"] is None
        assert row["met"] == (count == 1)  # then the median is 3 us
