#!/usr/bin/env python3
"""Makes docs/drops.md from net/drop.def. With --print it only prints."""

import pathlib
import re
import sys

TOP = pathlib.Path(__file__).resolve().parents[1]


def markdown(definitions):
    lines = ["# Why the switch drops a packet", "",
             "Made from `net/drop.def` by `docs/make_drops.py`. `millrace counters` shows these names, for each port and worker,",
             "and only those that are not 0. A packet that the switch took is sent, answered, or counted under one of them.", ""]
    for line in definitions.splitlines():
        section = re.fullmatch(r"// ([\w ]+)", line)
        drop = re.match(r'MILLRACE_DROP\(\w+, "(\w+)", "(.*)"\)', line)
        if section:
            lines += ["", f"## {section[1]}", "", "| name | meaning |", "|---|---|"]
        elif drop:
            lines.append(f"| `{drop[1]}` | {drop[2]} |")
    return re.sub(r"\n{3,}", "\n\n", "\n".join(lines)) + "\n"


if __name__ == "__main__":
    text = markdown((TOP / "net" / "drop.def").read_text())
    if "--print" in sys.argv:
        sys.stdout.write(text)
    else:
        (TOP / "docs" / "drops.md").write_text(text)
