"""`./x bench`: cycles a packet of each stage and of the whole way beside the goals, and packets a second and TCP next to testpmd on the same two veths
and, between two nodes, next to Linux's vxlan; on one node next to Linux's bridge and nftables; and by vhost-user next to Open vSwitch.

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
import pods
import rounds
from fingerprint import fingerprint
from peers import report as peers_report
from peers import run as peers_run

ROOT = pathlib.Path(__file__).resolve().parents[2]
PARTS = ("cycles", "switch", "nodes", "pods", "peers")


def cycles_table(results):
    lines = []
    for program, benchmarks in results.items():
        lines.append(program)
        for name, row in benchmarks.items():
            counters = "  ".join(f"{key} {value['median']:.4g} ({value['least']:.4g}..{value['most']:.4g})"
                                 for key, value in row["counters"].items())
            lines.append(f"  {name:<52} {row['time']:>10.1f} {row['unit']}  ({row['least']:.1f}..{row['most']:.1f})  {counters}")
    return "\n".join(lines)


def write(report, path):
    path.write_text(json.dumps(report, indent=2) + "\n")


def main():
    parser = argparse.ArgumentParser(prog="./x bench", description=__doc__.split("\n")[0])
    parser.add_argument("--build", type=pathlib.Path, required=True, help=argparse.SUPPRESS)
    parser.add_argument("--json", type=pathlib.Path, help="write everything here (default: BUILD/bench.json)")
    parser.add_argument("part", nargs="?", choices=PARTS, help="one part; peers only so (default: all others)")
    parser.add_argument("--only", choices=PARTS, help="the same")
    parser.add_argument("--rounds", type=int, default=5, help="rounds of each side, taken in turn (default 5)")
    parser.add_argument("--seconds", type=float, default=3, help="length of one measurement (default 3)")
    parser.add_argument("--switch-cpu", type=int, default=0, help="CPU of the one worker (default 0)")
    parser.add_argument("--generator-cpu", type=int, default=1, help="CPU of everything else (default 1)")
    parser.add_argument("--peers", type=pathlib.Path, default=ROOT.parent / "shared" / "peers",
                        help="directory of the peers' kit (default: ../shared/peers beside the project)")
    parser.add_argument("--cases", nargs="+", default=(), metavar="GROUP",
                        help="of peers: forward established nat policy vxlan connections latency veth, or goals: those that have one")
    parser.add_argument("--without", nargs="+", default=(), metavar="PEER", help="of peers: ovs, kernel, testpmd")
    parser.add_argument("--ovs", default="", metavar="FILE", help="another build of ovs-vswitchd")
    parser.add_argument("--ovs-library", default="", metavar="DIRECTORY", help="and of the DPDK it runs with")
    arguments = parser.parse_args()
    arguments.only = arguments.only or arguments.part
    build = arguments.build.resolve()

    path = arguments.json or build / "bench.json"
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
        print(rounds.table(report["switch"]))
    if arguments.only in (None, "nodes"):
        print("== node to node, Millrace's VXLAN and Linux's in turn", flush=True)
        report["nodes"] = nodes.measure(build / "bin", setup)
        print(rounds.table(report["nodes"], "Linux", "Linux vxlan"))
    if arguments.only in (None, "pods"):
        print("== pods of one node, Millrace's and the kernel's in turn", flush=True)
        report["pods"] = pods.measure(build / "bin", setup)
        print(rounds.table(report["pods"], "Linux", "Linux bridge, nft"))
    if arguments.only == "peers":
        print("== between two vhost-user ports: Millrace, Open vSwitch, the kernel and testpmd in turn", flush=True)
        page = path.with_name("peers.html")

        def keep(peers):
            report["peers"] = peers
            page.write_text(peers_report.page(peers, report["machine"]))
            write(report, path)

        peers_run.bench(build, setup, arguments, keep)
        print(f"written: {page}")
    write(report, path)
    print(f"written: {path}")


if __name__ == "__main__":
    main()
