"""`./x demo`: Millrace on a node of its own, two pods, and what passes between them.

The node is a network namespace with its own switch, agent, config and state; the machine's network is not touched.
Whatever happens on the way, all of it is taken down again, unless --keep says otherwise.
"""

import argparse
import contextlib
import datetime
import json
import pathlib
import shutil
import signal
import sys
import time

import cluster_demo
from harness import node as nodes
from harness import traffic
from harness.netns import Netns
from harness.node import Node
from harness.process import CommandError
from report import Row, counters_text, table

SECONDS_A_ROW = 2
STATE_FILE = "demo.json"  # in the node's directory, for --down


class Interrupted(BaseException):
    pass


def say(text):
    """Nobody may be reading any more (`./x demo | head`): what is to be done next is done all the same."""
    with contextlib.suppress(BrokenPipeError):
        print(f"\033[1m== {text}\033[0m" if sys.stdout.isatty() else f"== {text}", flush=True)


def catch_signals():
    def interrupt(number, _frame):
        for again in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(again, signal.SIG_IGN)  # taking down is not interrupted
        raise Interrupted(signal.Signals(number).name)

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, interrupt)


def measurements(node):
    """(from, to, test, action) of each row of the table; an action answers with a Ping or a Throughput."""
    web, client = node.pods["web"], node.pods["client"]
    host = _host_address(node)
    ways = [("pod client", "pod web", client, web, web.ipv4, web.ipv6),
            ("pod client", "host", client, node.netns, host["ipv4"], host["ipv6"]),
            ("host", "pod web", node.netns, web, web.ipv4, web.ipv6),
            ("pod client", "world", client, node.world, nodes.WORLD_IPV4, nodes.WORLD_IPV6)]
    for source, target, here, there, ipv4, ipv6 in ways:
        yield source, target, "ping IPv4", lambda: traffic.ping(here, ipv4, count=20)
        yield source, target, "ping IPv6", lambda: traffic.ping(here, ipv6, count=20)
        yield source, target, "TCP", lambda: traffic.tcp(here, there, ipv4, SECONDS_A_ROW)
        yield source, target, "TCP IPv6", lambda: traffic.tcp(here, there, ipv6, SECONDS_A_ROW)
        yield source, target, "UDP 1400 B", lambda: traffic.udp(here, there, ipv4, SECONDS_A_ROW, payload=1400)
        yield source, target, "UDP 64 B", lambda: traffic.udp(here, there, ipv4, SECONDS_A_ROW, payload=64)


def _host_address(node):
    """The node as its pods reach it: the addresses of its uplink, by way of millrace0."""
    return {"ipv4": nodes.NODE_IPV4, "ipv6": nodes.NODE_IPV6}


def measure(node):
    rows = []
    for source, target, test, action in measurements(node):
        row = Row(source, target, test)
        try:
            row.take(action())
        except (CommandError, OSError, TimeoutError) as error:
            row.problem = str(error)
        rows.append(row)
        print(f"  {source} -> {target}, {test}: {row.figure()}", flush=True)
    return rows


def write_json(path, rows, node):
    report = {"time": datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"),
              "rows": [row.as_dict() for row in rows], "ports": node.instance.port_totals(),
              "drops": node.instance.drops()}
    pathlib.Path(path).write_text(json.dumps(report, indent=2) + "\n")


def show_failure(node):
    for program in ("millraced", "millrace-agent"):
        log = node.instance.log(program).strip()
        if log:
            print(f"--- last lines of {program}'s log\n" + "\n".join(log.split("\n")[-20:]))


def explain_keep(node):
    web = node.pods["web"]
    millrace = " ".join(node.instance.cli_command())
    (node.directory / STATE_FILE).write_text(json.dumps(
        {"node": node.netns.name, "world": node.world.name, "pods": [pod.netns.name for pod in node.pods.values()]}))
    print(f"""
The demo stays up. A shell on the node:        nsenter --net={node.netns.path}
A shell in the pod 'web':                       nsenter --net={web.netns.path}
Millrace's CLI on the node:                     {millrace} status
Take it down again:                             ./x demo --down""")


