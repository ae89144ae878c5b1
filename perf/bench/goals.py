"""The goals of the design for one worker over in-memory ports, each beside the figure measured: met or missed.

A figure is made of medians of repeated runs. Its spread is that of its parts, taken at their worst: what is subtracted
at its most for the least, and at its least for the most.
"""

import dataclasses
import math
from typing import Callable

DATAPATH, SERVICES, POLICY = "bench_datapath", "bench_services", "bench_policy"


@dataclasses.dataclass(frozen=True)
class Value:
    """A figure with its spread."""
    median: float
    least: float
    most: float

    def __sub__(self, other):
        return Value(self.median - other.median, self.least - other.most, self.most - other.least)

    def __truediv__(self, other):
        return Value(self.median / other.median, self.least / other.most, self.most / other.least)

    def times(self, factor):
        return Value(self.median * factor, self.least * factor, self.most * factor)


@dataclasses.dataclass(frozen=True)
class Goal:
    name: str
    unit: str
    figure: Callable  # of a Results
    limit: float = math.nan  # none: a figure that the design sets no goal for
    at_least: bool = False
    note: str = ""  # a key of FOOTNOTES


FOOTNOTES = {
    "a": "the whole way less that of the same frames through a turn without flows (stateless/*): receive, parse, guard, "
         "answer, route, TTL, MACs, transmit",
    "b": "the whole way of an IPv6 packet less that of an IPv4 packet, both established and hot",
    "c": "the whole way of a flow's first packet, nothing subtracted",
    "d": "a line's update with the question less the same without it",
    "e": "the greatest of the cases divided by the least",
    "f": "cycles of the worker alone, seven packets each, the end of the connection before on the same tuple included",
    "g": "ten pods talk; the polls of the others are part of the figure",
    "i": "cycles a packet right behind the change, when every flow is asked about again, over those before it: below 1 / 0.7 "
         "a worker at 70 % of what it can do loses nothing",
    "j": "from the request that the switch takes off its socket to the rule sets that workers read",
    "k": "the whole way less the same by the host port, where one port has all packets of a direction, too",
    "h": "compiling services and building the table that workers read; not the API and the agent before them",
}


class Results:
    """Reads what cycles.measure() returned."""

    def __init__(self, programs):
        self.programs = programs

    def counter(self, name, key="cycles/packet", program=DATAPATH):
        return Value(**self.programs[program][name]["counters"][key])

    def milliseconds(self, name, program=SERVICES):
        row = self.programs[program][name]
        scale = {"ns": 1e-6, "us": 1e-3, "ms": 1.0}[row["unit"]]
        return Value(row["time"], row["least"], row["most"]).times(scale)

    def added(self, name, family="ipv4"):
        return self.counter(name) - self.counter(f"stateless/{family}")

    def of_tunnel(self, link, direction, flows=64):
        """What a tunnel adds to the way to somewhere else."""
        return self.counter(f"tunnel/{link}_{direction}/flows:{flows}") - self.counter(f"tunnel/host_{direction}/flows:{flows}")

    def growth(self, *names):
        """The dearest case over the cheapest."""
        values = sorted((self.counter(name) for name in names), key=lambda value: value.median)
        return values[-1] / values[0]


def _established():
    case = "established/{}/flows:{}".format
    for family, transport, flows, limit in (
            ("ipv4", "udp", 64, 90), ("ipv4", "tcp", 64, 90), ("ipv6", "udp", 64, math.nan),
            ("ipv4", "udp", 10_000, math.nan), ("ipv4", "tcp", 10_000, math.nan), ("ipv6", "udp", 10_000, math.nan),
            ("ipv4", "udp", 1_000_000, 150), ("ipv4", "tcp", 1_000_000, 150), ("ipv6", "udp", 1_000_000, math.nan),
            ("ipv4", "udp", 10_000_000, 220)):
        name = case(f"{family}_{transport}", flows)
        yield Goal(f"established, {family} {transport}, {flows} flows", "cycles added",
                   lambda results, name=name, family=family: results.added(name, family), limit, note="a")


