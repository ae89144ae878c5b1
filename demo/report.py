"""What the demo prints: a row a test, and what the switch counted."""

import dataclasses

from harness.traffic import Ping, Throughput


@dataclasses.dataclass
class Row:
    source: str
    target: str
    test: str
    latency_ms: float | None = None
    gbit_s: float | None = None
    packets_s: float | None = None
    note: str = ""
    problem: str = ""

    def take(self, result):
        """The figures of a test; it has passed when nothing of the ping was lost, or when bytes arrived."""
        if isinstance(result, Ping):
            self.latency_ms = result.median_ms
            if not result.ok:
                self.problem = f"{result.received} of {result.sent} echo replies came back"
        elif isinstance(result, Throughput):
            self.gbit_s = result.gbit_s
            self.packets_s = result.packets_s or None
            if result.gbit_s <= 0:
                self.problem = "nothing arrived"

    def figure(self):
        if self.problem:
            return f"FAIL: {self.problem.splitlines()[0]}"
        return ", ".join(text for text in (*self.cells(), self.note) if text) or "PASS"

    def cells(self):
        return ("" if self.latency_ms is None else f"{self.latency_ms:.3f} ms",
                "" if self.gbit_s is None else f"{self.gbit_s:.2f} Gbit/s",
                "" if self.packets_s is None else f"{self.packets_s:,.0f} packets/s")

    def as_dict(self):
        return {**dataclasses.asdict(self), "passed": not self.problem}


def columns(lines, right=()):
    """Text in columns, each as wide as its widest cell."""
    widths = [max(len(line[column]) for line in lines) for column in range(len(lines[0]))]
    return "\n".join("  ".join(cell.rjust(width) if index in right else cell.ljust(width)
                               for index, (cell, width) in enumerate(zip(line, widths))).rstrip() for line in lines)


def table(rows):
    head = ("from", "to", "test", "latency", "throughput", "packets", "result")
    return columns([head] + [(row.source, row.target, row.test, *row.cells(), "FAIL" if row.problem else f"PASS {row.note}")
                             for row in rows], right=(3, 4, 5))


def counters_text(ports, pods):
    """Packets of each port, then every drop by its name."""
    owner = {pod.host_interface: f"pod {name}" for name, pod in pods.items()}
    lines = [("port", "", "received", "sent", "answered", "dropped")]
    drops = []
    for port, totals in ports.items():
        dropped = totals.get("drops", {})
        if port == "(removed)" and not any(totals.get(key) for key in ("rx_packets", "tx_packets")):
            continue
        lines.append((port, owner.get(port, ""), *(f"{totals.get(key, 0):,}" for key in
                      ("rx_packets", "tx_packets", "answered")), f"{sum(dropped.values()):,}"))
        drops += [(port, reason, f"{count:,}") for reason, count in sorted(dropped.items())]
    text = "What the switch counted, in packets:\n" + columns(lines, right=(2, 3, 4, 5))
    if drops:
        text += "\n\nDrops by name:\n" + columns([("port", "reason", "packets"), *drops], right=(2,))
    else:
        text += "\n\nDrops: none"
    return text
