"""`./x bench`: cycles a packet of each stage and of the whole way beside the goals, and packets a second and TCP next to testpmd on the same two veths
and, between two nodes, next to Linux's vxlan.

The machine's fingerprint goes with every figure. Figures are comparable inside one run only.
"""

import argparse
import json
import pathlib
import sys

import cycles
import forwarding
import goals
import nodes
from fingerprint import fingerprint


def cycles_table(results):
    lines = []
    for program, benchmarks in results.items():
        lines.append(program)
        for name, row in benchmarks.items():
            counters = "  ".join(f"{key} {value['median']:.4g} ({value['least']:.4g}..{value['most']:.4g})"
                                 for key, value in row["counters"].items())
            lines.append(f"  {name:<52} {row['time']:>10.1f} {row['unit']}  ({row['least']:.1f}..{row['most']:.1f})  {counters}")
    return "\n".join(lines)


def main():
    parser = argparse.ArgumentParser(prog="./x bench", description=__doc__.split("\n")[0])
    parser.add_argument("--build", type=pathlib.Path, required=True, help=argparse.SUPPRESS)
    parser.add_argument("--json", type=pathlib.Path, help="write everything here (default: BUILD/bench.json)")
    parser.add_argument("--only", choices=("cycles", "switch", "nodes"), help="one part")
    parser.add_argument("--rounds", type=int, default=5, help="rounds of each side, taken in turn (default 5)")
    parser.add_argument("--seconds", type=float, default=3, help="length of one measurement (default 3)")
    parser.add_argument("--switch-cpu", type=int, default=0, help="CPU of the one worker (default 0)")
    parser.add_argument("--generator-cpu", type=int, default=1, help="CPU of everything else (default 1)")
    arguments = parser.parse_args()
    build = arguments.build.resolve()

    report = {"machine": fingerprint(build)}
    if arguments.only in (None, "cycles"):
        print("== cycles a packet, in memory", flush=True)
        report["cycles"] = {program.name: cycles.measure(program, arguments.switch_cpu) for program in cycles.programs(build)}
        print(cycles_table(report["cycles"]))
        if not report["cycles"]:
            sys.exit(f"{build}/perf/bench holds no benchmark program")
        report["goals"] = goals.judge(report["cycles"])
        print("== goals")
        print(goals.table(report["goals"]))
    setup = forwarding.Setup(arguments.switch_cpu, arguments.generator_cpu, arguments.rounds, arguments.seconds)
    if arguments.only in (None, "switch"):
        print("== pod to pod over AF_XDP, Millrace and testpmd in turn", flush=True)
        report["switch"] = forwarding.measure(build / "bin", setup)
        print(forwarding.table(report["switch"]))
    if arguments.only in (None, "nodes"):
        print("== node to node, Millrace's VXLAN and Linux's in turn", flush=True)
        report["nodes"] = nodes.measure(build / "bin", setup)
        print(forwarding.table(report["nodes"], "Linux", "Linux vxlan"))
    path = arguments.json or build / "bench.json"
    path.write_text(json.dumps(report, indent=2) + "\n")
    print(f"written: {path}")


if __name__ == "__main__":
    main()