def _translated():
    for flows, services in ((10_000, 1), (10_000, 1_000), (10_000, 10_000), (1_000_000, 1_000)):
        name = f"service/flows:{flows}/services:{services}"
        yield Goal(f"ClusterIP and back, {services} services, {flows} flows", "cycles added",
                   lambda results, name=name: results.added(name), 150 if flows == 1_000_000 else math.nan, note="a")
    for flows in (64, 10_000, 1_000_000):
        name = f"masquerade/flows:{flows}"
        yield Goal(f"masquerade and back, {flows} flows", "cycles added",
                   lambda results, name=name: results.added(name), {64: 90, 1_000_000: 150}.get(flows, math.nan), note="a")


def _tunnels():
    for name, link, direction, limit in (
            ("encapsulation, VXLAN over IPv4", "vxlan", "out", 35), ("decapsulation, VXLAN over IPv4", "vxlan", "in", 25),
            ("encapsulation, VXLAN over IPv6", "vxlan6", "out", math.nan),
            ("decapsulation, VXLAN over IPv6", "vxlan6", "in", math.nan),
            ("to another node, not encapsulated", "plain", "out", math.nan),
            ("from another node, not encapsulated", "plain", "in", math.nan)):
        yield Goal(name, "cycles added",
                   lambda results, link=link, direction=direction: results.of_tunnel(link, direction), limit, note="k")
    for flows in (64, 10_000, 1_000_000):
        yield Goal(f"VXLAN over IPv4 both ways, {flows} flows", "cycles added",
                   lambda results, flows=flows: results.of_tunnel("vxlan", "both", flows), note="k")


def _policy():
    for flows, rules in ((64, 10), (10_000, 10), (10_000, 10_000), (1_000_000, 10_000)):
        name = f"policy/flows:{flows}/rules:{rules}"
        yield Goal(f"established under {rules} rules, {flows} flows", "cycles added",
                   lambda results, name=name: results.added(name), {64: 90, 1_000_000: 150}.get(flows, math.nan), note="a")


