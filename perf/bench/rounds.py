"""What is measured in several rounds of several sides, and what comes of it: a table of medians with their spread."""

import statistics


class Rounds:
    """A bench of two sides in turn; `run` of each takes its samples by `note`."""

    def __init__(self, programs, setup):
        self.programs, self.setup = programs, setup
        self.samples = {}

    def note(self, side, case, value):
        self.samples.setdefault(case, {}).setdefault(side, []).append(value)
        print(f"  {side:<10} {case:<32} {value:.3f}", flush=True)

    def compared(self, other):
        """{case: {side: summary, "ratio": Millrace's median to the other's}}."""
        report = {case: {side: summary(values) for side, values in sides.items()} for case, sides in self.samples.items()}
        for case, sides in report.items():
            if other in sides and "offered" not in case:
                sides["ratio"] = sides["millrace"]["median"] / sides[other]["median"]
        return report


def summary(values):
    return {"median": statistics.median(values), "least": min(values), "most": max(values), "rounds": values}


def table(report, other="testpmd", title="testpmd io"):
    lines = [f"{'':<42} {'Millrace':>26} {title:>26}  ratio"]
    for case, sides in report.items():
        cells = [f"{row['median']:.3f} ({row['least']:.3f}..{row['most']:.3f})" if row else ""
                 for row in (sides.get("millrace"), sides.get(other))]
        ratio = f"{sides['ratio']:.2f}" if "ratio" in sides else ""
        lines.append(f"{case:<42} {cells[0]:>26} {cells[1]:>26}  {ratio}")
    return "\n".join(lines)
