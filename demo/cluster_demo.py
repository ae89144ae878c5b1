"""`./x demo --nodes N`: machines that are one pod network, a pod on each, one machine that stops, and is back.

The machines are network namespaces; the last one is behind a router. They find each other by Debian's etcd, which runs in a
namespace of its own.
"""

import itertools
import json
import time

from harness import traffic
from harness.cluster import LEASE_SECONDS, Cluster
from harness.process import CommandError, wait_until
from report import Row, table

SECONDS_A_ROW = 1


def pairs(nodes):
    """(from, to, test, action) of each row: every pod to every other, in both families."""
    for here, there in itertools.permutations(nodes, 2):
        source, target = here.pods[here.name], there.pods[there.name]
        yield here, there, "ping IPv4", lambda: traffic.ping(source, target.ipv4)
        yield here, there, "ping IPv6", lambda: traffic.ping(source, target.ipv6)
        yield here, there, "TCP", lambda: traffic.tcp(source, target, target.ipv4, SECONDS_A_ROW)


def measure(nodes, tests=("ping IPv4", "ping IPv6", "TCP")):
    rows = []
    for here, there, test, action in pairs(nodes):
        if test not in tests:
            continue
        row = Row(f"pod of {here.name}", f"pod of {there.name}", test)
        try:
            row.take(action())
        except (CommandError, OSError, TimeoutError) as error:
            row.problem = str(error)
        rows.append(row)
        print(f"  {row.source} -> {row.target}, {test}: {row.figure()}", flush=True)
    return rows


def timed_row(source, target, test, action):
    """A row that passes when `action` returns, with how long that took."""
    row, started = Row(source, target, test), time.monotonic()
    try:
        action()
        row.note = f"after {time.monotonic() - started:.1f} s"
    except (CommandError, OSError, TimeoutError) as error:
        row.problem = str(error)
    print(f"  {source}: {test}: {row.figure()}", flush=True)
    return row


def blocks_of(node):
    """The prefixes that are routed to this node's own pods."""
    return sorted(entry["prefix"] for entry in node.instance.query("ipam", "show")["blocks"] if entry["node"] == node.name)


def stop_one_and_bring_it_back(cluster, say):
    *others, last = cluster.nodes
    blocks = blocks_of(last)
    say(f"{last.name} stops: both daemons end at once, as when a machine loses its power")
    for program in ("millrace-agent", "millraced"):
        last.instance.kill(program)
    gone = f"{last.name} and its routes are gone"
    rows = [timed_row(node.name, last.name, gone,
                      lambda: wait_until(lambda: last.name not in cluster.reachable(node), gone,
                                         timeout_s=4 * LEASE_SECONDS, interval_s=0.1)) for node in others]
    rows += measure(others, ("ping IPv4",))
    say(f"{last.name} is back")
    rows.append(timed_row(last.name, "", "starts", last.instance.up))
    rows.append(timed_row(last.name, "all", "all nodes reach each other",
                          lambda: cluster.wait_for_nodes(cluster.nodes)))
    rows.append(Row(last.name, "", "has the blocks it had",
                    problem="" if blocks_of(last) == blocks else f"{blocks_of(last)}, before {blocks}"))
    return rows + measure(cluster.nodes, ("ping IPv4", "ping IPv6"))


def show(cluster):
    node = cluster.nodes[0]
    for words in (("node", "list"), ("route", "list"), ("ipam", "show")):
        print(f"\n$ millrace {' '.join(words)}    # on {node.name}")
        print(node.instance.cli(*words).stdout.rstrip())
    print()


def run(cluster, say):
    """All rows of the demo on a cluster that is down yet."""
    say("starting etcd and " + ", ".join(node.name for node in cluster.nodes))
    cluster.up()
    for node in cluster.nodes:
        pod = node.add_pod(node.name)
        print(f"  {node.name}: pod {', '.join(pod.addresses)}", flush=True)
    show(cluster)
    say("every pod to every other, with its own address")
    rows = measure(cluster.nodes)
    rows += stop_one_and_bring_it_back(cluster, say)
    print("\n" + table(rows))
    return rows


def show_failure(cluster):
    for node in cluster.nodes:
        for program in ("millraced", "millrace-agent"):
            log = node.instance.log(program).strip()
            if log:
                print(f"--- last lines of {program}'s log on {node.name}\n" + "\n".join(log.split("\n")[-15:]))


def demo(arguments, say):
    """The rows; a last one when something could not be taken down."""
    rows = []
    # Plain packets to a node behind a router need a router that knows the pods' blocks: here they are all on one subnet.
    cluster = Cluster(arguments.programs, "demo", arguments.nodes, far_nodes=int(arguments.encapsulation != "none"),
                      encapsulation=arguments.encapsulation)
    try:
        rows = run(cluster, say)
        if any(row.problem for row in rows):
            show_failure(cluster)
        if arguments.json:
            with open(arguments.json, "w") as file:
                json.dump({"rows": [row.as_dict() for row in rows]}, file, indent=2)
    except (CommandError, OSError, TimeoutError, KeyError) as error:
        show_failure(cluster)
        rows.append(Row("demo", "", "", problem=str(error)))
    finally:
        say("taking everything down")
        try:
            cluster.destroy()
        except (CommandError, OSError, TimeoutError) as error:
            rows.append(Row("taking down", "", "", problem=str(error)))
    return rows