GOALS = (
    *_established(),
    Goal("IPv6 in place of IPv4", "cycles",
         lambda results: results.counter("established/ipv6_udp/flows:64") -
         results.counter("established/ipv4_udp/flows:64"), 15, note="b"),
    *_translated(),
    *_policy(),
    *_tunnels(),
    Goal("epoch check", "cycles",
         lambda results: results.counter("line_update/epoch_asked") - results.counter("line_update/plain"), 4, note="d"),
    Goal("new flow, UDP, no translation", "cycles", lambda results: results.counter("new_flow/udp"), note="c"),
    Goal("new flow, TCP, Maglev", "cycles", lambda results: results.counter("new_flow/tcp_service"), note="c"),
    Goal("new flow, TCP, Maglev and SNAT", "cycles",
         lambda results: results.counter("new_flow/tcp_service_masquerade"), 1500, note="c"),
    Goal("new flow, UDP, Maglev and SNAT", "cycles",
         lambda results: results.counter("new_flow/udp_service_masquerade"), 1500, note="c"),
    Goal("new flow, TCP, policy, Maglev and SNAT", "cycles",
         lambda results: results.counter("new_flow/tcp_service_masquerade_10k_rules"), 1500, note="c"),
    Goal("new flow, UDP, policy of 10 rules", "cycles", lambda results: results.counter("new_flow/udp_10_rules"), note="c"),
    Goal("new flow, UDP, policy of 10k rules", "cycles", lambda results: results.counter("new_flow/udp_10k_rules"), note="c"),
    Goal("policy update at 1M flows, load behind it", "ratio",
         lambda results: results.counter("policy_update", "load"), 1 / 0.7, note="i"),
    Goal("growth, 10 to 10k rules", "ratio",
         lambda results: results.growth(*(f"policy/flows:10000/rules:{n}" for n in (10, 1_000, 10_000))), 1.03,
         note="e"),
    Goal("growth, 10 to 10k services", "ratio",
         lambda results: results.growth(*(f"service/flows:10000/services:{n}" for n in (10, 1_000, 10_000))), 1.03,
         note="e"),
    Goal("growth, 10 to 4095 pods", "ratio",
         lambda results: results.growth(*(f"silent_pods/pods:{n}" for n in (10, 250, 4095))), 1.03, note="g"),
    Goal("growth, 1k to 1M flows", "ratio",
         lambda results: results.counter("established/ipv4_udp/flows:1000000") /
         results.counter("established/ipv4_udp/flows:1000"), 1.7),
    Goal("poll of a silent port, 4095 pods", "cycles",
         lambda results: results.counter("silent_turn/pods:4095", "cycles/silent port")),
    Goal("connections a second, ClusterIP", "1/s",
         lambda results: results.counter("connections/service/tuples:262144", "connections/s"), 500_000, at_least=True, note="f"),
    Goal("connections a second, ClusterIP and SNAT", "1/s",
         lambda results: results.counter("connections/service_masquerade/tuples:262144", "connections/s"), 500_000,
         at_least=True, note="f"),
    Goal("memory of a flow, IPv4", "bytes",
         lambda results: results.counter("memory/ipv4/flows:1000000/iterations:1", "bytes/flow")),
    Goal("memory of a flow, IPv6", "bytes",
         lambda results: results.counter("memory/ipv6/flows:1000000/iterations:1", "bytes/flow")),
    Goal("10k services with 100k endpoints", "ms", lambda results: results.milliseconds("build/services:10000"), 5000,
         note="h"),
    Goal("one service of 10k changes", "ms", lambda results: results.milliseconds("change_one/services:10000"), 50,
         note="h"),
    Goal("a group of 5k identities in 10k rules changes", "ms",
         lambda results: results.milliseconds("change_group/rules:10000", POLICY), 50, note="j"),
    Goal("a question of policy, 10k rules", "cycles",
         lambda results: results.counter("decide/rules:10000", "cycles/question", POLICY)),
)


def judge(programs):
    """A row for each goal; one whose benchmarks did not run says so."""
    results = Results(programs)
    rows = []
    for goal in GOALS:
        row = {"name": goal.name, "unit": goal.unit, "goal": None if math.isnan(goal.limit) else goal.limit,
               "goal_is": "at least" if goal.at_least else "at most", "note": goal.note}
        try:
            value = goal.figure(results)
        except KeyError as missing:
            rows.append(row | {"verdict": "not measured", "missing": str(missing)})
            continue
        row |= dataclasses.asdict(value)
        is_met = value.median >= goal.limit if goal.at_least else value.median <= goal.limit
        rows.append(row | {"verdict": "" if row["goal"] is None else "met" if is_met else "missed"})
    return rows


def _number(value):
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}"


def table(rows):
    lines = [f"{'':<48} {'figure':>10} {'spread':>22} {'goal':>12}  {'verdict':<12} unit"]
    for row in rows:
        figure = _number(row["median"]) if "median" in row else "-"
        spread = f"{_number(row['least'])}..{_number(row['most'])}" if "median" in row else ""
        goal = "" if row["goal"] is None else (">= " if row["goal_is"] == "at least" else "<= ") + _number(row["goal"])
        note = f" ({row['note']})" if row["note"] else ""
        lines.append(f"{row['name']:<48} {figure:>10} {spread:>22} {goal:>12}  {row['verdict']:<12} {row['unit']}{note}")
    used = sorted({row["note"] for row in rows if row["note"]})
    return "\n".join(lines + [f"({note}) {FOOTNOTES[note]}" for note in used])
