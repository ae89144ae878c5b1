"""One run of all cases: every switch in turn in each round, so that what the machine does meanwhile befalls all alike."""

import collections
import statistics

from hugepages import hugepages
from peers import cases, report
from peers.kit import Kit

PAGES = 2048  # of 2 MiB: the switch's tables and frames, and the generator's
GOALS = "goals"  # among groups: the cases that have one
MILLRACE, OVS, KERNEL, FLOOR = "millrace", "ovs", "kernel", "testpmd"


def measure(build, setup, kit, groups=(), skip=()):
    """The report: {"cases": [{title, figures of each switch, ratio, goal, met}, ...]}."""
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
    return {"cases": [judge(case, samples[case.title]) for case in chosen]}


def one_case(kit, case, floors, skip):
    """(switch, figures) of each. What the floor is, is measured once a round for each size and mode."""
    if case.group == "veth":
        for peer in (MILLRACE, FLOOR, OVS):
            if peer not in skip:
                yield peer, kit.veth(peer, case, ports="afxdp")
        return
    if case.floor and FLOOR not in skip:
        if case.floor not in floors:
            floors[case.floor] = kit.vhost(FLOOR, case)
        yield FLOOR, floors[case.floor]
    for peer in (MILLRACE, OVS):
        if peer not in skip:
            yield peer, kit.vhost(peer, case)
    if case.kernel and KERNEL not in skip:
        yield KERNEL, kit.veth(KERNEL, case)


def value(case, figures):
    """What is compared: Mpps, thousands of connections a second, or the median round trip in us."""
    return figures[{cases.CONNECTIONS: "connections_k", cases.PING: "p50"}.get(case.mode, "mpps")]


def text(case, figures):
    if case.mode == cases.PING:
        return f"p50 {figures['p50']:.2f} p99 {figures['p99']:.2f} us"
    unit = "k/s" if case.mode == cases.CONNECTIONS else "Mpps"
    return f"{value(case, figures):.2f} {unit}"


def summary(case, rows):
    values = [value(case, figures) for figures in rows]
    made = {"median": statistics.median(values), "least": min(values), "most": max(values), "rounds": values}
    if case.mode == cases.PING:
        made["p99"] = statistics.median(figures["p99"] for figures in rows)
    return made


def ratios(case, mine, others):
    """Of figures of one round, so that both had the same machine."""
    values = [value(case, a) / value(case, b) for a, b in zip(mine, others)]
    return {"median": statistics.median(values), "least": min(values), "most": max(values)} if values else None


def judge(case, sides):
    row = {"title": case.title, "key": case.key, "group": case.group, "mode": case.mode,
           "sides": {peer: summary(case, rows) for peer, rows in sides.items()},
           "of_floor": ratios(case, sides[MILLRACE], sides[FLOOR]), "of_ovs": ratios(case, sides[MILLRACE], sides[OVS]),
           "of_kernel": ratios(case, sides[MILLRACE], sides[KERNEL]), "goal": "", "met": None}
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


def bench(build, setup, arguments):
    kit = Kit(arguments.peers, build, setup, arguments.ovs, arguments.ovs_library)
    made = measure(build, setup, kit, tuple(arguments.cases), tuple(arguments.without))
    print(report.table(made))
    return made