def take_down(programs):
    """Removes what --keep left, of every demo on this machine."""
    found = 0
    for state in pathlib.Path("/tmp").glob(f"millrace-demo-*/{STATE_FILE}"):
        names = json.loads(state.read_text())
        config = state.parent / "config.yaml"
        netns = Netns(names["node"])
        if netns.exists():
            with contextlib.suppress(CommandError):
                netns.run(programs / "millrace", "--config", config, "down", timeout_s=60)
        for name in (*names["pods"], names["node"], names["world"]):
            Netns(name).delete()
        shutil.rmtree(state.parent)
        found += 1
    say(f"{found} kept demo{'s' if found != 1 else ''} taken down")


def demo(arguments):
    rows, kept = [], False
    started = time.monotonic()
    node = Node(arguments.programs, "demo")
    try:
        say(f"starting millraced and millrace-agent on the node {node.netns.name}")
        node.up()
        for name, options in (("web", ["--label", "app=web", "--port", "http:80/tcp"]), ("client", [])):
            pod = node.add_pod(name, *options)
            print(f"  pod {name}: {', '.join(pod.addresses)}, interface {pod.host_interface}", flush=True)
        say(f"traffic, after {time.monotonic() - started:.1f} s")
        rows = measure(node)
        print("\n" + table(rows))
        print("\n" + counters_text(node.instance.port_totals(), node.pods))
        if arguments.json:
            write_json(arguments.json, rows, node)
        if any(row.problem for row in rows):
            show_failure(node)
        kept = arguments.keep
        if kept:
            explain_keep(node)
    except (CommandError, OSError, TimeoutError, KeyError) as error:
        print(f"the demo failed: {error}", file=sys.stderr)
        show_failure(node)
        rows.append(Row("demo", "", "", problem=str(error)))
    finally:
        if not kept:
            rows += take_down_node(node)
    return rows


def take_down_node(node):
    """A row for what could not be taken down; none when all is gone."""
    say("taking everything down")
    try:
        node.destroy()
    except (CommandError, OSError, TimeoutError) as error:
        return [Row("taking down", node.netns.name, "", problem=str(error))]
    return []


def main():
    parser = argparse.ArgumentParser(prog="./x demo", description=__doc__.split("\n")[0])
    parser.add_argument("--programs", type=pathlib.Path, required=True, help=argparse.SUPPRESS)
    parser.add_argument("--keep", action="store_true", help="leave the demo up when it is done")
    parser.add_argument("--down", action="store_true", help="take down what --keep left, and nothing else")
    parser.add_argument("--json", metavar="FILE", help="write the figures")
    parser.add_argument("--nodes", type=int, choices=range(1, 9), default=1, metavar="N",
                        help="1: one machine; 2 to 8: a cluster of so many, with etcd, that are one pod network")
    parser.add_argument("--encapsulation", choices=("vxlan", "crossSubnet", "none"), default="vxlan",
                        help="between the nodes")
    arguments = parser.parse_args()
    if arguments.down:
        take_down(arguments.programs)
        return 0
    if arguments.nodes > 1 and arguments.keep:
        parser.error("--keep is for one node")
    catch_signals()
    try:
        rows = demo(arguments) if arguments.nodes == 1 else cluster_demo.demo(arguments, say)
    except Interrupted as error:
        print(f"\ninterrupted ({error}); everything is taken down", file=sys.stderr)
        return 130
    failed = [row for row in rows if row.problem]
    for row in failed:
        print(f"FAILED: {row.source} -> {row.target} {row.test}: {row.problem}")
    print(f"{len(rows) - len(failed)} passed, {len(failed)} failed")
    return 0 if rows and not failed else 1


if __name__ == "__main__":
    sys.exit(main())
