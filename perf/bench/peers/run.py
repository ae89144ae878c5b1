"""One run of all cases: every switch in turn in each round, so that what the machine does meanwhile befalls all alike."""

import collections
import statistics

from cores import Cores, alike
from hugepages import hugepages
from peers import cases, report
from peers.kit import Kit

PAGES = 2048  # of 2 MiB: the switch's tables and frames, and the generator's
GOALS = "goals"  # among groups: the cases that have one
MILLRACE, OVS, KERNEL, FLOOR = "millrace", "ovs", "kernel", "testpmd"


def measure(setup, kit, groups=(), skip=()):
    """The report behind each round: {"cases": [{title, figures of each switch, ratio, goal, met}, ...]}."""
    chosen = [case for case in (*cases.CASES, *cases.VETH_CASES)
              if not groups or case.group in groups or (case.has_goal and GOALS in groups)]
    samples = collections.defaultdict(lambda: collections.defaultdict(list))
    with hugepages(PAGES), kit:
        for index in range(setup.rounds):
            print(f"round {index + 1} of {setup.rounds}", flush=True)
            floors = {}
            for case in chosen:
                for peer, figures in one_case(kit, case, floors, skip):
                    samples[case.title][peer].append(figures)
                    print(f"  {peer:<10} {case.title:<44} {text(case, figures)}", flush=True)
            yield {"cases": [judge(case, samples[case.title]) for case in chosen], "core_ns": kit.cores.least}


def one_case(kit, case, floors, skip):
    """(switch, figures) of each. What the floor is, is measured once a round for each size, mode and placement of the cores."""
    if case.group == "veth":
        for peer in (MILLRACE, FLOOR, OVS):
            if peer not in skip:
                yield peer, kit.veth(peer, case, ports="afxdp")
        return
    mine = kit.vhost(MILLRACE, case)
    yield MILLRACE, mine
    if case.floor and FLOOR not in skip:
        if not any(alike(floor["core_ns"], mine["core_ns"]) for floor in floors.get(case.floor, ())):
            floors.setdefault(case.floor, []).insert(0, kit.vhost(FLOOR, case))
        of_floor = floors[case.floor]
        yield FLOOR, next((floor for floor in of_floor if alike(floor["core_ns"], mine["core_ns"])), of_floor[0])
    if OVS not in skip:
        yield OVS, kit.vhost(OVS, case)
    if case.kernel and KERNEL not in skip:
        yield KERNEL, kit.veth(KERNEL, case)


def value(case, figures):
    """What is compared: Mpps, thousands of connections a second, or the median round trip in us."""
    return figures[{cases.CONNECTIONS: "connections_k", cases.PING: "p50"}.get(case.mode, "mpps")]


def text(case, figures):
    unit = "k/s" if case.mode == cases.CONNECTIONS else "Mpps"
    made = f"p50 {figures['p50']:.2f} p99 {figures['p99']:.2f} us" if case.mode == cases.PING else f"{value(case, figures):.2f} {unit}"
    return f"{made} (cores {figures['core_ns']:.0f} ns)"


def summary(case, rows):
    values = [value(case, figures) for figures in rows]
    made = {"median": statistics.median(values), "least": min(values), "most": max(values), "rounds": values,
            "core_ns": [figures["core_ns"] for figures in rows]}
    if case.mode == cases.PING:
        made["p99"] = statistics.median(figures["p99"] for figures in rows)
    return made


def ratios(case, mine, others):
    """Of figures of one round whose cores were equally near, so that both had the same machine."""
    values = [value(case, a) / value(case, b) for a, b in zip(mine, others) if alike(a["core_ns"], b["core_ns"])]
    return {"median": statistics.median(values), "least": min(values), "most": max(values), "rounds": values} if values else None


def judge(case, sides):
    """`sides`: {peer: its figures, by round}; who was not measured is not in it."""
    def of(peer):
        return ratios(case, sides.get(MILLRACE, ()), sides.get(peer, ()))
    row = {"title": case.title, "key": case.key, "group": case.group, "mode": case.mode,
           "sides": {peer: summary(case, rows) for peer, rows in sides.items()},
           "of_floor": of(FLOOR), "of_ovs": of(OVS), "of_kernel": of(KERNEL), "goal": "", "met": None}
    mine = row["sides"].get(MILLRACE)
    if case.mode == cases.PING and case.has_goal and mine:
        goal = cases.ROUND_TRIP_GOAL
        row["goal"] = f"<= {goal.p50} / {goal.p99} us"
        row["met"] = mine["median"] <= goal.p50 and mine["p99"] <= goal.p99
    elif case.mode == cases.CONNECTIONS and mine:
        row["goal"], row["met"] = f">= {case.goal:.0f} k/s", mine["median"] >= case.goal
    elif case.goal and row["of_floor"]:
        row["goal"], row["met"] = f">= {case.goal:.2f} of testpmd", row["of_floor"]["median"] >= case.goal
    return row


def bench(build, setup, arguments, keep):
    """`keep` is called with the report behind each round: whoever ends a long run has what was measured until then."""
    cores = Cores(build, setup)
    print(f"a cache line from core {setup.switch_cpu} to core {setup.generator_cpu} and back: {cores.least:.0f} ns", flush=True)
    kit = Kit(arguments.peers, build, setup, cores, arguments.ovs, arguments.ovs_library)
    made = None
    for made in measure(setup, kit, tuple(arguments.cases), tuple(arguments.without)):
        keep(made)
    print(report.table(made))
