"""The comparison as a table for the terminal and as one page without scripts or anything from outside."""

import html

from cores import ALIKE, alike

COLUMNS = (("millrace", "Millrace"), ("ovs", "OVS-DPDK"), ("kernel", "kernel (veth)"), ("testpmd", "testpmd"))
COLORS = {"millrace": "#0b6e4f", "ovs": "#c8553d", "kernel": "#588b8b", "testpmd": "#9a9a9a"}
STYLE = """body{font:15px/1.5 system-ui,sans-serif;max-width:78em;margin:2em auto;padding:0 1em;color:#222}
table{border-collapse:collapse;width:100%}td,th{padding:.35em .6em;text-align:right;border-bottom:1px solid #ddd;vertical-align:top}
td:first-child,th:first-child{text-align:left}small{color:#777}.yes{color:#0b6e4f;font-weight:600}.no{color:#b3261e;font-weight:600}
svg{display:block}pre{background:#f5f5f5;padding:1em;overflow:auto}"""
FAR = "*"  # behind a figure


def figure(row, side, core_ns):
    found = row["sides"].get(side)
    if not found:
        return ""
    mark = "" if all(alike(taken, core_ns) for taken in found["core_ns"]) else FAR
    if row["mode"] == "ping":
        return f"{found['median']:.2f} / {found['p99']:.2f} us{mark}"
    if row["mode"] == "crr":
        return f"{found['median']:.0f} k/s{mark}"
    return f"{found['median']:.2f}{mark}"


def distance(report):
    return (f"A cache line took {report['core_ns']:.0f} ns from the switch's core to the generator's and back; "
            f"where a figure has {FAR}, more than {ALIKE} times that in a round or more.")


def ratio(row, name):
    return f"{row[name]['median']:.2f}" if row[name] else ""


def verdict(row):
    return {None: "", True: "met", False: "missed"}[row["met"]]


def table(report):
    lines = [f"{'Mpps, median of rounds':<44} {'Millrace':>16} {'OVS-DPDK':>16} {'kernel':>8} {'testpmd':>16} "
             f"{'to OVS':>7} {'of testpmd':>18}  goal"]
    for row in report["cases"]:
        mine, ovs, kernel, floor = (figure(row, side, report["core_ns"]) for side, _ in COLUMNS)
        of = row["of_floor"]
        spread = f"{of['median']:.2f} ({of['least']:.2f}..{of['most']:.2f})" if of else ""
        lines.append(f"{row['title']:<44} {mine:>16} {ovs:>16} {kernel:>8} {floor:>16} {ratio(row, 'of_ovs'):>7} {spread:>18}  "
                     f"{row['goal']} {verdict(row)}".rstrip())
    lines.append(distance(report))
    return "\n".join(lines)


def bars(row):
    """Least to most of each side as a bar, its median as a line."""
    present = [(side, row["sides"][side]) for side, _ in COLUMNS if side in row["sides"]]
    most = max((found["most"] for _, found in present), default=0) or 1
    parts = []
    for index, (side, found) in enumerate(present):
        y, width = index * 12, 220 / most
        parts.append(f'<rect x="0" y="{y}" width="{found["median"] * width:.1f}" height="9" fill="{COLORS[side]}" opacity=".8">'
                     f'<title>{side}: {found["least"]:.2f} .. {found["most"]:.2f}</title></rect>'
                     f'<line x1="{found["least"] * width:.1f}" x2="{found["most"] * width:.1f}" y1="{y + 4.5}" y2="{y + 4.5}" '
                     'stroke="#222" stroke-width="1.5"/>')
    return f'<svg width="224" height="{12 * len(present)}" role="img">{"".join(parts)}</svg>'


def page(report, machine):
    rows = []
    for row in report["cases"]:
        cells = "".join(f"<td>{figure(row, side, report['core_ns'])}</td>" for side, _ in COLUMNS)
        of = row["of_floor"]
        spread = f'{of["median"]:.2f} <small>{of["least"]:.2f}..{of["most"]:.2f}</small>' if of else ""
        mark = f'<span class="{"yes" if row["met"] else "no"}">{verdict(row)}</span>' if row["met"] is not None else ""
        rows.append(f'<tr><td>{html.escape(row["title"])}</td>{cells}<td>{ratio(row, "of_ovs")}</td><td>{spread}</td>'
                    f'<td>{html.escape(row["goal"])} {mark}</td><td>{bars(row)}</td></tr>')
    heads = "".join(f'<th style="color:{COLORS[side]}">{title}</th>' for side, title in COLUMNS)
    facts = "\n".join(f"{key}: {value}" for key, value in machine.items())
    return f"""<!doctype html><html lang="en"><meta charset="utf-8"><title>Millrace beside its peers</title><style>{STYLE}</style>
<h1>Millrace beside its peers</h1>
<p>One forwarding core each, one generator on the other core, 64 B where nothing else is said, both directions together where "one
way" is not said; Mpps that came back to the generator. The figure is the median of the rounds, the black line least to most; a
ratio is that of two figures of one round and one placement of the cores. {distance(report)} Everything is on in Millrace in
every case: guard, connection tracking, policy, routing, rewriting. testpmd moves packets and reads nothing of them. The kernel
forwards over veths, one way: it has no such ports.</p>
<table><tr><th>case</th>{heads}<th>to OVS</th><th>of testpmd</th><th>goal</th><th></th></tr>{"".join(rows)}</table>
<h2>Machine</h2><pre>{html.escape(facts)}</pre></html>
"""
